"""GOT-10k: `<root>/list.txt` and, per sequence, `groundtruth.txt`, `00000001.jpg …` and label
files; `root` is the folder of one subset. `cover.label` grades the visible part from 0 to 8,
`absence.label` marks frames without the target. The test subset gives one box and no labels.
"""

from functools import partial
from pathlib import Path

import numpy as np

from siamla.data.formats import text
from siamla.sequence import Sequence

ORIGIN = 0
EXPECTED = "GOT-10k layout: list.txt and <sequence>/00000001.jpg … with groundtruth.txt"
EMPTY_TRUTH = False
names = partial(text.listed_folders, expected=EXPECTED)


def read(root: Path, name: str) -> Sequence:
    """One sequence; visible where cover > 0, or else absence is 0, or else everywhere."""
    folder = root / name
    boxes = text.boxes(folder / "groundtruth.txt", ORIGIN)
    visible = np.ones(len(boxes), bool)
    if (folder / "cover.label").is_file():
        visible = text.flags(folder / "cover.label", len(boxes))
    elif (folder / "absence.label").is_file():
        visible = ~text.flags(folder / "absence.label", len(boxes))
    return Sequence(name, text.images(folder), boxes, visible)
