"""What messages about settings have in common: lists of mistakes, the nearest valid word, short
values.
"""

import difflib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from siamla.errors import UserError


class Mistakes:
    """The lines of many checks, to be told all at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        """Note one mistake."""
        self.lines.append(line)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note the lines of a UserError that ends the block."""
        try:
            yield
        except UserError as error:
            self.lines += str(error).splitlines()

    def tell(self) -> None:
        """UserError with every mistake once, if there is any."""
        if self.lines:
            raise UserError("\n".join(dict.fromkeys(self.lines)))


def closest(word: str, valid: Sequence[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word, valid, 1, 0.5)), None)


def nearest(word: str, valid: Sequence[str]) -> str:
    """ "did you mean X?" for the closest valid word, or the list of what is valid."""
    close = closest(word, valid)
    return f"did you mean {close!r}?" if close else f"valid: {', '.join(valid)}"


def short(value: Any) -> str:
    """A value as a message shows it, at most 80 characters."""
    if isinstance(value, dict):
        return "a mapping"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
