"""A table as a job of the plan: its rows and columns, and the scores that it is made from."""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.spec import changed, dotted_keys, plain
from siamla.files import digest
from siamla.provenance.record import flat
from siamla.report.tables.layout import Layout, Match, TableLayout
from siamla.report.view import view_job
from siamla.settings import Mistakes, nearest, read_yaml, validate


@lru_cache(maxsize=8)
def layout_of(plan: Plan) -> Layout:
    """params/tables.yaml; UserError for a setting that there is not, with the nearest."""
    path = plan.params / "tables.yaml"
    layout = validate(Layout, read_yaml(path), str(path))
    valid = dotted_keys()
    mistakes = Mistakes()
    for number, table in layout.tables.items():
        settings = {"match.settings": table.match.settings if table.match else []}
        settings |= {f"components.{head}": list(keys) for head, keys in table.components.items()}
        for where, keys in settings.items():
            for key in (key for key in keys if key not in valid):
                place = f"{path}: tables.{number}.{where}"
                mistakes.add(f"{place}: unknown key {key!r}; {nearest(key, valid)}")
    mistakes.tell()
    return layout


def caption(plan: Plan) -> str:
    """The profile's caption; data that nothing made or fetched are the user's, and not what it
    speaks of.
    """
    notes = [plan.profile.caption]
    for name, entry in plan.profile.benchmarks.items():
        cut = f", the first {entry.frames} frames of each sequence" if entry.frames else ""
        if not entry.dvc or cut:
            notes.append(f"{entry.label or name}: {entry.root}{cut}.")
    return " ".join(notes)


def _matches(plan: Plan, variant: str, match: Match) -> str | None:
    """What the row of a variant that a table takes up is called; None where it does not."""
    if match.base not in plan.variants:
        return None
    tuned: set[str] = set()  # settings that are chosen for each variant are no part of what it is
    for name in (variant, match.base):
        tuned |= plan.experiment.tuned[name].keys()
    tuned -= plan.experiment.own_tracker(variant).keys()
    settings = changed(plan.spec(variant), plan.spec(match.base))
    left_out = {f"tracker.{key}" for key in tuned}
    values = {key: value for key, value in settings.items() if key not in left_out}
    groups = tuple(f"{name}." for name in match.settings)
    if not values or not all(f"{key}.".startswith(groups) for key in values):
        return None
    if match.label == "variant":
        return plan.experiment.variants[variant].label
    texts = [f"{v:g}" if isinstance(v, float) else str(v) for v in values.values()]
    return ", ".join(texts)


@lru_cache(maxsize=1024)
def taken_up(plan: Plan, variant: str) -> dict[int, str]:
    """The ablations that take up a variant which no table names, by what it sets, and what its
    rows are called.
    """
    layout = layout_of(plan)
    if variant in layout.named_variants():
        return {}
    rows = {
        number: _matches(plan, variant, table.match)
        for number, table in layout.tables.items()
        if table.match
    }
    return {number: label for number, label in rows.items() if label is not None}


def _components(plan: Plan, variant: str, table: TableLayout) -> list[str]:
    """The heads of the components that a variant has."""
    settings = flat(plain(plan.spec(variant)))
    return [head for head, keys in table.components.items() if keys.items() <= settings.items()]


def table_variants(plan: Plan, number: int) -> dict[str, dict[str, Any]]:
    """Label, components and seeds of each variant; label of each imported tracker."""
    table = layout_of(plan).tables[number]
    variants: dict[str, dict[str, Any]] = {}
    for name in plan.variants:
        variants[name] = {
            "label": plan.experiment.variants[name].label,
            "components": _components(plan, name, table),
            "seeds": list(plan.experiment.seeds(name)),
        }
        rows = taken_up(plan, name)
        if number in rows:
            variants[name]["row"] = rows[number]
    for name, entry in plan.profile.imported.items():
        variants[name] = {"label": entry.label or name, "imported": True}
    return variants


def table_benchmarks(plan: Plan) -> dict[str, dict[str, Any]]:
    """Label, headline and metrics of each benchmark: those of the profile, and those that tables
    name besides.
    """
    labels = {name: entry.label or name for name, entry in plan.profile.benchmarks.items()}
    others = sorted(layout_of(plan).named_benchmarks() - set(labels))
    rules = {name: plan.experiment.protocol(name) for name in labels}
    protocols = plan.experiment.protocols
    rules |= {name: protocols[name] for name in others if name in protocols}
    return {
        name: {
            "label": labels.get(name, protocol.title),
            "headline": protocol.headline,
            "metrics": {metric: plain(told) for metric, told in protocol.metrics.items()},
        }
        for name, protocol in rules.items()
    }


def _shows(plan: Plan, number: int, job: Job) -> bool:
    """Whether a table shows a score."""
    layout = layout_of(plan)
    table = layout.tables[number]
    benchmark = job.names["benchmark"]
    if benchmark not in {column.benchmark for column in table.columns}:
        appended = table.extend and table.kind == "ablation"
        if not appended or benchmark in layout.named_benchmarks():
            return False
    variant = job.names.get("variant", job.names.get("tracker"))
    if variant in {row.variant for row in table.rows}:
        return True
    if table.extend and variant not in layout.named_variants():
        return True
    return variant in plan.variants and number in taken_up(plan, variant)


def table_job(plan: Plan, number: int) -> Job:
    """One of the paper's tables; its parents are the scores that it shows."""
    layout = layout_of(plan)
    if number not in layout.tables:
        numbers = ", ".join(map(str, sorted(layout.tables)))
        raise UserError(f"table {number}: there are {numbers}")
    paper = files("siamla.report") / "paper" / f"table{number}.csv"
    shown = {
        "variants": table_variants(plan, number),
        "benchmarks": table_benchmarks(plan),
        "caption": caption(plan),
    }
    code = plan.code.digest(
        "siamla.report.tables.build:build",
        "siamla.report.tables.build:write_table",
        "siamla.report.collect",
    )
    values = {
        "layout": {**plain(layout.tables[number]), "elsewhere": list(layout.elsewhere)},
        "published": digest(paper.read_text(encoding="utf-8")),
        "shown": shown,
        "code": code,
    }
    folder = Path("reports", plan.name, "tables", f"table{number}")
    parents = [job for job in plan.scores() if _shows(plan, number, job)]
    return view_job(plan, ("table", str(number)), folder, values, parents)
