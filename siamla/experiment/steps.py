"""The table of steps: what the experiment does, one entry a step.

An entry says what the step varies over, where its results stand, what they are made from, which
settings and which code decide them, for which names the profile wants them, and what a job asks of
the machine. The plan, the commands, acceptance, the outlook and the workflow's rules read it. The
work itself is the function `work` of the module siamla.steps.RESULT.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

from siamla.benchmark.protocols import run_rules, score_rules
from siamla.errors import UserError
from siamla.experiment.profile import TrainingSet
from siamla.experiment.step import (
    Names,
    Parents,
    Planned,
    Step,
    backbone_code,
    engine_code,
    feature_pairs,
    layout_code,
    mixed_crops,
    network,
    pointer_digest,
    tracked,
    training_settings,
    uses_features,
)
from siamla.experiment.sweeps import point_at, points
from siamla.files import digest
from siamla.settings import nearest, without_neutral
from siamla.tracker.settings import TrackerSettings

GENERATOR = "synthesize@"  # stages of dvc.yaml that render a set of params/synthetic.yaml
ALIGNMENT_CROPS = {"count": 16, "seed": 0}  # of a sequence, around its truth


class Fetch(Step):
    """A data set as it is brought: "generated" by settings and code, the digest in a DVC "pointer",
    or a "folder", of which nothing is known before it is read.
    """

    name = "fetch"
    names = ("dataset",)
    folder = "data/ready/{profile}/{dataset}"
    command = "data fetch"
    help = "bring a data set by DVC, render it, or find it; note the digest of its content"
    priority = 100  # a missing folder is found before hours are spent
    threads = 64  # all cores: rendering is parallel inside, and DVC allows one writer
    local = True
    renew = True  # quick where nothing changed, and the only look at what lies in a folder

    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        entry = plan.datasets[names["dataset"]]
        source: dict[str, Any] = {"source": "folder", "settings": None, "pointer": None}
        if entry.dvc and entry.dvc.startswith(GENERATOR):
            settings = plan.generated_set(entry.dvc.removeprefix(GENERATOR))
            source |= {"source": "generated", "settings": without_neutral(settings)}
        elif entry.dvc:
            source |= {"source": "pointer", "pointer": pointer_digest(entry.dvc, entry.root)}
        return source

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        entry = plan.datasets[names["dataset"]]
        if entry.dvc and entry.dvc.startswith(GENERATOR):
            layout = plan.generated_set(entry.dvc.removeprefix(GENERATOR)).layout
            writer = plan.code.listed("siamla.miniatures.dataset:WRITERS", layout)
            return "siamla.miniatures.dataset:synthesize", writer
        return ()


class Curate(Step):
    """A checked data set and its index, or the table of a training set's boxes."""

    name = "curate"
    names = ("dataset",)
    folder = "data/curated/{profile}/{dataset}"
    command = "data curate"
    help = "check every sequence of a data set and write its index"
    priority = 90
    mem_mb = 16000
    runtime = 360

    def parents(self, plan: Planned, names: Names) -> Parents:
        return {"data": plan.job("fetch", dataset=names["dataset"])}

    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        entry = plan.datasets[names["dataset"]]
        boxes = isinstance(entry, TrainingSet) and entry.boxes
        layout = f"{entry.layout}, boxes: {boxes}" if boxes else entry.layout
        frames = None if boxes else entry.frames
        return {"data": parents["data"].identity.plain, "layout": layout, "frames": frames}

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        entry = plan.datasets[names["dataset"]]
        if isinstance(entry, TrainingSet) and entry.boxes:
            source = f"siamla.data.sources.{entry.layout}"
            return "siamla.data.sources.survey:curate_boxes", f"{source}:parts", f"{source}:read"
        return "siamla.data.curate:curate", layout_code(entry.layout)


