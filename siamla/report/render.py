"""One table as Markdown, LaTeX (booktabs) and CSV."""

from dataclasses import dataclass, field
from typing import Any

from siamla.report.measured import Cell
from siamla.report.view import filled

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
