"""COCO 2017, training split: single images, one JSON; boxes are x, y, w, h, counted from 0."""

from math import isfinite
from pathlib import Path
from typing import Any

from siamla.data.sources import voc
from siamla.data.sources.rows import KEYS, Found, Notes, table_of
from siamla.errors import UserError
from siamla.files import parsed_by, read_json

LAYOUT = "COCO 2017: annotations/instances_train2017.json and train2017/000000000009.jpg …"
PARTLY = False
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


def _content(path: Path) -> tuple[dict[Any, tuple[str, int, int]], dict[Any, str], list[Any]]:
    """Name, width and height of each image by its number, the categories, the annotations."""
    content = read_json(path, _slim)
    with parsed_by("siamla", path, "COCO's instances"):
        images = {
            each["id"]: (str(each["file_name"]), int(each["width"]), int(each["height"]))
            for each in content["images"]
        }
        categories = {each["id"]: str(each["name"]) for each in content["categories"]}
        annotations = [*content["annotations"]]
        if len(images) < len(content["images"]):
            raise UserError(f"{path}: two images have the same id")
    return images, categories, annotations


def read(root: Path, part: str) -> Found:
    """All boxes, image by image."""
    notes = Notes(list)
    images, categories, annotations = _content(root / part)
    rows = []
    for index, entry in enumerate(annotations):
        try:
            number, image, box = entry["id"], entry["image_id"], [*map(float, entry["bbox"])]
            if len(box) != 4 or not all(map(isfinite, box)):
                raise ValueError(f"bbox is {entry['bbox']}")
            if image not in images:
                notes["boxes of unknown images"].append(f"annotation {number} of image {image}")
                continue
            category = categories.get(entry["category_id"], "")
        except (KeyError, TypeError, ValueError) as error:
            what = f"{type(error).__name__}: {str(error)[:60]}"
            notes["damaged annotations"].append(f"annotations[{index}]: {what}")
            continue
        name, width, height = images[image]
        track = (f"{_IMAGES}/{name}", str(image), str(number), 0, category)
        rows.append((*track, width, height, box, bool(entry.get("iscrowd", 0))))
    rows.sort(key=lambda row: (row[1].zfill(20), row[2].zfill(20)))
    there = {f"{_IMAGES}/{name}" for name in voc.names(root / _IMAGES, "")}
    problem = ["" if row[0] in there else "no image" for row in rows]
    return Found(table_of(rows, ("image", *KEYS, "crowd")), problem, len(annotations), notes)
