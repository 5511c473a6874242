"""Figures as jobs of the plan: which the profile can draw, what each shows, and the results that it
is drawn from.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from siamla.benchmark.protocols import Protocol
from siamla.errors import UserError
from siamla.experiment import identity
from siamla.experiment.figures import (
    Attributes,
    Confidence,
    Curves,
    Figure,
    Figures,
    Frames,
    Labels,
    Maps,
    Ranking,
    Shown,
    Sweep,
    Training,
    load_figures,
)
from siamla.experiment.plan import GENERATOR, Job, Plan
from siamla.experiment.profile import Dataset
from siamla.experiment.spec import plain
from siamla.files import digest
from siamla.provenance.code import code_digest, listed
from siamla.report.tables.job import caption, table_job
from siamla.settings import nearest

KINDS = "siamla.report.figures.make:KINDS"


def figures_of(plan: Plan) -> Figures:
    """params/figures.yaml, with every name in it checked; UserError with the nearest."""
    path = plan.params / "figures.yaml"
    return _load(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=8)
def _load(path: Path, _modified: int) -> Figures:
    return load_figures(path)


def _benchmarks(plan: Plan, entry: Figure) -> list[str]:
    """The profile's benchmarks that an entry shows."""
    every = list(plan.profile.benchmarks)
    if isinstance(entry, Labels | Training):
        return []
    if isinstance(entry, Curves):
        return [name for name in every if entry.benchmarks is None or name in entry.benchmarks]
    if isinstance(entry, Sweep):
        return [name for name in every if name in plan.experiment.sweeps[entry.sweep].benchmarks]
    return [entry.benchmark] if entry.benchmark in every else []


def _variants(plan: Plan, entry: Figure) -> list[str]:
    """The profile's variants that an entry shows."""
    wanted = None if isinstance(entry, Labels) else entry.variants
    return [name for name in plan.variants if wanted is None or name in wanted]


def figure_names(plan: Plan) -> list[str]:
    """The figures that the profile can draw: those with a benchmark and a variant that it runs."""
    return [name for name, entry in figures_of(plan).figures.items() if _drawable(plan, entry)]


def _drawable(plan: Plan, entry: Figure) -> bool:
    if isinstance(entry, Sweep) and entry.sweep not in plan.experiment.sweeps:
        return False
    free = isinstance(entry, Labels | Training)
    return isinstance(entry, Labels) or (
        (free or bool(_benchmarks(plan, entry))) and any(True for _ in _parents(plan, entry))
    )


def _scores(plan: Plan, entry: Shown) -> Iterator[Job]:
    benchmarks, variants = _benchmarks(plan, entry), _variants(plan, entry)  # type: ignore[arg-type]
    for job in plan.scores():
        chosen = entry.imported if "tracker" in job.names else job.names["variant"] in variants
        if chosen and job.names["benchmark"] in benchmarks:
            yield job


def _runs(plan: Plan, entry: Confidence | Maps | Frames) -> Iterator[tuple[str, str, int]]:
    """Benchmark, variant and seed of the tracked runs whose boxes or maps an entry shows."""
    running = plan.experiment.runs(entry.benchmark)
    for variant in _variants(plan, entry):
        seeds = plan.experiment.seeds(variant)
        for seed in seeds if isinstance(entry, Confidence) else seeds[:1]:
            if variant in running:
                yield entry.benchmark, variant, seed


def _parents(plan: Plan, entry: Figure) -> Iterator[Job]:
    if isinstance(entry, Curves | Attributes | Ranking | Frames):
        yield from _scores(plan, entry)
    if isinstance(entry, Sweep):
        variants = _variants(plan, entry)
        for job in plan.sweeps():
            if job.names["sweep"] == entry.sweep and job.names["variant"] in variants:
                yield job
    if isinstance(entry, Confidence | Frames):
        yield from (plan.predict(*run) for run in _runs(plan, entry))
    if isinstance(entry, Confidence | Maps):
        wanted = set(_runs(plan, entry))
        for job in plan.map_jobs():
            if (job.names["benchmark"], job.names["variant"], job.names["seed"]) in wanted:
                yield job
    if isinstance(entry, Training):
        variants = _variants(plan, entry)
        yield from (job for job in plan.trainings() if job.names["variant"] in variants)
    if isinstance(entry, Confidence | Frames):
        yield plan.curate(entry.benchmark)


def trackers(plan: Plan) -> dict[str, dict[str, Any]]:
    """Every tracker's label and look: role, and place among the others, which decides its colour
    everywhere.
    """
    figures, found = figures_of(plan), {}
    kinds = {"centerness": "centre-ness", "lafa": "location quality"}
    roles = {figures.ours: "ours", figures.baseline: "baseline"}
    place = 0
    labels = {name: variant.label for name, variant in plan.experiment.variants.items()}
    imported = {name: entry.label or name for name, entry in plan.profile.imported.items()}
    for name, label in [*labels.items(), *imported.items()]:
        role = roles.get(name, "other")
        found[name] = {
            "label": figures.labels.get(name, label),
            "role": role,
            "place": place,
            "imported": name in imported,
        }
        if spec := plan.experiment.specs.get(name):
            found[name]["localization"] = kinds.get(
                spec.model.localization, spec.model.localization
            )
        place += role == "other"
    return found