class Crops(Step):
    """The crop cache of a training set; variants with equal settings share it."""

    name = "crops"
    names = ("variant", "dataset")
    folder = "data/crops/{profile}/{dataset}/{crops}"
    command = "data crops"
    help = "pack the crops of a training set, as a variant's training reads them, into a few files"
    priority = 80  # all trainings wait for crops and features
    threads = 2
    mem_mb = 32000
    runtime = 720
    optional = ("dataset",)

    def each(self, plan: Planned, names: Names) -> Iterable[Names]:
        sets = [names["dataset"]] if "dataset" in names else plan.spec(names["variant"]).pairs.parts
        return [{**names, "dataset": dataset} for dataset in sets]

    def resolve(self, plan: Planned, names: Names) -> Names:
        variant, dataset = names["variant"], names.get("dataset")
        spec = plan.spec(variant)
        valid = list(spec.pairs.parts)
        if dataset is None and len(valid) > 1:
            raise UserError(
                f"{variant} is trained on several data sets; name one of {', '.join(valid)}"
            )
        if dataset is not None and dataset not in valid:
            raise UserError(f"{dataset}: {variant} is not trained on it; {nearest(dataset, valid)}")
        return {
            "variant": variant,
            "dataset": dataset or valid[0],
            "crops": digest(without_neutral(spec.crops)),
        }

    def parents(self, plan: Planned, names: Names) -> Parents:
        return {"data": plan.job("curate", dataset=names["dataset"])}

    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        crops = plan.spec(names["variant"]).crops
        return {"curated": parents["data"].identity.plain, "settings": without_neutral(crops)}

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        return ("siamla.data.crops:build",)


class Features(Step):
    """The frozen backbone's features of the training pairs; variants that see the same share
    them.
    """

    name = "features"
    names = ("variant",)
    folder = "data/features/{profile}/{features}"
    command = "train features"
    help = "compute the frozen backbone's features of all training pairs of a variant"
    priority = 80
    threads = 2
    mem_mb = 64000
    runtime = 720

    def resolve(self, plan: Planned, names: Names) -> Names:
        spec = plan.spec(names["variant"])
        if not uses_features(spec):
            raise UserError(
                f"{names['variant']} reads no features: its backbone learns, or its pairs have no"
                " end"
            )
        crops = plan.job("crops", variant=names["variant"])
        seen = [crops.folder.as_posix(), feature_pairs(spec), network(spec)]
        return {"variant": names["variant"], "features": digest(seen)}

    def parents(self, plan: Planned, names: Names) -> Parents:
        return {"crops": plan.job("crops", variant=names["variant"])}

    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        spec = plan.spec(names["variant"])
        return {
            "crops": parents["crops"].identity.plain,
            "pairs": feature_pairs(spec),
            "network": network(spec),
        }

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        spec = plan.spec(names["variant"])
        return "siamla.training.features:build", backbone_code(spec)


class Train(Step):
    """A trained model; variants that differ in the tracker alone share it."""

    name = "train"
    names = ("variant", "seed")
    folder = "results/{profile}/train/{variant}/seed{seed}"
    command = "train run"
    help = "train one variant with one seed; killed, the same command resumes"
    priority = 50  # the longest jobs first: one that begins last would leave the other cores idle
    mem_mb = 64000
    runtime = 5760

    def resolve(self, plan: Planned, names: Names) -> Names:
        return {"variant": plan.trained_as(names["variant"]), "seed": names["seed"]}

    def parents(self, plan: Planned, names: Names) -> Parents:
        variant = names["variant"]
        spec = plan.spec(variant)
        crops = [
            plan.job("crops", variant=variant, dataset=dataset) for dataset in spec.pairs.parts
        ]
        named = {f"crops{index}": job for index, job in enumerate(crops, 1)}
        parents = {"crops": crops[0]} if len(crops) == 1 else named
        if uses_features(spec):
            parents["features"] = plan.job("features", variant=variant)
        return parents

    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        spec = plan.spec(names["variant"])
        features = parents.get("features")
        return {
            "crops": mixed_crops(spec, parents),
            "features": {"code": features.identity.plain["code"]} if features else None,
            "settings": plan.once(("training", names["variant"]), lambda: training_settings(spec)),
            "seed": names["seed"],
        }

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        spec = plan.spec(names["variant"])
        return "siamla.training.run:train_model", backbone_code(spec)

    def wanted(self, plan: Planned) -> Iterator[Names]:
        for variant in plan.variants:
            for model in plan.models(variant):
                for seed in plan.experiment.seeds(variant):
                    yield {"variant": model, "seed": seed}


