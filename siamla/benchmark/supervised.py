"""VOT's supervised run: a tracker that loses its target is started again a few frames later."""

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark.onepass import FrameError, Tracker, step
from siamla.benchmark.protocols import RunRules
from siamla.benchmark.region import region_overlap
from siamla.benchmark.store import FAILED, INITIALISED, SKIPPED, TRACKED, Trajectory, corners
from siamla.sequence import Sequence

Array = NDArray[np.float64]


def truth_regions(sequence: Sequence) -> Array:
    """The sequence's truth as corner points (N, 8)."""
    return corners(sequence.boxes) if sequence.polygons is None else sequence.polygons


def initial_box(sequence: Sequence, index: int, rules: RunRules) -> Array:
    """The xywh box that a tracker is started on: the truth's equal-area rectangle, its size
    padded.
    """
    padding = rules.init_padding if sequence.polygons is not None else 0.0
    return np.asarray(sequence.boxes[index] + np.array([0, 0, padding, padding]))


def run_supervised(tracker: Tracker, sequence: Sequence, rules: RunRules) -> Trajectory:
    """One supervised run. FrameError names the frame at which anything raised."""
    truth, count = truth_regions(sequence), len(sequence)
    if len(truth) < count:
        raise FrameError(
            f"{sequence.name}, frame {len(truth) + 1}: the annotation ends here, {count} frames"
            " need one each"
        )
    codes, seconds = np.full(count, TRACKED, np.int8), np.zeros(count)
    regions, confidence = np.full((count, 8), np.nan), np.full(count, np.nan)
    known = np.isfinite(truth).all(1)
    start = 0  # the next frame to initialise on
    for index in range(count):
        if index < start or (index == start and not known[index]):
            codes[index], start = SKIPPED, max(start, index + 1)
            continue
        box = initial_box(sequence, index, rules) if index == start else None
        box, seconds[index], confidence[index], size = step(tracker, sequence, index, box)
        if index == start:
            codes[index], start = INITIALISED, -1
            continue
        region = corners(box)
        if known[index] and not region_overlap(region[None], truth[index][None], size)[0] > 0:
            codes[index], start = FAILED, index + (rules.gap or 0)
        else:
            regions[index] = region
    return Trajectory(codes, regions, seconds, confidence)
