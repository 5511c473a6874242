"""What the tables consist of, params/tables.yaml, and a table as a job of the plan."""

from collections.abc import Container
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.spec import changed, dotted_keys, plain
from siamla.files import digest
from siamla.provenance.record import flat
from siamla.report.view import resource, view_job
from siamla.settings import Mistakes, Settings, nearest, read_yaml, validate


class Column(Settings):
    """A measured quantity and where the paper prints it.

    Attributes:
        metric: of the benchmark's protocol, a speed of the score files, or device.
        paper: column of siamla/report/paper/tableN.csv.
        digits: of a speed; those of a metric stand in params/protocols.yaml.
    """

    label: str
    benchmark: str
    metric: str
    paper: str | None = None
    digits: int | None = Field(None, ge=0, le=6)


class Row(Settings):
    """A variant, and the cells that pick the published row that it stands beside."""

    variant: str
    label: str | None = None
    paper: dict[str, str | int | float] = Field(default_factory=dict)


class Match(Settings):
    """Variants of the user's own that an ablation takes up: those that differ from `base`, a
    variant of the table, in these settings alone: dotted keys of the spec, where a group's name is
    all that is in it. `label` is what such a row is called.
    """

    base: str
    settings: list[str] = Field(min_length=1)
    label: Literal["value", "variant"] = "variant"


class TableLayout(Settings):
    """One table. ablation: measured beside published, cell by cell; comparison: published rows,
    then measured rows.

    Attributes:
        stub: head of the first column.
        group: published column that groups the rows of a comparison.
        components: head of a column with ticks → settings of the variants that have the tick.
        extend: append the user's own variants; in an ablation benchmarks as columns, too.
    """

    title: str
    kind: Literal["ablation", "comparison"]
    stub: str = "Variant"
    group: str | None = None
    components: dict[str, dict[str, bool | int | float | str]] = Field(default_factory=dict)
    extend: bool = False
    match: Match | None = None
    columns: list[Column] = Field(min_length=1)
    rows: list[Row] = Field(min_length=1)


class Layout(Settings):
    """params/tables.yaml; `elsewhere` are benchmarks that figures show, not tables."""

    elsewhere: list[str] = Field(default_factory=list)
    tables: dict[Annotated[int, Field(ge=1, le=99)], TableLayout]

    def named_variants(self) -> set[str]:
        """Variants that a table names."""
        return {row.variant for table in self.tables.values() for row in table.rows}

    def named_benchmarks(self) -> set[str]:
        """Benchmarks that a table names or that are shown elsewhere."""
        columns = {column.benchmark for table in self.tables.values() for column in table.columns}
        return columns | set(self.elsewhere)


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
                entry = f"{path}: tables.{number}.{where}"
                mistakes.add(f"{entry}: unknown key {key!r}; {nearest(key, valid)}")
    mistakes.tell()
    return layout


def caption(plan: Plan, shown: Container[Any] | None = None) -> str:
    """The profile's caption; and of the benchmarks that are shown (None = all) which are no
    rendered ones beside rendered ones, and of which only the first frames were tracked.
    """
    notes = [plan.profile.caption]
    mixed = any(entry.rendered for entry in plan.profile.benchmarks.values())
    for name, entry in plan.profile.benchmarks.items():
        words = ["data of your own"] if mixed and not entry.rendered else []
        words += [f"the first {entry.frames} frames of each sequence"] if entry.frames else []
        if words and (shown is None or name in shown):
            notes.append(f"{entry.label or name}: {', '.join(words)}.")
    return " ".join(" ".join(notes).split())


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


def table_variants(plan: Plan, number: int) -> dict[str, dict[str, Any]]:
    """Label and components of each variant that the table has a row of, and `row`, what that is
    called, where the table takes it up; the label alone of those that the profile does not run, and
    of imported trackers.
    """
    layout, every = layout_of(plan), plan.experiment.variants
    table, named = layout.tables[number], layout.named_variants()
    own = [row.variant for row in table.rows]
    rest = [name for name in own if name in every and name not in plan.variants]
    variants: dict[str, dict[str, Any]] = {name: {"label": every[name].label} for name in rest}
    for name in plan.variants:
        free = name not in named
        row = _matches(plan, name, table.match) if table.match and free else None
        if name in own or (table.extend and free) or row is not None:
            settings = flat(plain(plan.spec(name))).items()
            ticks = table.components.items()
            variants[name] = {
                "label": every[name].label,
                "components": [head for head, keys in ticks if keys.items() <= settings],
            }
            variants[name] |= {} if row is None else {"row": row}
    for name, entry in plan.profile.imported.items():
        if name in own or (table.extend and name not in named):
            variants[name] = {"label": entry.label or name, "imported": True}
    return variants


def table_benchmarks(plan: Plan, number: int) -> dict[str, dict[str, Any]]:
    """Label, headline and metrics of each benchmark that the table has a column of; to an ablation
    `extend` appends those that no table names.
    """
    layout, protocols = layout_of(plan), plan.experiment.protocols
    table, named = layout.tables[number], layout.named_benchmarks()
    own = {column.benchmark for column in table.columns}
    more = table.extend and table.kind == "ablation"
    rules = {}
    labels = {}
    for name, entry in plan.profile.benchmarks.items():
        if name in own or (more and name not in named):
            rules[name] = plan.experiment.protocol(name)
            labels[name] = entry.label or name
    rules |= {name: protocols[name] for name in sorted(own - set(rules)) if name in protocols}
    return {
        name: {
            "label": labels.get(name, protocol.title),
            "headline": protocol.headline,
            "metrics": plain_metrics(protocol.metrics),
        }
        for name, protocol in rules.items()
    }


def plain_metrics(metrics: Any) -> dict[str, Any]:
    """Name → label, direction and digits of a protocol's metrics."""
    return {name: plain(metric) for name, metric in metrics.items()}


def table_job(plan: Plan, number: int) -> Job:
    """One of the paper's tables; its parents are the scores that it shows."""
    layout = layout_of(plan)
    if number not in layout.tables:
        numbers = ", ".join(map(str, sorted(layout.tables)))
        raise UserError(f"table {number}: there are {numbers}")
    templates = [resource("tables", f"table.{name}.jinja") for name in ("md", "tex")]
    build = "siamla.report.tables.build"
    code = plan.code.digest(f"{build}:build", f"{build}:write_table", "siamla.report.collect")
    variants, benchmarks = table_variants(plan, number), table_benchmarks(plan, number)
    parents = [
        job
        for job in plan.scores()
        if job.names["benchmark"] in benchmarks
        and job.names.get("variant", job.names.get("tracker")) in variants
    ]
    values = {
        "layout": plain(layout.tables[number]),
        "published": digest(resource("paper", f"table{number}.csv")),
        "shown": {
            "variants": variants,
            "benchmarks": benchmarks,
            "caption": caption(plan, {job.names["benchmark"] for job in parents}),
        },
        "code": digest([code, templates]),
    }
    folder = Path("reports", plan.name, "tables", f"table{number}")
    return view_job(plan, ("table", str(number)), folder, values, parents)
