"""Curation: every sequence of a data set opened and checked, and one index of those that are sound.

    index.parquet   one row per sequence: its frames' paths, boxes, labels and statistics
    rejected.csv    the sequences left out and why
    report.json     written last: counts of the whole set and the digest of its images and boxes
    checked.jsonl   what was found in the images, so that checking again is cheap; may be deleted

A row per sequence with list columns keeps everything in one typed, compressed file (LaSOT: 1,400
rows instead of 3.5 million) and gives a sequence back with a single look-up.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from siamla.data.formats import LAYOUTS
from siamla.data.images import Memory, beyond, box_problem, check_images, first_frame_only
from siamla.errors import UserError
from siamla.files import atomic, digest, parsed_by, read_json, write_csv, write_json
from siamla.geometry import centre
from siamla.parallel import in_parallel
from siamla.sequence import Sequence

FORMAT = 1
SHOWN = 20  # rejected sequences that an error message lists


def statistics(video: Sequence, size: list[int]) -> dict[str, Any]:
    """Counts and typical values of a sound sequence; lengths in pixels."""
    known = video.visible & video.valid
    boxes = video.boxes[known]
    middle = np.where(known[:, None], centre(video.boxes), np.nan)
    step = np.linalg.norm(np.diff(middle, axis=0), axis=1)
    side = np.sqrt(boxes[:, 2:].prod(1))
    return {
        "height": size[0],
        "width": size[1],
        "absent": int((~video.visible).sum()),
        "boxes_known": int(known.sum()),
        "without_box": 0 if first_frame_only(video) else int((video.visible & ~video.valid).sum()),
        "partly_outside": int((beyond(video, size)[known] == 1).sum()),
        "first_frame_only": first_frame_only(video),
        "median_side": float(np.median(side)),
        "median_step": (
            float(np.median(step[np.isfinite(step)])) if np.isfinite(step).any() else None
        ),
    }


@dataclass(frozen=True)
class Checked:
    """A sequence and what was found: the reason to reject it, or its statistics."""

    name: str
    reason: str | None = None
    video: Sequence | None = None
    statistics: dict[str, Any] | None = None
    key: str = ""
    images: dict[str, Any] | None = None


def check(item: tuple[str, dict[str, Any]], layout: str, root: Path, limit: int | None) -> Checked:
    """Read and check one sequence, its first `limit` frames only.

    An item is the sequence's name and what Memory knows of it: images are read again when its key
    differs.
    """
    name, known = item
    try:
        video = LAYOUTS[layout].read(root, name)
        if (
            len(video.boxes) == 1 < len(video.frames)
        ):  # a hidden test set; curate refuses it among other sequences
            video = _padded(video)
        if len(video.boxes) != len(video.frames):
            return Checked(name, f"{len(video.boxes)} boxes for {len(video.frames)} frames")
        if len(video.visible) != len(video.frames):
            return Checked(
                name, f"{len(video.visible)} labels of absence for {len(video.frames)} frames"
            )
        video = _first(video, limit)
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in video.frames]
    except (UserError, OSError) as error:
        return Checked(name, str(error))
    key = digest([name, stats])
    images = known["images"] if known.get("key") == key else check_images(video.frames)
    reason = images["problem"] or box_problem(video, images["size"], LAYOUTS[layout].EMPTY_TRUTH)
    if reason:
        return Checked(name, reason, key=key, images=images)
    return Checked(name, None, video, statistics(video, images["size"]), key, images)


def _padded(video: Sequence) -> Sequence:
    """The sequence with one box made as long as its frames, the truth unknown from the second
    on.
    """
    boxes = np.full((len(video.frames), 4), np.nan)
    boxes[0] = video.boxes[0]
    return replace(video, boxes=boxes, visible=np.ones(len(video.frames), bool))


def _first(video: Sequence, limit: int | None) -> Sequence:
    """The sequence's first `limit` frames."""
    return replace(
        video,
        frames=video.frames[:limit],
        boxes=video.boxes[:limit],
        visible=video.visible[:limit],
        polygons=None if video.polygons is None else video.polygons[:limit],
        frame_attributes={
            label: values[:limit] for label, values in video.frame_attributes.items()
        },
    )