def _curves(rules: Protocol) -> dict[str, dict[str, Any]]:
    """Curve → the metric that ranks it, in words how that is read off it, and the thresholds of
    interest.
    """
    if rules.supervised is not None:
        low, high = (edge + rules.supervised.eao_offset for edge in rules.supervised.eao_interval)
        how = f"mean over the lengths {low} to {high}"
        return {"expected_overlap": {"metric": "eao", "how": how, "at": [low, high]}}
    assert rules.onepass is not None
    found = {}
    for name in ("success", "precision", "norm_precision"):
        curve = getattr(rules.onepass, name)
        if curve is None:
            continue
        metric = next((m for m in rules.metrics if m in curve.report), None)
        how = curve.report.get(metric)
        words = {"mean": "the mean of the curve", "trapezoid": "the area below the curve"}.get(
            str(how), f"at {how:g}" if isinstance(how, float) else ""
        )
        at = [] if isinstance(how, str) or how is None else [how]
        if name == "success" and rules.onepass.overlap in rules.metrics:
            metric, words, at = rules.onepass.overlap, "the mean overlap", []
        if metric is not None:
            found[name] = {"metric": metric, "how": words, "at": at}
    return found


def _rendered(entry: Dataset) -> bool:
    return bool(entry.dvc and entry.dvc.startswith(GENERATOR))


def benchmarks(plan: Plan) -> dict[str, dict[str, Any]]:
    """What figures say of each benchmark of the profile. synthetic: it was rendered, and no real
    video is in it.
    """
    found = {}
    for name, entry in plan.profile.benchmarks.items():
        rules = plan.experiment.protocol(name)
        found[name] = {
            "label": entry.label or name,
            "headline": rules.headline,
            "metrics": {metric: plain(described) for metric, described in rules.metrics.items()},
            "curves": _curves(rules),
            "layout": rules.layout,
            "synthetic": _rendered(entry),
        }
    return found


def published(entry: Ranking) -> dict[str, float]:
    """Tracker → published score of what a ranking names."""
    import csv

    found: dict[str, float] = {}
    for source in entry.published:
        path = files("siamla.report") / "paper" / f"{source.file}.csv"
        if not path.is_file():
            raise UserError(f"figures: published: no file {source.file}.csv in siamla/report/paper")
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
            if source.column not in row:
                raise UserError(
                    f"figures: published: {source.file}.csv has no column {source.column!r}; "
                    f"{nearest(source.column, list(row))}"
                )
            if row[source.column] and all(
                row.get(key) == value for key, value in source.where.items()
            ):
                found[row["tracker"]] = float(row[source.column])
    return found


def figure_job(plan: Plan, name: str) -> Job:
    """One figure; its parents are the results that it shows. UserError for one that the profile
    cannot draw, and for a sweep of words.
    """
    entries = figures_of(plan).figures
    if name not in entries:
        raise UserError(
            f"figure {name}: no such entry of {plan.params / 'figures.yaml'};"
            f" {nearest(name, [*entries])}"
        )
    entry = entries[name]
    if not _drawable(plan, entry):
        raise UserError(
            f"figure {name}: profile {plan.name} runs none of its benchmarks or variants"
        )
    parents = {str(job.folder): job for job in _parents(plan, entry)}
    shown_benchmarks = _benchmarks(plan, entry)
    named = {job.names.get("variant", job.names.get("tracker")) for job in parents.values()}
    shown: dict[str, Any] = {
        "trackers": {key: value for key, value in trackers(plan).items() if key in named},
        "benchmarks": {
            key: value for key, value in benchmarks(plan).items() if key in shown_benchmarks
        },
        "caption": "" if isinstance(entry, Labels) else caption(plan),
    }
    if isinstance(entry, Training):
        shown["synthetic"] = any(map(_rendered, plan.profile.train.values()))
    if isinstance(entry, Sweep):
        settings, drawn = plan.experiment.sweeps[entry.sweep], _variants(plan, entry)
        used = {
            b: {v: getattr(plan.experiment.tracker(v, b), settings.key) for v in drawn}
            for b in shown_benchmarks
        }
        where = (
            f"{plan.params / 'figures.yaml'}: figures.{name}.sweep: {entry.sweep} varies"
            f" {settings.key}"
        )
        shown["sweep"] = {"key": settings.key, "used": _numbers(used, settings.values, where)}
    numbers = digest(published(entry)) if isinstance(entry, Ranking) else None
    code = code_digest(
        listed(KINDS, entry.kind), "siamla.report.figures.make:write", "siamla.report.figures.style"
    )
    what = identity.Figure(plain(entry), numbers, shown, code)
    folder = Path("reports", plan.name, "figures", name)
    return Job(what, {"profile": plan.name, "figure": name}, folder, parents)


def _numbers(
    used: dict[str, dict[str, Any]], swept: Iterable[Any], where: str
) -> dict[str, dict[str, float]]:
    """The values of a setting that the plan tracks with, by benchmark and variant; UserError where
    one of them or of those that a sweep gives it is no number, which has no place on an axis.
    """
    values = [*swept, *(value for own in used.values() for value in own.values())]
    others = [value for value in values if not isinstance(value, int | float)]
    if others:
        words = dict.fromkeys("null" if value is None else str(value) for value in others)
        raise UserError(f"{where}: found {', '.join(words)}; a figure of kind sweep needs numbers")
    return {
        name: {variant: float(value) for variant, value in own.items()}
        for name, own in used.items()
    }


def page_key(plan: Plan) -> str:
    """Digest of what the report page is made from: scores, figures, tables and its own code."""
    keys: list[list[Any]] = [[job.title, job.key] for job in plan.scores()]
    keys += [[name, figure_job(plan, name).key] for name in figure_names(plan)]
    keys += [[number, table_job(plan, number).key] for number in plan.profile.tables]
    here = files("siamla.report.page")
    texts = [
        (here / name).read_text(encoding="utf-8")
        for name in ("page.html", "style.css", "script.js")
    ]
    return digest(
        [keys, texts, code_digest("siamla.report.page.build", "siamla.report.page.clips")]
    )
