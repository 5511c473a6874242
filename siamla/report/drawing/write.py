"""Writing a figure: pictures, the numbers in it, and its caption."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamla.errors import UserError
from siamla.files import write_csv, write_text
from siamla.report.drawing import style
from siamla.report.drawing.data import Data, Drawn
from siamla.report.drawing.settings import Figure, kind_of


def _plain(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """A row with every digit and no NaN."""
    values = {name: row.get(name) for name in columns}
    for name, value in values.items():
        value = value.item() if isinstance(value, np.generic) else value
        values[name] = None if value != value else value
    return values


def caption(title: str, drawn: Drawn, sources: Sequence[str]) -> str:
    """The caption as Markdown: what is shown, how to read it, and what it is made from."""
    lines = [f"**{title}.** {' '.join(drawn.notes)}", ""]
    return (
        "\n".join([*lines, *[f"- {line}" for line in sources], f"- In words: {drawn.alt}"]) + "\n"
    )


def write(path: Path, entry: Figure, data: Data, sources: Sequence[str]) -> Drawn:
    """Draw an entry and write `path` with .csv, .pdf, .svg, .png and .md; the numbers first.

    Args:
        path: without a suffix.
        sources: lines of the caption: data, profile, seeds, identity.

    UserError when the folder cannot be written to.
    """
    title = f"{entry.paper}: {entry.title}" if entry.paper else entry.title
    with style.applied():
        drawn: Drawn = kind_of(entry.kind).draw(entry, data)
        rows = [_plain(row, drawn.columns) for row in drawn.rows]
        text = caption(title.rstrip("."), drawn, sources)
        try:
            write_csv(path.with_name(f"{path.name}.csv"), drawn.columns, rows)
            style.save(drawn.figure, path)
            write_text(path.with_name(f"{path.name}.md"), text)
        except OSError as error:
            raise UserError(
                f"{error.filename or path}: cannot be written ({error.strerror})"
            ) from None
    return drawn
