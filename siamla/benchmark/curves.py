"""The curves that a score file may hold: what each is computed from, and its words in figures.

A new curve of one-pass benchmarks is an entry of CURVES and, for its thresholds, a field of that
name in siamla.benchmark.protocols.OnePass.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark.metrics import (
    centre_distance,
    normalised_distance,
    open_overlap,
    overlap,
)
from siamla.benchmark.protocols import OnePass

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
TINY = 1e-16  # pysot adds it to the sizes that it divides by


@dataclass(frozen=True)
class CurveKind:
    """One kind of curve.

    Attributes:
        title: of a panel.
        x, y: the names of its axes.
        legend: the corner of a panel that the lines leave free.
        values: what is held against the thresholds, (N,) of truth and predictions (N, 4); None for
            a curve that is not of single frames.
        centred: of a distance, the frames (N,) whose truth (N, 4) in the file's own coordinates has
            a positive centre, for protocols that ask for it; None for an overlap.
    """

    title: str
    x: str
    y: str
    legend: str
    values: Callable[[Array, Array, OnePass], Array] | None = None
    centred: Callable[[Array], Mask] | None = None


def _overlaps(truth: Array, found: Array, rules: OnePass) -> Array:
    return (open_overlap if rules.undefined_overlap == "miss" else overlap)(truth, found)


def _distances(truth: Array, found: Array, rules: OnePass) -> Array:
    return centre_distance(truth, found)


def _normalised(truth: Array, found: Array, rules: OnePass) -> Array:
    added = TINY if rules.valid_distance == "centre" else 0
    return normalised_distance(truth, found, added)


def _centre(truth: Array, axis: int) -> Array:
    """The centre's coordinate (N,) of boxes whose last pixel is x + w - 1."""
    return np.asarray(truth[:, axis] + (truth[:, axis + 2] - 1) / 2)


def _positive(truth: Array) -> Mask:
    return np.asarray((_centre(truth, 0) > 0) & (_centre(truth, 1) > 0))


def _positive_share(truth: Array) -> Mask:
    across = _centre(truth, 0) / (truth[:, 2] + TINY)
    down = _centre(truth, 1) / (truth[:, 3] + TINY)
    return np.asarray((across > 0) & (down > 0))


CURVES = {
    "success": CurveKind(
        title="Success plots of OPE",
        x="Overlap threshold",
        y="Success rate",
        legend="lower left",
        values=_overlaps,
    ),
    "precision": CurveKind(
        title="Precision plots of OPE",
        x="Location error threshold (px)",
        y="Precision",
        legend="lower right",
        values=_distances,
        centred=_positive,
    ),
    "norm_precision": CurveKind(
        title="Normalized precision plots of OPE",
        x="Normalized error threshold",
        y="Precision",
        legend="lower right",
        values=_normalised,
        centred=_positive_share,
    ),
    "expected_overlap": CurveKind(
        title="Expected overlap",
        x="Sequence length",
        y="Expected overlap",
        legend="upper right",
    ),
}
"""Name in protocols, score files and figures.yaml → the curve."""


def frame_values(name: str, truth: Array, found: Array, rules: OnePass) -> Array:
    """What a curve holds against its thresholds: a value (N,) for each of the boxes (N, 4)."""
    values = CURVES[name].values
    assert values is not None, f"{name} is not a curve of single frames"
    return values(truth, found, rules)


def valid_frames(name: str, truth: Array, rules: OnePass, origin: int) -> Mask:
    """The frames (N,) whose truth (N, 4) the protocol accepts for a curve.

    `origin` is the first pixel of the layout's files, in whose coordinates numbers are positive.
    """
    moved = truth + np.array([origin, origin, 0, 0])
    with np.errstate(invalid="ignore"):
        centred = CURVES[name].centred
        if centred is not None and rules.valid_distance == "centre":
            return centred(moved)
        valid = (truth[:, 2] > 0) & (truth[:, 3] > 0)
        if rules.valid_truth == "all":
            valid = valid & (moved[:, 0] > 0) & (moved[:, 1] > 0)
        return np.asarray(valid)
