"""Training sets in their official layouts, read as one row a box.

A set is the module of its layout's name, which siamla.data.layout lists. An image's path is
relative to the set's root, boxes are continuous and counted from 0 (siamla.geometry).
"""

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast, get_args

from siamla.data.layout import SourceName
from siamla.data.sources.rows import Found, Notes


class Source(Protocol):
    """What each module of this package offers."""

    LAYOUT: str  # files and folders below the root, in words
    PARTLY: bool  # whether a part of the images is what one has of it

    def parts(self, root: Path) -> tuple[list[str], Notes]: ...

    def read(self, root: Path, part: str) -> Found: ...


SOURCES: dict[str, Source] = {
    name: cast(Source, import_module(f"{__name__}.{name}")) for name in get_args(SourceName)
}
