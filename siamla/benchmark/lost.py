"""When a tracker should be called lost: a threshold on its confidence, from frames whose truth is
known.
"""

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
    """How well confidence tells lost frames from others, and the threshold that does it best."""

    threshold: float
    """A frame is called lost where the confidence is below it: the largest sum of both shares
    right.
    """
    auroc: float
    """The chance that of a lost and another frame the lost one has the lower confidence."""
    frames: int
    lost: int
    caught: float
    """Share of the lost frames below the threshold."""
    false_alarms: float
    """Share of the others below it."""


def calibrate(confidence: NDArray[np.float64], lost: NDArray[np.bool_]) -> Calibration:
    """From the confidence (N,) of frames and whether each is lost (N,); UserError unless there are
    both kinds.
    """
    if not lost.any() or lost.all():
        kind = "no frame" if not lost.any() else "every frame"
        raise UserError(
            f"{kind} of {len(lost)} is lost (overlap below {MISS}): no threshold can be found; use"
            " others"
        )
    values, group = np.unique(confidence, return_inverse=True)
    away = np.bincount(group, lost)
    there = np.bincount(group) - away
    caught, alarms = (
        np.cumsum(away) / lost.sum(),
        np.cumsum(there) / (~lost).sum(),
    )  # with all up to a value below
    auroc = float(np.trapezoid(np.r_[0, caught], np.r_[0, alarms]))
    best = int((caught - alarms).argmax())
    above = values[best + 1] if best + 1 < len(values) else values[best] + 1e-6
    threshold = float((values[best] + above) / 2)
    return Calibration(
        threshold, auroc, len(lost), int(lost.sum()), float(caught[best]), float(alarms[best])
    )


def judged(
    sequences: Many[Sequence], results: Path, layout: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence (N,) of all stored frames but the first of each sequence, and whether they are
    lost (N,).

    Lost is an overlap below MISS, so every frame without the target, too. Frames with an unknown
    box do not count.
    """
    confidence, lost = [], []
    for sequence in sequences:
        values = store.read_confidence(results, sequence.name, layout)
        if values is None:
            raise UserError(
                f"{store.confidence_path(results, sequence.name, layout)}: no stored confidence"
            )
        known = (sequence.valid | ~sequence.visible) & np.isfinite(values)
        overlap = np.where(
            sequence.visible,
            iou(sequence.boxes, store.read_boxes(results, sequence.name, layout)),
            0.0,
        )
        confidence.append(values[known])
        lost.append(overlap[known] < MISS)
    return np.concatenate(confidence), np.concatenate(lost)
