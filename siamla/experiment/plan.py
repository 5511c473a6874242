"""The plan: what the experiment is. Every job with its place, its inputs and its identity, resolved
once.

The Snakefile asks it for paths and keys, every command for its job, tables for the scores that they
may show. It runs nothing and reads no data.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from siamla.benchmark.protocols import Protocol, run_rules, score_rules
from siamla.data.synthetic.settings import SetSettings, load_sets
from siamla.engine.settings import EngineName
from siamla.errors import UserError
from siamla.experiment.identity import (
    Alignment,
    Crops,
    Curate,
    Features,
    Fetch,
    Identity,
    Maps,
    Mix,
    Predict,
    Score,
    Train,
)
from siamla.experiment.profile import Benchmark, Experiment, TrainingSet, load
from siamla.experiment.spec import Spec, chain, plain
from siamla.experiment.sweeps import Point, point_at, points
from siamla.files import digest
from siamla.provenance.code import code_digest, listed
from siamla.provenance.record import RECORD, read_record
from siamla.settings import nearest, read_yaml

GENERATOR = "synthesize@"  # stages of dvc.yaml that render a set of params/synthetic.yaml
STAMP = "stamp"
CROPS = {"count": 16, "seed": 0}  # of a sequence, around its truth
Kind = TypeVar("Kind", bound=Identity)


@dataclass(frozen=True)
class Job:
    """One step for one set of names.

    Attributes:
        identity: all that decides its result.
        names: profile, and dataset, benchmark, variant, seed or tracker.
        folder: where the result and its record stand, relative to the project; of a score the file.
        parents: input name → the job that makes it.
        outside: input name → a folder with results of others, which no job makes.
    """

    identity: Identity
    names: Mapping[str, Any]
    folder: Path
    parents: Mapping[str, "Job"] = field(default_factory=dict)
    outside: Mapping[str, Path] = field(default_factory=dict)

    @property
    def step(self) -> str:
        return self.identity.step

    @property
    def key(self) -> str:
        """Digest of the identity."""
        return self.identity.key

    @property
    def stamp(self) -> Path:
        """The file that Snakemake takes for the result: small, so that it may be deleted and
        written again.
        """
        return self.folder if self.step == "score" else self.folder / STAMP

    @property
    def record_path(self) -> Path:
        """Where the record stands; of a score inside the file, under "record"."""
        return self.folder if self.step == "score" else self.folder / RECORD

    @property
    def title(self) -> str:
        """For people: "predict otb100 siamla, seed 1"."""
        seed = f", seed {self.names['seed']}" if "seed" in self.names else ""
        return (
            " ".join(
                [
                    self.step,
                    *(str(v) for k, v in self.names.items() if k not in ("profile", "seed")),
                ]
            )
            + seed
        )

    def record(self) -> dict[str, Any] | None:
        """The record of the result that is there; None where there is none."""
        if not self.record_path.is_file():
            return None
        return read_record(self.record_path, "record" if self.step == "score" else None)

    def settled(self) -> bool:
        """Whether there is a result that was made from what its parents hold now, as far as these
        are here.
        """
        try:
            record = self.record()
            parents = {name: parent.record() for name, parent in self.parents.items()}
        except UserError:
            return False
        if record is None:
            return False
        return all(
            record["inputs"].get(name) == now["content"] for name, now in parents.items() if now
        )

    def content(self) -> str:
        """Content digest of the result; UserError where the step has not run."""
        record = self.record()
        if record is None:
            raise UserError(f"{self.record_path}: not found; `{self.command}` comes first")
        return str(record["content"])

    @property
    def command(self) -> str:
        """The command that does this job."""
        names = self.names
        words = {
            "maps": "benchmark maps {benchmark} {variant} --seed {seed}",
            "alignment": "benchmark alignment {benchmark} {variant} --seed {seed}",
            "fetch": "data fetch {dataset}",
            "curate": "data curate {dataset}",
            "crops": "data crops {variant}",
            "features": "train features {variant}",
            "train": "train run {variant} --seed {seed}",
            "predict": "benchmark predict {benchmark} {variant} --seed {seed}",
            "score": "benchmark score {benchmark} {variant} --seed {seed}",
            "table": "report table {table}",
            "figure": "report figure {figure}",
            "study": "report study",
        }
        text = "results score {benchmark} {tracker}" if "tracker" in names else words[self.step]
        text += " --sweep {sweep}={value}" if "sweep" in names else ""
        text += " --dataset {dataset}" if self.step == "crops" and "dataset" in names else ""
        return f"siamla {text.format(**names)} --profile {names['profile']}"


def training_settings(spec: Spec) -> dict[str, Any]:
    """What decides the weights: the spec without the tracker, and without the places and names in
    it.
    """
    settings = {key: value for key, value in plain(spec).items() if key not in ("tracker", "crops")}
    settings["pairs"] = {key: value for key, value in settings["pairs"].items() if key != "dataset"}
    settings["model"] = {**settings["model"], "weights": _weights(spec)}
    return settings


def _weights(spec: Spec) -> Any:
    weights = plain(spec.model)["weights"]
    return {"sha256": weights["sha256"]} if isinstance(weights, dict) else weights


def uses_features(spec: Spec) -> bool:
    """Whether a frozen backbone sees a finite set of pairs or views; random weights differ from
    seed to seed.
    """
    finite = (spec.pairs.count or spec.pairs.views) is not None and spec.training.frozen_epochs > 0
    return finite and spec.model.weights != "random"


class Plan:
    """Everything of a profile, resolved. Folders and params are relative to the current folder."""

    def __init__(self, experiment: Experiment, params: Path) -> None:
        self.experiment, self.params = experiment, params
        self.name, self.profile = experiment.name, experiment.profile
        self._jobs: dict[tuple[Any, ...], Job] = {}
        self._listed = cache(listed)

    @classmethod
    def load(cls, profile: str, params: Path = Path("params")) -> "Plan":
        """Read and check a profile and all that belongs to it; UserError with every mistake, before
        any work.
        """
        return cls(load(profile, params), params)

    # --- what there is ---

    @property
    def variants(self) -> list[str]:
        """The variants of the profile."""
        return list(self.experiment.specs)

    @property
    def datasets(self) -> dict[str, TrainingSet | Benchmark]:
        """Training sets and benchmarks by name."""
        return {**self.profile.train, **self.profile.benchmarks}

    def spec(self, model: str) -> Spec:
        """A variant's resolved settings, or those of its other trainings (VARIANT@TRAINING);
        UserError with the nearest name.
        """
        if model not in self.experiment.models:
            valid = list(self.experiment.models)
            raise UserError(
                f"{model}: no such variant in profile {self.name}; {nearest(model, valid)}"
            )
        return self.experiment.models[model]

    def trained_as(self, variant: str) -> str:
        """The variant whose model this one uses: the first with the same training. Others differ in
        the tracker.
        """
        self.spec(variant)
        return self._owners[variant]

    @cached_property
    def _owners(self) -> dict[str, str]:
        first: dict[str, str] = {}
        owners = {}
        for model, spec in self.experiment.models.items():
            crops = self._mixed(model)
            owners[model] = first.setdefault(digest([training_settings(spec), crops.key]), model)
        return owners

    def sets_in_use(self) -> list[str]:
        """The data sets that a job reads."""
        return [job.names["dataset"] for job in self.jobs() if job.step == "fetch"]

    def models(self, variant: str) -> list[str]:
        """The variant, and as VARIANT@TRAINING those of its other trainings that a benchmark asks
        for.
        """
        benchmarks = (
            name for name in self.profile.benchmarks if variant in self.experiment.runs(name)
        )
        return list(
            dict.fromkeys([variant, *(self.experiment.model(variant, name) for name in benchmarks)])
        )

    def trainings(self) -> Iterator[Job]:
        """One for each model of a variant that is no other's, and seed that it is needed with."""
        seen = set()
        for variant in self.variants:
            for model, seed in product(self.models(variant), self.experiment.seeds(variant)):
                job = self.train(model, seed)
                if job.folder not in seen:
                    seen.add(job.folder)
                    yield job

    def scores(self) -> Iterator[Job]:
        """Every score of the profile, the imported trackers' last."""
        for benchmark in self.profile.benchmarks:
            for variant in self.experiment.runs(benchmark):
                for seed in self.experiment.seeds(variant):
                    yield self.score(benchmark, variant, seed)
        for tracker, entry in self.profile.imported.items():
            for benchmark in entry.results:
                yield self.score_imported(benchmark, tracker)

    def sweeps(self) -> Iterator[Job]:
        """The score of every point of every sweep, with every seed of its variants that the profile
        has.
        """
        for name, sweep in self.experiment.sweeps.items():
            for benchmark in sweep.benchmarks:
                for variant in (variant for variant in sweep.variants if variant in self.variants):
                    for each in points(name, sweep):
                        for seed in self.experiment.seeds(variant):
                            yield self.score(benchmark, variant, seed, each)

    def map_jobs(self) -> Iterator[Job]:
        """The score maps of every benchmark that the profile names for them, with every seed."""
        rule = self.experiment.map_rule
        shown = [variant for variant in rule.variants if variant in self.variants] if rule else []
        for benchmark in self.profile.maps:
            for variant in shown:
                for seed in self.experiment.seeds(variant):
                    yield self.maps(benchmark, variant, seed)

    def alignments(self) -> Iterator[Job]:
        """The crops of every benchmark that the profile names for them, with the model of each
        variant and seed.
        """
        for benchmark in self.profile.alignment:
            for variant in self.experiment.runs(benchmark):
                for seed in self.experiment.seeds(variant):
                    yield self.alignment(benchmark, variant, seed)

    def point(self, sweep: str, value: str) -> Point:
        """The point of a sweep with a value, as it is written in paths; UserError with what there
        is.
        """
        return point_at(sweep, self.experiment.sweeps, value)

    def jobs(self) -> list[Job]:
        """All jobs in an order in which they can run, each once."""
        found: dict[Path, Job] = {}

        def add(job: Job) -> None:
            for parent in job.parents.values():
                add(parent)
            found.setdefault(job.folder, job)

        for job in [
            *self.scores(),
            *self.trainings(),
            *self.sweeps(),
            *self.map_jobs(),
            *self.alignments(),
        ]:
            add(job)
        order = (
            "fetch",
            "curate",
            "crops",
            "features",
            "train",
            "predict",
            "maps",
            "alignment",
            "score",
        )
        return sorted(found.values(), key=lambda job: order.index(job.step))

    # --- the jobs ---

    def fetch(self, dataset: str) -> Job:
        """Bring a data set."""
        return self._once("fetch", dataset, make=lambda: self._fetch(dataset))

    def curate(self, dataset: str) -> Job:
        """Check a data set."""
        return self._once("curate", dataset, make=lambda: self._curate(dataset))

    def crops(self, variant: str, dataset: str | None = None) -> Job:
        """Cut the crops of a training set of a variant's; variants with equal settings share them.

        UserError for a set that the variant is not trained on, or where it is trained on several
        and none is named.
        """
        valid = list(self.spec(variant).pairs.parts)
        if dataset is None and len(valid) > 1:
            raise UserError(
                f"{variant} is trained on several data sets; name one of {', '.join(valid)}"
            )
        if dataset is not None and dataset not in valid:
            raise UserError(f"{dataset}: {variant} is not trained on it; {nearest(dataset, valid)}")
        chosen = dataset or valid[0]
        return self._once("crops", variant, chosen, make=lambda: self._crops(variant, chosen))

    def all_crops(self, variant: str) -> list[Job]:
        """Cut the crops of each training set of a variant, in order."""
        return [self.crops(variant, dataset) for dataset in self.spec(variant).pairs.parts]

    def features(self, variant: str) -> Job | None:
        """Compute the frozen backbone's features for a variant; None where it uses none."""
        if not uses_features(self.spec(variant)):
            return None
        return self._once("features", variant, make=lambda: self._features(variant))

    def train(self, variant: str, seed: int) -> Job:
        """Train the model that a variant uses."""
        owner = self.trained_as(variant)
        return self._once("train", owner, seed, make=lambda: self._train(owner, seed))

    def predict(self, benchmark: str, variant: str, seed: int, point: Point | None = None) -> Job:
        """Track a benchmark, at a point of a sweep or with the variant's own settings."""
        names = (self._benchmark(benchmark), variant, seed, point)
        return self._once("predict", *names, make=lambda: self._predict(*names))

    def score(self, benchmark: str, variant: str, seed: int, point: Point | None = None) -> Job:
        """Score predictions."""
        names = (self._benchmark(benchmark), variant, seed, point)
        return self._once("score", *names, make=lambda: self._score(*names))

    def maps(self, benchmark: str, variant: str, seed: int) -> Job:
        """Store the score maps of chosen frames."""
        if self.experiment.map_rule is None or self._benchmark(benchmark) not in self.profile.maps:
            raise UserError(
                f"{benchmark}: profile {self.name} stores no score maps of it (`maps:`)"
            )
        return self._once(
            "maps", benchmark, variant, seed, make=lambda: self._maps(benchmark, variant, seed)
        )

    def alignment(self, benchmark: str, variant: str, seed: int) -> Job:
        """Measure a variant's model on crops around the truth."""
        if self._benchmark(benchmark) not in self.profile.alignment:
            raise UserError(
                f"{benchmark}: profile {self.name} measures nothing on its crops (`alignment:`)"
            )
        return self._once(
            "alignment",
            benchmark,
            variant,
            seed,
            make=lambda: self._alignment(benchmark, variant, seed),
        )

    def score_imported(self, benchmark: str, tracker: str) -> Job:
        """Score another tracker's raw results."""
        rules = self.experiment.protocol(self._benchmark(benchmark))
        if tracker not in self.profile.imported:
            raise UserError(f"{tracker}: not imported in profile {self.name}")
        data = self.curate(benchmark)
        identity = Score(None, _as(Curate, data), score_rules(rules), self._score_code(rules))
        folder = Path("results", self.name, "scores", benchmark, "imported", f"{tracker}.json")
        names = {**self._names, "benchmark": benchmark, "tracker": tracker}
        results = self.profile.imported[tracker].results
        if benchmark not in results:
            raise UserError(
                f"{tracker}: no results of {benchmark}; {nearest(benchmark, list(results))}"
            )
        return Job(identity, names, folder, {"data": data}, {"predictions": results[benchmark]})

    @property
    def surroundings(self) -> str:
        """Digest of what the profile expects of a machine: folders, DVC sources, weights, imported
        results, engines.
        """
        sets = {name: [str(entry.root), entry.dvc] for name, entry in self.datasets.items()}
        weights = {digest(plain(spec.model)["weights"]) for spec in self.experiment.specs.values()}
        imported = {name: plain(entry) for name, entry in self.profile.imported.items()}
        engines = {
            job.identity.plain["tracker"]["engine"] for job in self.jobs() if job.step == "predict"
        }
        return digest(
            [sets, sorted(weights), imported, *sorted(engines - {"auto"})]
        )  # auto takes what there is

    def own_keys(self, variant: str) -> set[str]:
        """The dotted keys that a variant and its ancestors set; they win over the profile's."""
        variants = self.experiment.variants
        return {key for name in chain(variant, variants) for key in variants[name].set}

    # --- how they are made ---

    @property
    def _names(self) -> dict[str, Any]:
        return {"profile": self.name}

    def _once(self, *key: Any, make: Any) -> Job:
        if key not in self._jobs:
            self._jobs[key] = make()
        return self._jobs[key]

    def _benchmark(self, name: str) -> str:
        valid = list(self.profile.benchmarks)
        if name not in valid:
            raise UserError(
                f"{name}: no such benchmark in profile {self.name}; {nearest(name, valid)}"
            )
        return name

    @cached_property
    def _sets(self) -> dict[str, SetSettings]:
        return load_sets(self.params / "synthetic.yaml")

    def _layout_code(self, layout: str) -> str:
        return self._listed("siamla.data.formats:LAYOUTS", layout)

    def _backbone_code(self, spec: Spec) -> str:
        return self._listed("siamla.model.backbone:BACKBONES", spec.model.backbone)

    def _fetch(self, dataset: str) -> Job:
        if dataset not in self.datasets:
            raise UserError(
                f"{dataset}: no such data set in profile {self.name};"
                f" {nearest(dataset, [*self.datasets])}"
            )
        entry = self.datasets[dataset]
        if not entry.dvc:
            identity = Fetch("folder")
        elif entry.dvc.startswith(GENERATOR):
            sets, name = self._sets, entry.dvc.removeprefix(GENERATOR)
            if name not in sets:
                raise UserError(
                    f"{self.params / 'synthetic.yaml'}: no set {name!r};"
                    f" {nearest(name, list(sets))}"
                )
            code = code_digest(
                "siamla.data.synthetic.dataset:synthesize", self._layout_code(entry.layout)
            )
            identity = Fetch("generated", sets[name].model_dump(mode="json"), None, code)
        else:
            identity = Fetch("pointer", None, pointer_digest(entry.dvc, entry.root))
        return Job(
            identity, {**self._names, "dataset": dataset}, Path("data", "ready", self.name, dataset)
        )

    def _curate(self, dataset: str) -> Job:
        data = self.fetch(dataset)
        entry = self.datasets[dataset]
        if isinstance(entry, TrainingSet) and entry.boxes:
            source = listed("siamla.data.sources:SOURCES", entry.layout)
            code = code_digest(
                "siamla.data.sources.survey:curate_boxes", f"{source}:parts", f"{source}:read"
            )
            identity = Curate(_as(Fetch, data), f"{entry.layout}, boxes: {entry.boxes}", None, code)
        else:
            code = code_digest("siamla.data.curate:curate", self._layout_code(entry.layout))
            identity = Curate(_as(Fetch, data), entry.layout, entry.frames, code)
        folder = Path("data", "curated", self.name, dataset)
        return Job(identity, {**self._names, "dataset": dataset}, folder, {"data": data})

    def _crops(self, variant: str, dataset: str) -> Job:
        spec = self.spec(variant)
        curated, settings = self.curate(dataset), plain(spec.crops)
        identity = Crops(_as(Curate, curated), settings, code_digest("siamla.data.crops:build"))
        folder = Path("data", "crops", self.name, dataset, digest(settings))
        names = (
            {"variant": variant}
            if isinstance(spec.pairs.dataset, str)
            else {"variant": variant, "dataset": dataset}
        )
        return Job(identity, self._names | names, folder, {"data": curated})

    def _mixed(self, variant: str) -> Crops | Mix:
        """The crops that a variant is trained on, with share and reach where they are of several
        sets.
        """
        pairs, jobs = self.spec(variant).pairs, self.all_crops(variant)
        if isinstance(pairs.dataset, str):
            return _as(Crops, jobs[0])
        parts = zip(pairs.parts.values(), jobs, strict=True)
        return Mix(tuple((part.share, part.reach, _as(Crops, job)) for part, job in parts))

    def _features(self, variant: str) -> Job:
        spec, crops = self.spec(variant), self.crops(variant)
        pairs = training_settings(spec)["pairs"]
        if spec.pairs.views is not None:  # how pairs are put together of them does not matter
            pairs = {
                key: value
                for key, value in pairs.items()
                if key not in ("frame_range", "negatives")
            }
        network = {"backbone": spec.model.backbone, "weights": _weights(spec)}
        code = code_digest("siamla.training.features:build", self._backbone_code(spec))
        identity = Features(_as(Crops, crops), pairs, network, code)
        folder = Path(
            "data", "features", self.name, digest([crops.folder.as_posix(), pairs, network])
        )
        return Job(identity, {**self._names, "variant": variant}, folder, {"crops": crops})

    def _train(self, variant: str, seed: int) -> Job:
        spec, crops, features = self.spec(variant), self.all_crops(variant), self.features(variant)
        code = code_digest("siamla.training.run:train_model", self._backbone_code(spec))
        cached = {"code": features.identity.plain["code"]} if features else None
        identity = Train(self._mixed(variant), cached, training_settings(spec), seed, code)
        folder = Path("results", self.name, "train", variant, f"seed{seed}")
        names = (
            ["crops"]
            if len(crops) == 1
            else [f"crops{place}" for place in range(1, len(crops) + 1)]
        )
        parents = dict(zip(names, crops, strict=True)) | (
            {"features": features} if features else {}
        )
        return Job(identity, {**self._names, "variant": variant, "seed": seed}, folder, parents)

    def _predict(self, benchmark: str, variant: str, seed: int, point: Point | None) -> Job:
        model = self.train(self.experiment.model(variant, benchmark), seed)
        data, rules = self.curate(benchmark), self.experiment.protocol(benchmark)
        layout = f"{self._layout_code(rules.layout)}:ORIGIN"
        settings = self.experiment.tracker(variant, benchmark)
        settings = point.settings(settings) if point else settings
        tracker = plain(settings)
        code = code_digest(
            "siamla.benchmark.tracking:track_benchmark",
            layout,
            self._backbone_code(self.spec(variant)),
            *engine_code(settings.engine),
        )
        identity = Predict(
            _as(Train, model), _as(Curate, data), tracker, plain(run_rules(rules)), code
        )
        names = {**self._names, "benchmark": benchmark, "variant": variant, "seed": seed}
        if point:
            names = {
                **self._names,
                "sweep": point.sweep,
                "benchmark": benchmark,
                "variant": variant,
            }
            names |= {"value": point.text, "seed": seed}
        folder = self._place("predictions", benchmark, variant, point) / f"seed{seed}"
        return Job(identity, names, folder, {"model": model, "data": data})

    def _score(self, benchmark: str, variant: str, seed: int, point: Point | None) -> Job:
        predictions, rules = (
            self.predict(benchmark, variant, seed, point),
            self.experiment.protocol(benchmark),
        )
        data = self.curate(benchmark)
        identity = Score(
            _as(Predict, predictions),
            _as(Curate, data),
            score_rules(rules),
            self._score_code(rules),
        )
        folder = self._place("scores", benchmark, variant, point) / f"seed{seed}.json"
        return Job(identity, predictions.names, folder, {"predictions": predictions, "data": data})

    def _maps(self, benchmark: str, variant: str, seed: int) -> Job:
        predictions, rule = self.predict(benchmark, variant, seed), self.experiment.map_rule
        assert rule is not None
        settings = {name: value for name, value in plain(rule).items() if name != "variants"}
        code = code_digest("siamla.benchmark.maps:choose", "siamla.benchmark.maps:follow")
        identity = Maps(_as(Predict, predictions), settings, code)
        folder = Path("results", self.name, "maps", benchmark, variant, f"seed{seed}")
        return Job(identity, predictions.names, folder, predictions.parents)

    def _alignment(self, benchmark: str, variant: str, seed: int) -> Job:
        model, data = (
            self.train(self.experiment.model(variant, benchmark), seed),
            self.curate(benchmark),
        )
        settings = self.experiment.tracker(variant, benchmark)
        code = code_digest(
            "siamla.benchmark.alignment:measure",
            self._backbone_code(self.spec(variant)),
            *engine_code(settings.engine),
        )
        read = {"engine": settings.engine, "precision": settings.precision}
        identity = Alignment(_as(Train, model), _as(Curate, data), read, CROPS, code)
        names = {**self._names, "benchmark": benchmark, "variant": variant, "seed": seed}
        folder = self._place("alignment", benchmark, variant, None) / f"seed{seed}"
        return Job(identity, names, folder, {"model": model, "data": data})

    def _place(self, kind: str, benchmark: str, variant: str, point: Point | None) -> Path:
        """Where all seeds stand; of a sweep's point predictions and scores together."""
        if point is None:
            return Path("results", self.name, kind, benchmark, variant)
        return Path("results", self.name, "sweeps", point.sweep, benchmark, variant, point.text)

    def _score_code(self, rules: Protocol) -> str:
        layout = f"{self._layout_code(rules.layout)}:ORIGIN"
        return code_digest("siamla.benchmark.score:score", "siamla.benchmark.speed:speed", layout)


def engine_code(engine: EngineName) -> list[str]:
    """The engines that may run under a setting: which one `auto` stands for is known only where a
    step runs.
    """
    names = ("torch", "openvino") if engine == "auto" else (engine,)
    return [listed("siamla.engine.engines:ENGINES", name) for name in names]


def _as(kind: type[Kind], job: Job) -> Kind:
    assert isinstance(job.identity, kind)
    return job.identity


def pointer_digest(source: str, root: Path) -> str:
    """The digest of the data that DVC recorded in a .dvc pointer, or in dvc.lock for a stage."""
    path = Path(source if source.endswith(".dvc") else "dvc.lock")
    content = read_yaml(path)
    try:
        outs = content["outs"] if path.name != "dvc.lock" else content["stages"][source]["outs"]
        return next(
            str(out["md5"]) for out in outs if path.name != "dvc.lock" or Path(out["path"]) == root
        )
    except (KeyError, TypeError, StopIteration):
        raise UserError(
            f"{path}: no digest of {root} for {source!r}; is it a DVC pointer or stage?"
        ) from None
