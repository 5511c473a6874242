"""Figures as jobs of the plan: which the profile can draw, what each shows, and the results that it
is drawn from.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from siamla.benchmark.protocols import Curve, Protocol
from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.spec import plain
from siamla.report.drawing.needs import rendered
from siamla.report.drawing.settings import Figure, Figures, kind_of, load_figures
from siamla.report.tables.job import caption
from siamla.report.view import view_job
from siamla.settings import nearest

QUALITY = {"centerness": "centre-ness", "lafa": "location quality"}
"""Localization of a model → what its branch predicts, for people."""
WORDS = {"mean": "the mean of the curve", "trapezoid": "the area below the curve"}


def _path(plan: Plan) -> Path:
    return plan.params / "figures.yaml"


@lru_cache(maxsize=8)
def _load(path: Path, _modified: int) -> Figures:
    return load_figures(path)


def figures_of(plan: Plan) -> Figures:
    """params/figures.yaml, with every name in it checked; UserError with the nearest."""
    path = _path(plan)
    return _load(path, path.stat().st_mtime_ns if path.is_file() else 0)


def trackers(plan: Plan) -> dict[str, dict[str, Any]]:
    """Every tracker's label and look: its role, and its place among the others, which decides its
    colour everywhere.
    """
    figures = figures_of(plan)
    roles = {figures.ours: "ours", figures.baseline: "baseline"}
    labels = {name: variant.label for name, variant in plan.experiment.variants.items()}
    labels |= {name: entry.label or name for name, entry in plan.profile.imported.items()}
    others = 0
    looks: dict[str, dict[str, Any]] = {}
    for name, label in labels.items():
        role = roles.get(name, "other")
        looks[name] = {
            "label": figures.labels.get(name, label),
            "role": role,
            "place": others,
            "imported": name in plan.profile.imported,
        }
        others += role == "other"
        if spec := plan.experiment.specs.get(name):
            localization = spec.model.localization
            looks[name]["localization"] = QUALITY.get(localization, localization)
    return looks


def _reading(
    name: str, curve: Curve, overlap: str | None, metrics: Sequence[str]
) -> dict[str, Any] | None:
    """The metric that ranks a curve's lines, how it is read off, and the thresholds of interest."""
    if name == "success" and overlap in metrics:
        return {"metric": overlap, "how": "the mean overlap", "at": []}
    metric = next((metric for metric in metrics if metric in curve.report), None)
    if metric is None:
        return None
    how = curve.report[metric]
    if isinstance(how, str):
        return {"metric": metric, "how": WORDS[how], "at": []}
    return {"metric": metric, "how": f"at {how:g}", "at": [how]}


def _curves(rules: Protocol) -> dict[str, dict[str, Any]]:
    """The curves of a benchmark with what `_reading` says of each."""
    if rules.supervised is not None:
        low, high = (edge + rules.supervised.eao_offset for edge in rules.supervised.eao_interval)
        how = f"mean over the lengths {low} to {high}"
        return {"expected_overlap": {"metric": "eao", "how": how, "at": [low, high]}}
    assert rules.onepass is not None
    every = {
        name: _reading(name, curve, rules.onepass.overlap, list(rules.metrics))
        for name, curve in rules.onepass.curves().items()
    }
    return {name: reading for name, reading in every.items() if reading}


def benchmarks(plan: Plan) -> dict[str, dict[str, Any]]:
    """What figures say of each benchmark of the profile. synthetic: it was rendered, and no real
    video is in it.
    """
    every = {}
    for name, entry in plan.profile.benchmarks.items():
        rules = plan.experiment.protocol(name)
        every[name] = {
            "label": entry.label or name,
            "headline": rules.headline,
            "metrics": {metric: plain(described) for metric, described in rules.metrics.items()},
            "curves": _curves(rules),
            "layout": rules.layout,
            "synthetic": rendered(entry),
        }
    return every


def _needs(plan: Plan, entry: Figure) -> list[Job] | None:
    jobs: list[Job] | None = kind_of(entry.kind).needs(plan, entry)
    return jobs


def figure_names(plan: Plan) -> list[str]:
    """The figures that the profile can draw: those with a benchmark and a variant that it runs."""
    entries = figures_of(plan).figures
    return [name for name, entry in entries.items() if _needs(plan, entry) is not None]


def _facts(plan: Plan, name: str, entry: Figure) -> dict[str, Any]:
    """What else a figure shows of the plan, by its kind."""
    facts = getattr(kind_of(entry.kind), "facts", None)
    try:
        return dict(facts(plan, entry)) if facts else {}
    except UserError as error:
        raise UserError(f"{_path(plan)}: figures.{name}.{error}") from None


def figure_job(plan: Plan, name: str) -> Job:
    """One figure; its parents are the results that it shows. UserError for one that the profile
    cannot draw, and for a sweep of words.
    """
    entries = figures_of(plan).figures
    if name not in entries:
        raise UserError(
            f"figure {name}: no such entry of {_path(plan)}; {nearest(name, [*entries])}"
        )
    entry = entries[name]
    needed = _needs(plan, entry)
    if needed is None:
        raise UserError(
            f"figure {name}: profile {plan.name} runs none of its benchmarks or variants"
        )
    runners = {job.names.get("variant", job.names.get("tracker")) for job in needed}
    sets = {job.names.get("benchmark") for job in needed}
    shown = {
        "trackers": {key: look for key, look in trackers(plan).items() if key in runners},
        "benchmarks": {key: info for key, info in benchmarks(plan).items() if key in sets},
        "caption": caption(plan) if needed else "",
        "facts": _facts(plan, name, entry),
    }
    code = plan.code.digest(
        f"siamla.report.figures.{entry.kind}:draw",
        "siamla.report.drawing.write:write",
        "siamla.report.drawing.style",
    )
    values = {"entry": plain(entry), "shown": shown, "code": code}
    folder = Path("reports", plan.name, "figures", name)
    return view_job(plan, ("figure", name), folder, values, needed, ".json")
