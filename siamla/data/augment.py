"""Random views of a cached crop: shift, scale, motion blur, colour, flip, gray (SiamCAR's public
code), degradation. Equal numbers give equal views, and boxes are exact. Numbers are Python's and
images are changed in place: calls of numpy and fresh memory would cost as much as the resize.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.data.crop import Image
from siamla.data.jpeg import Window
from siamla.data.settings import Jitter

# Principal axes (columns, BGR) of the colours of ImageNet's pixels (Krizhevsky et al. 2012) and the
# standard deviations along them that Siamese trackers use. Their code multiplies by the transposed
# matrix, which puts most of the offset into one channel; here the largest part is a change of
# brightness, as published.
_AXES = np.array([[0.5836, -0.6948, 0.4203], [0.5808, -0.0045, -0.8140], [0.5675, 0.7192, 0.4009]])
_SPREAD = (_AXES * np.array([8.24, 2.52, 1.20])).tolist()
_LENGTHS = range(5, 46, 2)  # of a motion blur
# From the least a degraded view suffers to the most: factor of lost pixels, JPEG quality, noise in
# levels.
_SHRINK, _QUALITY, _NOISE = (1.3, 3.0), (60, 15), (3.0, 16.0)


def view_window(jitter: Jitter, size: int, crop_size: int, drawn: Sequence[float]) -> Window:
    """The window of a cached crop that becomes a view of `size` pixels, of four numbers in [0, 1):
    its middle within ± shift pixels of the crop's, its sides within ± scale; edges are rounded.
    """
    right, down, wider, higher = drawn
    x, y = (crop_size / 2 + jitter.shift * (2 * each - 1) for each in (right, down))
    width, height = (size / 2 * (1 + jitter.scale * (2 * each - 1)) for each in (wider, higher))
    return round(x - width), round(y - height), round(x + width), round(y + height)


def colour_offset(drawn: Sequence[float]) -> list[int]:
    """A whole offset (3,) along the principal colours, of three normally distributed numbers."""
    first, second, third = drawn
    return [round(a * first + b * second + c * third) for a, b, c in _SPREAD]


def move_colour(image: Image, offset: Sequence[int]) -> None:
    """Add an offset (3,) to all pixels, in place; what leaves 0 to 255 is cut off."""
    # in two steps, of which one is mostly needless: a scalar with a negative part is added six
    # times as slowly
    blue, green, red = offset
    if max(offset) > 0:
        cv2.add(image, (max(blue, 0), max(green, 0), max(red, 0), 0), dst=image)
    if min(offset) < 0:
        cv2.subtract(image, (max(-blue, 0), max(-green, 0), max(-red, 0), 0), dst=image)


def motion_blur(image: Image, length: int, share: float) -> None:
    """Blur in place with a cross of odd length, `share` of it horizontal, the rest vertical."""
    horizontal, vertical = cv2.blur(image, (length, 1)), cv2.blur(image, (1, length))
    cv2.addWeighted(horizontal, share, vertical, 1 - share, 0, dst=image)


def turn_gray(image: Image) -> None:
    """Take the colour out, in place; three channels stay."""
    cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR, dst=image)


@lru_cache(maxsize=1)
def _grain(size: int) -> NDArray[np.float32]:
    """Noise of one level, twice as large as a view, of which every view takes another part."""
    rng = np.random.Generator(np.random.PCG64(0))
    return rng.standard_normal((2 * size, 2 * size, 3), np.float32)


def degrade(image: Image, drawn: Sequence[float]) -> None:
    """Spoil a square view in place by fewer pixels, JPEG or noise: three numbers in [0, 1) say
    which, how much, and which part of the grain.
    """
    which, amount, part = drawn
    size, kind = image.shape[0], int(3 * which)
    if kind == 0:
        side = max(round(size / (_SHRINK[0] + (_SHRINK[1] - _SHRINK[0]) * amount)), 1)
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        cv2.resize(small, (size, size), dst=image, interpolation=cv2.INTER_LINEAR)
    elif kind == 1:
        quality = round(_QUALITY[0] + (_QUALITY[1] - _QUALITY[0]) * amount)
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image[:] = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    else:
        level = np.float32(_NOISE[0] + (_NOISE[1] - _NOISE[0]) * amount)
        y, x = divmod(int(part * size * size), size)
        cv2.add(image, _grain(size)[y : y + size, x : x + size] * level, dst=image, dtype=cv2.CV_8U)


class Draw(NamedTuple):
    """The random numbers of a view: four in [0, 1) say whether colour moves, whether it is blurred,
    how far and which way; three normally distributed ones move the colour; four in [0, 1) say
    whether it is degraded, and how (`degrade`). flip and gray are decided for both views of a pair.
    """

    uniform: Sequence[float]
    normal: Sequence[float]
    spoiled: Sequence[float] = (1, 0, 0, 0)
    flip: bool = False
    gray: bool = False


def augment(
    window: Image, box: Sequence[float], out: Image, jitter: Jitter, draw: Draw
) -> list[float]:
    """Write the view of a window (H, W, 3) to `out` (size, size, 3), contiguous; the box in the
    view of the target that is `box` in the window, continuous xywh.
    """
    size, (height, width) = out.shape[0], window.shape[:2]
    image = cv2.flip(window, 1) if draw.flip else window
    cv2.resize(image, (size, size), dst=out, interpolation=cv2.INTER_LINEAR)
    if draw.gray:
        turn_gray(out)
    moved, blurred, length, share = draw.uniform
    if moved < jitter.colour:
        move_colour(out, colour_offset(draw.normal))
    if blurred < jitter.blur:
        motion_blur(out, _LENGTHS[int(length * len(_LENGTHS))], share)
    if draw.spoiled[0] < jitter.degrade:
        degrade(out, draw.spoiled[1:])
    x, y, across, down = box
    x = width - x - across if draw.flip else x
    return [x * size / width, y * size / height, across * size / width, down * size / height]
