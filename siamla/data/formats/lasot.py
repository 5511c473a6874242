"""LaSOT: `<root>/<class>/<class-N>/` or `<root>/<class-N>/` with `img/00000001.jpg …` and
`groundtruth.txt`.

Test names in order: `testing_set.txt` in the root, else the toolkit's 280 as far as their folders
are there, else every sequence found. Attributes, 14 labels 0/1 per sequence, are the evaluation
toolkit's files, put beside the data as `<root>/att/<sequence>.txt`.
"""

import json
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np

from siamla.data.formats import text
from siamla.sequence import Sequence

ORIGIN = 1
ATTRIBUTES = (
    *("IV", "POC", "DEF", "MB", "CM", "ROT", "BC"),
    *("VC", "SV", "FOC", "FM", "OV", "LR", "ARC"),
)
EXPECTED = "LaSOT layout: <class>/<class-N>/img/00000001.jpg … and …/groundtruth.txt"
EMPTY_TRUTH = True


def _folders(root: Path) -> dict[str, Path]:
    """The sequence folders below the root, by name."""
    paths = [*root.glob("*/groundtruth.txt"), *root.glob("*/*/groundtruth.txt")]
    return {path.parent.name: path.parent for path in sorted(paths)}


def _folder(root: Path, name: str) -> Path:
    nested = root / name.rpartition("-")[0] / name
    return nested if nested.is_dir() or not (root / name).is_dir() else root / name


def names(root: Path) -> list[str]:
    """Test sequence names in official order; UserError for a listed one without a folder."""
    there = _folders(root)
    listing = root / "testing_set.txt"
    split = json.loads((files("got10k.datasets") / "lasot.json").read_text())
    if listing.is_file():
        names = text.listed(listing, there)
    else:
        names = [name for name in split["test"] if name in there] or sorted(there)
    others = sorted({*there} - {*split["test"], *split["train"]})
    if others and {*names} <= {*split["test"]}:
        what = (
            f"{len(others)} sequences are not of LaSOT's 1400 and are left out, first {others[0]}"
        )
        advice = "the extension wants a folder of its own"
        print(f"warning: {root}: {what}; {advice}", file=sys.stderr)
    return text.some(names, root, EXPECTED)


def read(root: Path, name: str) -> Sequence:
    """One sequence; visible where it is neither fully occluded nor out of view."""
    folder = _folder(root, name)
    boxes = text.boxes(folder / "groundtruth.txt", ORIGIN)
    absent = np.zeros(len(boxes), bool)
    for label in ("full_occlusion.txt", "out_of_view.txt"):
        if (folder / label).is_file():
            absent |= text.flags(folder / label, len(boxes))
    attributes = text.attributes(root / "att" / f"{name}.txt", ATTRIBUTES)
    return Sequence(name, text.images(folder / "img"), boxes, ~absent, attributes=attributes)
