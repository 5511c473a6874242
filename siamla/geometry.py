"""Boxes and overlap. One convention: float (x, y, w, h), 0-based, continuous.

A pixel with index i covers the interval [i, i + 1); a box covers [x, x + w) by [y, y + h) and its
centre is (x + w / 2, y + h / 2). Files that count from 1 are shifted when they are read.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def iou(a: ArrayLike, b: ArrayLike) -> Array:
    """IoU of boxes (..., 4) in xywh, broadcast; 0 where either box is empty or NaN."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    left_top = np.maximum(a[..., :2], b[..., :2])
    right_bottom = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    intersection = np.prod(np.clip(right_bottom - left_top, 0, None), axis=-1)
    area_a, area_b = np.prod(a[..., 2:], axis=-1), np.prod(b[..., 2:], axis=-1)
    valid = (a[..., 2:] > 0).all(-1) & (b[..., 2:] > 0).all(-1) & np.isfinite(intersection)
    union = np.where(valid, area_a + area_b - intersection, 1.0)
    return np.where(valid, intersection / union, 0.0)


def centre(box: ArrayLike) -> Array:
    """Centres (..., 2) of xywh boxes (..., 4)."""
    box = np.asarray(box, np.float64)
    return box[..., :2] + box[..., 2:] / 2


def from_centre(middle: ArrayLike, size: ArrayLike) -> Array:
    """The xywh boxes with the given centres (..., 2) and sizes (..., 2)."""
    middle, size = np.asarray(middle, np.float64), np.asarray(size, np.float64)
    return np.concatenate([middle - size / 2, size], axis=-1)


def padded_size(w: ArrayLike, h: ArrayLike, context: float = 0.5) -> Array:
    """Side √((w+p)(h+p)), p = context·(w+h), of a target's square with its context (eq. 13)."""
    w, h = np.asarray(w, np.float64), np.asarray(h, np.float64)
    pad = context * (w + h)
    return np.sqrt((w + pad) * (h + pad))


def polygon_to_box(polygon: ArrayLike) -> Array:
    """The axis-aligned xywh box (4,) of equal area around a polygon (8,) = x1, y1, …, x4, y4.

    The rule that Siamese trackers use on VOT: the bounding rectangle, shrunk about the vertices'
    mean so that its area is the rotated rectangle's. Continuous: without pysot's +1 pixel.
    """
    points = np.asarray(polygon, np.float64).reshape(4, 2)
    middle, low, high = points.mean(0), points.min(0), points.max(0)
    area = np.linalg.norm(points[0] - points[1]) * np.linalg.norm(points[1] - points[2])
    bounds = np.prod(high - low)
    scale = np.sqrt(area / bounds) if bounds > 0 else 1.0
    return from_centre(middle, scale * (high - low))
