"""Per-frame values and the curves over them: vectorised, with every convention a parameter."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.benchmark.protocols import Curve

Array = NDArray[np.float64]


def clip_to_image(boxes: Array, size: ArrayLike) -> Array:
    """Boxes (N, 4) clipped to (width, height), one for all or (N, 2), as the GOT-10k toolkit does
    it.

    The corner moves into the image and the size is cut at the far side; a corner that moved does
    not shrink the size.
    """
    limit = np.asarray(size, np.float64)
    corner = np.clip(boxes[:, :2], 0, limit)
    return np.concatenate([corner, np.clip(boxes[:, 2:], 0, limit - corner)], axis=1)


def overlap(truth: Array, found: Array) -> Array:
    """IoU (N,) of boxes (N, 4), 0 where either has no area and never above 1, which equal boxes
    exceed by rounding.

    geometry.iou for long columns: many times faster, since it works on one coordinate at a time.
    """
    x, y, w, h = truth.T
    u, v, p, q = found.T
    with np.errstate(invalid="ignore"):  # infinite and unknown boxes
        across = np.minimum(x + w, u + p) - np.maximum(x, u)
        down = np.minimum(y + h, v + q) - np.maximum(y, v)
        shared = np.maximum(across, 0) * np.maximum(down, 0)
        known = (w > 0) & (h > 0) & (p > 0) & (q > 0) & np.isfinite(shared)
        union = np.where(known, w * h + p * q - shared, 1)
        return np.where(known, np.minimum(shared / union, 1), 0)


def open_overlap(truth: Array, found: Array) -> Array:
    """IoU (N,) as data frames compute it: a coordinate that is NaN bounds nothing; 0/0 and sizes of
    NaN give NaN.
    """
    x, y, w, h = truth.T
    u, v, p, q = found.T
    across = np.fmin(x + w, u + p) - np.fmax(x, u)
    down = np.fmin(y + h, v + q) - np.fmax(y, v)
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = np.maximum(across, 0) * np.maximum(down, 0)
        return np.asarray(shared / (w * h + p * q - shared))


def _offset(truth: Array, found: Array) -> tuple[Array, Array]:
    """From the truth's centre to the prediction's, along x (N,) and y (N,)."""
    with np.errstate(invalid="ignore"):  # infinite boxes
        x, y = (
            found[:, axis] + found[:, axis + 2] / 2 - (truth[:, axis] + truth[:, axis + 2] / 2)
            for axis in (0, 1)
        )
    return x, y


def centre_distance(truth: Array, found: Array) -> Array:
    """Distance (N,) of the centres in pixels."""
    x, y = _offset(truth, found)
    return np.asarray(np.sqrt(x * x + y * y))


def normalised_distance(truth: Array, found: Array, added: float = 0) -> Array:
    """Distance (N,) of the centres in units of the truth's width and height, to which `added` is
    added.

    Infinite where it is not defined, as for a truth without area and nothing added.
    """
    x, y = _offset(truth, found)
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = x / (truth[:, 2] + added), y / (truth[:, 3] + added)
    return np.nan_to_num(np.sqrt(x * x + y * y), nan=np.inf)


def _below(curve: Curve, values: Array) -> NDArray[np.int64]:
    """How many thresholds (N,) lie below each value; for ">=" and "<" one that equals it counts as
    well.

    What np.searchsorted finds, four times as fast: thresholds are even, so a division is right or
    off by one.
    """
    bounds = np.concatenate([[-np.inf], curve.thresholds(), [np.inf]])
    with np.errstate(over="ignore"):
        guess = (values - curve.first) * ((curve.count - 1) / (curve.last - curve.first))
    below = np.clip(guess, -1, curve.count - 1).astype(np.int64) + 1
    passed = np.less if curve.compare in (">", "<=") else np.less_equal
    below += passed(bounds[below + 1], values)
    below -= ~passed(bounds[below], values)
    return np.clip(below, 0, curve.count)  # an infinite value equals an outer bound


def fractions(
    values: Array, curve: Curve, denominators: ArrayLike, groups: NDArray[np.int64] | None = None
) -> Array:
    """The curves (G, T): how many of each group's values hold against each threshold, over the
    group's denominator.

    `groups` (N,) numbers the group (sequence) of each of the values (N,); without it all are one
    group. NaN holds against no threshold.
    """
    rising = curve.compare in ("<", "<=")
    values = np.where(np.isnan(values), np.inf if rising else -np.inf, values)
    below = _below(curve, values)  # all of them hold for ">", all others for "<="
    denominators = np.atleast_1d(np.asarray(denominators, np.float64))
    bins = below if groups is None else below + groups * (curve.count + 1)
    counts = np.bincount(bins, minlength=len(denominators) * (curve.count + 1)).reshape(
        len(denominators), -1
    )
    held = np.cumsum(counts, 1)[:, :-1]
    held = held if rising else counts.sum(1, keepdims=True) - held
    return held / np.maximum(denominators, 1)[:, None]


def summarise(values: Array, curve: Curve) -> dict[str, Array]:
    """The numbers that the protocol reads off curves (..., T)."""
    thresholds = curve.thresholds()
    found = {}
    for metric, how in curve.report.items():
        if how == "mean":
            found[metric] = values.mean(-1)
        elif how == "trapezoid":
            found[metric] = (values[..., 1:] + values[..., :-1]).sum(-1) / 2 / (len(thresholds) - 1)
        else:
            found[metric] = values[..., int(np.abs(thresholds - float(how)).argmin())]
    return found
