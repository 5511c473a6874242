"""Tables I to VI from the gathered scores, the published numbers and params/tables.yaml."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.files import write_csv, write_text
from siamla.report.collect import Score
from siamla.report.measured import TICK, Cell, Info, Measured, Table, csv_rows, latex, markdown
from siamla.report.tables.job import Column, Row, TableLayout
from siamla.report.tables.notes import notes
from siamla.report.view import resource
from siamla.settings import nearest

ABSENT = Cell(text="–")
HERE = "Measured here"
OTHERS = "Other trackers' raw results, scored here"
LEGEND = (
    "Best three of the published rows: bold, underlined, italic (in LaTeX red, green, blue, as in"
    " the paper)"
)


def published(number: int) -> list[dict[str, str]]:
    """The rows of Table `number` as the paper prints them; an empty cell is a dash in print."""
    return list(csv.DictReader(resource("paper", f"table{number}.csv").splitlines()))


def _published_cell(row: Mapping[str, str], column: Column) -> Cell:
    text = row.get(column.paper or "") or ""
    if not text or column.metric == "device":
        return Cell(text=text or ABSENT.text)
    return Cell(value=float(text), digits=len(text.partition(".")[2]))  # as in print


def _published_row(number: int, row: Row) -> dict[str, str]:
    """The published row that a row of the layout stands beside; empty for a user's variant."""
    wanted = {key: str(value) for key, value in row.paper.items()}
    for line in published(number) if wanted else [{}]:
        if wanted.items() <= line.items():
            return line
    raise UserError(
        f"tables.{number}, row {row.variant}: the published table has no row with {row.paper}"
    )


def _check_columns(number: int, measured: Measured, columns: Sequence[Column]) -> None:
    """UserError for a metric that its protocol does not have, and for digits that it has."""
    for column in columns:
        where = f"tables.{number}, column {column.label!r}"
        if measured.described(column):
            if column.digits is not None:
                raise UserError(
                    f"{where}: digits: those of {column.metric} stand in the protocol of"
                    f" {column.benchmark}"
                )
        elif (
            column.digits is None
            and column.metric != "device"
            and column.benchmark in measured.benchmarks
        ):
            metrics = list(measured.benchmarks[column.benchmark]["metrics"])
            raise UserError(
                f"{where}: metric: {column.metric!r} is not in the protocol of {column.benchmark}; "
                f"{nearest(column.metric, metrics)} (a speed needs digits)"
            )


def _users_columns(table: TableLayout, benchmarks: Info) -> list[Column]:
    """Headline columns of the benchmarks that are no columns of the layout."""
    columns = []
    own = {column.benchmark for column in table.columns}
    for name, info in benchmarks.items():
        if name not in own:
            metric = info["headline"]
            label = f"{info['label']} {info['metrics'][metric]['label']}"
            columns.append(Column(label=label, benchmark=name, metric=metric))
    return columns


def _label(row: Row, variants: Info) -> Cell:
    return Cell(text=row.label or str(variants.get(row.variant, {}).get("label", row.variant)))


def _ticks(row: Row, table: TableLayout, variants: Info) -> list[Cell]:
    """A tick for each component of a variant; of one that the profile lacks, the paper's."""
    heads = variants.get(row.variant, {}).get("components")
    if heads is None:
        heads = [head for head in table.components if row.paper.get(head.lower())]
    return [Cell(text=TICK if head in heads else "") for head in table.components]


def _best_three(lines: list[list[Cell]], columns: Sequence[Column], measured: Measured) -> None:
    """Mark the three best values of each column behind the label; equal values share a mark."""
    for index, column in enumerate(columns, start=1):
        described = measured.described(column)
        values = {value for line in lines if (value := line[index].value) is not None}
        ordered = sorted(values, reverse=described.get("better") == "higher")
        ranking = ordered[:3] if described else []
        for line in lines:
            if (value := line[index].value) in ranking:
                line[index] = replace(line[index], rank=ranking.index(value) + 1)


