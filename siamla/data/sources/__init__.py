"""Training sets in their official layouts, read as one row a box.

A set is the module of its layout's name, which siamla.data.layout lists. An image's path is
relative to the set's root, boxes are continuous and counted from 0 (siamla.geometry).
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast, get_args

from siamla.data.layout import SourceName
from siamla.data.sources.rows import Found, Notes


class Source(Protocol):
    """What each module of this package offers."""

    LAYOUT: str  # files and folders below the root, in words
    PARTLY: bool  # whether a part of the images is what one has of it
    WHOLE: tuple[str, int, str] | None  # what the whole set has: count, published number, of what

    def parts(self, root: Path) -> tuple[list[str], Notes]: ...

    def read(self, root: Path, part: str) -> Found: ...


SOURCES: dict[str, Source] = {
    name: cast(Source, import_module(f"{__name__}.{name}")) for name in get_args(SourceName)
}


def fragment(name: str, layout: str, counts: Mapping[str, int]) -> list[str]:
    """A line where a training set is a part of the published one of its name; counts: parts,
    records and boxes, as far as they are known. A set whose name does not begin with the layout's
    is one's own.
    """
    whole = SOURCES[layout].WHOLE if layout in SOURCES and name.startswith(layout) else None
    if whole is None or whole[0] not in counts:
        return []
    kind, number, what = whole
    if counts[kind] >= (number if kind == "parts" else 0.99 * number):  # some files are damaged
        return []
    so = "models are not comparable with those of the whole set"
    return [f"{name}: {counts[kind]:,} of {number:,} {what}: {so}"]
