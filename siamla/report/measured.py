"""What was measured as cells of a table, and the table as Markdown, LaTeX (booktabs) and CSV."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from siamla.report.collect import PLACE
from siamla.report.differences import NOISE, UNTOLD
from siamla.report.view import filled
from siamla.statistics import mean_effect, weighted_values

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
    """The scores of a profile, restricted to the variants, seeds and benchmarks that it expects.

    Attributes:
        scores, sequences: the frames of siamla.report.collect.frames.
        variants: name → {label, components, seeds}; of imported trackers {label, imported: true}.
        benchmarks: name → {label, headline, metrics: name → {label, better, digits}}.
    """

    def __init__(
        self, scores: pd.DataFrame, sequences: pd.DataFrame, variants: Info, benchmarks: Info
    ) -> None:
        self.variants, self.benchmarks = variants, benchmarks
        self.scores, self.sequences = self._expected(scores), self._expected(sequences)

    def _expected(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame[frame["benchmark"].isin(self.benchmarks)]
        names = zip(frame["variant"], frame["seed"], strict=True)
        wanted = [
            name in self.variants and seed in (self.variants[name].get("seeds") or [seed])
            for name, seed in names
        ]
        return frame.loc[wanted]

    def _of(self, frame: pd.DataFrame, variant: str, benchmark: str) -> pd.DataFrame:
        return frame[(frame["variant"] == variant) & (frame["benchmark"] == benchmark)]

    def cell(self, variant: str, benchmark: str, metric: str, digits: int = 3) -> Cell:
        """Mean and sample standard deviation over seeds, or a text where there is none.

        MISSING where nothing was tracked, WITHHELD where it was tracked and no sequence has a
        score.
        """
        rows = self._of(self.scores, variant, benchmark)
        if metric == "device":
            return Cell(text="; ".join(sorted(set(places(rows)) - {""})) or MISSING)
        chosen = rows[rows["metric"] == metric].sort_values("seed")
        if chosen.empty:
            scored = len(self._of(self.sequences, variant, benchmark))
            return Cell(text=WITHHELD if len(rows) and not scored else MISSING)
        seeds = tuple(int(seed) for seed in chosen["seed"])
        values = chosen["value"].to_numpy(float)
        sd = float(values.std(ddof=1)) if len(values) > 1 else None
        return Cell(value=float(values.mean()), digits=digits, sd=sd, seeds=seeds)

    def busy(self, variant: str, benchmark: str) -> bool:
        """Whether other work kept cores busy while a seed was tracked."""
        return bool((self._of(self.scores, variant, benchmark)["other_cores"] > LOADED).any())

    def mark(self, variant: str, baseline: str, benchmark: str, metric: str) -> str:
        """What to say of the difference to the baseline: NOISE, UNTOLD, or "" for a difference.

        NOISE where the interval of the mixed model covers 0. UNTOLD with fewer than two seeds
        on either side, and where there are no values by sequence, as for EAO. Sequences weigh as in
        the table's value, one that was not scored nothing.
        """
        every = self.sequences
        pair = every["variant"].isin([variant, baseline]) & (every["benchmark"] == benchmark)
        frame = every[pair & (every["metric"] == metric)]
        seeds = frame.groupby("variant")["seed"].nunique()
        if (seeds < 2).any() or len(seeds) < 2 or frame["sequence"].nunique() < 2:
            return UNTOLD
        both = frame.pivot(index=["variant", "seed"], columns="sequence")
        tables = {}
        for name in (variant, baseline):
            values, weights = (both[[column]].loc[[name]] for column in ("value", "weight"))
            tables[name] = weighted_values(values.to_numpy(float), weights.to_numpy(float))
        effect = mean_effect(tables, {variant: 1.0, baseline: -1.0})
        return "" if effect.told else NOISE


def place_told(place: Mapping[str, Any]) -> str:
    """A record's place in words: "cpu, fp32, 1 thread", of tracking with the engine: "…, openvino
    2026.4.1".

    On a GPU the threads do not change sums and are left out. "" where nothing is known.
    """
    place = {name: value for name, value in place.items() if not pd.isna(value)}
    parts = [str(place[name]) for name in ("device", "precision") if name in place]
    if "threads" in place and str(place.get("device")).startswith("cpu"):
        parts.append(f"{int(place['threads'])} thread{'s' if place['threads'] != 1 else ''}")
    return ", ".join([*parts, *([str(place["engine"])] if "engine" in place else [])])


def places(rows: pd.DataFrame, prefix: str = "") -> list[str]:
    """Where each row was tracked or, with the prefix "train_", trained, in words."""
    names = PLACE if prefix else (*PLACE, "engine")
    columns = [rows[prefix + name] for name in names]
    return [place_told(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


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
