"""TrackingNet: `<root>/frames/<sequence>/0.jpg …` and `<root>/anno/<sequence>.txt`; `root` is the
folder of one subset. The test annotation holds the first frame alone. Generated miniatures keep
their whole truth in `<root>/anno_full/<sequence>.txt`, which is read where it is.
"""

from pathlib import Path

import numpy as np

from siamla.data.formats import text
from siamla.errors import UserError
from siamla.sequence import Sequence

ORIGIN = 0
EXPECTED = "TrackingNet layout: frames/<sequence>/0.jpg … and anno/<sequence>.txt"
EMPTY_TRUTH = False


def names(root: Path) -> list[str]:
    """Sequence names in order; UserError when frames and annotations do not pair up."""
    annotated = {path.stem for path in (root / "anno").glob("*.txt")}
    folders = {path.name for path in (root / "frames").glob("*") if path.is_dir()}
    if odd := sorted(annotated ^ folders):
        lacks = "frames" if odd[0] in annotated else "annotation"
        raise UserError(f"{root}: sequence {odd[0]!r} has no {lacks}; expected {EXPECTED}")
    return text.some(sorted(annotated), root, EXPECTED)


def read(root: Path, name: str) -> Sequence:
    """One sequence, with its whole truth if there is one; every frame counts as visible."""
    boxes = text.boxes(root / "anno" / f"{name}.txt", ORIGIN)
    whole = root / "anno_full" / f"{name}.txt"
    if whole.is_file():
        given, boxes = boxes, text.boxes(whole, ORIGIN)
        first = boxes[: len(given)]
        if len(first) < len(given) or np.abs(first - given).max() > 0.01:  # of two decimals
            raise UserError(f"{whole}: contradicts {root / 'anno' / whole.name}")
    return Sequence(name, text.images(root / "frames" / name), boxes, np.ones(len(boxes), bool))
