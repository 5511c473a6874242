"""A folder of one's own: `<root>/<sequence>/*.jpg` (or .png) with `<sequence>/groundtruth.txt`, and
nothing else.

Images in the order of their numbers. Rows are x, y, w, h in pixels counted from 0, one for each
image; a row of NaN or without area says that the target is absent. One row alone is the first box
of a video whose truth is not known.
"""

from pathlib import Path

import numpy as np

from siamla.data.formats import text
from siamla.errors import UserError
from siamla.sequence import Sequence

ORIGIN = 0
EXPECTED = "plain layout: <sequence>/*.jpg and <sequence>/groundtruth.txt"
official_count = 0  # there is no such number
EMPTY_TRUTH = True


def names(root: Path) -> list[str]:
    """The folders with an annotation, in alphabetical order; UserError when there is none."""
    text.need_root(root, EXPECTED)
    found = sorted(
        path.parent.name
        for path in root.glob("*/groundtruth.txt")
        if not path.parent.name.startswith(".")
    )
    if not found:
        raise UserError(f"{root}: no sequences; expected {EXPECTED}")
    return found


def read(root: Path, name: str) -> Sequence:
    """One sequence; visible where the row is a box."""
    boxes = text.boxes(root / name / "groundtruth.txt", ORIGIN)
    with np.errstate(invalid="ignore"):
        visible = np.asarray(np.isfinite(boxes).all(1) & (boxes[:, 2:] > 0).all(1), bool)
    return Sequence(name, text.images(root / name), boxes, visible)
