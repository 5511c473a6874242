"""How a crop is cut: the tracker's to the last bit as it is asked for, the public SiamCAR code's on
whole pixels, the cache's at the speed of a resize.

Two conventions meet here. Boxes and centres are continuous (siamla.geometry): pixel i covers [i, i
+ 1), so the middle of a crop of `size` pixels is size / 2. The score map's grid (siamla.grid)
counts pixel *indices*. A point's index coordinate is its continuous one minus 0.5; `to_index` and
its inverse are the only places that say so.
"""

from math import ceil, floor

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.geometry import Array

Image = NDArray[np.uint8]
_HALF = np.array([0.5, 0.5, 0, 0])


def mean_colour(image: Image) -> tuple[float, float, float]:
    """The mean (blue, green, red) of an image, which SiamCAR's crops show beyond its border."""
    blue, green, red, _ = cv2.mean(image)
    return blue, green, red


def fill_colour(
    image: Image, centre: ArrayLike, side: float, size: int
) -> tuple[float, float, float]:
    """`mean_colour` where a crop reaches beyond the image; else black, which is quicker."""
    half = np.array(image.shape[1::-1]) / 2
    outermost = side / 2 * (1 - 1 / size)  # of the samples
    reach = np.abs(np.asarray(centre, np.float64) - half) + outermost
    return mean_colour(image) if (reach > half - 1).any() else (0.0, 0.0, 0.0)


def to_crop(box: ArrayLike, centre: ArrayLike, side: float, size: int) -> Array:
    """Image boxes (..., 4) in the crop of `side` image pixels: (p - centre)·size/side + size/2."""
    box, scale = np.asarray(box, np.float64), size / side
    corner = (box[..., :2] - np.asarray(centre, np.float64)) * scale + size / 2
    return np.concatenate([corner, box[..., 2:] * scale], axis=-1)


def to_image(box: ArrayLike, centre: ArrayLike, side: float, size: int) -> Array:
    """Boxes (..., 4) of a crop in image coordinates: the inverse of `to_crop`."""
    box, scale = np.asarray(box, np.float64), side / size
    corner = (box[..., :2] - size / 2) * scale + np.asarray(centre, np.float64)
    return np.concatenate([corner, box[..., 2:] * scale], axis=-1)


def to_index(box: ArrayLike) -> Array:
    """Continuous xywh boxes (..., 4) in pixel-index coordinates, those of the grid 31 + 8·i."""
    return np.asarray(box, np.float64) - _HALF


def to_continuous(box: ArrayLike) -> Array:
    """Boxes (..., 4) in pixel-index coordinates as continuous ones: the inverse of `to_index`."""
    return np.asarray(box, np.float64) + _HALF


def crop(image: Image, centre: ArrayLike, side: float, size: int, fill: ArrayLike) -> Image:
    """The square of `side` image pixels around `centre` (2,) as (size, size, 3) uint8, bilinear,
    with `fill` beyond the border. Crop pixel k shows the image at centre + (k + 0.5 -
    size/2)·side/size.
    """
    scale = side / size
    # OpenCV counts pixel centres from 0, so both ends of the map are shifted by half a pixel.
    x, y = np.asarray(centre, np.float64) - 0.5 + scale * (0.5 - size / 2)
    matrix = np.array([[scale, 0, x], [0, scale, y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    colour = tuple(float(value) for value in np.asarray(fill, np.float64))
    mode = cv2.BORDER_CONSTANT
    out = cv2.warpAffine(
        image, matrix, (size, size), flags=flags, borderMode=mode, borderValue=colour
    )
    return np.asarray(out, np.uint8)


def whole_pixels(
    image: Image, centre: ArrayLike, side: int, size: int, fill: ArrayLike
) -> tuple[Image, Array]:
    """The square that the public SiamCAR code cuts as (size, size, 3) uint8, and its middle (2,):
    whole pixels from ⌊p − side/2⌋ on, p the centre's index coordinate, resized. Beyond the border
    is `fill`, cut to integers.
    """
    left, top = np.floor(np.asarray(centre, np.float64) - (side + 1) / 2).astype(int).tolist()
    height, width = image.shape[:2]
    rows = slice(max(top, 0), max(min(top + side, height), 0))
    columns = slice(max(left, 0), max(min(left + side, width), 0))
    pixels = image[rows, columns]
    if pixels.shape[:2] != (side, side):
        inner, pixels = pixels, np.empty((side, side, 3), np.uint8)
        pixels[:] = np.asarray(fill).astype(np.uint8)
        row, column = rows.start - top, columns.start - left
        pixels[row : row + inner.shape[0], column : column + inner.shape[1]] = inner
    pixels = np.asarray(cv2.resize(pixels, (size, size)), np.uint8)
    return pixels, np.array([left, top], np.float64) + side / 2


def _span(middle: float, side: float, size: int, extent: int) -> tuple[int, int, int, float]:
    """Along an axis: the pixels [low, high) that a tile shows, its start from `low`, its middle."""
    low = min(max(floor(middle - side / 2) - 1, 0), extent - 1)
    first = round((middle - side / 2 - low) * size / side)
    high = min(max(ceil(low + (first + size) * side / size) + 1, low + 1), extent)
    return low, high, first, low + first * side / size + side / 2


def tile(image: Image, centre: ArrayLike, side: float, size: int) -> tuple[Image, Array]:
    """The square of `side` image pixels around `centre` (2,) as (size, size, 3) uint8, and its
    centre: up to half a crop pixel away, so that a resize does, five times as quick as `crop`.
    Beyond the border is the image's mean colour.
    """
    height, width = image.shape[:2]
    (x, y), scale = np.asarray(centre, np.float64).tolist(), size / side
    left, right, column, x = _span(x, side, size, width)
    top, bottom, row, y = _span(y, side, size, height)
    coarse = image[::8]  # for the mean: all of a large image takes as long as its crop
    seen = min((right - left) * scale - column, (bottom - top) * scale - row)
    if min(column, row) <= -size or seen < 1:  # all of it lies beyond the border
        plain = np.full((size, size, 3), np.rint(mean_colour(coarse)), np.uint8)
        return plain, np.array([x, y])
    whole = image[top:bottom, left:right]
    scaled = cv2.resize(whole, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    part = scaled[max(row, 0) : row + size, max(column, 0) : column + size]
    above, before = max(-row, 0), max(-column, 0)
    below, behind = size - above - part.shape[0], size - before - part.shape[1]
    if above or before or below or behind:
        edges = above, below, before, behind
        part = cv2.copyMakeBorder(part, *edges, cv2.BORDER_CONSTANT, value=mean_colour(coarse))
    return np.asarray(part, np.uint8), np.array([x, y])
