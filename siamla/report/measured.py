"""What was measured as cells of a table, and the table as Markdown, LaTeX (booktabs) and CSV."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from siamla.report.collect import Score, origin
from siamla.report.differences import OVERALL, UNTOLD, difference, mark_of
from siamla.report.tables.job import Column
from siamla.report.view import filled

WITHHELD = "submit to the server"  # of a test set whose truth is not public
MISSING = "not measured"
BUSY = "‡"
LOADED = 0.2  # cores busy with other work, above which a speed was measured under load
Info = Mapping[str, Mapping[str, Any]]
ROMAN = {1: "I", 2: "II", 3: "III", 4: "IV", 5: "V", 6: "VI"}
MARKS = ("{}", "**{}**", "<u>{}</u>", "*{}*")
COLOURS = ("{}", r"\textcolor{red}{{}}", r"\textcolor{green}{{}}", r"\textcolor{blue}{{}}")
"""By rank, as in the paper."""
TICK = "✓"
LATEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"$\sim$",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "±": r"$\pm$",
    "λ": r"$\lambda$",
    TICK: r"\checkmark",
    "–": "--",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "×": r"$\times$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "é": r"\'e",
}


@dataclass(frozen=True)
class Cell:
    """One cell of a table: a number, or a text in its place.

    Attributes:
        value: mean over seeds; None where `text` is shown.
        sd: sample standard deviation over seeds; None for one seed.
        seeds: the seeds that were measured.
        mark: NOISE where the difference to the table's baseline is within noise, UNTOLD where that
            cannot be told; BUSY where a speed was measured beside other work.
        rank: 1, 2 or 3 for the best three of a column; 0 otherwise.
    """

    text: str = ""
    value: float | None = None
    digits: int = 3
    sd: float | None = None
    seeds: tuple[int, ...] = ()
    mark: str = ""
    rank: int = 0


class Measured:
    """The scores of a profile, restricted to the variants and benchmarks of a table.

    Attributes:
        scores: sorted by benchmark, variant and seed.
        variants: name → {label, components}; of imported trackers {label, imported: true}.
        benchmarks: name → {label, headline, metrics: name → {label, better, digits}}.
    """

    def __init__(self, scores: Iterable[Score], variants: Info, benchmarks: Info) -> None:
        self.variants, self.benchmarks = variants, benchmarks
        self.scores = [
            score
            for score in sorted(scores, key=lambda each: (each.benchmark, each.tracker, each.seed))
            if score.benchmark in benchmarks and score.tracker in variants
        ]

    def of(self, benchmark: str, variant: str) -> list[Score]:
        """A variant's scores on a benchmark, by seed."""
        names = (benchmark, variant)
        return [score for score in self.scores if (score.benchmark, score.tracker) == names]

    def described(self, column: Column) -> Mapping[str, Any]:
        """What the protocol says of a column's metric; empty for speeds and the device."""
        metrics = self.benchmarks.get(column.benchmark, {}).get("metrics", {})
        described: Mapping[str, Any] = metrics.get(column.metric, {})
        return described

    def cell(self, variant: str, baseline: str, column: Column) -> Cell:
        """Mean and sample standard deviation over seeds with a mark, or a text where there is none:
        MISSING where nothing was tracked, WITHHELD where the truth is not public.
        """
        scores = self.of(column.benchmark, variant)
        if column.metric == "device":
            return Cell(text="; ".join(places_told(scores)) or MISSING)
        found = [score for score in scores if column.metric in score.numbers]
        if not found:
            withheld = scores and not any(score.content["overall"] for score in scores)
            return Cell(text=WITHHELD if withheld else MISSING)
        values = np.array([score.numbers[column.metric] for score in found])
        sd = float(values.std(ddof=1)) if len(values) > 1 else None
        described, mark = self.described(column), ""
        if not described:
            loads = [origin(score)["other_cores"] or 0 for score in scores]
            mark = BUSY if max(loads) > LOADED else ""
        elif variant != baseline:
            pair = (scores, self.of(column.benchmark, baseline))
            ours, theirs = ([score.content for score in own] for own in pair)
            gap = difference(ours, theirs, OVERALL, column.metric) if theirs else None
            mark = mark_of(gap) if gap else UNTOLD
        digits = described["digits"] if described else column.digits or 0
        seeds = tuple(score.seed for score in found)
        return Cell("", float(values.mean()), digits, sd, seeds, mark)


def place_told(place: Mapping[str, Any]) -> str:
    """A record's place in words: "cpu, fp32, 1 thread", of tracking with the engine: "…, openvino
    2026.4.1".

    On a GPU the threads do not change sums and are left out. "" where nothing is known.
    """
    place = {name: value for name, value in place.items() if value is not None}
    parts = [str(place[name]) for name in ("device", "precision") if name in place]
    if "threads" in place and str(place.get("device")).startswith("cpu"):
        parts.append(f"{place['threads']} thread{'s' if place['threads'] != 1 else ''}")
    return ", ".join([*parts, *([str(place["engine"])] if "engine" in place else [])])


