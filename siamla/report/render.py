"""One table as Markdown, HTML, LaTeX (booktabs) and CSV."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape as safe
from typing import Any

from siamla.report.measured import Cell

ROMAN = {1: "I", 2: "II", 3: "III", 4: "IV", 5: "V", 6: "VI"}
COLOURS = {1: "red", 2: "green", 3: "blue"}  # the paper's: best, second, third
MARKS = {0: "{}", 1: "**{}**", 2: "<u>{}</u>", 3: "*{}*"}
TAGS = {0: "{}", 1: "<b>{}</b>", 2: "<u>{}</u>", 3: "<i>{}</i>"}
STYLE = (
    "body{font:14px/1.4"
    " system-ui,sans-serif;margin:1rem}table{border-collapse:collapse;border-block:2px"
    " solid}caption{text-align:left;padding:.4rem 0}thead{border-bottom:1px"
    " solid}th,td{padding:.2rem"
    " .6rem;text-align:center;font-weight:normal}th:first-child{text-align:left}thead"
    " th{font-weight:bold;vertical-align:bottom}ul{color:#444}"
)
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
        missing: seeds that the settings ask for and that a benchmark of this table lacks, in words.
    """

    number: int
    title: str
    keys: list[str]
    heads: list[str]
    rows: list[list[Cell]]
    sections: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    variants: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

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
        lines.append(
            _markdown_line(
                [MARKS[cell.rank].format(shown(cell).replace("~", r"\~")) for cell in row]
            )
        )
    return (
        "\n".join([*lines, "", *[f"- {note.replace('~', chr(92) + '~')}" for note in table.notes]])
        + "\n"
    )


def html(table: Table) -> str:
    """A page of its own, which Snakemake's report shows where Markdown would be a link."""
    body = []
    for index, row in enumerate(table.rows):
        if index in table.sections:
            body.append(
                f'<tr><th colspan="{len(row)}"><i>{safe(table.sections[index])}</i></th></tr>'
            )
        first, *others = [TAGS[cell.rank].format(safe(shown(cell))) for cell in row]
        body.append(
            f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'
        )
    title = f"<b>{table.name}.</b> {safe(table.title)}"
    return "\n".join(
        [
            (
                '<!doctype html><html lang="en"><head><meta'
                f' charset="utf-8"><title>{table.name}</title>'
            ),
            f"<style>{STYLE}</style></head><body>",
            f"<table><caption>{title}</caption>",
            (
                f"<thead><tr>{''.join(f'<th scope=col>{safe(head)}</th>' for head in table.heads)}</tr></thead>"
            ),
            *("<tbody>", *body, "</tbody></table>"),
            *("<ul>", *[f"<li>{safe(note)}</li>" for note in table.notes], "</ul></body></html>"),
            "",
        ]
    )


def escape(text: str) -> str:
    """Text for LaTeX: its special characters, and the few others that tables use."""
    return "".join(LATEX.get(character, character) for character in text)


def latex(table: Table) -> str:
    """A table environment for \\usepackage{booktabs,xcolor,amssymb}; the legend is part of the
    caption.
    """

    def line(cells: Sequence[str]) -> str:
        return " & ".join(cells) + r" \\"

    body = []
    for index, row in enumerate(table.rows):
        if index in table.sections:
            title = (
                rf"\multicolumn{{{len(row)}}}{{l}}{{\textit{{{escape(table.sections[index])}}}}} \\"
            )
            body += ([r"\midrule"] if index else []) + [title]
        texts = [escape(shown(cell)) for cell in row]
        ranks = [cell.rank for cell in row]
        body.append(
            line(
                [
                    rf"\textcolor{{{COLOURS[r]}}}{{{t}}}" if r else t
                    for r, t in zip(ranks, texts, strict=True)
                ]
            )
        )
    caption = " ".join(f"{text.rstrip('.')}." for text in (table.title, *table.notes))
    return "\n".join(
        [
            "% needs \\usepackage{booktabs,xcolor,amssymb}",
            r"\begin{table*}",
            r"\centering",
            rf"\caption{{{escape(caption)}}}",
            rf"\label{{tab:siamla{table.number}}}",
            rf"\begin{{tabular}}{{l{'c' * (len(table.heads) - 1)}}}",
            r"\toprule",
            line([escape(head) for head in table.heads]),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
            "",
        ]
    )


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
