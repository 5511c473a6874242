"""VOT's region overlap: two convex polygons as sets of pixels inside the image.

VOT does not measure areas, it counts pixels, and published digits depend on how: vertices are
rounded to whole pixels, a row runs from its first to its last edge crossing with both ends counted,
crossings are cut towards zero, and a row that meets a single point counts nothing. A row of a
convex polygon is one interval, so no mask is needed: intervals are intersected, for many frames at
once. Facts of the rasteriser from the public TraX library, which pysot and the VOT toolkit share;
the code is our own.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
AT_ONCE = 64  # polygons whose rows fit a processor's cache


def _rows(polygons: Array, extent: Array) -> tuple[Array, Array]:
    """First and last pixel (R, N) of the rows of polygons (4, 2, N) in images of (width, height)
    `extent` (2, N); an empty row has last < first. A level edge crosses no row.
    """
    points = np.copysign(np.floor(np.abs(polygons) + 0.5), polygons)  # halves away from zero, as C
    width, height = extent
    row = np.arange(height.max())[:, None]
    first, last = np.full((2, len(row), polygons.shape[-1]), np.inf)
    last = -last
    for (x, y), (end_x, end_y) in zip(points, points[[3, 0, 1, 2]], strict=True):
        crossed = (row >= np.minimum(y, end_y)) & (row <= np.maximum(y, end_y)) & (y != end_y)
        # Divided first: crossings are cut to integers.
        share = (row - y) / np.where(y == end_y, 1, end_y - y)
        node = np.trunc(x + share * (end_x - x))
        np.minimum(first, node, out=first, where=crossed)
        np.maximum(last, node, out=last, where=crossed)
    empty = (first >= last) | (first >= width) | (last < 0) | (row >= height)
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
    meet = ((np.minimum(high_a, high_b) > np.maximum(low_a, low_b)) & (extent > 0)).all(0)
    overlap = np.zeros(meet.shape)
    if not meet.any():
        return overlap
    a, b, low, extent = (np.compress(meet, values, axis=-1) for values in (a, b, low, extent))
    # The toolkits shift in single precision before they round.
    shift = low.astype(np.float32)
    (first_a, last_a), (first_b, last_b) = (
        _rows((p - shift).astype(np.float64), extent) for p in (a, b)
    )
    shared = np.minimum(last_a, last_b) - np.maximum(first_a, first_b) + 1
    shared = np.maximum(shared, 0).sum(0)
    union = (last_a - first_a + 1).sum(0) + (last_b - first_b + 1).sum(0) - shared
    overlap[meet] = np.where(union > 0, shared / np.maximum(union, 1), 0)
    return overlap


def region_overlap(a: Array, b: Array, size: ArrayLike | None = None) -> Array:
    """Overlap (N,) of convex polygons (N, 8), counted in pixels inside a (width, height) image, one
    for all or (N, 2).

    NaN where either polygon is NaN. `size` bounds the regions as the toolkits do: pixels 0 to width
    and 0 to height, both included.
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
