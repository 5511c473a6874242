"""The jobs of a plan that a figure may be drawn from; each kind says which it needs."""

from collections.abc import Container, Iterable, Sequence

from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.profile import Dataset
from siamla.experiment.step import GENERATOR
from siamla.report.drawing.settings import TrackerFigure

TrackedRun = tuple[str, str, int]
"""Benchmark, variant and seed."""


def rendered(dataset: Dataset) -> bool:
    """Whether a data set is rendered, so that no real video is in it."""
    return bool(dataset.dvc and dataset.dvc.startswith(GENERATOR))


def chosen(plan: Plan, variants: Sequence[str] | None) -> list[str]:
    """The profile's variants among those that an entry names; all for None."""
    return [name for name in plan.variants if variants is None or name in variants]


def scores(plan: Plan, entry: TrackerFigure, benchmarks: Container[str]) -> list[Job]:
    """The scores on these benchmarks of the trackers that an entry shows."""
    variants = chosen(plan, entry.variants)
    return [
        job
        for job in plan.scores()
        if job.names["benchmark"] in benchmarks
        and (entry.imported if "tracker" in job.names else job.names["variant"] in variants)
    ]


def tracked(
    plan: Plan, benchmark: str, variants: Sequence[str] | None, first: bool
) -> list[TrackedRun]:
    """The runs of an entry's variants on a benchmark, of every seed or of the first alone."""
    running = [name for name in chosen(plan, variants) if name in plan.experiment.runs(benchmark)]
    return [
        (benchmark, name, seed)
        for name in running
        for seed in plan.experiment.seeds(name)[: 1 if first else None]
    ]


def maps(plan: Plan, runs: Iterable[TrackedRun]) -> list[Job]:
    """The stored score maps of these runs."""
    wanted = set(runs)
    return [
        job
        for job in plan.jobs_of("maps")
        if (job.names["benchmark"], job.names["variant"], job.names["seed"]) in wanted
    ]


def predictions(plan: Plan, runs: Iterable[TrackedRun]) -> list[Job]:
    """The boxes of these runs."""
    return [
        plan.job("predict", benchmark=benchmark, variant=variant, seed=seed)
        for benchmark, variant, seed in runs
    ]