def _add_published(result: Table, table: TableLayout, measured: Measured) -> None:
    """The paper's rows, the best three marked among themselves, with a title above each group."""
    before = None
    for row in published(result.number):
        name = row[table.group] if table.group else ""
        if name != before:
            result.sections[len(result.rows)] = f"As published: {name}" if name else "As published"
        before = name
        cells = [_published_cell(row, column) for column in table.columns]
        result.rows.append([Cell(text=row["tracker"]), *cells])
    _best_three(result.rows, table.columns, measured)
    result.sections[len(result.rows)] = HERE


def _add_measured(
    result: Table, table: TableLayout, columns: Sequence[Column], measured: Measured
) -> None:
    """A row for each variant; in an ablation with ticks, and the paper's cells beside it. Those
    that the layout does not name stand below, but for such as a comparison has nothing of.
    """
    variants = measured.variants
    ablation = table.kind == "ablation"
    own = {row.variant for row in table.rows}
    rest = [name for name in variants if name not in own]
    imported = [name for name in rest if variants[name].get("imported")]
    rest.sort(key=lambda name: (name in imported, "row" not in variants[name]))
    added = [Row(variant=name, label=variants[name].get("row")) for name in rest]
    for row in [*table.rows, *added]:
        cells = [measured.cell(row.variant, table.rows[0].variant, each) for each in columns]
        optional = row.variant in imported if ablation else row.variant not in own
        if optional and all(cell.value is None for cell in cells):
            continue
        line = [_label(row, variants)]
        if ablation:
            paper = _published_row(result.number, row)
            line += _ticks(row, table, variants)
            for column, cell in zip(columns, cells, strict=True):
                line += [cell, _published_cell(paper, column)] if column.paper else [cell]
            if row.variant in imported and OTHERS not in result.sections.values():
                result.sections[len(result.rows)] = OTHERS
        result.rows.append(line if ablation else line + cells)
        result.variants.append(row.variant)


def build(
    number: int, scores: Iterable[Score], table: TableLayout, shown: Mapping[str, Any]
) -> Table:
    """The table as data.

    Args:
        scores: others than the table's do no harm.
        shown: variants: name → {label, components, seeds}, with {row} where the table takes it up;
            {label, imported: true} for imported results. benchmarks: name → {label, headline,
            metrics: name → {label, better, digits}}, of the profile and of the table, whose best
            published values are marked. caption: what the data were.

    UserError for a column whose metric its protocol does not have.
    """
    measured = Measured(scores, shown["variants"], shown["benchmarks"])
    _check_columns(number, measured, table.columns)
    keys, heads, columns = ["row"], [table.stub], [*table.columns]
    ablation = table.kind == "ablation"
    if ablation:
        keys += [head.lower() for head in table.components]
        heads += table.components
        columns += _users_columns(table, measured.benchmarks)
    for column in columns:
        keys.append(f"{column.benchmark}.{column.metric}")
        heads.append(column.label)
        if ablation and column.paper:
            keys.append(f"paper.{column.paper}")
            heads.append(f"{column.label}, paper")
    result = Table(number, table.title, keys, heads, [])
    if not ablation:
        _add_published(result, table, measured)
    _add_measured(result, table, columns, measured)
    baseline = _label(table.rows[0], measured.variants).text
    ranked = any(cell.rank for row in result.rows for cell in row)
    lines = [LEGEND if ranked else "", shown["caption"].strip()]
    lines += notes(measured, result.rows, columns, baseline)
    result.notes = [line for line in lines if line]
    return result


def write_table(table: Table, folder: Path) -> str:
    """Write tableN.md, .csv and .tex into `folder`; returns the Markdown."""
    text = markdown(table)
    columns, rows = csv_rows(table)
    write_csv(folder / f"table{table.number}.csv", columns, rows)
    write_text(folder / f"table{table.number}.tex", latex(table))
    write_text(folder / f"table{table.number}.md", text)
    return text
