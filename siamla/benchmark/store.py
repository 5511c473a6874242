"""Predictions on disk, in the text formats of the field.

One-pass benchmarks, pysot's way: `<folder>/<sequence>.txt`, x,y,w,h from the layout's origin, and
`<sequence>_time.txt`, seconds per frame. GOT-10k: `<sequence>/<sequence>_001.txt` for each
repetition, and times with a column for each. VOT: the same below `baseline/`, where a row is a
region or a code: 0 skipped, 1 initialised, 2 failed.

Confidences stand in `<sequence>_confidence.txt`, laid out as the times are; for VOT in the
toolkit's `<sequence>_001_confidence.value`, with an empty line for none. The boxes are written
last, so a sequence whose boxes exist is finished.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark.onepass import Track
from siamla.data.formats import LAYOUTS, text
from siamla.errors import UserError
from siamla.files import write_text
from siamla.geometry import corners
from siamla.sequence import Sequence

SKIPPED, INITIALISED, FAILED, TRACKED = 0, 1, 2, -1
COLUMNS = tuple(range(1, 101))  # of repetitions
WARNINGS = 20  # that are printed

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trajectory:
    """A supervised run: codes (N,) of the constants above, regions (N, 8) corner points 0-based,
    NaN under a code; confidence (N,) as of a Track.
    """

    codes: NDArray[np.int8]
    regions: Array
    seconds: Array
    confidence: Array | None = None


def track_path(folder: Path, sequence: str, layout: str, repetition: int = 1) -> Path:
    """Where the boxes of a sequence are stored."""
    if layout == "got10k":
        return folder / sequence / f"{sequence}_{repetition:03d}.txt"
    if layout == "vot":
        return folder / "baseline" / sequence / f"{sequence}_{repetition:03d}.txt"
    return folder / f"{sequence}.txt"


def time_path(folder: Path, sequence: str, layout: str) -> Path:
    """Where the times of a sequence are stored."""
    return track_path(folder, sequence, layout).with_name(f"{sequence}_time.txt")


def confidence_path(folder: Path, sequence: str, layout: str, repetition: int = 1) -> Path:
    """Where the confidences of a sequence are stored."""
    boxes = track_path(folder, sequence, layout, repetition)
    name = f"{boxes.stem}_confidence.value" if layout == "vot" else f"{sequence}_confidence.txt"
    return boxes.with_name(name)


def is_done(folder: Path, sequence: str, layout: str) -> bool:
    """True if the sequence's boxes are stored. An empty file holds none."""
    path = track_path(folder, sequence, layout)
    return path.is_file() and path.stat().st_size > 0


def repetitions(folder: Path, sequence: str, layout: str) -> list[int]:
    """The stored repetitions of a sequence, in order."""
    if layout not in ("got10k", "vot"):
        return [1] if is_done(folder, sequence, layout) else []
    files = track_path(folder, sequence, layout).parent.glob(f"{sequence}_*.txt")
    numbers = (path.stem.removeprefix(f"{sequence}_") for path in files)
    return sorted(int(number) for number in numbers if number.isdigit())


def read_seconds(folder: Path, sequence: str, layout: str) -> Array | None:
    """Seconds (N, repetitions), or None where no times are stored: results of others lack them."""
    path = time_path(folder, sequence, layout)
    return text.numbers(path, COLUMNS) if path.is_file() else None


def read_confidence(folder: Path, sequence: str, layout: str, repetition: int = 1) -> Array | None:
    """The confidence (N,) of a stored run, NaN for a given box; None if none is stored."""
    path = confidence_path(folder, sequence, layout, repetition)
    if not path.is_file():
        return None
    if layout != "vot":
        columns = text.numbers(path, COLUMNS)
        return columns[:, repetition - 1] if repetition <= columns.shape[1] else None
    lines = [line.strip() for line in text.read_text(path).splitlines()]
    values = [text.number(line) if line else np.nan for line in lines]
    if None in values:
        bad = values.index(None)
        raise UserError(
            f"{path}, line {bad + 1}: found {lines[bad]!r}, expected a number or nothing"
        )
    return np.array(values, np.float64)


