"""Settings resolved and checked before any job, and the functions that turn them into files and parameters."""

import fcntl
from pathlib import Path

from snakemake.exceptions import WorkflowError

from siamla.benchmark.protocols import load_protocols
from siamla.config.check import read_yaml
from siamla.config.profile import load
from siamla.config.spec import features_part, plain, training_part
from siamla.errors import UserError
from siamla.files import canonical_json, digest
from siamla.provenance.code import code_digest

PROFILE = config.get("profile", "mini")
try:
    EXPERIMENT = load(PROFILE)
    PROTOCOLS = load_protocols(Path("params/benchmarks.yaml"))
except UserError as error:
    raise WorkflowError(f"\n{error}")
DATASETS = {**EXPERIMENT.profile.train, **EXPERIMENT.profile.benchmarks}
SYNTHETIC = read_yaml(Path("params/synthetic.yaml"))
LAYOUT_PROTOCOL = {"otb": "otb100", "vot": "vot2018"}
CODE = {
    "synthesize": code_digest("siamla.data.synthetic.dataset"),
    "curate": code_digest("siamla.data.curate"),
    "crops": code_digest("siamla.data.crops"),
    "features": code_digest("siamla.training.features"),
    "train": code_digest("siamla.training.loop"),
    "predict": code_digest("siamla.benchmark.runner", "siamla.tracker.tracker"),
    "score": code_digest("siamla.benchmark.score"),
    "report": code_digest("siamla.report.tables", "siamla.report.collect"),
}


def clear_stale_lock():
    """Remove the lock that a killed snakemake left behind; a running pipeline holds this one and keeps its own."""
    folder = Path(".snakemake")
    folder.mkdir(exist_ok=True)
    handle = (folder / "pipeline.lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    for lock in folder.glob("locks/*.lock"):
        lock.unlink()
    return handle


PIPELINE_LOCK = clear_stale_lock()  # held until this process ends


def dataset(wildcards):
    return DATASETS[wildcards.dataset]


def synthetic_settings(wildcards):
    """The settings of a generated set, so that a change of them makes it anew; empty for other sources."""
    source = dataset(wildcards).dvc or ""
    return canonical_json(SYNTHETIC.get(source.partition("@")[2], {}))


def expected_count(wildcards):
    return "--limit-frames {}".format(dataset(wildcards).frames) if dataset(wildcards).frames else ""


def crops_by_digest():
    return {digest(plain(spec.crops)): plain(spec.crops) for spec in EXPERIMENT.specs.values()}


def crops_manifest(spec):
    return f"data/crops/{PROFILE}/{spec.pairs.dataset}/{digest(plain(spec.crops))}/manifest.json"


def feature_specs():
    """Digest of the features → a spec that needs them."""
    return {digest(features_part(spec)): spec for spec in EXPERIMENT.specs.values() if uses_features(spec)}


def uses_features(spec):
    return spec.pairs.count is not None and spec.training.frozen_epochs > 0


def features_manifest(spec):
    return f"data/features/{PROFILE}/{digest(features_part(spec))}/manifest.json"


def training_inputs(wildcards):
    spec = EXPERIMENT.specs[wildcards.variant]
    inputs = {"crops": crops_manifest(spec)}
    if uses_features(spec):
        inputs["features"] = features_manifest(spec)
    return inputs


def protocol(wildcards):
    entry = EXPERIMENT.profile.benchmarks[wildcards.benchmark]
    default = LAYOUT_PROTOCOL.get(entry.layout, entry.layout)
    return entry.protocol or default


def tracker_settings(variant, benchmark):
    return plain(EXPERIMENT.tracker(variant, benchmark))


def score_files(wildcards):
    return [
        f"results/{PROFILE}/scores/{benchmark}/{variant}/seed{seed}.json"
        for benchmark in EXPERIMENT.profile.benchmarks
        for variant in EXPERIMENT.runs(benchmark)
        for seed in EXPERIMENT.seeds(variant)
    ]


def training_files(wildcards):
    return [
        f"results/{PROFILE}/train/{variant}/seed{seed}/run.json"
        for variant in EXPERIMENT.specs
        for seed in EXPERIMENT.seeds(variant)
    ]


def tables():
    return [f"reports/{PROFILE}/tables/table{number}.md" for number in EXPERIMENT.profile.tables]
