"""VOT's region overlap: two quadrilaterals as sets of pixels inside the image.

VOT does not measure areas, it counts pixels, and published digits depend on how: vertices are
rounded to whole pixels, the crossings of a row with the edges are cut towards zero and sorted, and
a row has the pixels from each to the next, both ends counted, in pairs. Of two equal ones, a vertex
or an edge of no width, the first is passed over: a row that meets a single point counts nothing. A
row has one interval, of concave and crossing quadrilaterals up to two, so no mask is needed:
intervals are intersected, for many frames at once. Facts of the rasteriser from the public TraX
library, which pysot and the VOT toolkit share; the code is our own.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
AT_ONCE = 64  # polygons whose rows fit a processor's cache
SMALLEST = 1e-10  # ratio of two bounds' areas below which the toolkits count no pixels


def _paired(crossings: Array) -> tuple[Array, Array]:
    """First and last pixel (2, R, N) of rows with crossings (4, R, N), which inf fills up."""
    a, b, c, d = np.sort(crossings, axis=0)
    one = (a < b) & (b < np.inf)
    shifted = (a == b) & (b < c) & (c < np.inf)
    two = (c < d) & (d < np.inf) & (one | (a == b) & (b == c))
    first = np.where(one, a, np.where(shifted, b, np.inf))
    last = np.where(one, b, np.where(shifted, c, -np.inf))
    # a pixel that ends one interval and starts the other counts once
    other = np.where(two, c + (one & (b == c)), np.inf), np.where(two, d, -np.inf)
    return np.stack([first, other[0]]), np.stack([last, other[1]])


def _rows(polygons: Array, extent: Array) -> tuple[Array, Array]:
    """First and last pixel (2, R, N) of the two intervals that rows of polygons (4, 2, N) have in
    images of `extent` (2, N); an empty one has last < first.
    """
    points = np.copysign(np.floor(np.abs(polygons) + 0.5), polygons)  # halves away from zero, as C
    width, height = extent
    row = np.arange(height.max())[:, None]
    crossings = np.full((4, len(row), polygons.shape[-1]), np.inf)
    for node, (x, y), (end_x, end_y) in zip(crossings, points, points[[3, 0, 1, 2]], strict=True):
        crossed = (row >= np.minimum(y, end_y)) & (row <= np.maximum(y, end_y)) & (y != end_y)
        # Divided first: crossings are cut to integers.
        share = (row - y) / np.where(y == end_y, 1, end_y - y)
        np.trunc(x + share * (end_x - x), out=node, where=crossed)
    first, last = _paired(crossings)
    empty = (first > last) | (first >= width) | (last < 0) | (row >= height)
    first, last = np.maximum(first, 0), np.minimum(last, width - 1)
    return np.where(empty, 0, first), np.where(empty, -1, last)


def _overlap(a: Array, b: Array, size: Array | None) -> Array:
    """region_overlap of finite polygons (4, 2, N), single precision; size (2, N)."""
    low_a, high_a = np.floor(a.min(0)), np.ceil(a.max(0))
    low_b, high_b = np.floor(b.min(0)), np.ceil(b.max(0))
    if size is not None:
        low_a, low_b = np.maximum(low_a, 0), np.maximum(low_b, 0)
        high_a, high_b = np.minimum(high_a, size), np.minimum(high_b, size)
    low = np.minimum(low_a, low_b)
    extent = np.maximum(high_a, high_b) - low + 1
    area_a, area_b = (high_a - low_a).prod(0), (high_b - low_b).prod(0)
    common = (np.minimum(high_a, high_b) - np.maximum(low_a, low_b)).prod(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = common / (area_a + area_b - common) <= 0
        apart |= (area_a / area_b < SMALLEST) | (area_b / area_a < SMALLEST) | (extent < 1).any(0)
    overlap = np.zeros(apart.shape)
    if apart.all():
        return overlap
    a, b, low, extent = (np.compress(~apart, values, axis=-1) for values in (a, b, low, extent))
    # The toolkits shift in single precision before they round.
    shift = low.astype(np.float32)
    (first_a, last_a), (first_b, last_b) = (
        _rows((p - shift).astype(np.float64), extent) for p in (a, b)
    )
    shared = np.minimum(last_a[:, None], last_b) - np.maximum(first_a[:, None], first_b) + 1
    shared = np.maximum(shared, 0).sum((0, 1, 2))
    union = (last_a - first_a + 1).sum((0, 1)) + (last_b - first_b + 1).sum((0, 1)) - shared
    overlap[~apart] = np.where(union > 0, shared / np.maximum(union, 1), np.nan)
    return overlap


def region_overlap(a: Array, b: Array, size: ArrayLike | None = None) -> Array:
    """Overlap (N,) of quadrilaterals (N, 8), counted in pixels inside a (width, height) image, one
    for all or (N, 2): 0 to width and 0 to height, both included. NaN where either is NaN, and where
    neither has a pixel.
    """
    a, b = np.atleast_2d(np.asarray(a, np.float32)), np.atleast_2d(np.asarray(b, np.float32))
    overlaps = np.full(len(a), np.nan)
    finite = np.flatnonzero(np.isfinite(a).all(1) & np.isfinite(b).all(1))
    bound = None if size is None else np.broadcast_to(np.asarray(size, np.float64), (len(a), 2))
    for part in np.split(finite, range(AT_ONCE, len(finite), AT_ONCE)):
        # One coordinate of all frames after the other: everything works on these.
        first, second = (np.ascontiguousarray(p[part].T).reshape(4, 2, -1) for p in (a, b))
        overlaps[part] = _overlap(first, second, None if bound is None else bound[part].T)
    return overlaps
