"""Per-frame values and the curves over them: vectorised, with every convention a parameter."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.benchmark.protocols import Curve
from siamla.geometry import centre

Array = NDArray[np.float64]


def clip_to_image(boxes: Array, size: tuple[int, int]) -> Array:
    """Boxes clipped to a (width, height) image as the GOT-10k toolkit does it.

    The corner moves into the image and the size is cut at the far side; a corner that moved does not shrink the size.
    """
    limit = np.asarray(size, np.float64)
    corner = np.clip(boxes[:, :2], 0, limit)
    return np.concatenate([corner, np.clip(boxes[:, 2:], 0, limit - corner)], axis=1)


def centre_distance(truth: Array, found: Array) -> Array:
    """Distance (N,) of the centres in pixels."""
    return np.linalg.norm(centre(found) - centre(truth), axis=-1)


def normalised_distance(truth: Array, found: Array) -> Array:
    """Distance (N,) of the centres in units of the truth's width and height; infinite where it has no area."""
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = (centre(found) - centre(truth)) / truth[:, 2:]
    return np.nan_to_num(np.linalg.norm(offset, axis=-1), nan=np.inf)


def fractions(values: Array, curve: Curve, denominator: int) -> Array:
    """The curve (T,): how many of the values (N,) hold against each threshold, over the denominator.

    NaN holds against none.
    """
    ordered = np.sort(values[~np.isnan(values)])
    below = np.searchsorted(ordered, curve.thresholds(), side="right" if curve.compare in (">", "<=") else "left")
    counts = len(ordered) - below if curve.compare.startswith(">") else below
    return counts / max(denominator, 1)


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


def bootstrap_interval(values: ArrayLike, seed: int, n: int = 2000) -> tuple[float, float]:
    """95 % percentile interval of the mean, resampling the sequences' values (S,) n times."""
    values = np.asarray(values, np.float64)
    means = _resampled_means(values, seed, n)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def paired_bootstrap(a: ArrayLike, b: ArrayLike, seed: int, n: int = 2000) -> tuple[float, tuple[float, float], float]:
    """Mean difference a - b over the same sequences, its 95 % interval, and the share of resamples with a <= b.

    Both arrays (S,) hold one value per sequence, in the same order.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"{a.shape} and {b.shape} values: a paired test needs the same sequences")
    means = _resampled_means(a - b, seed, n)
    interval = float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))
    return float((a - b).mean()), interval, float((means <= 0).mean())


def _resampled_means(values: Array, seed: int, n: int) -> Array:
    chosen = np.random.default_rng(seed).integers(0, len(values), (n, len(values)))
    return values[chosen].mean(1)
