"""What the tables consist of: params/tables.yaml."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from siamla.experiment.spec import Spec, dotted_keys, plain
from siamla.settings import Mistakes, Settings, nearest, read_yaml, validate


class Column(Settings):
    """A measured quantity and where the paper prints it."""

    label: str
    benchmark: str
    metric: str = Field(
        description="a metric of the benchmark's protocol, a speed of the score files, or device"
    )
    paper: str | None = Field(None, description="column of siamla/report/paper/tableN.csv")
    digits: int | None = Field(
        None, ge=0, le=6, description="of a speed; those of a metric stand in params/protocols.yaml"
    )


class Row(Settings):
    """A variant and the published row that it stands beside."""

    variant: str
    label: str | None = Field(None, description="default: the variant's label")
    paper: dict[str, str | int | float] = Field(
        default_factory=dict, description="cells that pick the published row"
    )


class Match(Settings):
    """Variants of the user's own that an ablation takes up: those that differ from a base in these
    settings alone.
    """

    base: str = Field(description="a variant of the table")
    settings: list[str] = Field(
        min_length=1, description="dotted keys of the spec; a group's name is all that is in it"
    )
    label: Literal["value", "variant"] = Field("variant", description="what such a row is called")


class TableLayout(Settings):
    """One table. ablation: measured beside published, cell by cell; comparison: published rows,
    then measured rows.
    """

    title: str
    kind: Literal["ablation", "comparison"]
    stub: str = Field("Variant", description="head of the first column")
    group: str | None = Field(
        None, description="published column that groups the rows of a comparison"
    )
    components: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "columns of ticks: head → the setting of a variant that ticks it, KEY where it is true"
            " or KEY=VALUE"
        ),
    )
    extend: bool = Field(
        False, description="append the user's own variants; an ablation, benchmarks as columns too"
    )
    match: Match | None = None
    columns: list[Column] = Field(min_length=1)
    rows: list[Row] = Field(min_length=1)


class Layout(Settings):
    """params/tables.yaml."""

    elsewhere: list[str] = Field(
        default_factory=list, description="benchmarks that figures show, not tables"
    )
    tables: dict[int, TableLayout]

    def named_variants(self) -> set[str]:
        """Variants that a table names."""
        return {row.variant for table in self.tables.values() for row in table.rows}

    def named_benchmarks(self) -> set[str]:
        """Benchmarks that a table names or that are shown elsewhere."""
        columns = {column.benchmark for table in self.tables.values() for column in table.columns}
        return columns | set(self.elsewhere)

    def ticks(self, spec: Spec) -> dict[str, bool]:
        """Head of every column of ticks in lower case → whether a variant with this spec has
        one.
        """
        settings = plain(spec)
        found = {}
        for table in self.tables.values():
            for head, condition in table.components.items():
                found[head.lower()] = _holds(condition, settings)
        return found


def _holds(condition: str, settings: Mapping[str, Any]) -> bool:
    key, _, value = condition.partition("=")
    setting: Any = settings
    for part in key.split("."):
        setting = setting[part]
    return str(setting) == value if value else setting is True


def load_layout(path: Path) -> Layout:
    """The tables of a YAML file; UserError with every key that is no setting."""
    layout, mistakes = validate(Layout, read_yaml(path), str(path)), Mistakes()
    valid = dotted_keys()
    for number, table in layout.tables.items():
        conditions = [condition.partition("=")[0] for condition in table.components.values()]
        named = {"components": conditions, "match.settings": []}
        if table.match:
            named["match.settings"] = table.match.settings
        for where, keys in named.items():
            for key in keys:
                if key not in valid:
                    help_ = nearest(key, valid)
                    mistakes.add(f"{path}: tables.{number}.{where}: unknown key {key!r}; {help_}")
    mistakes.tell()
    return layout
