"""The kept boxes of a curated training set as sequences, one for each segment of a track."""

from pathlib import Path

import numpy as np

from siamla.data.sources.survey import FORMAT, runs
from siamla.data.track import Track
from siamla.errors import UserError
from siamla.files import parsed_by, read_json


def load_tracks(folder: Path) -> list[Track]:
    """The tracks of a curated training set in order, named VIDEO/TRACK/SEGMENT; no image is
    touched.

    Raises:
        UserError: the folder holds no finished curation of boxes, or the data set's folder is gone.
    """
    import pyarrow.parquet as pq

    if not (folder / "report.json").is_file():
        raise UserError(
            f"{folder}: not a curated data set (no report.json); run `siamla data curate`"
        )
    report = read_json(folder / "report.json")
    version = report.get("format") if isinstance(report, dict) else None
    if version != FORMAT or not isinstance(report.get("root"), str):
        raise UserError(
            f"{folder / 'report.json'}: format {version}, expected {FORMAT} and the set's root"
        )
    root = Path(report["root"])
    if not root.is_dir():
        raise UserError(
            f"{folder / 'report.json'}: root {report['root']!r} does not exist; run `siamla data"
            " curate`"
        )
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
