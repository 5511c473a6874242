"""Figures as jobs of the plan: which the profile can draw, what of it they show, and from what."""

from collections.abc import Container, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from siamla.benchmark.metrics import CURVES
from siamla.benchmark.protocols import Protocol
from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.spec import plain
from siamla.report.drawing.settings import Figures, kind_of, load_figures
from siamla.report.tables.job import caption, plain_metrics
from siamla.report.view import view_job
from siamla.settings import nearest

QUALITY = {"centerness": "centre-ness", "lafa": "location quality"}
"""Localization of a model → what its branch predicts, for people."""
WORDS: dict[Any, str] = {"mean": "the mean of the curve", "trapezoid": "the area below the curve"}


def chosen(plan: Plan, variants: Sequence[str] | None) -> list[str]:
    """The profile's variants among those that an entry names; all for None."""
    return [name for name in plan.variants if variants is None or name in variants]


def scores(plan: Plan, entry: Any, benchmarks: Container[str]) -> list[Job]:
    """The scores of an entry's variants and of imported trackers on these benchmarks."""
    variants = chosen(plan, entry.variants)
    return [
        job
        for job in plan.scores()
        if job.names["benchmark"] in benchmarks
        and ("tracker" in job.names or job.names["variant"] in variants)
    ]


def benchmark_scores(plan: Plan, entry: Any) -> list[Job] | None:
    """The scores on an entry's benchmark, for `needs` of a kind."""
    return scores(plan, entry, [entry.benchmark]) or None


def of_step(plan: Plan, step: str, entry: Any, **names: Any) -> list[Job]:
    """A step's jobs of an entry's variants, with these names."""
    variants = chosen(plan, entry.variants)
    return [
        job
        for job in plan.jobs_of(step)
        if job.names["variant"] in variants and names.items() <= job.names.items()
    ]


def tracked(plan: Plan, step: str, entry: Any, first: bool = False) -> list[Job]:
    """Jobs (step score or maps) of an entry's variants on its benchmark, first: of one seed."""
    jobs = of_step(plan, step, entry, benchmark=entry.benchmark)
    firsts: dict[str, Job] = {}
    for job in jobs:
        firsts.setdefault(job.names["variant"], job)
    return list(firsts.values()) if first else jobs


def boxes(plan: Plan, entry: Any, first: bool = False) -> list[Job]:
    """The boxes of an entry's variants on its benchmark, and the videos; none if not run."""
    jobs = [job.parents["predictions"] for job in tracked(plan, "score", entry, first)]
    return [*jobs, plan.job("curate", dataset=entry.benchmark)] if jobs else []


@lru_cache(maxsize=8)
def figures_of(plan: Plan) -> Figures:
    """params/figures.yaml, with every name in it checked; UserError with the nearest."""
    return load_figures(plan.params / "figures.yaml")


def trackers(plan: Plan) -> dict[str, dict[str, Any]]:
    """Every tracker's label, role, and place among the others, which decides its colour."""
    figures = figures_of(plan)
    roles = {figures.ours: "ours", figures.baseline: "baseline"}
    labels = {name: variant.label for name, variant in plan.experiment.variants.items()}
    labels |= {name: entry.label or name for name, entry in plan.profile.imported.items()}
    others = 0
    looks: dict[str, dict[str, Any]] = {}
    for name, label in labels.items():
        role = roles.get(name, "other")
        looks[name] = {"label": figures.labels.get(name, label), "role": role, "place": others}
        others += name not in roles
        if spec := plan.experiment.specs.get(name):
            localization = spec.model.localization
            looks[name]["localization"] = QUALITY.get(localization, localization)
    return looks


def _curves(rules: Protocol) -> dict[str, dict[str, Any]]:
    """Curve → the metric that ranks its lines, how it is read off, thresholds of interest."""
    if rules.supervised is not None:
        low, high = (edge + rules.supervised.eao_offset for edge in rules.supervised.eao_interval)
        how = f"mean over the lengths {low} to {high}"
        return {"expected_overlap": {"metric": "eao", "how": how, "at": [low, high]}}
    assert rules.onepass is not None
    readings: dict[str, dict[str, Any]] = {}
    for name, curve in rules.onepass.curves().items():
        metric = next((metric for metric in rules.metrics if metric in curve.report), None)
        if name == "success" and rules.onepass.overlap in rules.metrics:
            readings[name] = {"metric": rules.onepass.overlap, "how": "the mean overlap", "at": []}
        elif metric is not None:
            value = curve.report[metric]
            how = WORDS.get(value) or f"at {value:g}{' px' if '(px)' in CURVES[name].x else ''}"
            at = [] if value in WORDS else [value]
            readings[name] = {"metric": metric, "how": how, "at": at}
    return readings


def benchmarks(plan: Plan) -> dict[str, dict[str, Any]]:
    """What figures say of each benchmark; synthetic: it was rendered, no real video is in it."""
    every = {}
    for name, entry in plan.profile.benchmarks.items():
        rules = plan.experiment.protocol(name)
        every[name] = {
            "label": entry.label or name,
            "headline": rules.headline,
            "metrics": plain_metrics(rules.metrics),
            "curves": _curves(rules),
            "layout": rules.layout,
            "synthetic": bool(entry.rendered),
        }
    return every


def figure_names(plan: Plan) -> list[str]:
    """The figures that the profile can draw: those with a benchmark and a variant that it runs."""
    entries = figures_of(plan).figures.items()
    return [name for name, one in entries if kind_of(one.kind).needs(plan, one) is not None]


def figure_job(plan: Plan, name: str) -> Job:
    """One figure; its parents are the results that it shows."""
    entries = figures_of(plan).figures
    path = plan.params / "figures.yaml"
    if name not in entries:
        raise UserError(f"figure {name}: no such entry of {path}; {nearest(name, [*entries])}")
    entry = entries[name]
    kind = kind_of(entry.kind)
    needed: list[Job] | None = kind.needs(plan, entry)
    if needed is None:
        raise UserError(
            f"figure {name}: profile {plan.name} runs none of its benchmarks or variants"
        )
    try:
        facts = dict(kind.facts(plan, entry)) if hasattr(kind, "facts") else {}
    except UserError as error:
        raise UserError(f"{path}: figures.{name}.{error}") from None
    runners = {job.names.get("variant", job.names.get("tracker")) for job in needed}
    sets = {job.names.get("benchmark") for job in needed}
    shown = {
        "trackers": {key: look for key, look in trackers(plan).items() if key in runners},
        "benchmarks": {key: info for key, info in benchmarks(plan).items() if key in sets},
        "caption": caption(plan, sets) if needed else "",
        "facts": facts,
    }
    module = f"siamla.report.figures.{entry.kind}"
    style = "siamla.report.drawing.style"
    code = plan.code.digest(f"{module}:draw", f"{module}:COLUMNS", style)
    values = {"entry": plain(entry), "shown": shown, "code": code}
    folder = Path("reports", plan.name, "figures", name)
    return view_job(plan, ("figure", name), folder, values, needed, ".json")
