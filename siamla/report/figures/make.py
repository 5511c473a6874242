"""Writing a figure: pictures, the numbers in it, and its caption."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from siamla.errors import UserError
from siamla.experiment.figures import Figure
from siamla.files import write_csv, write_text
from siamla.report.figures import (
    attributes,
    confidence,
    curves,
    frames,
    labels,
    maps,
    ranking,
    style,
    sweep,
    training,
)
from siamla.report.figures.data import Data, Drawn

KINDS: dict[str, ModuleType] = {
    "labels": labels,
    "curves": curves,
    "attributes": attributes,
    "ranking": ranking,
    "sweep": sweep,
    "confidence": confidence,
    "maps": maps,
    "frames": frames,
    "training": training,
}
SUFFIXES = ("pdf", "svg", "png", "csv", "md", "json")
"""Of the files of a figure; the last says what it is made from."""


def _plain(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """A row with every digit and no NaN."""
    values = {name: row.get(name) for name in columns}
    numbers = {
        name: value.item() for name, value in values.items() if isinstance(value, np.generic)
    }
    values |= numbers
    return {name: None if value != value else value for name, value in values.items()}


def caption(title: str, drawn: Drawn, sources: Sequence[str]) -> str:
    """The caption as Markdown: what is shown, how to read it, and what it is made from."""
    lines = [f"**{title}.** {' '.join(drawn.notes)}", ""]
    return (
        "\n".join([*lines, *[f"- {line}" for line in sources], f"- In words: {drawn.alt}"]) + "\n"
    )


def write(path: Path, entry: Figure, data: Data, sources: Sequence[str]) -> Drawn:
    """Draw an entry and write `path` with each of the suffixes but the last; the numbers first.

    Args:
        path: without a suffix.
        sources: lines of the caption: data, profile, seeds, identity.

    UserError when the folder cannot be written to.
    """
    with style.applied():
        drawn: Drawn = KINDS[entry.kind].draw(entry, data)
        title = f"{entry.paper}: {entry.title}" if entry.paper else entry.title
        try:
            write_csv(
                path.with_name(f"{path.name}.csv"),
                drawn.columns,
                [_plain(r, drawn.columns) for r in drawn.rows],
            )
            style.save(drawn.figure, path)
            write_text(
                path.with_name(f"{path.name}.md"), caption(title.rstrip("."), drawn, sources)
            )
        except OSError as error:
            raise UserError(
                f"{error.filename or path}: cannot be written ({error.strerror})"
            ) from None
    return drawn