def _write_beside(folder: Path, sequence: str, run: Track | Trajectory, layout: str) -> None:
    """Store times and confidences, as far as they are known."""
    if not np.isnan(run.seconds).all():
        text.write_rows(time_path(folder, sequence, layout), run.seconds[:, None], "%.8f")
    if run.confidence is None or np.isnan(run.confidence).all():
        return
    path = confidence_path(folder, sequence, layout)
    if layout == "vot":
        words = ["" if np.isnan(value) else f"{value:.6f}" for value in run.confidence]
        write_text(path, "".join(word + "\n" for word in words))
    else:
        text.write_rows(path, run.confidence[:, None], "%.6f")


def write_track(folder: Path, sequence: str, track: Track, layout: str) -> None:
    """Store a one-pass run; each file appears whole or not at all."""
    _write_beside(folder, sequence, track, layout)
    path = track_path(folder, sequence, layout)
    text.write_boxes(path, track.boxes, LAYOUTS[layout].ORIGIN)


def read_boxes(folder: Path, sequence: str, layout: str, repetition: int = 1) -> Array:
    """The boxes (N, 4) of a stored one-pass run, 0-based. UserError names a bad line."""
    path = track_path(folder, sequence, layout, repetition)
    if not path.exists():
        raise UserError(f"{path}: no stored predictions for sequence {sequence!r}")
    return text.boxes(path, LAYOUTS[layout].ORIGIN)


def write_trajectory(folder: Path, sequence: str, run: Trajectory) -> None:
    """Store a supervised run in VOT's format; axis-aligned regions become x,y,w,h."""
    _write_beside(folder, sequence, run, "vot")
    lines = [
        str(code) if code != TRACKED else ",".join(f"{value:.4f}" for value in _compact(region))
        for code, region in zip(run.codes, run.regions, strict=True)
    ]
    write_text(track_path(folder, sequence, "vot"), "\n".join(lines) + "\n")


def _compact(region: Array) -> Array:
    """x, y, w, h of an axis-aligned rectangle, the eight coordinates of anything else."""
    low, high = region.reshape(4, 2).min(0), region.reshape(4, 2).max(0)
    box = np.concatenate([low, high - low])
    return box if np.allclose(corners(box), region, rtol=0, atol=1e-9) else region


def truth_regions(sequence: Sequence) -> Array:
    """A sequence's truth as corner points (N, 8)."""
    return corners(sequence.boxes) if sequence.polygons is None else sequence.polygons


def read_regions(
    folder: Path, sequence: str, repetition: int = 1
) -> tuple[NDArray[np.int8], Array]:
    """Codes (N,) and regions (N, 8) of a stored supervised run; UserError naming a wrong line."""
    path = track_path(folder, sequence, "vot", repetition)
    if not path.is_file():
        raise UserError(f"{path}: no stored predictions for sequence {sequence!r}")
    values, widths = text.table(path)
    starts = np.cumsum(widths) - widths
    codes, regions = np.full(len(widths), TRACKED, np.int8), np.full((len(widths), 8), np.nan)
    single = np.flatnonzero(widths == 1)
    single = single[np.isin(values[starts[single]], (SKIPPED, INITIALISED, FAILED))]
    codes[single] = values[starts[single]]
    for width in (4, 8):
        chosen = np.flatnonzero(widths == width)
        rows = values[starts[chosen][:, None] + np.arange(width)]
        regions[chosen] = corners(rows) if width == 4 else rows
    valid = (codes != TRACKED) | np.isfinite(regions).all(1)
    if not valid.all():
        line = int(valid.argmin())
        row = values[starts[line] : starts[line] + widths[line]]
        words = ",".join(f"{value:g}" for value in row)
        raise UserError(
            f"{path}, line {line + 1}: found {words[:60]!r}, expected 0, 1, 2 or 4 or 8 finite"
            " numbers"
        )
    return codes, regions


def lacks(path: Path, rows: int, count: int, share: float) -> str:
    """A warning about missing rows; UserError when more than the share of them lack."""
    if count - rows > share * count:
        allowed = f"; at most {share:.0%} of the frames may lack" if share else ""
        raise UserError(f"{path}: {rows} rows, but the annotation has {count}{allowed}")
    return f"{path}: {rows} rows, but the annotation has {count}"


def warn(notes: list[str]) -> None:
    """Print warnings about result files, the first of many."""
    more = [f"and {len(notes) - WARNINGS} more"] if len(notes) > WARNINGS else []
    for note in notes[:WARNINGS] + more:
        print(f"warning: {note}", file=sys.stderr)
