"""When a tracker is lost: a threshold on its confidence, from frames whose truth is known."""

from collections.abc import Sequence as Many
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark import store
from siamla.errors import UserError
from siamla.geometry import iou
from siamla.sequence import Sequence

MISS = 0.1  # a box that overlaps the target by less has lost it


class Calibration(NamedTuple):
    """How well confidence tells lost frames, and the threshold that does it best."""

    threshold: float  # a frame is called lost where the confidence is below it
    auroc: float  # the chance that a lost frame has a lower confidence than another
    frames: int
    lost: int
    caught: float  # share of the lost frames below the threshold
    false_alarms: float  # share of the others below it


def calibrate(confidence: NDArray[np.float64], lost: NDArray[np.bool_]) -> Calibration:
    """From the confidence (N,) of frames and whether each is lost (N,), of both kinds."""
    if not lost.any() or lost.all():
        kind = "no frame" if not lost.any() else "every frame"
        raise UserError(
            f"{kind} of {len(lost)} is lost (overlap below {MISS}): take other sequences"
        )
    values, group = np.unique(confidence, return_inverse=True)
    away = np.bincount(group, lost)
    there = np.bincount(group) - away
    # shares with all up to a value below
    caught, alarms = np.cumsum(away) / lost.sum(), np.cumsum(there) / (~lost).sum()
    auroc = float(np.trapezoid(np.r_[0, caught], np.r_[0, alarms]))
    best = int((caught - alarms).argmax())
    above = values[best + 1] if best + 1 < len(values) else values[best] + 1e-6
    counts = len(lost), int(lost.sum())
    threshold = float((values[best] + above) / 2)
    return Calibration(threshold, auroc, *counts, float(caught[best]), float(alarms[best]))


def judged(
    sequences: Many[Sequence], results: Path, layout: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence (N,) of all stored frames but the first, and whether they are lost (N,): an
    overlap below MISS, so without the target, too. Frames with an unknown box do not count.
    """
    confidence, lost = [], []
    for sequence in sequences:
        values = store.read_confidence(results, sequence.name, layout)
        if values is None:
            path = store.confidence_path(results, sequence.name, layout)
            raise UserError(f"{path}: no stored confidence")
        counted = (sequence.valid | ~sequence.visible) & np.isfinite(values)
        overlap = iou(sequence.boxes, store.read_boxes(results, sequence.name, layout))
        confidence.append(values[counted])
        lost.append((np.where(sequence.visible, overlap, 0.0) < MISS)[counted])
    return np.concatenate(confidence), np.concatenate(lost)
