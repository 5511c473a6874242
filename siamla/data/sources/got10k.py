"""GOT-10k, training split, as rows of boxes; siamla.data.formats.got10k reads whole sequences."""

from pathlib import Path
from typing import Any

import numpy as np

from siamla.data.formats import got10k as layout
from siamla.data.formats import text
from siamla.data.sources import voc
from siamla.data.sources.rows import KEYS, Found, Notes
from siamla.errors import UserError

LAYOUT = layout.EXPECTED
PARTLY = False


def parts(root: Path) -> tuple[list[str], Notes]:
    """The sequences that list.txt names; those without a folder are noted."""
    notes = Notes(list)
    names = text.listed(text.list_file(root, LAYOUT))
    for name in names:
        if not (root / name).is_dir():
            notes["sequences without a folder"].append(name)
    return [name for name in names if (root / name).is_dir()], notes


def read(root: Path, part: str) -> Found:
    """The boxes of a sequence. One whose labels cannot be read gives none and is noted."""
    folder, notes = root / part, Notes(list)
    try:
        boxes = text.boxes(folder / "groundtruth.txt", layout.ORIGIN)
        labels = _labels(folder, len(boxes))
    except UserError as error:
        notes["damaged annotations"].append(str(error))
        return Found({key: [] for key in ("image", *KEYS)}, [], 1, notes)
    count = len(boxes)
    images = voc.names(folder, ".jpg")
    names = [f"{number:08d}" for number in range(1, count + 1)]
    size = voc.image_size(folder / f"{images[0]}.jpg") if images else None
    there = dict.fromkeys(images, "" if size else "damaged image")
    width, height = size or (0, 0)
    columns = {
        "image": [f"{part}/{name}.jpg" for name in names],
        "sequence": [part] * count,
        "track": [part] * count,
        "frame": np.arange(count),
        "category": [_category(folder / "meta_info.ini")] * count,
        "width": [width] * count,
        "height": [height] * count,
        "box": boxes,
        **labels,
    }
    return Found(columns, [there.get(name, "no image") for name in names], 1, notes)


def _labels(folder: Path, count: int) -> dict[str, Any]:
    """absent, truncated and cover, of the label files that there are."""
    numbers = {}
    for name in ("absence", "cover", "cut_by_image"):
        path = folder / f"{name}.label"
        if path.is_file():
            numbers[name], _ = text.table(path)
            if len(numbers[name]) != count:
                raise UserError(f"{path}: {len(numbers[name])} labels for {count} boxes")
    none = np.zeros(count)
    columns: dict[str, Any] = {
        "absent": numbers.get("absence", none) > 0,
        "truncated": numbers.get("cut_by_image", none) > 0,
    }
    if "cover" in numbers:
        cover = numbers["cover"].astype(np.int8)
        columns |= {"absent": numbers["cover"] == 0, "cover": cover}
    return columns


def _category(path: Path) -> str:
    """The class that meta_info.ini names; empty where it names none."""
    if not path.is_file():
        return ""
    lines = [line.partition(":") for line in text.read_text(path).splitlines()]
    return next((value.strip() for key, _, value in lines if key.strip() == "object_class"), "")
