"""COCO 2017, training split: single images, one JSON; boxes are x, y, w, h, counted from 0."""

from pathlib import Path
from typing import Any

from siamla.data.sources import voc
from siamla.data.sources.rows import KEYS, Found, Notes, table_of
from siamla.errors import UserError
from siamla.files import read_json

LAYOUT = "COCO 2017: annotations/instances_train2017.json and train2017/000000000009.jpg …"
PARTLY = False
WHOLE = ("records", 860_001, "annotations")
_FILE, _IMAGES = "annotations/instances_train2017.json", "train2017"


def parts(root: Path) -> tuple[list[str], Notes]:
    """The one annotation file."""
    voc.need(root, LAYOUT)
    if not (root / _FILE).exists():
        raise UserError(f"{root / _FILE}: no such file; expected {LAYOUT}")
    return [_FILE], Notes(list)


def _slim(value: dict[str, Any]) -> dict[str, Any]:
    """Outlines, polygons or run lengths, are most of the file and are let go as they come."""
    value.pop("segmentation", None)
    return value


def _content(path: Path) -> dict[str, list[Any]]:
    value = read_json(path, _slim)
    for key in ("images", "annotations", "categories"):
        if not isinstance(value, dict) or not isinstance(value.get(key), list):
            raise UserError(f"{path}: no list {key!r}; expected COCO's instances")
    return dict(value)


def _images(path: Path, entries: list[Any]) -> dict[Any, tuple[str, int, int]]:
    """Image number → name, width and height."""
    images: dict[Any, tuple[str, int, int]] = {}
    for entry in entries:
        try:
            number, name = entry["id"], str(entry["file_name"])
            width, height = int(entry["width"]), int(entry["height"])
        except (KeyError, TypeError, ValueError):
            what = "expected images with id, file_name, width and height"
            raise UserError(f"{path}: images[{len(images)}]: {what}") from None
        if number in images:
            both = f"{images[number][0]} and {name}"
            raise UserError(f"{path}: two images have the id {number}, {both}")
        if "/" in name or "\\" in name or min(width, height) < 1:
            what = f"{name!r} of {width}×{height}: not a file's name and size"
            raise UserError(f"{path}: image {number}: {what}")
        images[number] = (name, width, height)
    return images


def _boxes(entries: list[Any], notes: Notes) -> list[tuple[Any, Any, list[float], Any, bool]]:
    """Image, number, box, category and crowd of each sound annotation, image by image."""
    sound = []
    for index, entry in enumerate(entries):
        try:
            image, box = entry["image_id"], [float(value) for value in entry["bbox"]]
            if len(box) != 4 or not all(abs(value) < 1e9 for value in box):
                raise ValueError(f"bbox is {entry['bbox']}")
            hash(image)
            crowd = bool(entry.get("iscrowd", 0))
            sound.append((image, entry["id"], box, entry["category_id"], crowd))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"{type(error).__name__}: {str(error)[:60]}"
            notes["damaged annotations"].append(f"annotations[{index}]: {what}")
    return sorted(sound, key=lambda row: (str(row[0]).zfill(20), str(row[1]).zfill(20)))


def read(root: Path, part: str) -> Found:
    """All boxes."""
    path = root / part
    content, notes = _content(path), Notes(list)
    images, there = _images(path, content["images"]), set(voc.names(root / _IMAGES, ""))
    named = (entry for entry in content["categories"] if isinstance(entry, dict))
    categories = {str(entry.get("id")): str(entry.get("name")) for entry in named}
    rows, problem = [], []
    for image, number, box, category, crowd in _boxes(content["annotations"], notes):
        if image not in images:
            notes["boxes of unknown images"].append(f"annotation {number} of image {image}")
            continue
        name, width, height = images[image]
        track = (f"{_IMAGES}/{name}", str(image), str(number), 0, categories.get(str(category), ""))
        rows.append((*track, width, height, box, crowd))
        problem.append("" if name in there else "no image")
    columns = table_of(rows, ("image", *KEYS, "crowd"))
    return Found(columns, problem, len(content["annotations"]), notes)
