"""One row a box: the columns of a training set's table, and which boxes are kept, with the reason
for the others.

Coordinates are x, y, w, h, continuous and counted from 0 (siamla.geometry), cut at the image's
border: a tracker is shown what is inside. What an annotation says beyond the border stands in
`beyond`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FLAGS = ("crowd", "difficult", "occluded", "generated", "truncated", "absent")
"""What the sets say of a box: it covers a group; is hard to see; is partly hidden; was interpolated
and not drawn by hand; is cut by the image's border; is none, since the target is not in sight.
"""

TEXT = pa.dictionary(pa.int32(), pa.string())
# image: path relative to the root; sequence: the video, or the image; track: the target in it;
# segment of the track: a new one after a cut; frame: number in the video, of YouTube-BB the second;
# beyond: pixels by which the annotated box leaves the image, 0 where it does not; width and height
# of the image: 0 where they are not known; cover: GOT-10k's grade of the visible part, 0 to 8, null
# elsewhere; reason: why a box is not kept, else empty
SCHEMA = pa.schema(
    [
        ("image", pa.string()),
        *((name, TEXT) for name in ("sequence", "track")),
        ("segment", pa.int32()),
        ("frame", pa.int64()),
        ("category", TEXT),
        *((name, pa.float64()) for name in ("x", "y", "w", "h", "beyond")),
        *((name, pa.int32()) for name in ("width", "height")),
        *((name, pa.bool_()) for name in FLAGS),
        ("cover", pa.int8()),
        ("kept", pa.bool_()),
        ("reason", TEXT),
    ]
)

KEYS = ("sequence", "track", "frame", "category", "width", "height", "box")
"""Columns that every set gives beside the image."""

SMALLEST = 4.0  # pixels of width and height
LONGEST = 10.0  # times as long as wide
LARGEST = 0.9  # of the image's area


Notes = defaultdict[str, list[str]]
"""What was found besides boxes: kind → where."""


@dataclass(frozen=True)
class Found:
    """What a part of a set holds: columns of SCHEMA as the annotation has them, `box` (N, 4) not
    yet cut and NaN where there is none; for each row why its image cannot be used, or ""; how many
    annotations were read, the damaged ones among them.
    """

    columns: Mapping[str, Any]
    problem: Sequence[str]
    records: int
    notes: Notes


def table_of(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> dict[str, list[Any]]:
    """The columns of rows, by name."""
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def judge(found: Found) -> pa.Table:
    """The table of a part's boxes by SCHEMA, with what is kept and why not (docs/data.md)."""
    columns, count = found.columns, len(found.problem)
    place = {name: pa.array(columns[name]) for name in ("sequence", "track", "frame")}
    raw = np.asarray(columns["box"], np.float64).reshape(count, 4)
    sizes = np.stack([np.asarray(columns[name], np.float64) for name in ("width", "height")], 1)
    flags = {name: np.asarray(columns.get(name, np.zeros(count)), bool) for name in FLAGS}
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = raw[:, :2], raw[:, :2] + raw[:, 2:]
        beyond = np.maximum(np.maximum(-low, high - sizes).max(1), 0)
        low, high = np.clip(low, 0, sizes), np.clip(high, 0, sizes)
        sides = high - low
        drawn = np.isfinite(raw).all(1) & (raw[:, 2:] > 0).all(1)
        tests = [
            ("absent", flags["absent"]),
            ("no area", ~drawn),
            ("outside", ~(sides > 0).all(1)),
            ("duplicate", pa.table(place).to_pandas().duplicated().to_numpy()),
            ("crowd", flags["crowd"]),
            ("small", (sides < SMALLEST).any(1)),
            ("narrow", sides.max(1, initial=0) > LONGEST * sides.min(1, initial=np.inf)),
            ("fills the image", sides.prod(1) > LARGEST * sizes.prod(1)),
        ]
    reason = np.asarray(found.problem, object).copy()
    reason[flags["absent"]] = ""  # nobody draws a frame for a target that is not there
    for word, holds in tests:
        reason[holds & (reason == "")] = word
    boxes = np.concatenate([low, sides], 1)
    boxes[flags["absent"] | ~drawn] = np.nan
    values = {
        "segment": np.zeros(count),
        "cover": [None] * count,
        **columns,
        **dict(zip("xywh", boxes.T, strict=True)),
        **flags,
        "beyond": np.where(np.isfinite(beyond), beyond, 0),
        "kept": reason == "",
        "reason": reason,
    }
    return pa.table([_column(values[each.name], each.type) for each in SCHEMA], schema=SCHEMA)


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    if pa.types.is_dictionary(kind):
        return pc.dictionary_encode(array.cast(pa.string())).cast(kind)
    return array.cast(kind)
