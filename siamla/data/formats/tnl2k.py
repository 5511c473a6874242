"""TNL2K: `<root>/<sequence>/imgs/*.jpg|png` with `groundtruth.txt`; the evaluation toolkit's label
files beside: `<root>/absent/<sequence>.txt`, a 1 where the target is absent, and
`<root>/att/<sequence>_attribute.txt`, 17 labels. docs/protocols.md has an odd sequence.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamla.data.formats import text
from siamla.errors import UserError
from siamla.sequence import Sequence

ORIGIN = 1
ATTRIBUTES = (
    *("CM", "ROT", "DEF", "FOC", "IV", "OV", "POC", "VC", "SV"),
    *("BC", "MB", "ARC", "LR", "FM", "AS", "TC", "MS"),
)
EXPECTED = "TNL2K layout: <sequence>/imgs/00000001.jpg … and <sequence>/groundtruth.txt"
EMPTY_TRUTH = True


def names(root: Path) -> list[str]:
    """Sequence names in alphabetical order; UserError when there is none."""
    names = sorted(path.parent.name for path in root.glob("*/groundtruth.txt"))
    for path in sorted(root.glob("*/imgs")):
        if path.parent.name not in names:
            raise UserError(f"{path.parent}: no annotation; expected a groundtruth.txt")
    return text.some(names, root, EXPECTED)


def _absent(path: Path, count: int) -> NDArray[np.bool_]:
    """The labels of `count` rows; UserError unless they are as many, or more by zeros alone."""
    labels = text.flags(path)
    if len(labels) <= count or labels[count:].any():
        return text.flags(path, count)
    what = f"{len(labels)} labels for {count} boxes"
    said = "the zeros past the last box are ignored, as in the toolkit"
    print(f"warning: {path}: {what}; {said}", file=sys.stderr)
    return labels[:count]


def read(root: Path, name: str) -> Sequence:
    """One sequence; visible where no label says absent."""
    boxes = text.boxes(root / name / "groundtruth.txt", ORIGIN)
    visible = np.ones(len(boxes), bool)
    label = root / "absent" / f"{name}.txt"
    if label.is_file():
        visible = ~_absent(label, len(boxes))
    attributes = text.attributes(root / "att" / f"{name}_attribute.txt", ATTRIBUTES)
    return Sequence(name, text.images(root / name / "imgs"), boxes, visible, attributes=attributes)
