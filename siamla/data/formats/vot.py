"""VOT (supervised, 2016 to 2018): `<root>/list.txt` and `<sequence>/color/00000001.jpg …` with
`groundtruth.txt`.

A row is a polygon x1, y1, …, x4, y4 or a box x, y, w, h, with commas, 0-based. Five tag files label
single frames. Images may lie in the sequence folder itself, as older archives have them.
"""

from pathlib import Path

import numpy as np

from siamla.data.formats import text
from siamla.geometry import polygon_to_box
from siamla.sequence import Sequence

ORIGIN = 0
TAGS = ("camera_motion", "illum_change", "motion_change", "occlusion", "size_change")
EXPECTED = "VOT layout: list.txt and <sequence>/color/00000001.jpg … with groundtruth.txt"
EMPTY_TRUTH = False


def names(root: Path) -> list[str]:
    """Sequence names as list.txt has them; UserError when one of them has no folder."""
    return text.listed_folders(root, EXPECTED)


def read(root: Path, name: str) -> Sequence:
    """One sequence: polygons as they stand, boxes of equal area around them, tags per frame."""
    folder = root / name
    rows = text.numbers(folder / "groundtruth.txt", (4, 8))
    if rows.shape[1] == 8:
        polygons, boxes = rows, np.stack([polygon_to_box(row) for row in rows])
    else:
        x, y, w, h = rows.T
        polygons, boxes = np.stack([x, y, x + w, y, x + w, y + h, x, y + h], axis=1), rows
    tags = {}
    for tag in TAGS:
        if (folder / f"{tag}.tag").is_file():
            labels = text.flags(folder / f"{tag}.tag")[: len(rows)]
            tags[tag] = np.pad(labels, (0, len(rows) - len(labels)))  # archives end them early
    frames = text.images(folder / "color" if (folder / "color").is_dir() else folder)
    return Sequence(name, frames, boxes, np.ones(len(rows), bool), polygons, frame_attributes=tags)
