"""Tables I to VI from the gathered scores, the published numbers and params/tables.yaml."""

import csv
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from siamla.errors import UserError
from siamla.experiment.tables import Column, Layout, Row, TableLayout
from siamla.files import write_csv, write_text
from siamla.report.measured import BUSY, LOADED, NOISE, UNTOLD, Cell, Info, Measured, places
from siamla.report.render import TICK, Table, csv_rows, html, latex, markdown
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
    for found in published(number):
        if all(found.get(key) == str(value) for key, value in row.paper.items()):
            return found
    raise UserError(
        f"tables.{number}, row {row.variant}: the published table has no row with {row.paper}"
    )


def _described(column: Column, benchmarks: Info) -> Mapping[str, Any]:
    """What the benchmark's protocol says of a metric; empty for speeds and the device, which no
    protocol has.
    """
    found: Mapping[str, Any] = (
        benchmarks.get(column.benchmark, {}).get("metrics", {}).get(column.metric, {})
    )
    return found


def _check_columns(number: int, columns: list[Column], benchmarks: Info) -> None:
    for column in columns:
        where = f"tables.{number}, column {column.label!r}"
        described = _described(column, benchmarks)
        if described and column.digits is not None:
            raise UserError(
                f"{where}: digits: those of {column.metric} stand in the protocol of"
                f" {column.benchmark}"
            )
        known = benchmarks.get(column.benchmark, {}).get("metrics")
        if (
            known is not None
            and not described
            and column.digits is None
            and column.metric != "device"
        ):
            raise UserError(
                f"{where}: metric: {column.metric!r} is not in the protocol of {column.benchmark}; "
                f"{nearest(column.metric, list(known))} (a speed needs digits)"
            )


def _own_columns(layout: Layout, benchmarks: Info) -> list[Column]:
    """Headline columns of the benchmarks that no table names."""
    named = layout.named_benchmarks()
    columns = []
    for name, info in benchmarks.items():
        if name not in named:
            metric = info["headline"]
            label = f"{info['label']} {info['metrics'][metric]['label']}"
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


def _matched_rows(number: int, variants: Info) -> list[Row]:
    """The user's own variants that this table takes up by what they set."""
    return [
        Row(variant=name, label=info["tables"][str(number)])
        for name, info in variants.items()
        if str(number) in info.get("tables", {})
    ]


def _label(row: Row, variants: Info) -> Cell:
    return Cell(text=row.label or str(variants.get(row.variant, {}).get("label", row.variant)))


def _measured_cells(
    measured: Measured, row: Row, baseline: str, columns: list[Column]
) -> list[Cell]:
    cells = []
    for column in columns:
        described = _described(column, measured.benchmarks)
        digits = described["digits"] if described else column.digits or 0
        cell = measured.cell(row.variant, column.benchmark, column.metric, digits)
        if described and row.variant != baseline and cell.value is not None:
            cell = replace(
                cell, mark=measured.mark(row.variant, baseline, column.benchmark, column.metric)
            )
        elif not described and any(
            load > LOADED for load in measured.load(row.variant, column.benchmark)
        ):
            cell = replace(cell, mark=BUSY)
        cells.append(cell)
    return cells


def _ablation(number: int, table: TableLayout, layout: Layout, measured: Measured) -> Table:
    """Rows are variants; each measured column has the paper's beside it."""
    variants = measured.variants
    columns = [*table.columns, *(_own_columns(layout, measured.benchmarks) if table.extend else [])]
    rows = [*table.rows, *_matched_rows(number, variants)]
    rows += _own_rows(layout, variants, imported=False) if table.extend else []
    others = _own_rows(layout, variants, imported=True) if table.extend else []
    components = [head.lower() for head in table.components]
    keys, heads = ["row", *components], [table.stub, *table.components]
    for column in columns:
        keys += [f"{column.benchmark}.{column.metric}"] + (
            [f"paper.{column.paper}"] if column.paper else []
        )
        heads += [column.label] + ([f"{column.label}, paper"] if column.paper else [])
    body, shown = [], []
    for row in [*rows, *others]:
        own = _measured_cells(measured, row, rows[0].variant, columns)
        if row in others and not any(cell.value is not None for cell in own):
            continue
        paper = _published_row(number, row)
        parts = variants.get(row.variant, row.paper)
        cells = [
            _label(row, variants),
            *(Cell(text=TICK if parts.get(name) else "") for name in components),
        ]
        for column, cell in zip(columns, own, strict=True):
            cells += [cell] + ([_published_cell(paper, column)] if column.paper else [])
        body.append(cells)
        shown.append(row.variant)
    sections = {len(rows): OTHERS} if len(body) > len(rows) else {}
    return Table(number, table.title, keys, heads, body, sections, variants=shown)


