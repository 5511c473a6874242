"""Tables I to VI from the gathered scores, the published numbers and params/tables.yaml."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from siamla.errors import UserError
from siamla.files import write_csv, write_text
from siamla.report.measured import (
    BUSY,
    TICK,
    Cell,
    Info,
    Measured,
    Table,
    csv_rows,
    latex,
    markdown,
)
from siamla.report.tables.job import Column, Layout, Row, TableLayout
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


def _described(column: Column, benchmarks: Info) -> Mapping[str, Any]:
    """What the protocol says of a metric; empty for speeds and the device."""
    described: Mapping[str, Any] = (
        benchmarks.get(column.benchmark, {}).get("metrics", {}).get(column.metric, {})
    )
    return described


def _check_columns(number: int, columns: Sequence[Column], benchmarks: Info) -> None:
    """UserError for a metric that its protocol does not have, and for digits that it has."""
    for column in columns:
        where = f"tables.{number}, column {column.label!r}"
        if _described(column, benchmarks):
            if column.digits is not None:
                raise UserError(
                    f"{where}: digits: those of {column.metric} stand in the protocol of"
                    f" {column.benchmark}"
                )
        elif column.digits is None and column.metric != "device" and column.benchmark in benchmarks:
            metrics = list(benchmarks[column.benchmark]["metrics"])
            raise UserError(
                f"{where}: metric: {column.metric!r} is not in the protocol of {column.benchmark}; "
                f"{nearest(column.metric, metrics)} (a speed needs digits)"
            )


def _users_columns(layout: Layout, benchmarks: Info) -> list[Column]:
    """Headline columns of the benchmarks that no table names."""
    columns = []
    for name in (name for name in benchmarks if name not in layout.named_benchmarks()):
        metric = benchmarks[name]["headline"]
        label = f"{benchmarks[name]['label']} {benchmarks[name]['metrics'][metric]['label']}"
        columns.append(Column(label=label, benchmark=name, metric=metric))
    return columns


def _users_rows(layout: Layout, variants: Info, imported: bool) -> list[Row]:
    """The variants that no table names, or imported trackers."""
    return [
        Row(variant=name)
        for name, info in variants.items()
        if name not in layout.named_variants() and bool(info.get("imported")) == imported
    ]


def _label(row: Row, variants: Info) -> Cell:
    return Cell(text=row.label or str(variants.get(row.variant, {}).get("label", row.variant)))


def _measured_cell(measured: Measured, variant: str, baseline: str, column: Column) -> Cell:
    """A number with its mark: how sure the difference is, or that the machine was busy."""
    described = _described(column, measured.benchmarks)
    digits = described["digits"] if described else column.digits or 0
    cell = measured.cell(variant, column.benchmark, column.metric, digits)
    if not described:
        return replace(cell, mark=BUSY) if measured.busy(variant, column.benchmark) else cell
    if variant == baseline or cell.value is None:
        return cell
    mark = measured.mark(variant, baseline, column.benchmark, column.metric)
    return replace(cell, mark=mark)


def _ticks(row: Row, table: TableLayout, variants: Info) -> list[Cell]:
    """A tick for each component of a variant; of one that the profile lacks, the paper's."""
    heads = variants.get(row.variant, {}).get("components")
    if heads is None:
        heads = [head for head in table.components if row.paper.get(head.lower())]
    return [Cell(text=TICK if head in heads else "") for head in table.components]


def _best_three(lines: list[list[Cell]], columns: Sequence[Column], benchmarks: Info) -> None:
    """Mark the three best values of each column behind the label; equal values share a mark."""
    for index, column in enumerate(columns, start=1):
        described = _described(column, benchmarks)
        values = {value for line in lines if (value := line[index].value) is not None}
        ordered = sorted(values, reverse=described.get("better") == "higher")
        ranking = ordered[:3] if described else []
        for line in lines:
            if (value := line[index].value) in ranking:
                line[index] = replace(line[index], rank=ranking.index(value) + 1)


