"""Whether a person would find the target in a frame: all around it, the colours inside its outline
differ from those outside, and more than they do along the same outline laid beside it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.geometry import Array

# Least differences of colour across the outline of a target, in levels of 8-bit Lab: that of its
# weak quarter and the median; and the median's ratio to that of outlines beside the target.
_WEAK, _USUAL, _RATIO = 14.0, 24.0, 1.6
_ASIDE = 0.9  # of the target's sides, how far beside it an outline is laid


def across(lab: NDArray[np.float32], outline: Array, ring: float) -> Array:
    """Differences of colour between the points `ring` pixels inside and outside of an outline
    (P, 2) in continuous pixels, for those of its points whose both sides lie in the picture.
    """
    along = np.roll(outline, -2, 0) - np.roll(outline, 2, 0)
    length = np.maximum(np.linalg.norm(along, axis=1), 1e-9)
    normal = np.stack([along[:, 1], -along[:, 0]], 1) / length[:, None]
    first, second = (np.floor(outline + way * normal).astype(int) for way in (-ring, ring))
    both = np.concatenate([first, second], axis=1)
    size = np.tile(lab.shape[1::-1], 2)
    x, y, u, v = both[((both >= 0) & (both < size)).all(1)].T
    return np.asarray(np.linalg.norm(lab[y, x] - lab[v, u], axis=1), np.float64)


def standing(
    frame: NDArray[np.uint8], outline: Array, weak: float = 0.25
) -> tuple[float, float, float]:
    """How far an outline (P, 2) stands out in a frame (H, W, 3) uint8 BGR: the contrast across its
    `weak` share and the median, in levels of Lab, and the median's ratio to that of the same
    outline laid beside it on its four sides. Zeros where none of it is in the frame.
    """
    lab = cv2.cvtColor(frame, cv2.COLOR_BGR2LAB).astype(np.float32)
    lab = np.asarray(cv2.GaussianBlur(lab, (0, 0), 1.0), np.float32)
    sides = np.ptp(outline, axis=0)
    ring = float(np.clip(0.1 * np.sqrt(sides.prod()), 1.5, 5))
    seen = across(lab, outline, ring)
    if not len(seen):
        return 0.0, 0.0, 0.0
    beside = []
    for way in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        other = across(lab, outline + _ASIDE * sides * way, ring)
        if len(other) > len(outline) / 2:
            beside.append(np.median(other))
    least, usual = np.quantile(seen, (weak, 0.5))
    ratio = usual / max(float(np.mean(beside)), 1.0) if beside else np.inf
    return float(least), float(usual), float(ratio)


def findable(frame: NDArray[np.uint8], outline: Array) -> bool:
    """Whether a person would find the target of this outline (P, 2) in a frame (H, W, 3) uint8 BGR
    as it is shown: with its light, blur, noise and coding, and with what covers a part of it.
    """
    weak, usual, ratio = standing(frame, outline)
    return weak >= _WEAK and usual >= _USUAL and ratio >= _RATIO
