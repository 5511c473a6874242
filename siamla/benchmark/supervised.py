"""VOT's supervised run: a tracker that loses its target is started again a few frames later."""

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark.onepass import FrameError, Tracker, read_image, step
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
    truth = truth_regions(sequence)
    if len(truth) < len(sequence):
        raise FrameError(
            len(truth), f"the annotation ends here, {len(sequence)} frames need one each"
        )
    codes, seconds = np.full(len(sequence), TRACKED, np.int8), np.zeros(len(sequence))
    regions, confidence = np.full((len(sequence), 8), np.nan), np.full(len(sequence), np.nan)
    start = 0  # the next frame to initialise on
    for index, path in enumerate(sequence.frames):
        if index < start or (index == start and not np.isfinite(truth[index]).all()):
            codes[index], start = SKIPPED, max(start, index + 1)
            continue
        try:
            image = read_image(path)
            box = initial_box(sequence, index, rules) if index == start else None
            found, seconds[index], confidence[index] = step(tracker, image, box)
        except Exception as error:
            raise FrameError(index, f"{type(error).__name__}: {error}") from error
        if index == start:
            codes[index], start = INITIALISED, -1
            continue
        region, size = corners(found), (image.shape[1], image.shape[0])
        if (
            np.isfinite(truth[index]).all()
            and not region_overlap(region[None], truth[index][None], size)[0] > 0
        ):
            codes[index], start = FAILED, index + (rules.gap or 0)
        else:
            regions[index] = region
    return Trajectory(codes, regions, seconds, confidence)
