"""Curation: every sequence of a data set opened and checked, and one index of those that are sound.

    index.parquet   one row per sequence: its frames' paths, boxes, labels and statistics
    rejected.csv    the sequences left out and why
    report.json     written last: counts of the whole set and the digest of its images and boxes
    checked.jsonl   what was found in the images, so that checking again is cheap; may be deleted

A row per sequence with list columns keeps everything in one typed, compressed file (LaSOT: 1,400 rows instead of
3.5 million) and gives a sequence back with a single look-up.
"""

import errno
import hashlib
import json
import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from siamla.data.formats import LAYOUTS
from siamla.errors import UserError
from siamla.files import atomic, canonical_json, digest, read_json, write_csv, write_json
from siamla.geometry import centre
from siamla.progress import progress
from siamla.sequence import Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")

FORMAT = 1
SHOWN = 20  # rejected sequences that an error message lists


def _worker() -> None:
    """One thread, and no life after the parent's: a killed build leaves no process behind."""
    import cv2

    cv2.setNumThreads(0)

    def follow() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def in_parallel(work: Callable[[Item], Result], items: Iterable[Item], jobs: int, label: str) -> Iterator[Result]:
    """work(item) of each item, in order, from `jobs` processes (1: from this one), with a progress bar."""
    todo = list(items)
    with progress(len(todo), label, "it") as bar:
        if jobs == 1 or len(todo) < 2:
            for item in todo:
                yield work(item)
                bar.update()
            return
        pool = ProcessPoolExecutor(min(jobs, len(todo)), multiprocessing.get_context("spawn"), _worker)
        try:
            for result in pool.map(work, todo):
                yield result
                bar.update()
        except BrokenProcessPool:
            raise UserError(f"{label}: a worker process died (out of memory?); run the same command again") from None
        finally:
            pool.shutdown(cancel_futures=True)


def complete(data: bytes) -> bool:
    """Whether an encoded JPEG or PNG reaches its end; OpenCV decodes a truncated JPEG with a mere warning.

    In a JPEG the marker bytes cannot occur inside compressed data, so the last end-of-image marker must follow the
    last start-of-scan marker; bytes after it, which some cameras append, do no harm.
    """
    if data[:2] == b"\xff\xd8":
        return 0 <= data.rfind(b"\xff\xda") < data.rfind(b"\xff\xd9")
    return data[:4] != b"\x89PNG" or b"IEND" in data[-64:]


def image_problem(file: Path, data: bytes, size: list[int] | None) -> tuple[str | None, list[int] | None]:
    """What is wrong with an image file of these bytes, or None, and its [height, width]."""
    import cv2

    if not data:
        return f"{file.name}: the file is empty", None
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if complete(data) else None
    if image is None:
        return f"{file.name}: truncated or not an image ({len(data)} bytes)", None
    found = [int(value) for value in image.shape[:2]]
    if size is not None and found != size:
        return f"{file.name}: {found[1]}×{found[0]} pixels, expected {size[1]}×{size[0]} as in the first frame", found
    return None, found


def check_images(frames: Iterable[Path]) -> dict[str, Any]:
    """Read and decode all frames: {"problem": the first or None, "size": [height, width], "digest": of the bytes}."""
    size, content = None, hashlib.sha256()
    for file in frames:
        try:
            data = file.read_bytes()
        except OSError as error:
            return {"problem": f"{file.name}: {error.strerror}", "size": size, "digest": ""}
        content.update(hashlib.sha256(data).digest())
        problem, found = image_problem(file, data, size)
        if problem:
            return {"problem": problem, "size": size, "digest": ""}
        size = found
    return {"problem": None, "size": size, "digest": content.hexdigest()[:16]}


def first_frame_only(video: Sequence) -> bool:
    """Whether the truth is given in the first frame alone, as in the hidden test sets (GOT-10k, TrackingNet)."""
    return len(video.frames) > 1 and len(video.boxes) > 0 and bool(np.isnan(video.boxes[1:]).all())


