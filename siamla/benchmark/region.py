"""VOT's region overlap: two convex polygons as sets of pixels inside the image.

VOT does not measure areas, it counts pixels, and published digits depend on how: vertices are rounded to whole pixels,
a row runs from its first to its last edge crossing with both ends counted, crossings are cut towards zero, and a row
that meets a single point counts nothing. A row of a convex polygon is one interval, so no mask is needed: we intersect
intervals, for all frames at once. Facts of the rasteriser from the public TraX library, which pysot and the VOT
toolkit share; the code is our own.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
AT_ONCE = 256  # polygons whose rows fit a processor's cache


def _round(values: Array) -> Array:
    """Halves away from zero, as C rounds."""
    return np.copysign(np.floor(np.abs(values) + 0.5), values)


def _bounds(polygons: Array, size: Array | None) -> Array:
    """Left, top, right, bottom (N, 4) in whole pixels, cut at the image."""
    points = polygons.reshape(-1, 4, 2)
    low, high = np.floor(points.min(1)), np.ceil(points.max(1))
    if size is not None:
        low, high = np.maximum(low, 0), np.minimum(high, size)
    return np.concatenate([low, high], axis=1)


class _Rows(NamedTuple):
    """The rows of polygons that lie in their images, one polygon's after the other's.

    Attributes:
        top, rows: (N,) first row and number of rows of each polygon.
        offset, step: (N,) where they begin in the next two, and how far they are apart: an upright rectangle's rows
            are all the same entry.
        first, last: first and last pixel of each row; an empty one has last < first.
        area: (N,) pixels of each polygon.
    """

    top: Ints
    rows: Ints
    offset: Ints
    step: Ints
    first: Array
    last: Array
    area: Array


def _upright(points: Array) -> NDArray[np.bool_]:
    """(N,) whether rounded polygons (N, 4, 2) are rectangles whose sides are rows and columns."""
    found = np.zeros(len(points), bool)
    for corners in (points, np.roll(points, 1, axis=1)):
        (x0, x1, x2, x3), (y0, y1, y2, y3) = corners[..., 0].T, corners[..., 1].T
        found |= (y0 == y1) & (y2 == y3) & (y1 != y2) & (x1 == x2) & (x0 == x3)
    return found


def _rows(polygons: Array, extent: Ints) -> _Rows:
    """The rows of polygons (N, 8) in images of (width, height) extent (N, 2), edge by edge.

    Each edge is visited on the rows that it crosses; a level one crosses none. All rows of an upright rectangle are
    alike.
    """
    points = _round(polygons).reshape(-1, 4, 2)
    width, height = extent.T
    top = np.maximum(points[..., 1].min(1), 0).astype(np.int64)
    bottom = np.minimum(points[..., 1].max(1), height - 1).astype(np.int64)
    count = np.maximum(bottom - top + 1, 0)
    upright = _upright(points)
    stored = np.where(upright, np.minimum(count, 1), count)
    offset = np.cumsum(stored) - stored
    first = np.repeat(np.where(upright, points[..., 0].min(1), np.inf), stored)
    last = np.repeat(np.where(upright, points[..., 0].max(1), -np.inf), stored)
    for edge in range(4):
        (x, y), (end_x, end_y) = points[:, edge].T, points[:, edge - 1].T
        rise = end_y - y
        start = np.maximum(np.minimum(y, end_y), 0)
        crossed = np.minimum(np.maximum(y, end_y), height - 1) - start + 1
        crossed = np.where((rise == 0) | upright, 0, np.maximum(crossed, 0)).astype(np.int64)
        before = np.cumsum(crossed) - crossed
        number = np.arange(crossed.sum())
        place = np.repeat(offset + start.astype(np.int64) - top - before, crossed) + number
        # Divided first: crossings are cut to integers.
        share = (np.repeat(start - y - before, crossed) + number) / np.repeat(rise, crossed)
        node = np.trunc(np.repeat(x, crossed) + share * np.repeat(end_x - x, crossed))
        first[place], last[place] = np.minimum(first[place], node), np.maximum(last[place], node)
    columns = np.repeat(width.astype(np.float64), stored)
    outside = (first >= last) | (first >= columns) | (last < 0)
    first, last = np.maximum(first, 0), np.minimum(last, columns - 1)
    first[outside], last[outside] = 0, -1
    sizes = np.bincount(np.repeat(np.arange(len(top)), stored), last - first + 1, len(top))
    step = (~upright).astype(np.int64)
    return _Rows(top, count, offset, step, first, last, np.asarray(sizes * np.where(upright, count, 1), np.float64))


def _shared(a: _Rows, b: _Rows) -> Array:
    """Pixels (N,) that lie in both polygons."""
    top = np.maximum(a.top, b.top)
    count = np.maximum(np.minimum(a.top + a.rows, b.top + b.rows) - top, 0)
    frame = np.repeat(np.arange(len(top)), count)
    number = np.arange(len(frame)) - (np.cumsum(count) - count)[frame]
    here, there = ((r.offset + (top - r.top) * r.step)[frame] + number * r.step[frame] for r in (a, b))
    both = np.minimum(a.last[here], b.last[there]) - np.maximum(a.first[here], b.first[there]) + 1
    return np.asarray(np.bincount(frame, np.maximum(both, 0), len(top)), np.float64)


def _overlap(a: NDArray[np.floating], b: NDArray[np.floating], size: Array | None) -> Array:
    """region_overlap of polygons that are known; size (N, 2)."""
    bounds_a, bounds_b = (_bounds(p.astype(np.float64), size) for p in (a, b))
    low = np.minimum(bounds_a[:, :2], bounds_b[:, :2])
    extent = (np.maximum(bounds_a[:, 2:], bounds_b[:, 2:]) - low).astype(np.int64) + 1
    meet = (np.minimum(bounds_a[:, 2:], bounds_b[:, 2:]) > np.maximum(bounds_a[:, :2], bounds_b[:, :2])).all(1)
    meet &= (extent > 0).all(1)
    # The toolkits shift in single precision before they round.
    shift = np.tile(low[meet], 4).astype(np.float32)
    rows_a, rows_b = (_rows((p[meet] - shift).astype(np.float64), extent[meet]) for p in (a, b))
    shared = _shared(rows_a, rows_b)
    union = rows_a.area + rows_b.area - shared
    overlap = np.zeros(len(a))
    overlap[meet] = np.where(union > 0, shared / np.maximum(union, 1), 0)
    return overlap


def region_overlap(a: Array, b: Array, size: ArrayLike | None = None) -> Array:
    """Overlap (N,) of convex polygons (N, 8), counted in pixels inside a (width, height) image, one for all or (N, 2).

    NaN where either polygon is NaN. `size` bounds the regions as the toolkits do: pixels 0 to width and 0 to
    height, both included.
    """
    a, b = np.atleast_2d(np.asarray(a, np.float32)), np.atleast_2d(np.asarray(b, np.float32))
    found = np.full(len(a), np.nan)
    known = np.flatnonzero(np.isfinite(a).all(1) & np.isfinite(b).all(1))
    if not len(known):
        return found
    bound = None if size is None else np.broadcast_to(np.asarray(size, np.float64), (len(a), 2))
    for start in range(0, len(known), AT_ONCE):
        part = known[start : start + AT_ONCE]
        found[part] = _overlap(a[part], b[part], None if bound is None else bound[part])
    return found