def _best_three(
    rows: list[list[Cell]], columns: list[Column], first: int, benchmarks: Info
) -> list[list[Cell]]:
    """Mark the three best values of each column; equal values share a mark. `first`: index of the
    first column.
    """
    marked = [list(row) for row in rows]
    for index, column in enumerate(columns, start=first):
        described = _described(column, benchmarks)
        if not described:
            continue
        values = {value for row in rows if (value := row[index].value) is not None}
        ranking = sorted(values, reverse=described["better"] == "higher")[:3]
        for row in marked:
            value = row[index].value
            if value is not None and value in ranking:
                row[index] = replace(row[index], rank=ranking.index(value) + 1)
    return marked


def _comparison(number: int, table: TableLayout, layout: Layout, measured: Measured) -> Table:
    """The paper's rows as published, best three marked among themselves; below them what was
    measured here.
    """
    variants = measured.variants
    heads = [table.stub, *(column.label for column in table.columns)]
    keys = ["row", *(f"{column.benchmark}.{column.metric}" for column in table.columns)]
    paper = published(number)
    rows = [
        [Cell(text=row["tracker"]), *(_published_cell(row, column) for column in table.columns)]
        for row in paper
    ]
    rows = _best_three(rows, table.columns, 1, measured.benchmarks)
    sections = {}
    for index, row in enumerate(paper):
        group = row[table.group] if table.group else ""
        if index == 0 or (table.group and group != paper[index - 1][table.group]):
            sections[index] = f"As published: {group}" if group else "As published"
    sections[len(rows)] = "Measured here"
    own = [
        *_own_rows(layout, variants, imported=False),
        *_own_rows(layout, variants, imported=True),
    ]
    baseline, shown = table.rows[0].variant, []
    for entry in [*table.rows, *(own if table.extend else [])]:
        cells = _measured_cells(measured, entry, baseline, table.columns)
        if entry in table.rows or any(cell.value is not None for cell in cells):
            rows.append([_label(entry, variants), *cells])
            shown.append(entry.variant)
    return Table(number, table.title, keys, heads, rows, sections, variants=shown)


def _code_note(scores: pd.DataFrame) -> str:
    found = set()
    for commits, dirty in (
        scores[["git_commit", "git_dirty"]].drop_duplicates().itertuples(index=False)
    ):
        names = (
            "" if pd.isna(commits) else " and ".join(commit[:12] for commit in str(commits).split())
        )
        changed = " with uncommitted changes" if not pd.isna(dirty) and dirty else ""
        found.add(f"commit {names}{changed}" if names else "outside git")
    return "Code: " + "; ".join(sorted(found))


def _place_note(scores: pd.DataFrame, what: str, prefix: str) -> str:
    """Which variants were trained or tracked where, if not all in the same way."""
    folders = ["variant", "seed"] if prefix else ["benchmark", "variant", "seed"]
    rows = scores.drop_duplicates(folders)[folders]
    rows = rows.assign(
        place=places(scores.loc[rows.index], prefix), seed="seed" + rows["seed"].astype(str)
    )
    rows = rows[rows["place"] != ""]
    if rows["place"].nunique() < 2:
        return ""
    several = rows.groupby("variant")["place"].nunique() > 1  # these are named by folder
    rows["name"] = [
        "/".join(row[name] for name in folders) if several[row["variant"]] else row["variant"]
        for row in rows.to_dict("records")
    ]
    told = rows.groupby("place", sort=True)["name"].unique()
    return f"{what} on: " + "; ".join(
        f"{place} ({', '.join(names)})" for place, names in told.items()
    )


def _seeds_note(table: Table) -> str:
    counts = sorted({len(cell.seeds) for row in table.rows for cell in row if cell.seeds})
    if counts == [1]:
        return "One seed each: another seed would give other numbers"
    numbers = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"Mean ± sample standard deviation over {numbers} seeds"


def _missing(measured: Measured, scores: pd.DataFrame) -> list[str]:
    """Seeds that the settings ask for and that a benchmark of this table lacks."""
    missing = []
    for (variant, benchmark), part in scores.groupby(["variant", "benchmark"]):
        gone = sorted(set(measured.seeds(str(variant))) - set(part["seed"]))
        if gone:
            missing.append(f"{variant} on {benchmark}, seed {', '.join(map(str, gone))}")
    return missing


def _eao_note(scores: pd.DataFrame) -> str:
    """That a benchmark's sequences are too short for the window that its EAO is defined on."""
    frames = scores.loc[scores["metric"] == "eao_short_frames", "value"]
    if frames.empty:
        return ""
    return (
        "EAO: no sequence is long enough for the benchmark's window, so it is the mean of the"
        f" whole expected-overlap curve (frames 1 to {int(frames.max()) - 1}) and comparable only"
        " within this table's measured rows"
    )