class Predict(Step):
    """A tracker's boxes on a benchmark. `run` is the part of the protocol that decides what is
    run.
    """

    name = "predict"
    names: ClassVar[tuple[str, ...]] = ("benchmark", "variant", "seed")
    folder = "results/{profile}/predictions/{benchmark}/{variant}/seed{seed}"
    command = "benchmark predict"
    help = "track a benchmark's sequences; killed, it goes on"
    priority = 20
    mem_mb = 32000
    runtime = 720

    def tracker(self, plan: Planned, names: Names) -> TrackerSettings:
        """The tracker's settings."""
        return plan.experiment.tracker(names["variant"], names["benchmark"])

    def parents(self, plan: Planned, names: Names) -> Parents:
        model = plan.experiment.model(names["variant"], names["benchmark"])
        return {
            "model": plan.job("train", variant=model, seed=names["seed"]),
            "data": plan.job("curate", dataset=names["benchmark"]),
        }

    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        benchmark = names["benchmark"]
        point = (names["variant"], benchmark, names.get("sweep"), names.get("value"))
        rules = plan.experiment.protocol(benchmark)
        tracker = plan.once(("tracker", *point), lambda: without_neutral(self.tracker(plan, names)))
        return {
            "model": parents["model"].identity.plain,
            "data": parents["data"].identity.plain,
            "tracker": tracker,
            "run": plan.once(("run", benchmark), lambda: without_neutral(run_rules(rules))),
        }

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        layout = plan.experiment.protocol(names["benchmark"]).layout
        return (
            "siamla.benchmark.tracking:track_benchmark",
            f"{layout_code(layout)}:ORIGIN",
            backbone_code(plan.spec(names["variant"])),
            *engine_code(self.tracker(plan, names).engine),
        )


class PredictSweep(Predict):
    """The same at a point of a sweep: with the variant's own model, and one value of one
    setting.
    """

    name = "predict_sweep"
    result = "predict"
    names = ("sweep", "benchmark", "variant", "value", "seed")
    folder = "results/{profile}/sweeps/{sweep}/predictions/{benchmark}/{variant}/{value}/seed{seed}"
    help = "track a benchmark's sequences at a point of a sweep"

    def tracker(self, plan: Planned, names: Names) -> TrackerSettings:
        point = point_at(names["sweep"], plan.experiment.sweeps, names["value"])
        return point.settings(super().tracker(plan, names))


class Maps(Step):
    """Score maps of chosen frames; the tracker runs once more, up to the last of them."""

    name = "maps"
    names = ("benchmark", "variant", "seed")
    folder = "results/{profile}/maps/{benchmark}/{variant}/seed{seed}"
    command = "benchmark maps"
    help = (
        "store the score maps of chosen frames (params/maps.yaml) of a benchmark that the profile"
        " names under `maps`"
    )
    mem_mb = 16000

    def resolve(self, plan: Planned, names: Names) -> Names:
        benchmark = names["benchmark"]
        if plan.experiment.map_rule is None or benchmark not in plan.profile.maps:
            raise UserError(
                f"{benchmark}: profile {plan.name} stores no score maps of it (`maps:`)"
            )
        return names

    def parents(self, plan: Planned, names: Names) -> Parents:
        return plan.job("predict", **names).parents

    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        rule = without_neutral(plan.experiment.map_rule) if plan.experiment.map_rule else {}
        return {
            "predictions": plan.job("predict", **names).identity.plain,
            "rule": {name: value for name, value in rule.items() if name != "variants"},
        }

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        return "siamla.benchmark.maps:choose", "siamla.benchmark.maps:follow"

    def wanted(self, plan: Planned) -> Iterator[Names]:
        rule = plan.experiment.map_rule
        chosen = [variant for variant in rule.variants if variant in plan.variants] if rule else []
        for benchmark in plan.profile.maps:
            for variant in chosen:
                for seed in plan.experiment.seeds(variant):
                    yield {"benchmark": benchmark, "variant": variant, "seed": seed}


class Alignment(Step):
    """What a model does on crops around a benchmark's truth."""

    name = "alignment"
    names = ("benchmark", "variant", "seed")
    folder = "results/{profile}/alignment/{benchmark}/{variant}/seed{seed}"
    command = "benchmark alignment"
    help = (
        "measure a model on crops around the truth of a benchmark that the profile names under"
        " `alignment`: the box that it chooses, how often that is lost, how well confidence"
        " follows IoU"
    )
    mem_mb = 16000
    runtime = 240

    def resolve(self, plan: Planned, names: Names) -> Names:
        benchmark = names["benchmark"]
        if benchmark not in plan.profile.alignment:
            raise UserError(
                f"{benchmark}: profile {plan.name} measures nothing on its crops (`alignment:`)"
            )
        return names

    def parents(self, plan: Planned, names: Names) -> Parents:
        return plan.job("predict", **names).parents

    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        settings = plan.experiment.tracker(names["variant"], names["benchmark"])
        return {
            "model": parents["model"].identity.plain,
            "data": parents["data"].identity.plain,
            "tracker": {"engine": settings.engine, "precision": settings.precision},
            "crops": ALIGNMENT_CROPS,
        }

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        settings = plan.experiment.tracker(names["variant"], names["benchmark"])
        return (
            "siamla.benchmark.alignment:measure",
            backbone_code(plan.spec(names["variant"])),
            *engine_code(settings.engine),
        )

    def wanted(self, plan: Planned) -> Iterator[Names]:
        return tracked(plan, plan.profile.alignment)


