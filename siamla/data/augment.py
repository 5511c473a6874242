"""Random views of a cached crop: shift, scale, motion blur, colour, flip, gray (siamcar.md §2.6).

Pure: the same generator state gives the same view. One warpAffine per view; shift, scale and flip are one map.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.data.crop import Image, mean_colour, resample, to_crop
from siamla.data.settings import Jitter
from siamla.geometry import Array

# Principal axes (columns, BGR) of the colours of ImageNet's pixels (Krizhevsky et al. 2012) and the standard
# deviations along them that Siamese trackers use. Their code multiplies by the transposed matrix, which puts most of
# the offset into one channel; here the largest part is a change of brightness, as published.
_AXES = np.array([[0.5836, -0.6948, 0.4203], [0.5808, -0.0045, -0.8140], [0.5675, 0.7192, 0.4009]])
_DEVIATIONS = np.array([8.24, 2.52, 1.20])
_BLUR_LENGTHS = np.arange(5, 46, 2)


@dataclass(frozen=True)
class View:
    """An augmented crop: image (size, size, 3) uint8 BGR and the target's box (4,) in it, continuous xywh."""

    image: Image
    box: Array


def region(jitter: Jitter, size: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Shift (2,) of the middle and (width, height) (2,) of the part of a cached crop that becomes `size` pixels.

    Uniform within ± shift pixels of the cached crop and ± scale, drawn apart for x and y.
    """
    sides = size * (1 + rng.uniform(-jitter.scale, jitter.scale, 2))
    return rng.uniform(-jitter.shift, jitter.shift, 2), sides


def colour_table(rng: np.random.Generator) -> Image:
    """A lookup table (1, 256, 3) that adds one normally distributed offset along the principal colours."""
    offset = _AXES @ (_DEVIATIONS * rng.standard_normal(3))
    return np.clip(np.rint(np.arange(256)[None, :, None] + offset), 0, 255).astype(np.uint8)


def motion_blur(image: Image, rng: np.random.Generator) -> Image:
    """Blur with a cross of odd length 5 to 45: a random share of a horizontal and the rest of a vertical line."""
    length, share = int(rng.choice(_BLUR_LENGTHS)), float(rng.uniform())
    horizontal, vertical = cv2.blur(image, (length, 1)), cv2.blur(image, (1, length))
    return np.asarray(cv2.addWeighted(horizontal, share, vertical, 1 - share, 0), np.uint8)


def gray_image(image: Image) -> Image:
    """The image without colour, still with three channels."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)


def augment(
    image: Image,
    box: NDArray[np.float64],
    size: int,
    jitter: Jitter,
    rng: np.random.Generator,
    flip: bool = False,
    gray: bool = False,
) -> View:
    """A random view of `size` pixels of a cached crop (S, S, 3) with the target's continuous box (4,) in it.

    Flip and gray are decided by the caller, because both views of a pair share them.
    """
    shift, sides = region(jitter, size, rng)
    middle = image.shape[0] / 2 + shift
    fill = mean_colour(image) if (np.abs(shift) + sides / 2 > image.shape[0] / 2).any() else (0, 0, 0)
    # A negative width walks through the crop from right to left: the flipped view in the same warp.
    out = resample(image, middle, sides * (-1 if flip else 1, 1), size, fill)
    moved = to_crop(box, middle, sides, size)
    if flip:
        moved[0] = size - moved[0] - moved[2]
    if gray:
        out = gray_image(out)
    if rng.uniform() < jitter.colour:
        out = np.asarray(cv2.LUT(out, colour_table(rng)), np.uint8)
    if rng.uniform() < jitter.blur:
        out = motion_blur(out, rng)
    return View(out, moved)
