"""Zip files for evaluation servers, validated first: the servers reject in silence.

A new server is an entry of SERVERS under the name of its test set's layout.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark import store
from siamla.data.formats import LAYOUTS
from siamla.errors import UserError
from siamla.files import atomic
from siamla.settings import nearest


class Server(NamedTuple):
    """The number of its sequences; (folder, sequence, frames) → texts by names in the zip."""

    sequences: int
    members: Callable[[Path, str, int], dict[str, str]]


def _rows(values: NDArray[np.float64], form: str) -> str:
    return "".join(",".join(form % value for value in row) + "\n" for row in values.tolist())


def _boxes(folder: Path, name: str, layout: str, frames: int, form: str, number: int = 1) -> str:
    """The rows of a stored run; UserError for another count, and for a box that is none."""
    path = store.track_path(folder, name, layout, number)
    boxes = store.read_boxes(folder, name, layout, number)
    if len(boxes) != frames:
        raise UserError(f"{path}: {len(boxes)} rows, but the sequence has {frames} frames")
    bad = ~np.isfinite(boxes).all(1) | (boxes[:, 2:] <= 0).any(1)
    if bad.any():
        row = int(bad.argmax())
        raise UserError(
            f"{path}, line {row + 1}: {boxes[row].tolist()}, expected a box with an area"
        )
    return _rows(boxes, form)


def _got10k(folder: Path, name: str, frames: int) -> dict[str, str]:
    """`<sequence>/<sequence>_001.txt`, further repetitions, and `<sequence>_time.txt`."""
    numbers = store.repetitions(folder, name, "got10k")
    path = store.time_path(folder, name, "got10k")
    seconds = store.read_seconds(folder, name, "got10k")
    if seconds is None:
        raise UserError(f"{path}: not found; the server wants the time of every frame")
    if seconds.shape != (frames, len(numbers)):
        raise UserError(f"{path}: {seconds.shape} times, expected {(frames, len(numbers))}")
    if not (np.isfinite(seconds).all() and (seconds >= 0).all()):
        raise UserError(f"{path}: a time is negative or not finite")
    members = {f"{name}/{name}_time.txt": _rows(seconds, "%.8f")}
    for number in numbers:
        rows = _boxes(folder, name, "got10k", frames, "%.3f", number)
        members[f"{name}/{name}_{number:03d}.txt"] = rows
    return members


def _trackingnet(folder: Path, name: str, frames: int) -> dict[str, str]:
    """`<sequence>.txt` with all decimals: what was rounded before may get another pixel."""
    return {f"{name}.txt": _boxes(folder, name, "trackingnet", frames, "%r")}


SERVERS = {"got10k": Server(180, _got10k), "trackingnet": Server(511, _trackingnet)}


def submit(name: str, predictions: Path, data: Path, out: Path) -> int:
    """Write the zip that a server takes of its whole test set `data`; returns the number of
    sequences. UserError, with nothing written, for an unknown server and whatever it would reject.
    """
    if name not in SERVERS:
        raise UserError(f"{name}: no such evaluation server; {nearest(name, list(SERVERS))}")
    layout, server = LAYOUTS[name], SERVERS[name]
    sequences = layout.names(data)
    if len(sequences) != server.sequences:
        raise UserError(
            f"{data}: {len(sequences)} sequences, the server expects all {server.sequences}"
        )
    missing = [each for each in sequences if not store.is_done(predictions, each, name)]
    if missing:
        raise UserError(
            f"{predictions}: no predictions for {len(missing)} sequences, first {missing[0]!r}"
        )
    members: dict[str, str] = {}
    for each in sequences:
        members |= server.members(predictions, each, len(layout.read(data, each).frames))
    with atomic(out) as temporary, zipfile.ZipFile(temporary, "w") as target:
        for member in sorted(members):
            entry = zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0))
            target.writestr(entry, members[member], zipfile.ZIP_DEFLATED)
    return len(sequences)