def box_problem(video: Sequence, size: list[int]) -> str | None:
    """The first box that is wrong in an image of [height, width], or None. Frames without the target are not judged."""
    judged = video.visible.copy()
    if first_frame_only(video):
        judged[1:] = False
    if not judged.any():
        return "the target is absent in every frame"
    for test, what in (
        (~np.isfinite(video.boxes).all(1), "not finite, and the frame is not marked absent"),
        ((video.boxes[:, 2:] <= 0).any(1), "width or height is not positive"),
        (_beyond(video, size) == 2, f"wholly outside the image of {size[1]}×{size[0]}"),
    ):
        bad = np.flatnonzero(test & judged)
        if len(bad):
            box = ", ".join(f"{value:g}" for value in video.boxes[bad[0]])
            more = f" ({len(bad)} such boxes)" if len(bad) > 1 else ""
            return f"box of frame {bad[0] + 1} is {box}: {what}{more}"
    return None


def _beyond(video: Sequence, size: list[int]) -> np.ndarray:
    """(N,) 0 where a box is inside the image, 1 partly outside, 2 wholly outside."""
    low, high = video.boxes[:, :2], video.boxes[:, :2] + video.boxes[:, 2:]
    edge = np.array([size[1], size[0]], np.float64)
    partly = (low < 0).any(1) | (high > edge).any(1)
    return partly.astype(int) + ((high <= 0).any(1) | (low >= edge).any(1))


