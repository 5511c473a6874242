"""Curation: every sequence of a data set opened and checked, and one index of those that are sound.

index.parquet   one row per sequence: its frames' paths, boxes, labels and statistics
rejected.csv    the sequences left out and why
report.json     written last: counts of the whole set and the digest of its images and boxes
checked.jsonl   what was found in the images, so that checking again is cheap; may be deleted
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from siamla.data.formats import LAYOUTS
from siamla.data.images import beyond, box_problem, check_images, first_frame_only
from siamla.errors import UserError
from siamla.files import atomic, canonical_json, digest, parsed_by, read_json, write_csv, write_json
from siamla.geometry import centre
from siamla.parallel import in_parallel
from siamla.sequence import Sequence, first_frames

SHOWN = 20  # rejected sequences that an error message lists


def statistics(video: Sequence, size: list[int]) -> dict[str, Any]:
    """Counts and typical values of a sound sequence; lengths in pixels."""
    usable = video.visible & video.valid
    middle = np.where(usable[:, None], centre(video.boxes), np.nan)
    step = np.linalg.norm(np.diff(middle, axis=0), axis=1)
    step = step[np.isfinite(step)]
    only = first_frame_only(video)
    return {
        "height": size[0],
        "width": size[1],
        "absent": int((~video.visible).sum()),
        "boxes_known": int(usable.sum()),
        "without_box": 0 if only else int((video.visible & ~video.valid).sum()),
        "partly_outside": int((beyond(video, size)[usable] == 1).sum()),
        "first_frame_only": only,
        "median_side": float(np.median(np.sqrt(video.boxes[usable, 2:].prod(1)))),
        "median_step": float(np.median(step)) if len(step) else None,
    }


@dataclass(frozen=True)
class Checked:
    """A sequence and what was found: the reason to reject it, or its statistics."""

    name: str
    reason: str | None = None
    video: Sequence | None = None
    statistics: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    images: dict[str, Any] = field(default_factory=dict)


def check(item: tuple[str, dict[str, Any]], layout: str, root: Path, limit: int | None) -> Checked:
    """Read and check one sequence, its first `limit` frames only. An item is its name and what
    `remembered` has of it: with another key images are read again.
    """
    name, before = item
    try:
        video = LAYOUTS[layout].read(root, name)
        frames = len(video.frames)
        if len(video.boxes) == 1 < frames:  # a hidden test set; refused among other sequences
            boxes = np.vstack([video.boxes, np.full((frames - 1, 4), np.nan)])
            video = replace(video, boxes=boxes, visible=np.ones(frames, bool))
        if len(video.boxes) != frames:
            return Checked(name, f"{len(video.boxes)} boxes for {frames} frames")
        video = first_frames(video, limit)
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in video.frames]
    except (UserError, OSError) as error:
        return Checked(name, str(error))
    key = digest([name, stats])
    images = before["images"] if before.get("key") == key else check_images(video.frames)
    reason = images["problem"] or box_problem(video, images["size"], LAYOUTS[layout].EMPTY_TRUTH)
    if reason:
        return Checked(name, reason, key=key, images=images)
    return Checked(name, None, video, statistics(video, images["size"]), key, images)


def _truth(video: Sequence) -> bytes:
    """Everything that the annotation says of a sequence, as bytes."""
    polygons = b"" if video.polygons is None else video.polygons.tobytes()
    tags = sorted(video.frame_attributes.items())
    labels = [f"{label} {values.tobytes().hex()}" for label, values in tags]
    text = "\n".join([*sorted(video.attributes), *labels]).encode()
    return video.boxes.tobytes() + video.visible.tobytes() + polygons + text


def _report(checked: list[Checked], rejected: list[Checked]) -> dict[str, Any]:
    """Counts of the whole set and the digest of its images and truth."""
    stats = [item.statistics for item in checked]
    damaged = [f"{item.name}/{file}" for item in checked for file in item.images["damaged"]]
    content = hashlib.sha256()
    frames: list[int] = []
    for item in checked:
        assert item.video is not None
        frames.append(len(item.video))
        content.update(f"{item.name} {item.images['digest']}".encode())
        content.update(_truth(item.video))
    sizes = Counter(f"{row['width']}x{row['height']}" for row in stats)
    counts = {item.name: item.statistics["without_box"] for item in checked}
    summed = ("absent", "boxes_known", "partly_outside", "first_frame_only")
    middle = float(np.median(frames))
    return {
        "sequences": len(checked),
        "rejected": len(rejected),
        "frames": sum(frames),
        "frames_per_sequence": {"min": min(frames), "median": middle, "max": max(frames)},
        "image_sizes": dict(sizes.most_common(20)),
        **{key: sum(row[key] for row in stats) for key in summed},
        "without_box": {name: count for name, count in counts.items() if count},
        "median_side": float(np.median([row["median_side"] for row in stats])),
        "damaged_images": {"count": len(damaged), "first": damaged[:SHOWN]},
        "digest": content.hexdigest()[:16],
    }


def warnings(report: dict[str, Any]) -> list[str]:
    """What a user should know of a curated set, a line each."""
    name, lines = report["name"], list[str]()
    damaged = report["damaged_images"]
    if damaged["count"]:
        what = f"{damaged['count']} images are damaged inside, first {damaged['first'][0]}"
        lines.append(f"{name}: {what}; they are used as they decode (see report.json)")
    empty = report["without_box"]
    if empty:
        some = ", ".join(f"{sequence} {count}" for sequence, count in list(empty.items())[:SHOWN])
        what = f"{sum(empty.values())} frames without a valid box ({some})"
        rule = "scored by the protocol's rule for them, left out of training"
        lines.append(f"{name}: {what}: {rule}")
    return lines


def _refuse_mixed(checked: list[Checked]) -> list[Checked]:
    """Truth in the first frame alone is for whole sets; in one sequence it is an error."""
    if all(item.statistics["first_frame_only"] for item in checked if item.reason is None):
        return checked
    refused = partial(replace, reason="a box in the first frame only, unlike the other sequences")
    hidden = (item.statistics.get("first_frame_only") for item in checked)
    return [refused(item) if only else item for item, only in zip(checked, hidden, strict=True)]


def remembered(path: Path) -> dict[str, dict[str, Any]]:
    """Earlier image checks by sequence, {"key": of the files, "images": the result}."""
    checks: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        checks[entry["name"]] = entry
    return checks


def curate(
    root: Path,
    layout: str,
    name: str,
    out: Path,
    frames_limit: int | None = None,
    jobs: int = 1,
    allow_rejected: bool = False,
) -> dict[str, Any]:
    """Check every sequence of a data set (docs/data.md), write index, rejected list and report to
    `out`; returns the report. UserError where sequences are rejected, which `allow_rejected` leaves
    out: then only rejected.csv is written.
    """
    names = LAYOUTS[layout].names(root)
    out.mkdir(parents=True, exist_ok=True)
    memory = out / "checked.jsonl"
    before = remembered(memory)
    work = partial(check, layout=layout, root=root, limit=frames_limit)
    checked: list[Checked] = []
    items = [(each, before.get(each, {})) for each in names]
    for item in in_parallel(work, items, jobs, f"check {name}"):
        checked.append(item)
        if item.images and before.get(item.name, {}).get("key") != item.key:
            entry = {"name": item.name, "key": item.key, "images": item.images}
            with memory.open("a", encoding="utf-8") as handle:  # a new line ends one that was cut
                handle.write("\n" + canonical_json(entry))
    checked = _refuse_mixed(checked)
    rejected = [item for item in checked if item.reason]
    sound = [item for item in checked if not item.reason]
    (out / "report.json").unlink(missing_ok=True)
    reasons = [{"name": item.name, "reason": item.reason} for item in rejected]
    write_csv(out / "rejected.csv", ("name", "reason"), reasons)
    if not sound or (rejected and not allow_rejected):
        first = "; ".join(f"{item.name}: {item.reason}" for item in rejected[:SHOWN])
        more = f"; and {len(rejected) - SHOWN} more" if len(rejected) > SHOWN else ""
        counts = f"{len(rejected)} of {len(names)} sequences rejected"
        raise UserError(f"{root}: {counts} (see {out / 'rejected.csv'}): {first}{more}")
    rows = [(item.video, item.images["digest"], item.statistics) for item in sound if item.video]
    write_index(out / "index.parquet", root, rows)
    origin = {"name": name, "layout": layout, "root": root.as_posix(), "limit_frames": frames_limit}
    report = origin | _report(sound, rejected)
    write_json(out / "report.json", report)
    return report


def curated_root(folder: Path) -> Path:
    """The folder of the data that were curated into `folder`; UserError where it is none."""
    path = folder / "report.json"
    advice = "run `siamla data curate`"
    if not path.is_file():
        raise UserError(f"{folder}: not a curated data set (no report.json); {advice}")
    report = read_json(path)
    root = report.get("root") if isinstance(report, dict) else None
    if not isinstance(root, str) or not Path(root).is_dir():
        raise UserError(f"{path}: root is {root!r}, expected the folder of the data; {advice}")
    return Path(root)


def write_index(
    path: Path, root: Path, checked: Iterable[tuple[Sequence, str, dict[str, Any]]]
) -> None:
    """Write the index: a row a sequence with list columns, frames relative to `root`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers, flags, names = (pa.list_(kind) for kind in (pa.float64(), pa.bool_(), pa.string()))
    counts = ("height", "width", "absent", "boxes_known", "without_box", "partly_outside")
    schema: list[tuple[str, Any]] = [
        ("name", pa.string()),
        ("digest", pa.string()),
        ("frames", names),
        ("boxes", numbers),
        ("visible", flags),
        ("polygons", numbers),
        ("attributes", names),
        ("frame_attributes", pa.map_(pa.string(), flags)),
        *((name, pa.int64()) for name in counts),
        ("first_frame_only", pa.bool_()),
        *((name, pa.float64()) for name in ("median_side", "median_step")),
    ]
    rows = []
    for video, content, typical in checked:
        frames = [
            f.relative_to(root) if f.is_relative_to(root) else f.absolute() for f in video.frames
        ]
        row = {
            "name": video.name,
            "digest": content,
            "frames": [frame.as_posix() for frame in frames],
            "boxes": video.boxes.ravel(),
            "visible": video.visible,
            "polygons": None if video.polygons is None else video.polygons.ravel(),
            "attributes": sorted(video.attributes),
            "frame_attributes": sorted(video.frame_attributes.items()),
        }
        rows.append(row | typical)
    with atomic(path) as temporary:
        table = pa.Table.from_pylist(rows, pa.schema(schema))
        pq.write_table(table, temporary, compression="zstd")


