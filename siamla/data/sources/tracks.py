"""The kept boxes of a curated training set as sequences, one for each segment of a track."""

from pathlib import Path

import numpy as np

from siamla.data.curate import curated_root
from siamla.data.sources.survey import runs
from siamla.data.track import Track
from siamla.files import parsed_by


def load_tracks(folder: Path) -> list[Track]:
    """The tracks of a curated training set in order, named VIDEO/TRACK/SEGMENT; no image is
    touched.

    UserError as `curated_root` raises it, and for a table that cannot be read.
    """
    import pyarrow.parquet as pq

    root = curated_root(folder)
    with parsed_by("pyarrow", folder / "boxes.parquet", "the boxes of a training set"):
        columns = ["image", "sequence", "track", "segment", "frame", "x", "y", "w", "h"]
        table = pq.read_table(
            folder / "boxes.parquet", columns=columns, filters=[("kept", "=", True)]
        )
    boxes = np.stack([table[name].to_numpy() for name in "xywh"], 1)
    numbers = table["frame"].to_numpy()
    starts = runs(table)
    names = [table[name].take(starts[:-1]).to_pylist() for name in ("sequence", "track", "segment")]
    images = table["image"]
    tracks = []
    for i, (sequence, track, segment) in enumerate(zip(*names, strict=True)):
        rows = slice(starts[i], starts[i + 1])
        files = tuple(root / name for name in images[rows].to_pylist())
        visible = np.ones(len(files), bool)
        tracks.append(
            Track(
                f"{sequence}/{track}/{segment}", files, boxes[rows], visible, numbers=numbers[rows]
            )
        )
    return tracks