class Score(Step):
    """Scores of stored predictions."""

    name = "score"
    names: ClassVar[tuple[str, ...]] = ("benchmark", "variant", "seed")
    folder = "results/{profile}/scores/{benchmark}/{variant}/seed{seed}"
    command = "benchmark score"
    help = "score stored predictions"
    predictions: ClassVar[str] = "predict"

    def parents(self, plan: Planned, names: Names) -> Parents:
        predictions = plan.job(self.predictions, **names)
        return {"predictions": predictions, "data": predictions.parents["data"]}

    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        predictions = parents.get("predictions")
        benchmark = names["benchmark"]
        rules = plan.experiment.protocol(benchmark)
        return {
            "predictions": predictions.identity.plain if predictions else None,
            "data": parents["data"].identity.plain,
            "rules": plan.once(("rules", benchmark), lambda: score_rules(rules)),
        }

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        rules = plan.experiment.protocol(names["benchmark"])
        layout = f"{layout_code(rules.layout)}:ORIGIN"
        return "siamla.benchmark.score:score", "siamla.benchmark.speed:speed", layout

    def wanted(self, plan: Planned) -> Iterator[Names]:
        return tracked(plan, plan.profile.benchmarks)


class ScoreSweep(Score):
    """Scores at a point of a sweep."""

    name = "score_sweep"
    result = "score"
    names = PredictSweep.names
    folder = "results/{profile}/sweeps/{sweep}/scores/{benchmark}/{variant}/{value}/seed{seed}"
    help = "score stored predictions at a point of a sweep"
    predictions = "predict_sweep"

    def wanted(self, plan: Planned) -> Iterator[Names]:
        for name, sweep in plan.experiment.sweeps.items():
            variants = [variant for variant in sweep.variants if variant in plan.variants]
            for benchmark, variant in product(sweep.benchmarks, variants):
                seeds = plan.experiment.seeds(variant)
                for point, seed in product(points(name, sweep), seeds):
                    yield {
                        "sweep": name,
                        "benchmark": benchmark,
                        "variant": variant,
                        "value": point.text,
                        "seed": seed,
                    }


class ScoreImported(Score):
    """Scores of another tracker's raw results; their bytes stand in the record's inputs."""

    name = "score_imported"
    result = "score"
    names = ("benchmark", "tracker")
    folder = "results/{profile}/scores/{benchmark}/imported/{tracker}"
    command = "results score"
    help = "score the raw results of another tracker that the profile names under `imported`"

    def parents(self, plan: Planned, names: Names) -> Parents:
        return {"data": plan.job("curate", dataset=names["benchmark"])}

    def outside(self, plan: Planned, names: Names) -> Mapping[str, Path]:
        benchmark, tracker = names["benchmark"], names["tracker"]
        results = plan.profile.imported[tracker].results
        if benchmark not in results:
            near = nearest(benchmark, list(results))
            raise UserError(f"{tracker}: no results of {benchmark}; {near}")
        return {"predictions": results[benchmark]}

    def wanted(self, plan: Planned) -> Iterator[Names]:
        for tracker, entry in plan.profile.imported.items():
            for benchmark in entry.results:
                yield {"benchmark": benchmark, "tracker": tracker}


def table(*steps: Step) -> dict[str, Step]:
    """Steps by their names; UserError where two have one name, or one folder for their results."""
    taken: dict[str, Step] = {}
    for step in steps:
        other = taken.setdefault(step.name, step)
        if other is not step:
            raise UserError(f"steps: two entries have the name {step.name}")
        other = taken.setdefault(re.sub(r"{\w+}", "{}", step.folder), step)
        if other is not step:
            raise UserError(f"steps: {other.name} and {step.name} have one folder, {step.folder}")
    return {step.name: step for step in steps}


STEPS = table(
    Fetch(),
    Curate(),
    Crops(),
    Features(),
    Train(),
    Predict(),
    PredictSweep(),
    Maps(),
    Alignment(),
    Score(),
    ScoreSweep(),
    ScoreImported(),
)
"""In an order in which they can run."""