def places_told(scores: Iterable[Score]) -> list[str]:
    """Where these were tracked."""
    return sorted({place_told(score.content["record"]["place"]) for score in scores} - {""})


def _place_note(what: str, runs: Iterable[tuple[tuple[str, ...], str]]) -> str:
    """runs: their names, benchmark, variant and seed, of trainings without the first; places."""
    told = [(name, place) for name, place in runs if place]
    where: dict[str, set[str]] = {}
    for name, place in told:
        where.setdefault(name[-2], set()).add(place)
    groups: dict[str, dict[str, None]] = {}
    for name, place in told:
        several = len(where[name[-2]]) > 1
        groups.setdefault(place, {})["/".join(name) if several else name[-2]] = None
    parts = [f"{place} ({', '.join(groups[place])})" for place in sorted(groups)]
    return f"{what} on: {'; '.join(parts)}" if len(parts) > 1 else ""


def place_notes(scores: Iterable[Score]) -> list[str]:
    """Which trackers were trained and tracked where, if not all in the same way; "" for none."""
    trained, tracked = [], []
    for score in scores:
        name = (score.tracker, f"seed{score.seed}")
        model = score.content.get("training") or {}
        trained.append((name, place_told(model.get("place", {}))))
        tracked.append(((score.benchmark, *name), place_told(score.content["record"]["place"])))
    return [_place_note("Trained", trained), _place_note("Tracked", tracked)]


@dataclass
class Table:
    """A table before it is written.

    Attributes:
        keys: name of each column in the CSV.
        heads: head of each column for people.
        sections: index of a row → title printed above it.
        notes: the lines of the legend.
        variants: what the measured rows are of.
    """

    number: int
    title: str
    keys: list[str]
    heads: list[str]
    rows: list[list[Cell]]
    sections: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    variants: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """ "Table III"."""
        return f"Table {ROMAN.get(self.number, self.number)}"


def shown(cell: Cell) -> str:
    """A cell as text: "0.512", "0.512 ± 0.010", with its mark behind it."""
    if cell.value is None:
        return cell.text
    number = f"{cell.value:.{cell.digits}f}"
    spread = "" if cell.sd is None else f" ± {cell.sd:.{cell.digits}f}"
    return number + spread + (f" {cell.mark}" if cell.mark else "")


def shared_notes(tables: Sequence[Table]) -> dict[str, list[str]]:
    """Lines that stand in the legends of several tables → the names of these."""
    names: dict[str, list[str]] = {}
    for table in tables:
        for note in table.notes:
            names.setdefault(note, []).append(table.name)
    return {note: those for note, those in names.items() if len(those) > 1}


def markdown_text(text: str) -> str:
    """Text for Markdown: no cell ends in it, and no tag begins."""
    return text.replace("<", "&lt;").replace("~", r"\~").replace("|", r"\|")


def _markdown_cell(cell: Cell) -> str:
    return MARKS[cell.rank].format(markdown_text(shown(cell)))


def _latex(text: str) -> str:
    """Text for LaTeX: its special characters, and the few others that tables use."""
    return "".join(LATEX.get(character, character) for character in text)


def _latex_cell(cell: Cell) -> str:
    return COLOURS[cell.rank].replace("{}", _latex(shown(cell)))


def markdown(table: Table) -> str:
    """GitHub Markdown: bold title, table, legend as a list."""
    filters = {"cell": _markdown_cell, "text": markdown_text}
    return filled("tables", "table.md.jinja", filters=filters, table=table)


def latex(table: Table) -> str:
    """A table environment for booktabs, xcolor and amssymb; the legend is part of the caption."""
    filters = {"cell": _latex_cell, "latex": _latex}
    return filled("tables", "table.tex.jinja", filters=filters, table=table)


def csv_rows(table: Table) -> tuple[list[str], list[dict[str, Any]]]:
    """(columns, rows) with unrounded numbers; measured columns have .sd, .seeds and .mark."""
    seeded = [any(row[index].seeds for row in table.rows) for index in range(len(table.keys))]
    columns = ["section"] if table.sections else []
    for key, has in zip(table.keys, seeded, strict=True):
        columns += [key, f"{key}.sd", f"{key}.seeds", f"{key}.mark"] if has else [key]
    rows, section = [], ""
    for index, row in enumerate(table.rows):
        section = table.sections.get(index, section)
        values: dict[str, Any] = {"section": section} if table.sections else {}
        for key, cell in zip(table.keys, row, strict=True):
            values[key] = cell.text if cell.value is None else cell.value
            if cell.seeds:
                values[f"{key}.sd"] = "" if cell.sd is None else cell.sd
                values[f"{key}.seeds"] = " ".join(map(str, cell.seeds))
                values[f"{key}.mark"] = cell.mark
        rows.append(values)
    return columns, rows
