"""Tables I to VI from the gathered scores, the published numbers and params/tables.yaml."""

import csv
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from siamla.errors import UserError
from siamla.files import write_csv, write_text
from siamla.report.measured import BUSY, LOADED, Cell, Info, Measured
from siamla.report.render import TICK, Table, csv_rows, latex, markdown
from siamla.report.tables.layout import Column, Layout, Row, TableLayout
from siamla.report.tables.notes import notes
from siamla.settings import nearest

ABSENT = Cell(text="–")
OTHERS = "Other trackers' raw results, scored here"


def published(number: int) -> list[dict[str, str]]:
    """The rows of Table `number` as the paper prints them; an empty cell is a dash in print."""
    text = (files("siamla.report") / "paper" / f"table{number}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _published_cell(row: Mapping[str, str] | None, column: Column) -> Cell:
    text = (row or {}).get(column.paper or "") or ""
    if not text or column.metric == "device":
        return Cell(text=text or ABSENT.text)
    return Cell(value=float(text), digits=len(text.partition(".")[2]))  # as in print


def _published_row(number: int, row: Row) -> dict[str, str] | None:
    """The published row that a row of the layout stands beside; None for a variant that the paper
    does not have.
    """
    if not row.paper:
        return None
    for line in published(number):
        if all(line.get(key) == str(value) for key, value in row.paper.items()):
            return line
    raise UserError(
        f"tables.{number}, row {row.variant}: the published table has no row with {row.paper}"
    )


def _described(column: Column, benchmarks: Info) -> Mapping[str, Any]:
    """What the benchmark's protocol says of a metric; empty for speeds and the device, which no
    protocol has.
    """
    metrics: Mapping[str, Any] = benchmarks.get(column.benchmark, {}).get("metrics", {})
    described: Mapping[str, Any] = metrics.get(column.metric, {})
    return described


def _check_columns(number: int, columns: list[Column], benchmarks: Info) -> None:
    """UserError for a metric that its protocol does not have, and for digits that it has."""
    for column in columns:
        where = f"tables.{number}, column {column.label!r}"
        described = _described(column, benchmarks)
        if described and column.digits is not None:
            raise UserError(
                f"{where}: digits: those of {column.metric} stand in the protocol of"
                f" {column.benchmark}"
            )
        if described or column.digits is not None or column.metric == "device":
            continue
        metrics = benchmarks.get(column.benchmark, {}).get("metrics")
        if metrics is not None:
            raise UserError(
                f"{where}: metric: {column.metric!r} is not in the protocol of {column.benchmark}; "
                f"{nearest(column.metric, list(metrics))} (a speed needs digits)"
            )


def _users_columns(layout: Layout, benchmarks: Info) -> list[Column]:
    """Headline columns of the benchmarks that no table names."""
    named = layout.named_benchmarks()
    columns = []
    for name, info in benchmarks.items():
        if name not in named:
            metric = info["headline"]
            label = f"{info['label']} {info['metrics'][metric]['label']}"
            columns.append(Column(label=label, benchmark=name, metric=metric))
    return columns


def _users_rows(layout: Layout, variants: Info, imported: bool) -> list[Row]:
    """The variants that no table names, or imported trackers."""
    named = layout.named_variants()
    return [
        Row(variant=name)
        for name, info in variants.items()
        if name not in named and bool(info.get("imported")) == imported
    ]


def _matched_rows(variants: Info) -> list[Row]:
    """The user's own variants that this table takes up by what they set."""
    return [
        Row(variant=name, label=info["row"]) for name, info in variants.items() if "row" in info
    ]


def _label(row: Row, variants: Info) -> Cell:
    return Cell(text=row.label or str(variants.get(row.variant, {}).get("label", row.variant)))


def _measured_cell(measured: Measured, row: Row, baseline: str, column: Column) -> Cell:
    """A number with its mark: of a metric how sure its difference is, of a speed that the machine
    was at other work.
    """
    described = _described(column, measured.benchmarks)
    digits = described["digits"] if described else column.digits or 0
    cell = measured.cell(row.variant, column.benchmark, column.metric, digits)
    if not described:
        loads = measured.load(row.variant, column.benchmark)
        return replace(cell, mark=BUSY) if any(load > LOADED for load in loads) else cell
    if row.variant == baseline or cell.value is None:
        return cell
    mark = measured.mark(row.variant, baseline, column.benchmark, column.metric)
    return replace(cell, mark=mark)


def _ticks(row: Row, table: TableLayout, variants: Info) -> list[Cell]:
    """A tick for each component of a variant; of one that the profile lacks, the paper's."""
    heads = variants.get(row.variant, {}).get("components")
    if heads is None:
        heads = [head for head in table.components if row.paper.get(head.lower())]
    return [Cell(text=TICK if head in heads else "") for head in table.components]


def _ablation(number: int, table: TableLayout, layout: Layout, measured: Measured) -> Table:
    """Rows are variants; each measured column has the paper's beside it."""
    variants = measured.variants
    columns = list(table.columns)
    rows = [*table.rows, *_matched_rows(variants)]
    others = []
    if table.extend:
        columns += _users_columns(layout, measured.benchmarks)
        rows += _users_rows(layout, variants, imported=False)
        others = _users_rows(layout, variants, imported=True)
    keys = ["row", *(head.lower() for head in table.components)]
    heads = [table.stub, *table.components]
    for column in columns:
        keys.append(f"{column.benchmark}.{column.metric}")
        heads.append(column.label)
        if column.paper:
            keys.append(f"paper.{column.paper}")
            heads.append(f"{column.label}, paper")
    made = Table(number, table.title, keys, heads, [])
    for row in [*rows, *others]:
        cells = [_measured_cell(measured, row, rows[0].variant, column) for column in columns]
        if row in others and not any(cell.value is not None for cell in cells):
            continue
        if row in others:
            made.sections.setdefault(len(rows), OTHERS)
        paper = _published_row(number, row)
        line = [_label(row, variants), *_ticks(row, table, variants)]
        for column, cell in zip(columns, cells, strict=True):
            line += [cell, _published_cell(paper, column)] if column.paper else [cell]
        made.rows.append(line)
        made.variants.append(row.variant)
    return made


def _best_three(lines: list[list[Cell]], columns: list[Column], benchmarks: Info) -> None:
    """Mark the three best values of each column, which stand behind a line's label; equal values
    share a mark.
    """
    for index, column in enumerate(columns, start=1):
        described = _described(column, benchmarks)
        if not described:
            continue
        values = {value for line in lines if (value := line[index].value) is not None}
        ranking = sorted(values, reverse=described["better"] == "higher")[:3]
        for line in lines:
            if (value := line[index].value) in ranking:
                line[index] = replace(line[index], rank=ranking.index(value) + 1)


def _sections(rows: list[dict[str, str]], group: str | None) -> dict[int, str]:
    """Index of a published row → the title above it."""
    titles = {}
    before = None
    for index, row in enumerate(rows):
        name = row[group] if group else ""
        if name != before:
            titles[index] = f"As published: {name}" if name else "As published"
        before = name
    return titles


def _comparison(number: int, table: TableLayout, layout: Layout, measured: Measured) -> Table:
    """The paper's rows as published, best three marked among themselves; below them what was
    measured here.
    """
    variants = measured.variants
    paper = published(number)
    lines = []
    for line in paper:
        cells = [_published_cell(line, column) for column in table.columns]
        lines.append([Cell(text=line["tracker"]), *cells])
    _best_three(lines, table.columns, measured.benchmarks)
    made = Table(
        number,
        table.title,
        ["row", *(f"{column.benchmark}.{column.metric}" for column in table.columns)],
        [table.stub, *(column.label for column in table.columns)],
        lines,
        _sections(paper, table.group) | {len(paper): "Measured here"},
    )
    rows = list(table.rows)
    if table.extend:
        rows += _users_rows(layout, variants, imported=False)
        rows += _users_rows(layout, variants, imported=True)
    baseline = rows[0].variant
    for row in rows:
        cells = [_measured_cell(measured, row, baseline, column) for column in table.columns]
        if row in table.rows or any(cell.value is not None for cell in cells):
            made.rows.append([_label(row, variants), *cells])
            made.variants.append(row.variant)
    return made


def build(
    number: int,
    scores: pd.DataFrame,
    sequences: pd.DataFrame,
    layout: Layout,
    shown: Mapping[str, Any],
) -> Table:
    """The table as data.

    Args:
        scores, sequences: the frames of siamla.report.collect.frames, of scores that belong to the
            plan.
        layout: params/tables.yaml; rows, columns and which published cells stand beside them.
        shown: variants: name → {label, components, seeds}, with {row} where the table takes it up;
            {label, imported: true} for imported results. benchmarks: name → {label, headline,
            metrics: name → {label, better, digits}}. Those that the table names and the profile
            does not run may be given as well: the best published values of their columns are marked
            then. caption: what the data were.

    UserError for a column whose metric its protocol does not have.
    """
    table = layout.tables[number]
    _check_columns(number, table.columns, shown["benchmarks"])
    measured = Measured(scores, sequences, shown["variants"], shown["benchmarks"])
    make = _ablation if table.kind == "ablation" else _comparison
    made = make(number, table, layout, measured)
    caption = shown["caption"].strip()
    made.notes = [caption] if caption else []
    baseline = _label(table.rows[0], measured.variants).text
    made.notes += notes(measured, made, table.columns, baseline)
    if table.kind == "comparison":
        legend = (
            "Best three of the published rows: bold, underlined, italic (in LaTeX red, green, blue,"
            " as in the paper)"
        )
        made.notes.insert(0, legend)
    return made


def write_table(table: Table, folder: Path) -> str:
    """Write tableN.md, .csv and .tex into `folder`; returns the Markdown."""
    text = markdown(table)
    columns, rows = csv_rows(table)
    write_csv(folder / f"table{table.number}.csv", columns, rows)
    write_text(folder / f"table{table.number}.tex", latex(table))
    write_text(folder / f"table{table.number}.md", text)
    return text