def _add_published(result: Table, table: TableLayout, benchmarks: Info) -> None:
    """The paper's rows, the best three marked among themselves, with a title above each group."""
    before = None
    for row in published(result.number):
        name = row[table.group] if table.group else ""
        if name != before:
            result.sections[len(result.rows)] = f"As published: {name}" if name else "As published"
        before = name
        cells = [_published_cell(row, column) for column in table.columns]
        result.rows.append([Cell(text=row["tracker"]), *cells])
    _best_three(result.rows, table.columns, benchmarks)
    result.sections[len(result.rows)] = HERE


def _add_measured(
    result: Table, layout: Layout, columns: Sequence[Column], measured: Measured
) -> None:
    """A row for each variant; in an ablation with ticks, and the paper's cells beside it."""
    table = layout.tables[result.number]
    variants = measured.variants
    ablation = table.kind == "ablation"
    rows = [*table.rows]
    others = []
    if ablation:
        taken = {name: info["row"] for name, info in variants.items() if "row" in info}
        rows += [Row(variant=name, label=label) for name, label in taken.items()]
    if table.extend:
        rows += _users_rows(layout, variants, imported=False)
        others = _users_rows(layout, variants, imported=True)
    for row in [*rows, *others]:
        cells = [_measured_cell(measured, row.variant, rows[0].variant, each) for each in columns]
        optional = row in others or not (ablation or row in table.rows)
        if optional and all(cell.value is None for cell in cells):
            continue
        line = [_label(row, variants)]
        if ablation:
            paper = _published_row(result.number, row)
            line += _ticks(row, table, variants)
            for column, cell in zip(columns, cells, strict=True):
                line += [cell, _published_cell(paper, column)] if column.paper else [cell]
            if row in others:
                result.sections.setdefault(len(rows), OTHERS)
        result.rows.append(line if ablation else line + cells)
        result.variants.append(row.variant)


def build(
    number: int,
    scores: pd.DataFrame,
    sequences: pd.DataFrame,
    layout: Layout,
    shown: Mapping[str, Any],
) -> Table:
    """The table as data.

    Args:
        scores, sequences: the frames of siamla.report.collect.frames.
        shown: variants: name → {label, components, seeds}, with {row} where the table takes it up;
            {label, imported: true} for imported results. benchmarks: name → {label, headline,
            metrics: name → {label, better, digits}}, of the profile and of the table, whose best
            published values are marked. caption: what the data were.

    UserError for a column whose metric its protocol does not have.
    """
    table = layout.tables[number]
    _check_columns(number, table.columns, shown["benchmarks"])
    measured = Measured(scores, sequences, shown["variants"], shown["benchmarks"])
    keys, heads, columns = ["row"], [table.stub], [*table.columns]
    ablation = table.kind == "ablation"
    if ablation:
        keys += [head.lower() for head in table.components]
        heads += table.components
        columns += _users_columns(layout, measured.benchmarks) if table.extend else []
    for column in columns:
        keys.append(f"{column.benchmark}.{column.metric}")
        heads.append(column.label)
        if ablation and column.paper:
            keys.append(f"paper.{column.paper}")
            heads.append(f"{column.label}, paper")
    result = Table(number, table.title, keys, heads, [])
    if not ablation:
        _add_published(result, table, measured.benchmarks)
    _add_measured(result, layout, columns, measured)
    baseline = _label(table.rows[0], measured.variants).text
    caption = shown["caption"].strip()
    lines = [LEGEND] if any(cell.rank for row in result.rows for cell in row) else []
    lines += [caption] if caption else []
    result.notes = lines + notes(measured, result, table.columns, baseline)
    return result


def write_table(table: Table, folder: Path) -> str:
    """Write tableN.md, .csv and .tex into `folder`; returns the Markdown."""
    text = markdown(table)
    columns, rows = csv_rows(table)
    write_csv(folder / f"table{table.number}.csv", columns, rows)
    write_text(folder / f"table{table.number}.tex", latex(table))
    write_text(folder / f"table{table.number}.md", text)
    return text