def _load_note(scores: pd.DataFrame, benchmarks: set[str], marks: set[str]) -> str:
    """What the machine did besides, where speeds were measured."""
    timed = scores[scores["benchmark"].isin(benchmarks) & (scores["metric"] == "fps")][
        "other_cores"
    ]
    told = ["what else the machine did is not known of all"] if timed.isna().any() else []
    if BUSY in marks:
        told.append(
            f"{BUSY} beside other work, which kept up to {timed.max():.1f} cores busy: lower than"
            " alone"
        )
    return "; " + "; ".join(told) if told else ", nothing else at work"


def _notes(
    measured: Measured, table: Table, columns: list[Column], baseline: str, caption: str
) -> list[str]:
    names = list(dict.fromkeys(column.benchmark for column in columns))
    own = [
        *names,
        *(b for b in measured.benchmarks if any(key.startswith(f"{b}.") for key in table.keys)),
    ]
    names = [name for name in dict.fromkeys(own) if name in measured.benchmarks]
    labels = {name: str(measured.benchmarks[name].get("label", name)) for name in names}
    every = measured.scores
    scores = every[every["benchmark"].isin(names) & every["variant"].isin(table.variants)]
    notes = [caption.strip()]
    if not any(cell.seeds for row in table.rows for cell in row):
        return [*notes, "Nothing of this table was measured"]
    counts = {labels[name]: measured.sequence_count(name) for name in names}
    notes.append(
        "Sequences: " + ", ".join(f"{label} {count}" for label, count in counts.items() if count)
    )
    notes.append(_seeds_note(table))
    marks = {cell.mark for row in table.rows for cell in row}
    if NOISE in marks:
        notes.append(
            f"{NOISE} the difference to {baseline} is within noise: its 95 % interval covers 0 (a"
            " mixed model of sequences, in pairs, and seeds)"
        )
    if UNTOLD in marks:
        notes.append(
            f"{UNTOLD} no difference to {baseline} can be called: fewer than two seeds of either,"
            " or no values by sequence"
        )
    speeds = {column.benchmark for column in columns if column.metric == "fps"} & set(names)
    devices = sorted(set(places(scores[scores["benchmark"].isin(speeds)])) - {""})
    if devices:
        where = ", ".join(labels[name] for name in sorted(speeds))
        notes.append(
            f"Measured speed: {'; '.join(devices)}, frames of"
            f" {where}{_load_note(scores, speeds, marks)}"
        )
    notes += [
        _place_note(scores, "Trained", "train_"),
        _place_note(scores, "Tracked", ""),
        _eao_note(scores),
    ]
    table.missing = _missing(measured, scores)
    notes += [f"Not measured: {'; '.join(table.missing)}"] if table.missing else []
    return [*notes, _code_note(scores)]


def build(
    number: int,
    scores: pd.DataFrame,
    sequences: pd.DataFrame,
    layout: Layout,
    variants: Info,
    benchmarks: Info,
    caption: str,
) -> Table:
    """The table as data.

    Args:
        scores, sequences: the frames of siamla.report.collect.frames, of scores that belong to the
            plan.
        layout: params/tables.yaml; rows, columns and which published cells stand beside them.
        variants: name → {label, ladl, lals, lafa, seeds}; {label, imported: true} for imported
            results.
        benchmarks: name → {label, headline, metrics: name → {label, better, digits}}. Those that
            the table names and the profile does not run may be given as well: the best published
            values of their columns are marked then.
        caption: what the data were.

    UserError for a number that is none of the layout's, and for a column whose metric its protocol
    does not have.
    """
    if number not in layout.tables:
        raise UserError(
            f"tables: there is no table {number}; there are"
            f" {', '.join(map(str, sorted(layout.tables)))}"
        )
    chosen = layout.tables[number]
    _check_columns(number, chosen.columns, benchmarks)
    measured = Measured(scores, sequences, variants, benchmarks)
    make = _ablation if chosen.kind == "ablation" else _comparison
    table = make(number, chosen, layout, measured)
    baseline = _label(chosen.rows[0], variants).text
    table.notes = [
        note for note in _notes(measured, table, chosen.columns, baseline, caption) if note
    ]
    if chosen.kind == "comparison":
        legend = (
            "Best three of the published rows: bold, underlined, italic (in LaTeX red, green, blue,"
            " as in the paper)"
        )
        table.notes.insert(0, legend)
    return table


def write_table(table: Table, folder: Path) -> str:
    """Write tableN.md, .html, .csv and .tex into `folder`; returns the Markdown."""
    text = markdown(table)
    columns, rows = csv_rows(table)
    write_csv(folder / f"table{table.number}.csv", columns, rows)
    write_text(folder / f"table{table.number}.tex", latex(table))
    write_text(folder / f"table{table.number}.html", html(table))
    write_text(folder / f"table{table.number}.md", text)
    return text