def statistics(video: Sequence, size: list[int]) -> dict[str, Any]:
    """Counts and typical values of a sound sequence; lengths in pixels."""
    known = video.visible & np.isfinite(video.boxes).all(1)
    boxes = video.boxes[known]
    middle = np.where(known[:, None], centre(video.boxes), np.nan)
    step = np.linalg.norm(np.diff(middle, axis=0), axis=1)
    side = np.sqrt(boxes[:, 2:].prod(1))
    return {
        "height": size[0],
        "width": size[1],
        "absent": int((~video.visible).sum()),
        "boxes_known": int(known.sum()),
        "partly_outside": int((_beyond(video, size)[known] == 1).sum()),
        "first_frame_only": first_frame_only(video),
        "median_side": float(np.median(side)),
        "median_step": float(np.median(step[np.isfinite(step)])) if np.isfinite(step).any() else None,
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

    An item is the sequence's name and what Memory knows of it: images are read again when its key differs.
    """
    name, known = item
    try:
        video = LAYOUTS[layout].read(root, name)
        if len(video.boxes) == 1 < len(video.frames):  # a hidden test set; curate refuses it among other sequences
            video = _padded(video)
        if len(video.boxes) != len(video.frames):
            return Checked(name, f"{len(video.boxes)} boxes for {len(video.frames)} frames")
        if len(video.visible) != len(video.frames):
            return Checked(name, f"{len(video.visible)} labels of absence for {len(video.frames)} frames")
        video = _first(video, limit)
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in video.frames]
    except (UserError, OSError) as error:
        return Checked(name, str(error))
    key = digest([name, stats])
    images = known["images"] if known.get("key") == key else check_images(video.frames)
    reason = images["problem"] or box_problem(video, images["size"])
    if reason:
        return Checked(name, reason, key=key, images=images)
    return Checked(name, None, video, statistics(video, images["size"]), key, images)


def _padded(video: Sequence) -> Sequence:
    """The sequence with one box made as long as its frames, the truth unknown from the second on."""
    boxes = np.full((len(video.frames), 4), np.nan)
    boxes[0] = video.boxes[0]
    return replace(video, boxes=boxes, visible=np.ones(len(video.frames), bool))


def _first(video: Sequence, limit: int | None) -> Sequence:
    """The sequence's first `limit` frames."""
    if limit is None:
        return video
    return replace(
        video,
        frames=video.frames[:limit],
        boxes=video.boxes[:limit],
        visible=video.visible[:limit],
        polygons=None if video.polygons is None else video.polygons[:limit],
        frame_attributes={label: values[:limit] for label, values in video.frame_attributes.items()},
    )


class Memory:
    """Results of image checks in a file of one JSON line each, appended as they come; a cut last line is ignored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        self._known: dict[str, dict[str, Any]] = {}
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                self._known[entry["name"]] = {"key": entry["key"], "images": entry["images"]}
            except (json.JSONDecodeError, KeyError, TypeError):
                continue
        self._gap = "\n" if text and not text.endswith("\n") else ""

    def of(self, name: str) -> dict[str, Any]:
        """{"key": of the files that were checked, "images": the result} of a sequence; empty when there is none."""
        return self._known.get(name, {})

    def add(self, name: str, key: str, images: dict[str, Any]) -> None:
        """Keep a result, unless it is known; UserError when the disk is full."""
        if self.of(name).get("key") == key:
            return
        self._known[name] = {"key": key, "images": images}
        line = self._gap + canonical_json({"name": name, **self._known[name]}) + "\n"
        self._gap = ""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as handle:
                handle.write(line)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise UserError(f"{self.path}: the disk is full; nothing else was written") from error


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
        **dict.fromkeys(("height", "width", "absent", "boxes_known", "partly_outside"), pa.int64()),
        "first_frame_only": pa.bool_(),
        **dict.fromkeys(("median_side", "median_step"), pa.float64()),
    }
    rows = [_row(item, root) for item in checked]
    table = pa.table({key: pa.array([row[key] for row in rows], kind) for key, kind in types.items()})
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _row(item: Checked, root: Path) -> dict[str, Any]:
    assert item.video is not None
    assert item.images is not None
    video = item.video
    return {
        "name": video.name,
        "digest": item.images["digest"],
        "frames": [(f.relative_to(root) if f.is_relative_to(root) else f.absolute()).as_posix() for f in video.frames],
        "boxes": video.boxes.ravel(),
        "visible": video.visible,
        "polygons": None if video.polygons is None else video.polygons.ravel(),
        "attributes": sorted(video.attributes),
        "frame_attributes": sorted(video.frame_attributes.items()),
        **(item.statistics or {}),
    }


def _report(checked: list[Checked], rejected: list[Checked]) -> dict[str, Any]:
    """Counts of the whole set and the digest of its images and truth."""
    stats = [item.statistics or {} for item in checked]
    frames = [len(item.video or ()) for item in checked]
    content = hashlib.sha256()
    for item in checked:
        assert item.video is not None
        assert item.images is not None
        content.update(f"{item.name} {item.images['digest']}".encode())
        content.update(item.video.boxes.tobytes() + item.video.visible.tobytes())
    return {
        "sequences": len(checked),
        "rejected": len(rejected),
        "frames": sum(frames),
        "frames_per_sequence": {"min": min(frames), "median": float(np.median(frames)), "max": max(frames)},
        "image_sizes": dict(Counter(f"{row['width']}x{row['height']}" for row in stats).most_common(20)),
        **{key: sum(row[key] for row in stats) for key in ("absent", "boxes_known", "partly_outside")},
        "first_frame_only": sum(row["first_frame_only"] for row in stats),
        "median_side": float(np.median([row["median_side"] for row in stats])),
        "digest": content.hexdigest()[:16],
    }


def _names(layout: str, root: Path, expect_count: bool) -> list[str]:
    """The names of the sequences; UserError when there are none, or not the official number."""
    if layout not in LAYOUTS:
        raise UserError(f"layout {layout!r} is unknown; expected one of {', '.join(sorted(LAYOUTS))}")
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; expected a data set in {layout} layout")
    names = LAYOUTS[layout].names(root)
    if not names:
        raise UserError(f"{root}: no sequences; expected a data set in {layout} layout")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"{root}: the sequence {twice[0]!r} is listed twice")
    official = LAYOUTS[layout].official_count
    if expect_count and len(names) != official:
        raise UserError(f"{root}: {len(names)} sequences, expected {official} as in the full benchmark")
    return names


def _refuse_mixed(checked: list[Checked]) -> list[Checked]:
    """Truth in the first frame alone is a property of a whole set; in a single sequence it is a broken annotation."""
    hidden = [item.video is not None and first_frame_only(item.video) for item in checked]
    if all(hidden[i] for i, item in enumerate(checked) if item.reason is None):
        return checked
    reason = "a box in the first frame only, unlike the other sequences"
    return [replace(item, reason=reason) if only else item for item, only in zip(checked, hidden, strict=True)]


def curate(
    root: Path,
    layout: str,
    name: str,
    out: Path,
    expect_count: bool = False,
    frames_limit: int | None = None,
    jobs: int = 1,
    allow_rejected: bool = False,
) -> dict[str, Any]:
    """Check every sequence of a data set, write index, rejected list and report to `out`; returns the report.

    Checked: boxes as many as frames (one box alone is a hidden test set), every image read and decoded to its end,
    sizes constant, boxes of visible frames finite, positive and not wholly outside. Stopped and started again, it
    goes on where it was: sequences whose files have not changed since (size and time) are not decoded again.

    Args:
        name: the data set's name, for the report.
        expect_count: the set must have the full benchmark's number of sequences.
        frames_limit: keep the first frames of each sequence only.
        allow_rejected: leave rejected sequences out instead of stopping.

    Raises:
        UserError: no such folder, no sequences, or some rejected: then only rejected.csv is written.
    """
    names = _names(layout, root, expect_count)
    memory = Memory(out / "checked.jsonl")
    work = partial(check, layout=layout, root=root, limit=frames_limit)
    checked = []
    for item in in_parallel(work, [(each, memory.of(each)) for each in names], jobs, f"check {name}"):
        checked.append(item)
        if item.images is not None:
            memory.add(item.name, item.key, item.images)
    checked = _refuse_mixed(checked)
    rejected = [item for item in checked if item.reason]
    sound = [item for item in checked if not item.reason]
    (out / "report.json").unlink(missing_ok=True)
    write_csv(out / "rejected.csv", ("name", "reason"), [{"name": i.name, "reason": i.reason} for i in rejected])
    if not sound or (rejected and not allow_rejected):
        shown = "; ".join(f"{item.name}: {item.reason}" for item in rejected[:SHOWN])
        more = f"; and {len(rejected) - SHOWN} more" if len(rejected) > SHOWN else ""
        listed = out / "rejected.csv"
        raise UserError(f"{root}: {len(rejected)} of {len(names)} sequences rejected (see {listed}): {shown}{more}")
    write_index(out / "index.parquet", root, sound)
    settings = {"format": FORMAT, "name": name, "layout": layout, "root": root.as_posix(), "limit_frames": frames_limit}
    report = {**settings, **_report(sound, rejected)}
    write_json(out / "report.json", report)
    return report


def load_curated(folder: Path) -> list[Sequence]:
    """The sound sequences of a curated data set, in order; no image is touched.

    Raises:
        UserError: the folder holds no finished curation, or the data set's folder is gone.
    """
    import pyarrow.parquet as pq

    if not (folder / "report.json").is_file():
        raise UserError(f"{folder}: not a curated data set (no report.json); run `siamla data curate`")
    report = read_json(folder / "report.json")
    if report.get("format") != FORMAT:
        raise UserError(f"{folder / 'report.json'}: format {report.get('format')}, expected {FORMAT}")
    root = Path(report["root"])
    if not root.is_dir():
        raise UserError(f"{folder / 'report.json'}: root {report['root']!r} does not exist; run `siamla data curate`")
    table = pq.read_table(folder / "index.parquet")
    return [_sequence({key: table[key][i] for key in table.column_names}, root) for i in range(table.num_rows)]


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
