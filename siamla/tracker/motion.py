"""How the camera moved between two frames, by corners outside the target that optical flow follows;
and how a still target's box is kept still.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.geometry import Array

Image = NDArray[np.uint8]
WIDTH = 200  # pixels of the small image's longer side
CORNERS = 40
FEWEST = 8  # corners that have to agree
NEAR = 1.0  # small pixels from the median within which a corner agrees
AGREE = 0.5  # share of the corners that has to
SLOWEST = 0.3  # of a step that is much shorter than the zone, the share that is gone
WINDOW = (13, 13)  # small pixels around a corner that are compared
STOP = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 10, 0.03)


def small(image: Image) -> Image:
    """A grey copy (h, w) whose longer side has WIDTH pixels."""
    height, width = image.shape[:2]
    scale = WIDTH / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    grey = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), cv2.COLOR_BGR2GRAY)
    return np.asarray(grey, np.uint8)


def camera_shift(before: Image, after: Image, box: ArrayLike, width: int) -> Array:
    """How far (2,) the camera moves what stands still, in pixels of an image `width` wide.

    before, after: the two frames by `small`. box: the target's (xywh) in the first, in pixels of
    the large image; corners in it do not count. The shift is 0 where too few corners agree, or the
    frames have different sizes.
    """
    still = np.zeros(2)
    scale = before.shape[1] / width
    x, y, w, h = (np.asarray(box, np.float64) * scale).tolist()
    mask = np.full(before.shape, 255, np.uint8)
    mask[max(0, int(y)) : max(0, int(y + h) + 1), max(0, int(x)) : max(0, int(x + w) + 1)] = 0
    corners = cv2.goodFeaturesToTrack(before, CORNERS, 0.02, 6, mask=mask)
    if corners is None or len(corners) < FEWEST or before.shape != after.shape:
        return still
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, corners, None, winSize=WINDOW, maxLevel=3, criteria=STOP
    )
    ways = (there - corners)[found.ravel() == 1].reshape(-1, 2).astype(np.float64)
    if len(ways) < FEWEST:
        return still
    agree = np.linalg.norm(ways - np.median(ways, axis=0), axis=1) < NEAR
    if agree.sum() < max(FEWEST, AGREE * len(ways)):
        return still
    return np.asarray(ways[agree].mean(0) / scale, np.float64)


def calmed(step: Array, zone: float) -> Array:
    """A step (2,) in pixels, shortened where it is shorter than `zone`: what is left is the noise
    of a still target, damped.
    """
    share = float(np.hypot(*step)) / zone if zone > 0 else 1.0
    return step * min(max(share, SLOWEST), 1.0)
