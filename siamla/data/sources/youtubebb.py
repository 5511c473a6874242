"""YouTube-BoundingBoxes, training split: one frame a second, a CSV without a header (or a .gz),
boxes relative to the frame: xmin, xmax, ymin, ymax in this order, -1 where the target is absent.
Names of videos hold "_" and "-" themselves.
"""

import re
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


def _csv(root: Path) -> Path:
    voc.need(root, LAYOUT)
    for name in (f"{stem}{suffix}" for stem in STEMS for suffix in (".csv", ".csv.gz")):
        if (root / name).exists():
            return regular(root / name)
    raise UserError(f"{root / STEMS[0]}.csv: no such file; expected {LAYOUT}")


def _table(path: Path, columns: list[str], of: Any) -> tuple[pa.Table, list[str]]:
    """The rows of a CSV, those `of` alone, and a line for each with another number of fields."""
    broken: list[str] = []

    def skip(row: Any) -> str:
        counts = f"{row.actual_columns} fields, expected {row.expected_columns}"
        broken.append(f"{path.name}, row {row.number}: {counts}")
        return "skip"

    with parsed_by("pyarrow", path, "YouTube-BB's annotations"):
        with pa.input_stream(str(path)) as stream:
            start = stream.read(64)
        if not start.strip():
            raise UserError(f"{path}: the file is empty; expected rows of {', '.join(COLUMNS)}")
        header = re.match(rb"\W*youtube_id\b", start)
        names = pa.csv.ReadOptions(
            use_threads=False, column_names=list(COLUMNS), skip_rows=int(header is not None)
        )
        kinds = pa.csv.ConvertOptions(column_types=COLUMNS, include_columns=columns)
        blocks = pa.csv.open_csv(path, names, pa.csv.ParseOptions(invalid_row_handler=skip), kinds)
        tables = [pa.table(block).filter(of) for block in blocks]
    return pa.concat_tables(tables), broken


def parts(root: Path) -> tuple[list[str], Notes]:
    """The classes; notes on rows that are cut or have fields too many."""
    rows, broken = _table(_csv(root), ["class_id"], pc.scalar(True))
    numbers = sorted(pc.unique(rows["class_id"]).to_pylist())
    return [str(number) for number in numbers], Notes(list, {"damaged annotations": broken})


def read(root: Path, part: str) -> Found:
    """The boxes of a class, in pixels: video by video, target by target."""
    path = _csv(root)
    stems = (path.name.partition(".")[0], *STEMS)
    folder = next((stem for stem in stems if (root / stem).is_dir()), STEMS[0])
    rows = _table(path, [*COLUMNS], pc.field("class_id") == int(part))[0].to_pandas()
    order = ["youtube_id", "object_id", "timestamp_ms"]
    rows = rows.sort_values(order, kind="stable", ignore_index=True)
    video, target = rows["youtube_id"], rows["object_id"].astype(str)
    name = video + "_" + rows["timestamp_ms"].astype(str) + f"_{part}_" + target + ".jpg"
    there = name.isin(voc.names(root / folder / part, ""))
    image = f"{folder}/{part}/" + name
    # all frames of a video have the size of the first that is there
    seen = image[there].groupby(video[there]).first()
    known = {each: voc.image_size(root / file) for each, file in seen.items()}
    sizes = np.array([known.get(each) or (0, 0) for each in video]).reshape(-1, 2)
    damaged = sizes[:, 0] == 0
    absent = rows["object_presence"] != "present"
    edges = rows[list(voc.EDGES)].to_numpy() * np.tile(sizes, 2)
    edges[absent | damaged] = np.nan
    columns = {
        "image": image,
        "sequence": f"{part}/" + video,
        "track": target,
        "frame": rows["timestamp_ms"] // 1000,
        "category": rows["class_name"],
        "absent": absent,
        "box": np.concatenate([edges[:, :2], edges[:, 2:] - edges[:, :2]], 1),
        "width": sizes[:, 0],
        "height": sizes[:, 1],
    }
    problem = np.where(there, np.where(damaged, "damaged image", ""), "no image").tolist()
    return Found(columns, problem, len(rows), Notes(list))
