"""Whether a box shows the target's colours: a second opinion on what the network is sure of."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.geometry import Array

INNER = 0.7  # of the box's sides: its rim shows what is behind the target
BINS = (8, 16, 16)  # of lightness and of the two axes of colour
RATE = 0.05  # of what is seen in a sure frame, in what is remembered
SURE = 0.9  # share of the first scores above which a frame is remembered


def colours(crop: NDArray[np.uint8], box: ArrayLike) -> Array:
    """Shares (2048,) of the colours in the inner part of a `box` (xywh, crop pixels, continuous) in
    a crop (side, side, 3), BGR. Neighbouring colours share, so that a little more light is a little
    different.
    """
    x, y, w, h = np.asarray(box, np.float64).tolist()
    spans = []
    for middle, extent in ((y + h / 2, h), (x + w / 2, w)):
        low = min(max(round(middle - INNER * extent / 2), 0), len(crop) - 1)
        spans.append(slice(low, max(round(middle + INNER * extent / 2), low + 1)))
    part = cv2.cvtColor(crop[spans[0], spans[1]], cv2.COLOR_BGR2LAB)
    counts = cv2.calcHist([part], [0, 1, 2], None, BINS, [0, 256] * 3)
    for axis in range(3):
        values = np.moveaxis(counts, axis, 0)
        shared = 0.5 * values
        shared[1:] += 0.25 * values[:-1]
        shared[:-1] += 0.25 * values[1:]
        counts = np.moveaxis(shared, 0, axis)
    return np.asarray(counts.ravel() / counts.sum(), np.float64)


def likeness(one: Array, other: Array) -> float:
    """Bhattacharyya's coefficient of two `colours`: 0 where they share none, 1 where all."""
    return float(np.sqrt(one * other).sum())
