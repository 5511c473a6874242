"""ImageNet's XML files and folders: what the DET and the VID reader share.

Tags are found by name: VID writes xmax before xmin. x1, y1, x2, y2 are taken as edges, w = xmax -
xmin, as the trackers' scripts do; a toolkit that adds 1 sees boxes one pixel larger.
"""

import os
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from siamla.data.formats.text import number
from siamla.data.sources.rows import Notes
from siamla.errors import UserError
from siamla.files import regular

SUFFIX = ".JPEG"
EDGES = ("xmin", "ymin", "xmax", "ymax")
MARKS = ("difficult", "truncated", "occluded", "generated")
"""Tags of an object that are 1 where they hold; a file need not have them."""


class Marked(NamedTuple):
    """An object: xywh box in pixels, its track where it has one, and the marks that hold."""

    box: tuple[float, float, float, float]
    category: str
    track: str
    marks: frozenset[str]


def _text(node: ET.Element, tag: str) -> str:
    return (node.findtext(tag) or "").strip()


def _value(node: ET.Element, tag: str) -> float:
    value = number(_text(node, tag))
    if value is None or value - value != 0:  # NaN and infinity
        raise ValueError(f"<{tag}> is {_text(node, tag)[:20] or 'missing'!r}, expected a number")
    return value


def _marked(node: ET.Element) -> Marked:
    edges = node.find("bndbox")
    if edges is None:
        raise ValueError("an object without <bndbox>")
    left, top, right, bottom = (_value(edges, tag) for tag in EDGES)
    marks = frozenset(tag for tag in MARKS if _text(node, tag) not in ("0", ""))
    box = (left, top, right - left, bottom - top)
    return Marked(box, _text(node, "name"), _text(node, "trackid"), marks)


def read(path: Path) -> tuple[tuple[int, int], list[Marked]]:
    """(width, height) and the objects of an annotation; ValueError for a damaged one."""
    try:
        root = ET.fromstring(regular(path).read_bytes())
    except (ET.ParseError, LookupError) as error:  # LookupError: an encoding that nobody knows
        raise ValueError(f"not valid XML ({error})") from None
    except (OSError, UserError) as error:
        raise ValueError(str(error)) from None
    size = root.find("size")
    if size is None:
        raise ValueError("<size> is missing")
    width, height = (int(_value(size, tag)) for tag in ("width", "height"))
    if width < 1 or height < 1:
        raise ValueError(f"<size> is {width}×{height}")
    return (width, height), [_marked(node) for node in root.iterfind("object")]


def annotations(
    folder: Path, part: str, names: Iterable[str], notes: Notes
) -> Iterator[tuple[str, tuple[int, int], list[Marked]]]:
    """Name, (width, height) and objects of the annotations of a part; damaged ones are noted."""
    for name in names:
        try:
            yield name, *read(folder / part / f"{name}.xml")
        except ValueError as error:
            notes["damaged annotations"].append(f"{part}/{name}.xml: {error}")


def note_size(
    image: str, actual: tuple[int, int] | None, stated: tuple[int, int], notes: Notes
) -> None:
    """Note an image whose size, where it is known, is not what its annotation says."""
    if actual not in (None, stated):
        (width, height), (w, h) = actual, stated
        what = f"{width}×{height}, its XML says {w}×{h}"
        notes["images of another size"].append(f"{image}: {what}")


def image_size(path: Path) -> tuple[int, int] | None:
    """(width, height) from an image file's header; None where it has none that can be read."""
    try:
        with Image.open(regular(path)) as image:
            width, height = image.size
    except (OSError, ValueError, UserError, Image.DecompressionBombError):
        return None
    return width, height


def names(folder: Path, suffix: str) -> list[str]:
    """The names, without the suffix, of a folder's files that have it, in order."""
    if not folder.is_dir():
        return []
    files = (name for name in os.listdir(folder) if name.endswith(suffix))
    return sorted(name.removesuffix(suffix) for name in files)


def folders(root: Path, *, under: Sequence[str] = ()) -> list[str]:
    """The folders below `root` without folders of their own, as paths relative to it, in order."""
    with os.scandir(root.joinpath(*under)) as entries:
        inner = sorted(each.name for each in entries if each.is_dir() and each.name[0] != ".")
    if not inner:
        return ["/".join(under)] if under else []
    return [path for name in inner for path in folders(root, under=[*under, name])]


def need(root: Path, layout: str, *subfolders: str) -> None:
    """UserError unless `root` has these subfolders; `layout` says what belongs there."""
    for folder in (root, *map(root.joinpath, subfolders)):
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; expected {layout}")
