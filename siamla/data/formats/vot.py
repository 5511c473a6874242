"""VOT (supervised, 2016 to 2018): `<root>/list.txt` and `<sequence>/color/00000001.jpg …` (or
without `color`, as in older archives) with `groundtruth.txt`: polygons or boxes. Five tag files
label frames.
"""

from functools import partial
from pathlib import Path

import numpy as np

from siamla.data.formats import text
from siamla.geometry import corners, polygon_to_box
from siamla.sequence import Sequence

ORIGIN = 0
TAGS = ("camera_motion", "illum_change", "motion_change", "occlusion", "size_change")
EXPECTED = "VOT layout: list.txt and <sequence>/color/00000001.jpg … with groundtruth.txt"
EMPTY_TRUTH = False
names = partial(text.listed_folders, expected=EXPECTED)


def read(root: Path, name: str) -> Sequence:
    """One sequence: polygons as they stand, boxes of equal area around them, tags per frame."""
    folder = root / name
    rows = text.numbers(folder / "groundtruth.txt", (4, 8))
    if rows.shape[1] == 8:
        polygons, boxes = rows, np.stack([polygon_to_box(row) for row in rows])
    else:
        polygons, boxes = corners(rows), rows
    tags = {}
    for tag in TAGS:
        if (folder / f"{tag}.tag").is_file():
            labels = text.flags(folder / f"{tag}.tag")[: len(rows)]
            tags[tag] = np.pad(labels, (0, len(rows) - len(labels)))  # archives end them early
    frames = text.images(folder / "color" if (folder / "color").is_dir() else folder)
    return Sequence(name, frames, boxes, np.ones(len(rows), bool), polygons, frame_attributes=tags)
