"""Training sets in their official layouts, one module each, read as one row a box; class Source
says what each offers.

An image's path is relative to the set's root, boxes are continuous and counted from 0
(siamla.geometry).
"""

from pathlib import Path
from typing import Protocol

from siamla.data.sources import coco, got10k, imagenet_det, imagenet_vid, youtubebb
from siamla.data.sources.rows import Found, Notes


class Source(Protocol):
    """What each module of this package offers."""

    LAYOUT: str  # files and folders below the root, in words
    HOW: str  # where the set is to be had and how its folders are named
    PARTLY: bool  # whether a part of the images is what one has of it

    def parts(self, root: Path) -> tuple[list[str], Notes]: ...

    def read(self, root: Path, part: str) -> Found: ...


SOURCES: dict[str, Source] = {
    "coco": coco,
    "imagenet_det": imagenet_det,
    "imagenet_vid": imagenet_vid,
    "youtubebb": youtubebb,
    "got10k": got10k,
}
