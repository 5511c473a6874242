"""The disk that a set's crops will take, from the boxes alone.

A crop of `size` pixels shows V of its pixels from the image, the rest has one colour; `scale` is
crop pixels per image pixel: an enlarged target is smooth and takes less. At quality 95, in bytes,

    0.01·size² + 0.34·V·scale^-0.6 + 9 for each of its restart intervals (siamla.data.jpeg)

fitted to 240 boxes, 12 to 700 pixels wide, on eight photos; single photos differ by -25 % (grainy)
to +45 % (blurred), their sum by less than 10 %. The first two terms at other qualities: QUALITY,
measured on two of them.
"""

import numpy as np
from numpy.typing import ArrayLike

from siamla.data.jpeg import COLUMN, ROW
from siamla.data.settings import CropSettings
from siamla.geometry import Array, centre, padded_size
from siamla.grid import TEMPLATE

FLAT, SHOWN, POWER, INTERVAL = 0.01, 0.34, -0.6, 9
QUALITY = {
    50: 0.27,
    60: 0.31,
    70: 0.37,
    80: 0.46,
    85: 0.54,
    90: 0.68,
    92: 0.76,
    95: 1.0,
    97: 1.26,
    99: 1.76,
    100: 2.0,
}
"""JPEG quality → bytes relative to those at 95."""


def crop_bytes(boxes: ArrayLike, images: ArrayLike, settings: CropSettings) -> Array:
    """Estimated bytes (N,) of the crops around xywh boxes (N, 4) in images of (width, height) (N,
    2).
    """
    boxes, images = np.asarray(boxes, np.float64), np.asarray(images, np.float64)
    if settings.form == "raw":
        return np.full(len(boxes), 3.0 * settings.size**2)
    side = padded_size(boxes[:, 2], boxes[:, 3], settings.context) * settings.size / TEMPLATE
    middle, half, scale = centre(boxes), side[:, None] / 2, settings.size / side
    seen = np.clip(np.minimum(middle + half, images) - np.maximum(middle - half, 0), 0, None).prod(
        1
    )
    factor = np.interp(settings.quality, list(QUALITY), list(QUALITY.values()))
    intervals = -(-settings.size // COLUMN) * -(-settings.size // ROW)
    shown = FLAT * settings.size**2 + SHOWN * seen * scale ** (2 + POWER)
    return np.asarray(factor * shown + INTERVAL * intervals, np.float64)