def write_index(path: Path, root: Path, checked: Iterable[Checked]) -> None:
    """Write index.parquet; frames under `root` are stored relative to it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers, flags = pa.list_(pa.float64()), pa.list_(pa.bool_())
    types: dict[str, Any] = {
        "name": pa.string(),
        "digest": pa.string(),
        "frames": pa.list_(pa.string()),
        "boxes": numbers,
        "visible": flags,
        "polygons": numbers,
        "attributes": pa.list_(pa.string()),
        "frame_attributes": pa.map_(pa.string(), flags),
        **dict.fromkeys(
            ("height", "width", "absent", "boxes_known", "without_box", "partly_outside"),
            pa.int64(),
        ),
        "first_frame_only": pa.bool_(),
        **dict.fromkeys(("median_side", "median_step"), pa.float64()),
    }
    rows = [_row(item, root) for item in checked]
    table = pa.table(
        {key: pa.array([row[key] for row in rows], kind) for key, kind in types.items()}
    )
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _row(item: Checked, root: Path) -> dict[str, Any]:
    assert item.video is not None
    assert item.images is not None
    video = item.video
    return {
        "name": video.name,
        "digest": item.images["digest"],
        "frames": [
            (f.relative_to(root) if f.is_relative_to(root) else f.absolute()).as_posix()
            for f in video.frames
        ],
        "boxes": video.boxes.ravel(),
        "visible": video.visible,
        "polygons": None if video.polygons is None else video.polygons.ravel(),
        "attributes": sorted(video.attributes),
        "frame_attributes": sorted(video.frame_attributes.items()),
        **(item.statistics or {}),
    }


def _truth(video: Sequence) -> bytes:
    """Everything that the annotation says of a sequence, as bytes that follow from the content
    alone.
    """
    polygons = b"" if video.polygons is None else video.polygons.tobytes()
    labels = [
        f"{label} {values.tobytes().hex()}"
        for label, values in sorted(video.frame_attributes.items())
    ]
    text = "\n".join([*sorted(video.attributes), *labels]).encode()
    return video.boxes.tobytes() + video.visible.tobytes() + polygons + text


def _report(checked: list[Checked], rejected: list[Checked]) -> dict[str, Any]:
    """Counts of the whole set and the digest of its images and truth."""
    stats = [item.statistics or {} for item in checked]
    damaged = [f"{item.name}/{file}" for item in checked for file in (item.images or {})["damaged"]]
    frames = [len(item.video or ()) for item in checked]
    content = hashlib.sha256()
    for item in checked:
        assert item.video is not None
        assert item.images is not None
        content.update(f"{item.name} {item.images['digest']}".encode())
        content.update(_truth(item.video))
    return {
        "sequences": len(checked),
        "rejected": len(rejected),
        "frames": sum(frames),
        "frames_per_sequence": {
            "min": min(frames),
            "median": float(np.median(frames)),
            "max": max(frames),
        },
        "image_sizes": dict(
            Counter(f"{row['width']}x{row['height']}" for row in stats).most_common(20)
        ),
        **{
            key: sum(row[key] for row in stats)
            for key in ("absent", "boxes_known", "partly_outside")
        },
        "without_box": {
            item.name: row["without_box"]
            for item, row in zip(checked, stats, strict=True)
            if row["without_box"]
        },
        "first_frame_only": sum(row["first_frame_only"] for row in stats),
        "median_side": float(np.median([row["median_side"] for row in stats])),
        "damaged_images": {"count": len(damaged), "first": damaged[:SHOWN]},
        "digest": content.hexdigest()[:16],
    }


def warnings(report: dict[str, Any], benchmark: bool) -> list[str]:
    """What a user should know of a curated set that was not refused, one line each.

    A part of a benchmark gives other scores. A set is an official one when its name begins with the
    name of its layout (otb100, got10k); a user's own folder in the same layout has no official
    number of sequences.
    """
    name, found, lines = report["name"], report["sequences"], []
    official = LAYOUTS[report["layout"]].official_count
    if benchmark and name.startswith(report["layout"]) and found < official:
        lines.append(
            f"{name}: {found} of {official} sequences: scores are not comparable with published"
            " ones"
        )
    damaged = report["damaged_images"]
    if damaged["count"]:
        what = f"{damaged['count']} images are damaged inside"
        lines.append(
            f"{name}: {what}, first {damaged['first'][0]}; they are used as they decode (see"
            " report.json)"
        )
    empty = report["without_box"]
    if empty:
        some = ", ".join(f"{sequence} {count}" for sequence, count in list(empty.items())[:SHOWN])
        what = f"{sum(empty.values())} frames without a valid box ({some})"
        lines.append(
            f"{name}: {what}: scored by the protocol's rule for them, left out of training"
        )
    return lines


def _names(layout: str, root: Path) -> list[str]:
    """The names of the sequences; UserError when there are none."""
    if layout not in LAYOUTS:
        raise UserError(
            f"layout {layout!r} is unknown; expected one of {', '.join(sorted(LAYOUTS))}"
        )
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; expected a data set in {layout} layout")
    names = LAYOUTS[layout].names(root)
    if not names:
        raise UserError(f"{root}: no sequences; expected a data set in {layout} layout")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"{root}: the sequence {twice[0]!r} is listed twice")
    return names


def _refuse_mixed(checked: list[Checked]) -> list[Checked]:
    """Truth in the first frame alone is a property of a whole set; in a single sequence it is a
    broken annotation.
    """
    hidden = [item.video is not None and first_frame_only(item.video) for item in checked]
    if all(hidden[i] for i, item in enumerate(checked) if item.reason is None):
        return checked
    reason = "a box in the first frame only, unlike the other sequences"
    return [
        replace(item, reason=reason) if only else item
        for item, only in zip(checked, hidden, strict=True)
    ]


def curate(
    root: Path,
    layout: str,
    name: str,
    out: Path,
    frames_limit: int | None = None,
    jobs: int = 1,
    allow_rejected: bool = False,
) -> dict[str, Any]:
    """Check every sequence of a data set, write index, rejected list and report to `out`; returns
    the report.

    Checked: boxes as many as frames (one box alone is a hidden test set), every image read and
    decoded to its end, sizes constant, boxes of visible frames finite, positive and not wholly
    outside; where the benchmark has a rule for rows that are no box (`0,0,0,0`), those are counted
    instead. Stopped and started again, it goes on where it was: sequences whose files have not
    changed since (size and time) are not decoded again.

    Args:
        name: the data set's name, for the report.
        frames_limit: keep the first frames of each sequence only.
        allow_rejected: leave rejected sequences out instead of stopping.

    Raises:
        UserError: no such folder, no sequences, or some rejected: then only rejected.csv is
            written.
    """
    names = _names(layout, root)
    memory = Memory(out / "checked.jsonl")
    work = partial(check, layout=layout, root=root, limit=frames_limit)
    checked: list[Checked] = []
    for item in in_parallel(
        work, [(each, memory.of(each)) for each in names], jobs, f"check {name}"
    ):
        checked.append(item)
        if item.images is not None:
            memory.add(item.name, item.key, item.images)
    checked = _refuse_mixed(checked)
    rejected = [item for item in checked if item.reason]
    sound = [item for item in checked if not item.reason]
    (out / "report.json").unlink(missing_ok=True)
    write_csv(
        out / "rejected.csv",
        ("name", "reason"),
        [{"name": i.name, "reason": i.reason} for i in rejected],
    )
    if not sound or (rejected and not allow_rejected):
        shown = "; ".join(f"{item.name}: {item.reason}" for item in rejected[:SHOWN])
        more = f"; and {len(rejected) - SHOWN} more" if len(rejected) > SHOWN else ""
        counts = f"{len(rejected)} of {len(names)} sequences rejected"
        raise UserError(f"{root}: {counts} (see {out / 'rejected.csv'}): {shown}{more}")
    write_index(out / "index.parquet", root, sound)
    origin = {
        "format": FORMAT,
        "name": name,
        "layout": layout,
        "root": root.as_posix(),
        "limit_frames": frames_limit,
    }
    report = origin | _report(sound, rejected)
    write_json(out / "report.json", report)
    return report


def load_curated(folder: Path) -> list[Sequence]:
    """The sound sequences of a curated data set, in order; no image is touched.

    Raises:
        UserError: the folder holds no finished curation, or the data set's folder is gone.
    """
    import pyarrow.parquet as pq

    if not (folder / "report.json").is_file():
        raise UserError(
            f"{folder}: not a curated data set (no report.json); run `siamla data curate`"
        )
    report = read_json(folder / "report.json")
    version = report.get("format") if isinstance(report, dict) else None
    if version != FORMAT:
        raise UserError(f"{folder / 'report.json'}: format {version}, expected {FORMAT}")
    if not isinstance(report.get("root"), str):
        raise UserError(
            f"{folder / 'report.json'}: root is {report.get('root')!r}, expected a folder"
        )
    root = Path(report["root"])
    if not root.is_dir():
        raise UserError(
            f"{folder / 'report.json'}: root {report['root']!r} does not exist; run `siamla data"
            " curate`"
        )
    with parsed_by("pyarrow", folder / "index.parquet", "the index of a curated set"):
        table = pq.ParquetFile(folder / "index.parquet").read()  # read_table would import pandas
    return [
        _sequence({key: table[key][i] for key in table.column_names}, root)
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