def load_curated(folder: Path) -> list[Sequence]:
    """The sound sequences of a curated data set, in order; no image is touched."""
    import pyarrow.parquet as pq

    root = curated_root(folder)
    with parsed_by("pyarrow", folder / "index.parquet", "the index of a curated set"):
        table = pq.ParquetFile(folder / "index.parquet").read()  # read_table would import pandas
    columns = {key: table[key] for key in table.column_names}
    return [
        _sequence({key: column[i] for key, column in columns.items()}, root)
        for i in range(table.num_rows)
    ]


def _sequence(row: dict[str, Any], root: Path) -> Sequence:
    """A sequence from the Arrow scalars of a row of the index."""
    labels = row["frame_attributes"].as_py() or []
    polygons = row["polygons"].values
    return Sequence(
        name=row["name"].as_py(),
        frames=tuple(root / frame for frame in row["frames"].values.to_pylist()),
        boxes=row["boxes"].values.to_numpy().reshape(-1, 4).copy(),
        visible=row["visible"].values.to_numpy(zero_copy_only=False).copy(),
        polygons=None if polygons is None else polygons.to_numpy().reshape(-1, 8).copy(),
        attributes=frozenset(row["attributes"].as_py()),
        frame_attributes={label: np.array(values, bool) for label, values in labels},
    )
