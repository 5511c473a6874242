"""Zip files for evaluation servers, validated first: the servers reject in silence.

A new server is an entry of SERVERS.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark import archive, store
from siamla.data.formats import LAYOUTS
from siamla.errors import UserError
from siamla.settings import nearest


class Server(NamedTuple):
    """What an evaluation server takes."""

    layout: str
    """Of its test set, and of the stored predictions."""
    members: Callable[[Path, str, int], dict[str, str]]
    """(folder of predictions, sequence, frames) → texts by their names in the zip; UserError for
    what the server would reject.
    """


def _rows(values: NDArray[np.float64], form: str) -> str:
    return "".join(",".join(form % value for value in row) + "\n" for row in values)


def _boxes(path: Path, boxes: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """The boxes (frames, 4); UserError for another count, and for a box that is none."""
    if len(boxes) != frames:
        raise UserError(f"{path}: {len(boxes)} rows, but the sequence has {frames} frames")
    bad = ~np.isfinite(boxes).all(1) | (boxes[:, 2:] <= 0).any(1)
    if bad.any():
        row = int(bad.argmax())
        raise UserError(
            f"{path}, line {row + 1}: {boxes[row].tolist()}, expected finite numbers and a positive"
            " width and height"
        )
    return boxes


def _seconds(folder: Path, name: str, frames: int, repetitions: int) -> NDArray[np.float64]:
    """The times (frames, repetitions); UserError where one is missing or is no time."""
    path = store.time_path(folder, name, "got10k")
    seconds = store.read_seconds(folder, name, "got10k")
    if seconds is None:
        raise UserError(f"{path}: not found; the server wants the time of every frame")
    if seconds.shape != (frames, repetitions):
        rows, columns = seconds.shape
        raise UserError(
            f"{path}: {rows} × {columns} times, expected {frames} frames × {repetitions}"
            " repetitions"
        )
    if not (np.isfinite(seconds).all() and (seconds >= 0).all()):
        raise UserError(f"{path}: a time is negative or not finite")
    return seconds


def _got10k(folder: Path, name: str, frames: int) -> dict[str, str]:
    """`<sequence>/<sequence>_001.txt`, further repetitions, and `<sequence>_time.txt`."""
    numbers = store.repetitions(folder, name, "got10k")
    seconds = _seconds(folder, name, frames, len(numbers))
    members = {f"{name}/{name}_time.txt": _rows(seconds, "%.8f")}
    for number in numbers:
        path = store.track_path(folder, name, "got10k", number)
        boxes = store.read_boxes(folder, name, "got10k", number)
        members[f"{name}/{path.name}"] = _rows(_boxes(path, boxes, frames), "%.3f")
    return members


def _trackingnet(folder: Path, name: str, frames: int) -> dict[str, str]:
    """`<sequence>.txt` at the top of the zip."""
    path = store.track_path(folder, name, "trackingnet")
    boxes = store.read_boxes(folder, name, "trackingnet")
    return {f"{name}.txt": _rows(_boxes(path, boxes, frames), "%.2f")}


SERVERS = {
    "got10k": Server("got10k", _got10k),
    "trackingnet": Server("trackingnet", _trackingnet),
}


def submit(name: str, predictions: Path, data: Path, out: Path) -> int:
    """Write the zip that a server takes; returns the number of sequences in it.

    `data` is the server's whole test set. UserError, with nothing written, for an unknown server,
    when the set is not complete, a sequence is missing, or a file has wrong counts, columns,
    numbers or times.
    """
    if name not in SERVERS:
        raise UserError(f"{name}: no such evaluation server; {nearest(name, list(SERVERS))}")
    server = SERVERS[name]
    layout = LAYOUTS[server.layout]
    sequences = layout.names(data)
    if len(sequences) != layout.official_count:
        raise UserError(
            f"{name}: the data have {len(sequences)} sequences, the server expects all"
            f" {layout.official_count}"
        )
    missing = [each for each in sequences if not store.is_done(predictions, each, server.layout)]
    if missing:
        raise UserError(
            f"{predictions}: no predictions for {len(missing)} sequences, the first is"
            f" {missing[0]!r}"
        )
    members: dict[str, str] = {}
    for each in sequences:
        members |= server.members(predictions, each, len(layout.read(data, each).frames))
    archive.pack(out, members)
    return len(sequences)
