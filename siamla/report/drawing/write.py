"""Writing a figure: pictures, the numbers in it, and its caption."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamla.errors import UserError
from siamla.files import write_csv, write_text
from siamla.report.drawing import style
from siamla.report.drawing.data import Data, Drawn, Nothing
from siamla.report.drawing.settings import Figure, kind_of


def _plain(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """A row with every digit and no NaN."""
    values = {name: row.get(name) for name in columns}
    for name, value in values.items():
        value = value.item() if isinstance(value, np.generic) else value
        values[name] = None if value != value else value
    return values


def write(path: Path, entry: Figure, data: Data, sources: Sequence[str]) -> Drawn:
    """Draw an entry and write its .csv, .pdf, .svg, .png and .md. sources: of the caption."""
    title = f"{entry.paper}: {entry.title}" if entry.paper else entry.title
    kind = kind_of(entry.kind)
    with style.applied():
        try:
            drawn: Drawn = kind.draw(entry, data)
        except Nothing as reason:
            drawn = Drawn(style.said(str(reason)), kind.COLUMNS, [], f"Nothing: {reason}.")
        lines = [f"**{title.rstrip('.')}.** {' '.join(drawn.notes)}", ""]
        lines += [f"- {line}" for line in [*sources, f"In words: {drawn.alt}"]]
        rows = [_plain(row, drawn.columns) for row in drawn.rows]
        try:
            write_csv(path.with_name(f"{path.name}.csv"), drawn.columns, rows)
            style.save(drawn.figure, path)
            write_text(path.with_name(f"{path.name}.md"), "\n".join(lines) + "\n")
        except OSError as error:
            raise UserError(
                f"{error.filename or path}: cannot be written ({error.strerror})"
            ) from None
    return drawn
