"""Per-frame values and the curves over them: vectorised, with every convention a parameter.

A new curve of one-pass benchmarks is an entry of CURVES and, for its thresholds, a field of that
name in siamla.benchmark.protocols.OnePass.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.benchmark.protocols import Curve, OnePass
from siamla.geometry import iou

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
TINY = 1e-16  # pysot adds it to the sizes that it divides by


def clip_to_image(boxes: Array, size: ArrayLike) -> Array:
    """Boxes (N, 4) clipped to (width, height), or (N, 2), as the GOT-10k toolkit does it."""
    limit = np.asarray(size, np.float64)
    corner = np.clip(boxes[:, :2], 0, limit)
    return np.concatenate([corner, np.clip(boxes[:, 2:], 0, limit - corner)], axis=1)


def _open_overlap(truth: Array, boxes: Array) -> Array:
    """IoU (N,) as data frames compute it: NaN bounds nothing; 0/0 and sizes of NaN give NaN."""
    x, y, w, h = truth.T
    u, v, p, q = boxes.T
    with np.errstate(divide="ignore", invalid="ignore"):
        across = np.fmin(x + w, u + p) - np.fmax(x, u)
        down = np.fmin(y + h, v + q) - np.fmax(y, v)
        shared = np.maximum(across, 0) * np.maximum(down, 0)
        return np.asarray(shared / (w * h + p * q - shared))


def _offset(truth: Array, boxes: Array, axis: int) -> Array:
    """From the truth's centre to the prediction's (N,) along an axis."""
    with np.errstate(invalid="ignore"):  # infinite boxes
        ends = boxes[:, axis] + boxes[:, axis + 2] / 2
        return np.asarray(ends - (truth[:, axis] + truth[:, axis + 2] / 2))


def _centre(boxes: Array, axis: int, origin: int = 0) -> Array:
    """The centre (N,) along an axis of boxes whose last pixel is x + w - 1."""
    return np.asarray(boxes[:, axis] + origin + (boxes[:, axis + 2] - 1) / 2)


def _overlaps(truth: Array, boxes: Array, rules: OnePass, origin: int) -> Array:
    return (_open_overlap if rules.undefined_overlap == "miss" else iou)(truth, boxes)


def _distances(truth: Array, boxes: Array, rules: OnePass, origin: int) -> Array:
    """Distance (N,) of the centres in pixels."""
    x, y = _offset(truth, boxes, 0), _offset(truth, boxes, 1)
    return np.asarray(np.sqrt(x * x + y * y))


def _normalised(truth: Array, boxes: Array, rules: OnePass, origin: int) -> Array:
    """Distance (N,) of the centres in units of the truth's size, infinite where not defined."""
    added = TINY if rules.valid_distance == "centre" else 0
    parts = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for axis in (0, 1):
            size = truth[:, axis + 2] + added
            if rules.normalised == "centres":
                there, here = (_centre(part, axis, origin) / size for part in (boxes, truth))
                parts.append(there - here)
            else:
                parts.append(_offset(truth, boxes, axis) / size)
    x, y = parts
    return np.nan_to_num(np.sqrt(x * x + y * y), nan=np.inf)


def _positive(truth: Array) -> Mask:
    return np.asarray((_centre(truth, 0) > 0) & (_centre(truth, 1) > 0))


def _positive_share(truth: Array) -> Mask:
    across = _centre(truth, 0) / (truth[:, 2] + TINY)
    down = _centre(truth, 1) / (truth[:, 3] + TINY)
    return np.asarray((across > 0) & (down > 0))


class CurveKind(NamedTuple):
    """One kind of curve: `values` (N,) of truth and predictions (N, 4), by the rules and the files'
    first pixel, unless it is not of single frames; `centred`, of a distance, the frames (N,) whose
    truth in the file's coordinates has a positive centre.
    """

    title: str  # of a panel
    x: str  # of its axes
    y: str
    values: Callable[[Array, Array, OnePass, int], Array] | None = None
    centred: Callable[[Array], Mask] | None = None


CURVES = {
    "success": CurveKind("Success plots of OPE", "Overlap threshold", "Success rate", _overlaps),
    "precision": CurveKind(
        "Precision plots of OPE",
        "Location error threshold (px)",
        "Precision",
        _distances,
        _positive,
    ),
    "norm_precision": CurveKind(
        "Normalized precision plots of OPE",
        "Normalized error threshold",
        "Precision",
        _normalised,
        _positive_share,
    ),
    "expected_overlap": CurveKind("Expected overlap", "Sequence length", "Expected overlap"),
}
"""Name in protocols, score files and figures.yaml → the curve."""


def frame_values(name: str, truth: Array, boxes: Array, rules: OnePass, origin: int) -> Array:
    """What a curve holds against its thresholds, of boxes (N, 4). origin: files' first pixel."""
    values = CURVES[name].values
    assert values is not None, f"{name} is not a curve of single frames"
    return values(truth, boxes, rules, origin)


def valid_frames(name: str, truth: Array, rules: OnePass, origin: int) -> Mask:
    """The frames (N,) whose truth (N, 4), in the files' coordinates, counts for a curve."""
    moved = truth + np.array([origin, origin, 0, 0])
    with np.errstate(invalid="ignore"):
        centred = CURVES[name].centred
        if centred is not None and rules.valid_distance == "centre":
            return centred(moved)
        positive = moved[:, 0 if rules.valid_truth == "all" else 2 :] > 0
        return np.asarray(positive.all(1))


def fractions(
    values: Array, curve: Curve, denominators: ArrayLike, groups: NDArray[np.int64] | None = None
) -> Array:
    """The curves (G, T): how many of each group's values hold against each threshold, over the
    group's denominator. `groups` (N,) numbers the group (sequence) of each of the values (N,). NaN
    holds against none.
    """
    rising = curve.compare in ("<", "<=")
    values = np.where(np.isnan(values), np.inf if rising else -np.inf, values)
    # the thresholds below a value: all of them hold for ">", all others for "<="
    side: Literal["left", "right"] = "left" if curve.compare in (">", "<=") else "right"
    below = np.searchsorted(curve.thresholds(), values, side)
    bins = below if groups is None else below + groups * (curve.count + 1)
    denominators = np.atleast_1d(np.asarray(denominators, np.float64))
    counts = np.bincount(bins, minlength=len(denominators) * (curve.count + 1))
    counts = counts.reshape(len(denominators), -1)
    held = np.cumsum(counts, 1)[:, :-1]
    held = held if rising else counts.sum(1, keepdims=True) - held
    return held / np.maximum(denominators, 1)[:, None]


def summarise(values: Array, curve: Curve) -> dict[str, Array]:
    """The numbers that the protocol reads off curves (..., T)."""
    thresholds = curve.thresholds()
    numbers = {}
    for metric, how in curve.report.items():
        if how == "mean":
            numbers[metric] = values.mean(-1)
        elif how == "trapezoid":
            sums = (values[..., 1:] + values[..., :-1]).sum(-1)
            numbers[metric] = sums / 2 / (len(thresholds) - 1)
        else:
            numbers[metric] = values[..., int(np.abs(thresholds - float(how)).argmin())]
    return numbers
