"""Settings resolved and checked before any job, and the functions that turn them into files and parameters."""

import fcntl
import sys
from base64 import urlsafe_b64decode
from pathlib import Path

from snakemake.exceptions import WorkflowError

from siamla.benchmark.protocols import load_protocols
from siamla.settings import nearest, read_yaml
from siamla.experiment.profile import load
from siamla.experiment.spec import features_part, plain, training_part
from siamla.errors import UserError
from siamla.files import canonical_json, digest
from siamla.provenance.code import code_digest

# the commands of the environment that snakemake runs in, also where it is not activated
shell.prefix(f"export PATH={Path(sys.executable).parent}:$PATH; ")

PROFILE = config.get("profile", "mini")
try:
    EXPERIMENT = load(PROFILE)
    PROTOCOLS = load_protocols(Path("params/protocols.yaml"))
except UserError as error:
    raise WorkflowError(f"\n{error}")
DATASETS = {**EXPERIMENT.profile.train, **EXPERIMENT.profile.benchmarks}
SYNTHETIC = read_yaml(Path("params/synthetic.yaml"))
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
    """Clear up after a killed snakemake: its lock, and the outputs of jobs that it never saw end, as with
    --rerun-incomplete. A running pipeline holds pipeline.lock and keeps its own."""
    folder = Path(".snakemake")
    folder.mkdir(exist_ok=True)
    handle = (folder / "pipeline.lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError(
            f"another pipeline is running in {Path.cwd()}; wait until it ends, or use another clone"
        )
    for lock in folder.glob("locks/*.lock"):
        lock.unlink()
    for mark in [path for path in (folder / "incomplete").rglob("*") if path.is_file()]:
        name = "".join(mark.relative_to(folder / "incomplete").parts).replace("@", "")
        Path(urlsafe_b64decode(name).decode()).unlink(missing_ok=True)
        mark.unlink()
    return handle


if workflow.is_main_process:  # not where an executor runs one job of it
    PIPELINE_LOCK = clear_stale_lock()  # held until this process ends


def dataset(wildcards):
    return DATASETS[wildcards.dataset]


def synthetic_settings(wildcards):
    """The settings of a generated set, so that a change of them makes it anew; empty for other sources."""
    source = dataset(wildcards).dvc or ""
    return canonical_json(SYNTHETIC.get(source.partition("@")[2], {}))


def frame_limit(wildcards):
    return (
        f"--limit-frames {dataset(wildcards).frames}"
        if dataset(wildcards).frames
        else ""
    )


def crops_by_digest():
    return {
        digest(plain(spec.crops)): plain(spec.crops)
        for spec in EXPERIMENT.specs.values()
    }


def crops_manifest(spec):
    return f"data/crops/{PROFILE}/{spec.pairs.dataset}/{digest(plain(spec.crops))}/manifest.json"


def feature_specs():
    """Digest of the features → a spec that needs them."""
    return {
        digest(features_part(spec)): spec
        for spec in EXPERIMENT.specs.values()
        if uses_features(spec)
    }


def feature_settings(wildcards):
    """The part of a spec that decides the features, alone: another variant's settings must not make them anew."""
    part = features_part(feature_specs()[wildcards.features])
    model = {"backbone": part["backbone"], "weights": part["weights"]}
    training = {"precision": part["precision"]}
    return canonical_json(
        {
            "crops": part["crops"],
            "pairs": part["pairs"],
            "model": model,
            "training": training,
        }
    )


def uses_features(spec):
    """Whether a frozen backbone sees a finite set of pairs; random weights differ from seed to seed."""
    finite = spec.pairs.count is not None and spec.training.frozen_epochs > 0
    return finite and spec.model.weights != "random"


def features_manifest(spec):
    return f"data/features/{PROFILE}/{digest(features_part(spec))}/manifest.json"


def training_inputs(wildcards):
    spec = EXPERIMENT.specs[wildcards.variant]
    inputs = {"crops": crops_manifest(spec)}
    if uses_features(spec):
        inputs["features"] = features_manifest(spec)
    return inputs


def protocol(benchmark):
    """The protocol of a benchmark: its own choice, else the one named like it, else the first of its layout."""
    entry = EXPERIMENT.profile.benchmarks[benchmark]
    by_layout = [
        name for name, known in PROTOCOLS.items() if known.layout == entry.layout
    ]
    name = entry.protocol or (benchmark if benchmark in PROTOCOLS else by_layout[0])
    if name not in PROTOCOLS:
        raise WorkflowError(
            f"benchmarks.{benchmark}.protocol: {name!r} is unknown; {nearest(name, list(PROTOCOLS))}"
        )
    return PROTOCOLS[name]


def protocol_json(wildcards):
    return canonical_json(plain(protocol(wildcards.benchmark)))


def tracker_settings(variant, benchmark):
    return plain(EXPERIMENT.tracker(variant, benchmark))


def curated(name):
    return f"data/curated/{PROFILE}/{name}/report.json"


def curated_reports(wildcards):
    return [curated(name) for name in EXPERIMENT.profile.benchmarks]


def table_variants():
    """What the tables need of each variant: its label, its parts, and the digests that its scores must carry."""
    return {
        name: {
            "label": EXPERIMENT.variants[name].label,
            "ladl": spec.labels.ladl,
            "lals": spec.labels.lals,
            "lafa": spec.model.localization == "lafa",
            "seeds": EXPERIMENT.seeds(name),
            "train_spec_digest": digest(training_part(spec)),
            "spec_digest": {
                b: digest(tracker_settings(name, b))
                for b in EXPERIMENT.profile.benchmarks
            },
        }
        for name, spec in EXPERIMENT.specs.items()
    } | {
        name: {"label": entry.label or name, "imported": True}
        for name, entry in EXPERIMENT.profile.imported.items()
    }


def caption():
    """The profile's caption; data that nothing made or fetched are the user's, and not what it speaks of."""
    notes = [EXPERIMENT.profile.caption]
    for name, entry in EXPERIMENT.profile.benchmarks.items():
        cut = (
            f", the first {entry.frames} frames of each sequence"
            if entry.frames
            else ""
        )
        if not entry.dvc or cut:
            notes.append(f"{entry.label or name}: {entry.root}{cut}.")
    return " ".join(notes)


def table_benchmarks():
    entries = {}
    for name, entry in EXPERIMENT.profile.benchmarks.items():
        rules = protocol(name)
        label = rules.metrics[rules.headline]
        entries[name] = {
            "label": entry.label or name,
            "headline": rules.headline,
            "headline_label": label,
        }
    return entries


def score_files(wildcards):
    return [
        f"results/{PROFILE}/scores/{benchmark}/{variant}/seed{seed}.json"
        for benchmark in EXPERIMENT.profile.benchmarks
        for variant in EXPERIMENT.runs(benchmark)
        for seed in EXPERIMENT.seeds(variant)
    ] + [
        f"results/{PROFILE}/scores/{benchmark}/imported/{tracker}.json"
        for tracker, entry in EXPERIMENT.profile.imported.items()
        for benchmark in entry.results
    ]


def training_files(wildcards):
    return [
        f"results/{PROFILE}/train/{variant}/seed{seed}/run.json"
        for variant in EXPERIMENT.specs
        for seed in EXPERIMENT.seeds(variant)
    ]


def tables():
    return [
        f"reports/{PROFILE}/tables/table{number}.md"
        for number in EXPERIMENT.profile.tables
    ]
