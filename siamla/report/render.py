"""One table as Markdown, LaTeX (booktabs) and CSV."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from siamla.report.measured import Cell

ROMAN = {1: "I", 2: "II", 3: "III", 4: "IV", 5: "V", 6: "VI"}
COLOURS = {1: "red", 2: "green", 3: "blue"}  # the paper's: best, second, third
MARKS = {0: "{}", 1: "**{}**", 2: "<u>{}</u>", 3: "*{}*"}
TICK = "✓"
LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
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


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def markdown(table: Table) -> str:
    """GitHub Markdown: bold title, table, legend as a list."""
    lines = [f"**{table.name}.** {table.title}", "", _markdown_line(table.heads)]
    lines.append("|:--|" + ":-:|" * (len(table.heads) - 1))
    for index, row in enumerate(table.rows):
        if index in table.sections:
            lines.append(_markdown_line([f"***{table.sections[index]}***", *[""] * (len(row) - 1)]))
        cells = [MARKS[cell.rank].format(shown(cell).replace("~", r"\~")) for cell in row]
        lines.append(_markdown_line(cells))
    notes = ["- " + note.replace("~", r"\~") for note in table.notes]
    return "\n".join([*lines, "", *notes]) + "\n"


def escape(text: str) -> str:
    """Text for LaTeX: its special characters, and the few others that tables use."""
    return "".join(LATEX.get(character, character) for character in text)


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def latex(table: Table) -> str:
    """A table environment for \\usepackage{booktabs,xcolor,amssymb}; the legend is part of the
    caption.
    """
    body = []
    for index, row in enumerate(table.rows):
        if index in table.sections:
            title = rf"\textit{{{escape(table.sections[index])}}}"
            body += [r"\midrule"] if index else []
            body.append(rf"\multicolumn{{{len(row)}}}{{l}}{{{title}}} \\")
        cells = []
        for cell in row:
            text = escape(shown(cell))
            cells.append(rf"\textcolor{{{COLOURS[cell.rank]}}}{{{text}}}" if cell.rank else text)
        body.append(_latex_line(cells))
    caption = " ".join(f"{text.rstrip('.')}." for text in (table.title, *table.notes))
    lines = [
        "% needs \\usepackage{booktabs,xcolor,amssymb}",
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{escape(caption)}}}",
        rf"\label{{tab:siamla{table.number}}}",
        rf"\begin{{tabular}}{{l{'c' * (len(table.heads) - 1)}}}",
        r"\toprule",
        _latex_line([escape(head) for head in table.heads]),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def csv_rows(table: Table) -> tuple[list[str], list[dict[str, Any]]]:
    """(columns, rows) with unrounded numbers; a measured column has .sd, .seeds and .mark beside
    it.
    """
    measured = {
        key for row in table.rows for key, cell in zip(table.keys, row, strict=True) if cell.seeds
    }
    columns = ["section"] if table.sections else []
    for key in table.keys:
        columns += [key, f"{key}.sd", f"{key}.seeds", f"{key}.mark"] if key in measured else [key]
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
