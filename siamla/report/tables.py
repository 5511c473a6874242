"""Tables I to VI from the collected scores, the published numbers and params/tables.yaml."""

import csv
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from siamla.errors import UserError
from siamla.files import write_csv, write_text
from siamla.report.measured import Cell, Info, Measured, machine
from siamla.report.render import TICK, Table, csv_rows, latex, markdown
from siamla.report.settings import Column, Layout, Row, TableLayout

COMPONENTS = ("ladl", "lals", "lafa")
ABSENT = Cell(text="–")


def published(number: int) -> list[dict[str, str]]:
    """The rows of Table `number` as the paper prints them; an empty cell is a dash in print."""
    text = (files("siamla.report") / "paper" / f"table{number}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _published_cell(row: Mapping[str, str] | None, column: Column) -> Cell:
    text = (row or {}).get(column.paper or "") or ""
    if not text or column.metric == "device":
        return Cell(text=text or ABSENT.text)
    return Cell(value=float(text), digits=column.digits)


def _published_row(number: int, row: Row) -> dict[str, str] | None:
    """The published row that a row of the layout stands beside; None for a variant that the paper does not have."""
    if not row.paper:
        return None
    for found in published(number):
        if all(found.get(key) == str(value) for key, value in row.paper.items()):
            return found
    raise UserError(f"tables.{number}, row {row.variant}: the published table has no row with {row.paper}")


def _own_columns(layout: Layout, benchmarks: Info) -> list[Column]:
    """Headline columns of the benchmarks that no table names."""
    named = layout.named_benchmarks()
    columns = []
    for name, info in benchmarks.items():
        if name not in named:
            metric = info["headline"]
            label = f"{info.get('label', name)} {info.get('headline_label', metric.upper())}"
            columns.append(Column(label=label, benchmark=name, metric=metric))
    return columns


def _own_rows(layout: Layout, variants: Info, imported: bool) -> list[Row]:
    """The variants that no table names: the user's own, or imported trackers."""
    named = layout.named_variants()
    return [
        Row(variant=name)
        for name, info in variants.items()
        if name not in named and bool(info.get("imported")) == imported
    ]


def _label(row: Row, variants: Info) -> Cell:
    return Cell(text=row.label or str(variants.get(row.variant, {}).get("label", row.variant)))


def _measured_cells(measured: Measured, row: Row, baseline: str, columns: list[Column]) -> list[Cell]:
    cells = []
    for column in columns:
        cell = measured.cell(row.variant, column.benchmark, column.metric, column.digits)
        if cell.value is not None and column.better and row.variant != baseline:
            noise = measured.within_noise(row.variant, baseline, column.benchmark, column.metric)
            cell = replace(cell, noise=noise)
        cells.append(cell)
    return cells


def _ablation(number: int, table: TableLayout, layout: Layout, measured: Measured) -> Table:
    """Rows are variants; each measured column has the paper's beside it."""
    variants = measured.variants
    columns = [*table.columns, *(_own_columns(layout, measured.benchmarks) if table.extend else [])]
    rows = [*table.rows, *(_own_rows(layout, variants, imported=False) if table.extend else [])]
    components = COMPONENTS if table.components else ()
    keys, heads = ["row", *components], [table.stub, *(name.upper() for name in components)]
    for column in columns:
        keys += [f"{column.benchmark}.{column.metric}"] + ([f"paper.{column.paper}"] if column.paper else [])
        heads += [column.label] + ([f"{column.label}, paper"] if column.paper else [])
    body = []
    for row in rows:
        paper = _published_row(number, row)
        parts = variants.get(row.variant, row.paper)
        cells = [_label(row, variants), *(Cell(text=TICK if parts.get(name) else "") for name in components)]
        for column, cell in zip(columns, _measured_cells(measured, row, rows[0].variant, columns), strict=True):
            cells += [cell] + ([_published_cell(paper, column)] if column.paper else [])
        body.append(cells)
    return Table(number, table.title, keys, heads, body, variants=[row.variant for row in rows])


def _best_three(rows: list[list[Cell]], columns: list[Column], first: int) -> list[list[Cell]]:
    """Mark the three best values of each column; equal values share a mark. `first`: index of the first column."""
    marked = [list(row) for row in rows]
    for index, column in enumerate(columns, start=first):
        if column.better is None:
            continue
        values = {value for row in rows if (value := row[index].value) is not None}
        ranking = sorted(values, reverse=column.better == "higher")[:3]
        for row in marked:
            value = row[index].value
            if value is not None and value in ranking:
                row[index] = replace(row[index], rank=ranking.index(value) + 1)
    return marked


def _comparison(number: int, table: TableLayout, layout: Layout, measured: Measured) -> Table:
    """The paper's rows as published, best three marked among themselves; below them what was measured here."""
    variants = measured.variants
    heads = [table.stub, *(column.label for column in table.columns)]
    keys = ["row", *(f"{column.benchmark}.{column.metric}" for column in table.columns)]
    paper = published(number)
    rows = [[Cell(text=row["tracker"]), *(_published_cell(row, column) for column in table.columns)] for row in paper]
    rows = _best_three(rows, table.columns, 1)
    sections = {}
    for index, row in enumerate(paper):
        group = row[table.group] if table.group else ""
        if index == 0 or (table.group and group != paper[index - 1][table.group]):
            sections[index] = f"As published: {group}" if group else "As published"
    sections[len(rows)] = "Measured here"
    own = [*_own_rows(layout, variants, imported=False), *_own_rows(layout, variants, imported=True)]
    baseline, shown = table.rows[0].variant, []
    for entry in [*table.rows, *(own if table.extend else [])]:
        cells = _measured_cells(measured, entry, baseline, table.columns)
        if entry in table.rows or any(cell.value is not None for cell in cells):
            rows.append([_label(entry, variants), *cells])
            shown.append(entry.variant)
    return Table(number, table.title, keys, heads, rows, sections, variants=shown)


def _code_note(scores: pd.DataFrame) -> str:
    commits = []
    for commit, dirty in scores[["git_commit", "git_dirty"]].drop_duplicates().itertuples(index=False):
        name = "outside git" if pd.isna(commit) else f"commit {str(commit)[:12]}"
        commits.append(name + (" with uncommitted changes" if str(dirty) == "True" else ""))
    return "Code: " + "; ".join(sorted(set(commits)))


def _seeds_note(table: Table) -> str:
    counts = sorted({len(cell.seeds) for row in table.rows for cell in row if cell.seeds})
    if counts == [1]:
        return "One seed each: another seed would give other numbers"
    numbers = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"Mean ± sample standard deviation over {numbers} seeds"


def _missing_note(measured: Measured, scores: pd.DataFrame) -> str:
    """Seeds that the settings ask for and that a benchmark of this table lacks."""
    missing = []
    for (variant, benchmark), part in scores.groupby(["variant", "benchmark"]):
        gone = sorted(set(measured.seeds(str(variant))) - set(part["seed"]))
        if gone:
            missing.append(f"{variant} on {benchmark}, seed {', '.join(map(str, gone))}")
    return f"Not measured: {'; '.join(missing)}" if missing else ""


def _eao_note(scores: pd.DataFrame) -> str:
    """That a benchmark's sequences are too short for the window that its EAO is defined on."""
    frames = scores.loc[scores["metric"] == "eao_short_frames", "value"]
    if frames.empty:
        return ""
    return (
        "EAO: no sequence is long enough for the benchmark's window, so it is the mean of the whole expected-overlap "
        f"curve (frames 1 to {int(frames.max()) - 1}) and comparable only within this table's measured rows"
    )


def _notes(measured: Measured, table: Table, columns: list[Column], baseline: str, caption: str) -> list[str]:
    names = list(dict.fromkeys(column.benchmark for column in columns))
    own = [*names, *(b for b in measured.benchmarks if any(key.startswith(f"{b}.") for key in table.keys))]
    names = [name for name in dict.fromkeys(own) if name in measured.benchmarks]
    labels = {name: str(measured.benchmarks[name].get("label", name)) for name in names}
    every = measured.scores
    scores = every[every["benchmark"].isin(names) & every["variant"].isin(table.variants)]
    notes = [caption.strip()]
    if not any(cell.seeds for row in table.rows for cell in row):
        return [*notes, "Nothing of this table was measured"]
    counts = {labels[name]: measured.sequence_count(name) for name in names}
    notes.append("Sequences: " + ", ".join(f"{label} {count}" for label, count in counts.items() if count))
    notes.append(_seeds_note(table))
    if any(cell.noise for row in table.rows for cell in row):
        notes.append(
            f"~ the difference to {baseline} is within noise: the 95 % interval of a paired bootstrap over sequences "
            "covers 0"
        )
    speeds = {column.benchmark for column in columns if column.metric == "fps"} & set(names)
    device = machine(scores[scores["benchmark"].isin(speeds)])
    if device:
        where = ", ".join(labels[name] for name in sorted(speeds))
        notes.append(f"Measured speed: {device}, with other jobs beside it, frames of {where}")
    return [*notes, _eao_note(scores), _missing_note(measured, scores), _code_note(scores)]


def build(
    number: int, scores_csv: Path, sequences_csv: Path, layout: Layout, variants: Info, benchmarks: Info, caption: str
) -> Table:
    """The table as data; see make_table."""
    if number not in layout.tables:
        raise UserError(f"tables: there is no table {number}; there are {', '.join(map(str, sorted(layout.tables)))}")
    chosen = layout.tables[number]
    measured = Measured(scores_csv, sequences_csv, variants, benchmarks)
    make = _ablation if chosen.kind == "ablation" else _comparison
    table = make(number, chosen, layout, measured)
    baseline = _label(chosen.rows[0], variants).text
    table.notes = [note for note in _notes(measured, table, chosen.columns, baseline, caption) if note]
    if chosen.kind == "comparison":
        legend = (
            "Best three of the published rows: bold, underlined, italic (in LaTeX red, green, blue, as in the paper)"
        )
        table.notes.insert(0, legend)
    return table


def make_table(
    number: int,
    scores_csv: Path,
    sequences_csv: Path,
    layout: Layout,
    variants: Mapping[str, Mapping[str, Any]],
    benchmarks: Mapping[str, Mapping[str, Any]],
    caption: str,
    out_folder: Path,
) -> str:
    """Write tableN.md, .csv and .tex into `out_folder`; returns the Markdown.

    Args:
        scores_csv, sequences_csv: as written by siamla.report.collect.
        layout: params/tables.yaml; rows, columns and which published cells stand beside them.
        variants: name → {label, ladl, lals, lafa, seeds, spec_digest, train_spec_digest}; spec_digest is what a score's
            record holds, one text or a mapping by benchmark; {label, imported: true} for imported results.
        benchmarks: name → {label, headline, headline_label, data_digest}.
        caption: what the data were.

    UserError when a score does not belong to the given digests; nothing is written then.
    """
    table = build(number, scores_csv, sequences_csv, layout, variants, benchmarks, caption)
    text = markdown(table)
    columns, rows = csv_rows(table)
    write_csv(out_folder / f"table{number}.csv", columns, rows)
    write_text(out_folder / f"table{number}.tex", latex(table))
    write_text(out_folder / f"table{number}.md", text)
    return text
