"""What the tables consist of: params/tables.yaml."""

from typing import Literal

from pydantic import Field

from siamla.settings import Settings


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
    components: dict[str, dict[str, bool | int | float | str]] = Field(
        default_factory=dict,
        description="head of a column with ticks → settings of the variants that have the tick",
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
