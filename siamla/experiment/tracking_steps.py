"""Entries of the table of steps from a trained model to scores."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

from siamla.benchmark.protocols import run_rules, score_rules
from siamla.errors import UserError
from siamla.experiment.step import (
    Names,
    Parents,
    Planned,
    Step,
    backbone_code,
    engine_code,
    layout_code,
    tracked,
)
from siamla.experiment.sweeps import at_point, text_of
from siamla.settings import nearest, without_neutral
from siamla.tracker.settings import TrackerSettings

ALIGNMENT_CROPS = {"count": 16, "seed": 0}  # of a sequence, around its truth


class Predict(Step):
    """A tracker's boxes on a benchmark; `run` is what the protocol says of running."""

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
    """The same at a point of a sweep: with one value of one setting."""

    name = "predict_sweep"
    result = "predict"
    names = ("sweep", "benchmark", "variant", "value", "seed")
    folder = "results/{profile}/sweeps/{sweep}/predictions/{benchmark}/{variant}/{value}/seed{seed}"
    help = "track a benchmark's sequences at a point of a sweep"

    def tracker(self, plan: Planned, names: Names) -> TrackerSettings:
        settings, sweeps = super().tracker(plan, names), plan.experiment.sweeps
        return at_point(settings, sweeps, names["sweep"], names["value"])


class Again(Step):
    """Running the model of a prediction once more, on benchmarks that the profile names."""

    names = ("benchmark", "variant", "seed")
    mem_mb = 16000

    def resolve(self, plan: Planned, names: Names) -> Names:
        if names["benchmark"] not in getattr(plan.profile, self.name):
            raise UserError(
                f"{names['benchmark']}: profile {plan.name} does not name it under `{self.name}`"
            )
        return names

    def parents(self, plan: Planned, names: Names) -> Parents:
        return plan.job("predict", **names).parents

    def wanted(self, plan: Planned) -> Iterator[Names]:
        return tracked(plan, getattr(plan.profile, self.name))


class Maps(Again):
    """Score maps of chosen frames; the tracker runs once more, up to the last of them."""

    name = "maps"
    folder = "results/{profile}/maps/{benchmark}/{variant}/seed{seed}"
    command = "benchmark maps"
    help = (
        "store the score maps of chosen frames (params/maps.yaml) of a benchmark that the profile"
        " names under `maps`"
    )

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
        return tracked(plan, plan.profile.maps, chosen)


class Alignment(Again):
    """What a model does on crops around a benchmark's truth."""

    name = "alignment"
    folder = "results/{profile}/alignment/{benchmark}/{variant}/seed{seed}"
    command = "benchmark alignment"
    help = (
        "measure a model on crops around the truth of a benchmark that the profile names under"
        " `alignment`: the box that it chooses, how often that is lost, how well confidence"
        " follows IoU"
    )
    runtime = 240

    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        tracker = plan.experiment.tracker(names["variant"], names["benchmark"])
        return {
            "model": parents["model"].identity.plain,
            "data": parents["data"].identity.plain,
            "tracker": {"engine": tracker.engine, "precision": tracker.precision},
            "crops": ALIGNMENT_CROPS,
        }

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        tracker = plan.experiment.tracker(names["variant"], names["benchmark"])
        return (
            "siamla.benchmark.alignment:measure",
            backbone_code(plan.spec(names["variant"])),
            *engine_code(tracker.engine),
        )


class Score(Step):
    """Scores of stored predictions."""

    name = "score"
    names: ClassVar[tuple[str, ...]] = ("benchmark", "variant", "seed")
    folder = "results/{profile}/scores/{benchmark}/{variant}/seed{seed}"
    command = "benchmark score"
    help = "score stored predictions"
    mem_mb = 4000
    runtime = 30
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
                seeds = plan.experiment.seeds(plan.experiment.model(variant, benchmark))
                for value, seed in product(sweep.values, seeds):
                    yield {
                        "sweep": name,
                        "benchmark": benchmark,
                        "variant": variant,
                        "value": text_of(value),
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
