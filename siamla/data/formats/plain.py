"""A folder of one's own: `<root>/<sequence>/*.jpg` (or .png) with `<sequence>/groundtruth.txt`: a
row of NaN or without area says that the target is absent; one row alone is the first box of a video
whose truth is not known.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from siamla.data.formats import text
from siamla.sequence import Sequence

ORIGIN = 0
EXPECTED = "plain layout: <sequence>/*.jpg and <sequence>/groundtruth.txt"
EMPTY_TRUTH = True


def names(root: Path) -> list[str]:
    """The folders with an annotation, in alphabetical order; UserError when there is none."""
    paths = root.glob("[!.]*/groundtruth.txt")
    return text.some(sorted(path.parent.name for path in paths), root, EXPECTED)


def read(root: Path, name: str) -> Sequence:
    """One sequence; visible where the row is a box."""
    boxes = text.boxes(root / name / "groundtruth.txt", ORIGIN)
    sequence = Sequence(name, text.images(root / name), boxes, np.ones(len(boxes), bool))
    return replace(sequence, visible=sequence.valid)
