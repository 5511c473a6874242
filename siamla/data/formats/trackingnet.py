"""TrackingNet: `<root>/frames/<sequence>/0.jpg …` and `<root>/anno/<sequence>.txt`.

`root` is the folder of one subset (TEST, or a training chunk). Rows are x, y, w, h with commas,
0-based. The test annotation holds the first frame alone: such a sequence can be tracked and
submitted, not scored. Generated miniatures are annotated the same way and keep their whole truth in
`<root>/anno_full/<sequence>.txt`, which is read where it is.
"""

from pathlib import Path

import numpy as np

from siamla.data.formats import text
from siamla.errors import UserError
from siamla.sequence import Sequence

ORIGIN = 0
EXPECTED = "TrackingNet layout: frames/<sequence>/0.jpg … and anno/<sequence>.txt"
official_count = 511
EMPTY_TRUTH = False


def names(root: Path) -> list[str]:
    """Sequence names in alphabetical order; UserError when frames and annotations do not pair
    up.
    """
    text.need_root(root, EXPECTED)
    found = {path.stem for path in (root / "anno").glob("*.txt")}
    folders = {path.name for path in (root / "frames").glob("*") if path.is_dir()}
    if not found:
        raise UserError(f"{root}: no sequences; expected {EXPECTED}")
    if found != folders:
        odd = sorted(found ^ folders)[0]
        lacks = "frames" if odd in found else "annotation"
        raise UserError(f"{root}: sequence {odd!r} has no {lacks}; expected {EXPECTED}")
    return sorted(found)


def read(root: Path, name: str) -> Sequence:
    """One sequence, with its whole truth where there is one; every annotated frame counts as
    visible.
    """
    boxes = text.boxes(root / "anno" / f"{name}.txt", ORIGIN)
    whole = root / "anno_full" / f"{name}.txt"
    if whole.is_file():
        given, boxes = boxes, text.boxes(whole, ORIGIN)
        if (
            len(boxes) < len(given) or np.abs(boxes[: len(given)] - given).max() > 0.01
        ):  # anno/ has two decimals
            raise UserError(f"{whole}: contradicts {root / 'anno' / whole.name}")
    return Sequence(name, text.images(root / "frames" / name), boxes, np.ones(len(boxes), bool))
