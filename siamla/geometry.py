"""Boxes and overlap. One convention: float (x, y, w, h), 0-based, continuous.

A pixel with index i covers the interval [i, i + 1); a box covers [x, x + w) by [y, y + h) and its
centre is (x + w / 2, y + h / 2). Files that count from 1 are shifted when they are read.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def iou(a: ArrayLike, b: ArrayLike) -> Array:
    """IoU of boxes (..., 4) in xywh, broadcast; 0 where either has no area or is NaN, and never
    above 1, which equal boxes exceed by rounding. One coordinate at a time: long columns are fast.
    """
    x, y, w, h = np.moveaxis(np.asarray(a, np.float64), -1, 0)
    u, v, p, q = np.moveaxis(np.asarray(b, np.float64), -1, 0)
    with np.errstate(invalid="ignore"):  # infinite and unknown boxes
        across = np.minimum(x + w, u + p) - np.maximum(x, u)
        down = np.minimum(y + h, v + q) - np.maximum(y, v)
        shared = np.maximum(across, 0) * np.maximum(down, 0)
        valid = (w > 0) & (h > 0) & (p > 0) & (q > 0) & np.isfinite(shared)
        union = np.where(valid, w * h + p * q - shared, 1)
        return np.where(valid, np.minimum(shared / union, 1), 0)


def corners(box: ArrayLike) -> Array:
    """Corner points (..., 8) of xywh boxes (..., 4): clockwise from the top left."""
    x, y, w, h = np.moveaxis(np.asarray(box, np.float64), -1, 0)
    return np.stack([x, y, x + w, y, x + w, y + h, x, y + h], axis=-1)


def centre(box: ArrayLike) -> Array:
    """Centres (..., 2) of xywh boxes (..., 4)."""
    box = np.asarray(box, np.float64)
    return box[..., :2] + box[..., 2:] / 2


def from_centre(middle: ArrayLike, size: ArrayLike) -> Array:
    """The xywh boxes with the given centres (..., 2) and sizes (..., 2)."""
    middle, size = np.asarray(middle, np.float64), np.asarray(size, np.float64)
    return np.concatenate([middle - size / 2, size], axis=-1)


def padded_size(w: ArrayLike, h: ArrayLike) -> Array:
    """Side √((w+p)(h+p)), p = (w+h)/2, of a target's square with its context (eq. 13)."""
    w, h = np.asarray(w, np.float64), np.asarray(h, np.float64)
    pad = 0.5 * (w + h)
    return np.sqrt((w + pad) * (h + pad))


def polygon_to_box(polygon: ArrayLike) -> Array:
    """The axis-aligned xywh box (4,) of equal area around a polygon (8,), as Siamese trackers do on
    VOT: the bounding rectangle, shrunk about the vertices' mean; without pysot's +1 pixel.
    """
    points = np.asarray(polygon, np.float64).reshape(4, 2)
    middle, low, high = points.mean(0), points.min(0), points.max(0)
    area = np.linalg.norm(points[0] - points[1]) * np.linalg.norm(points[1] - points[2])
    bounds = np.prod(high - low)
    scale = np.sqrt(area / bounds) if bounds > 0 else 1.0
    return from_centre(middle, scale * (high - low))
