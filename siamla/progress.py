"""Progress of long work: a bar with rate and ETA on a terminal, plain lines in a log."""

import sys
from typing import Any, TextIO

from tqdm import tqdm


class _Lines:
    """A stream for tqdm that turns its redrawn bar into lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if line := text.strip("\r\n "):
            self._stream.write(line + "\n")

    def flush(self) -> None:
        self._stream.flush()


def progress(
    total: int | None, title: str, unit: str, initial: int = 0, silent: bool = False
) -> "tqdm[Any]":
    """A tqdm bar over `total` units, `initial` of them done; in a log a line every ten seconds."""
    options: dict[str, Any] = {"dynamic_ncols": True}
    if not sys.stderr.isatty():
        options = {"file": _Lines(sys.stderr), "mininterval": 10, "ncols": 100}
    return tqdm(total=total, initial=initial, desc=title, unit=unit, disable=silent, **options)
