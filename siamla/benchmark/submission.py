"""Zip files for the evaluation servers of GOT-10k and TrackingNet, validated first: the servers
reject in silence.

GOT-10k takes `<sequence>/<sequence>_001.txt` (and further repetitions) with `<sequence>_time.txt`;
TrackingNet takes `<sequence>.txt` at the top of the zip. Rows are x,y,w,h with commas, one per
frame.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark import archive, store
from siamla.errors import UserError

Lengths = Mapping[str, int]  # frames by sequence name


def _rows(values: NDArray[np.float64], form: str) -> str:
    return "".join(",".join(form % value for value in row) + "\n" for row in values)


def _checked_boxes(path: Path, boxes: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    if len(boxes) != frames:
        raise UserError(f"{path}: {len(boxes)} rows, but the sequence has {frames} frames")
    bad = ~np.isfinite(boxes).all(1) | (boxes[:, 2:] <= 0).any(1)
    if bad.any():
        row = int(bad.argmax())
        found = boxes[row].tolist()
        raise UserError(
            f"{path}, line {row + 1}: {found}, expected finite numbers and a positive width and"
            " height"
        )
    return boxes


def _got10k(folder: Path, name: str, frames: int) -> dict[str, str]:
    numbers = store.repetitions(folder, name, "got10k")
    times_path = store.time_path(folder, name, "got10k")
    seconds = store.read_seconds(folder, name, "got10k")
    if seconds is None:
        raise UserError(f"{times_path}: not found; the server wants the time of every frame")
    if seconds.shape != (frames, len(numbers)):
        rows, columns = seconds.shape
        raise UserError(
            f"{times_path}: {rows} × {columns} times, expected {frames} frames × {len(numbers)}"
            " repetitions"
        )
    if not (np.isfinite(seconds).all() and (seconds >= 0).all()):
        raise UserError(f"{times_path}: a time is negative or not finite")
    members = {f"{name}/{name}_time.txt": _rows(seconds, "%.8f")}
    for number in numbers:
        path = store.track_path(folder, name, "got10k", number)
        boxes = _checked_boxes(path, store.read_track(folder, name, "got10k", number).boxes, frames)
        members[f"{name}/{path.name}"] = _rows(boxes, "%.3f")
    return members


def _trackingnet(folder: Path, name: str, frames: int) -> dict[str, str]:
    path = store.track_path(folder, name, "trackingnet")
    boxes = _checked_boxes(path, store.read_track(folder, name, "trackingnet").boxes, frames)
    return {f"{name}.txt": _rows(boxes, "%.2f")}


SERVERS: dict[str, Callable[[Path, str, int], dict[str, str]]] = {
    "got10k": _got10k,
    "trackingnet": _trackingnet,
}


def submit(server: str, predictions: Path, lengths: Lengths, official_count: int, out: Path) -> int:
    """Write the zip that a server ("got10k" or "trackingnet") takes; returns the number of
    sequences in it.

    `lengths` are the test set's frames by sequence name. UserError, with nothing written, when the
    set is not complete, a sequence is missing, or a file has wrong counts, columns, numbers or
    times.
    """
    if len(lengths) != official_count:
        raise UserError(
            f"{server}: the data have {len(lengths)} sequences, the server expects all"
            f" {official_count}"
        )
    missing = [name for name in lengths if not store.is_done(predictions, name, server)]
    if missing:
        raise UserError(
            f"{predictions}: no predictions for {len(missing)} sequences, the first is"
            f" {missing[0]!r}"
        )
    members: dict[str, str] = {}
    for name, frames in lengths.items():
        members |= SERVERS[server](predictions, name, frames)
    archive.pack(out, members)
    return len(lengths)
