"""YouTube-BoundingBoxes, training split: one frame a second, a CSV without a header (or a .gz),
boxes relative to the frame: xmin, xmax, ymin, ymax in this order, -1 where the target is absent.
Names of videos hold "_" and "-" themselves.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from siamla.data.sources import voc
from siamla.data.sources.rows import Found, Notes
from siamla.errors import UserError
from siamla.files import parsed_by, regular

LAYOUT = (
    "YouTube-BB: yt_bb_detection_train.csv and"
    " yt_bb_detection_train/CLASS/VIDEO_MILLISECONDS_CLASS_OBJECT.jpg"
)
PARTLY = True  # nobody has all frames
WHOLE = None
STEMS = ("yt_bb_detection_train", "youtube_boundingboxes_detection_train")
COLUMNS = {
    "youtube_id": pa.string(),
    "timestamp_ms": pa.int64(),
    "class_id": pa.int32(),
    "class_name": pa.string(),
    "object_id": pa.int32(),
    "object_presence": pa.string(),
    **dict.fromkeys(("xmin", "xmax", "ymin", "ymax"), pa.float64()),
}
BLOCK = 8 << 20  # bytes that are parsed at a time


def _csv(root: Path) -> Path:
    voc.need(root, LAYOUT)
    for name in (f"{stem}{suffix}" for stem in STEMS for suffix in (".csv", ".csv.gz")):
        if (root / name).exists():
            return regular(root / name)
    raise UserError(f"{root / STEMS[0]}.csv: no such file; expected {LAYOUT}")


def _blocks(path: Path, columns: list[str], broken: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a CSV in blocks; those with another number of fields go to `broken`."""

    def skip(row: Any) -> str:
        counts = f"{row.actual_columns} fields, expected {row.expected_columns}"
        broken.append(f"row {row.number}: {counts}")
        return "skip"

    parsing = partial(parsed_by, "pyarrow", path, "YouTube-BB's annotations")
    with parsing(), pa.input_stream(str(path)) as stream:
        start = stream.read(64)
    if not start.strip():
        raise UserError(f"{path}: the file is empty; expected rows of {', '.join(COLUMNS)}")
    with parsing():
        blocks = pa.csv.open_csv(
            path,
            pa.csv.ReadOptions(
                column_names=list(COLUMNS),
                use_threads=False,
                block_size=BLOCK,
                skip_rows=int(bool(re.match(rb"\W*youtube_id\b", start))),
            ),
            pa.csv.ParseOptions(invalid_row_handler=skip),
            pa.csv.ConvertOptions(
                column_types=COLUMNS, include_columns=columns, strings_can_be_null=False
            ),
        )
    while True:
        with parsing():
            block = next(blocks, None)
        if block is None:
            return
        yield block


def parts(root: Path) -> tuple[list[str], Notes]:
    """The classes; notes on rows that are cut or have fields too many."""
    path, broken, notes = _csv(root), list[str](), Notes(list)
    classes: set[int] = set()
    for block in _blocks(path, ["class_id"], broken):
        classes.update(pc.unique(block["class_id"]).to_pylist())
    notes["damaged annotations"] = [f"{path.name}, {row}" for row in broken]
    return [str(number) for number in sorted(classes)], notes


def read(root: Path, part: str) -> Found:
    """The boxes of a class, in pixels: video by video, target by target."""
    path, notes = _csv(root), Notes(list)
    stems = (path.name.partition(".")[0], *STEMS)
    folder = next((stem for stem in stems if (root / stem).is_dir()), STEMS[0])
    order = [(key, "ascending") for key in ("youtube_id", "object_id", "timestamp_ms")]
    blocks = _blocks(path, [*COLUMNS], [])
    mine = [pa.table(block).filter(pc.equal(block["class_id"], int(part))) for block in blocks]
    rows = pa.concat_tables(mine).sort_by(order)
    count, video, target = len(rows), rows["youtube_id"], rows["object_id"].cast(pa.string())
    stamp = rows["timestamp_ms"].cast(pa.string())
    name = pc.binary_join_element_wise(video, stamp, part, target, "_")
    image = pc.binary_join_element_wise(f"{folder}/{part}/", name, ".jpg", "")
    files = [f"{folder}/{part}/{file}" for file in voc.names(root / folder / part, "")]
    there = pc.is_in(image, pa.array(files, pa.string())).to_numpy()
    absent = pc.not_equal(rows["object_presence"], "present").to_numpy()
    sizes = _sizes(root, video.combine_chunks(), image.combine_chunks(), there)
    edges = np.stack([rows[edge].to_numpy() for edge in voc.EDGES], 1).reshape(count, 4)
    edges = np.where(absent[:, None] | (sizes[:, :1] == 0), np.nan, edges) * np.tile(sizes, 2)
    problem = np.where(there, np.where(sizes[:, 0] == 0, "damaged image", ""), "no image").tolist()
    columns = {
        "image": image,
        "sequence": pc.binary_join_element_wise(part, video, "/"),
        "track": target,
        "frame": pc.divide(rows["timestamp_ms"], 1000),
        "category": rows["class_name"],
        "absent": absent,
        "box": np.concatenate([edges[:, :2], edges[:, 2:] - edges[:, :2]], 1),
        "width": sizes[:, 0],
        "height": sizes[:, 1],
    }
    return Found(columns, problem, count, notes)


def _sizes(root: Path, video: pa.Array, image: pa.Array, there: np.ndarray) -> np.ndarray:
    """(N, 2) width and height of each row's frame, equal within a video; 0 if not known."""
    sizes = np.zeros((len(video), 2), np.int64)
    codes = pc.dictionary_encode(video).indices.to_numpy()
    for rows in np.split(np.arange(len(video)), np.flatnonzero(np.diff(codes)) + 1):
        seen = rows[there[rows]]
        if len(seen):
            sizes[rows] = voc.image_size(root / image[seen[0]].as_py()) or 0
    return sizes
