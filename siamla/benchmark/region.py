"""VOT's region overlap: two convex polygons as sets of pixels inside the image.

VOT does not measure areas, it counts pixels, and published digits depend on how: vertices are
rounded to whole pixels, a row runs from its first to its last edge crossing with both ends counted,
crossings are cut towards zero, and a row that meets a single point counts nothing. A row of a
convex polygon is one interval, so no mask is needed: we intersect intervals, for all frames at
once. Facts of the rasteriser from the public TraX library, which pysot and the VOT toolkit share;
the code is our own.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
AT_ONCE = 384  # polygons whose rows fit a processor's cache


def _round(values: Array) -> Array:
    """Halves away from zero, as C rounds."""
    return np.copysign(np.floor(np.abs(values) + 0.5), values)


def _bounds(points: Array, size: Array | None) -> tuple[Array, Array]:
    """The least and the greatest x and y (2, N) of polygons (4, 2, N) in whole pixels, cut at the
    image.
    """
    low, high = np.floor(points.min(0)), np.ceil(points.max(0))
    if size is not None:
        low, high = np.maximum(low, 0), np.minimum(high, size)
    return low, high


class _Rows(NamedTuple):
    """The rows of polygons that lie in their images, one polygon's after the other's.

    Attributes:
        top, rows: (N,) first row and number of rows of each polygon. offset, step: (N,) where they
        begin in the next two, and how far they are apart: an upright rectangle's rows
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
    """(N,) whether rounded polygons (4, 2, N) are rectangles whose sides are rows and columns."""
    found = np.zeros(points.shape[-1], bool)
    for corners in (points, points[[3, 0, 1, 2]]):
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
        found |= (y0 == y1) & (y2 == y3) & (y1 != y2) & (x1 == x2) & (x0 == x3)
    return found


def _rows(polygons: Array, extent: Ints) -> _Rows:
    """The rows of polygons (4, 2, N) in images of (width, height) extent (2, N), edge by edge.

    Each edge is visited on the rows that it crosses; a level one crosses none. All rows of an
    upright rectangle are alike.
    """
    points = _round(polygons)
    width, height = extent
    (left, upper), (right, lower) = points.min(0), points.max(0)
    top = np.maximum(upper, 0).astype(np.int64)
    bottom = np.minimum(lower, height - 1).astype(np.int64)
    count = np.maximum(bottom - top + 1, 0)
    upright = _upright(points)
    stored = np.where(upright, np.minimum(count, 1), count)
    offset = np.cumsum(stored) - stored
    first = np.repeat(np.where(upright, left, np.inf), stored)
    last = np.repeat(np.where(upright, right, -np.inf), stored)
    # The edges of all polygons in one go, the first edge of each, then the second.
    (x, y), (end_x, end_y) = (
        p.transpose(1, 0, 2).reshape(2, -1) for p in (points, points[[3, 0, 1, 2]])
    )
    start = np.maximum(np.minimum(y, end_y), 0)
    crossed = np.minimum(np.maximum(y, end_y), np.tile(height, 4) - 1) - start + 1
    crossed = np.where((y == end_y) | np.tile(upright, 4), 0, np.maximum(crossed, 0)).astype(
        np.int64
    )
    before = np.cumsum(crossed) - crossed
    number = np.arange(crossed.sum())
    place = np.repeat(np.tile(offset - top, 4) + start.astype(np.int64) - before, crossed) + number
    # Divided first: crossings are cut to integers.
    share = (np.repeat(start - y - before, crossed) + number) / np.repeat(end_y - y, crossed)
    node = np.trunc(np.repeat(x, crossed) + share * np.repeat(end_x - x, crossed))
    np.minimum.at(first, place, node)
    np.maximum.at(last, place, node)
    columns = np.repeat(width.astype(np.float64), stored)
    outside = (first >= last) | (first >= columns) | (last < 0)
    first, last = np.maximum(first, 0), np.minimum(last, columns - 1)
    first[outside], last[outside] = 0, -1
    sizes = np.bincount(np.repeat(np.arange(len(top)), stored), last - first + 1, len(top))
    step = (~upright).astype(np.int64)
    return _Rows(
        top,
        count,
        offset,
        step,
        first,
        last,
        np.asarray(sizes * np.where(upright, count, 1), np.float64),
    )


def _shared(a: _Rows, b: _Rows) -> Array:
    """Pixels (N,) that lie in both polygons."""
    top = np.maximum(a.top, b.top)
    count = np.maximum(np.minimum(a.top + a.rows, b.top + b.rows) - top, 0)
    frame = np.repeat(np.arange(len(top)), count)
    number = np.arange(len(frame)) - (np.cumsum(count) - count)[frame]
    here, there = (
        (r.offset + (top - r.top) * r.step)[frame] + number * r.step[frame] for r in (a, b)
    )
    both = np.minimum(a.last[here], b.last[there]) - np.maximum(a.first[here], b.first[there]) + 1
    return np.asarray(np.bincount(frame, np.maximum(both, 0), len(top)), np.float64)


def _overlap(a: NDArray[np.floating], b: NDArray[np.floating], size: Array | None) -> Array:
    """region_overlap of polygons (4, 2, N) that are known; size (2, N)."""
    (low_a, high_a), (low_b, high_b) = (_bounds(p.astype(np.float64), size) for p in (a, b))
    low = np.minimum(low_a, low_b)
    extent = (np.maximum(high_a, high_b) - low).astype(np.int64) + 1
    meet = ((np.minimum(high_a, high_b) > np.maximum(low_a, low_b)) & (extent > 0)).all(0)
    # The toolkits shift in single precision before they round.
    a, b, low, extent = (np.compress(meet, values, axis=-1) for values in (a, b, low, extent))
    shift = low.astype(np.float32)
    rows_a, rows_b = (_rows((p - shift).astype(np.float64), extent) for p in (a, b))
    shared = _shared(rows_a, rows_b)
    union = rows_a.area + rows_b.area - shared
    overlap = np.zeros(meet.shape)
    overlap[meet] = np.where(union > 0, shared / np.maximum(union, 1), 0)
    return overlap


def region_overlap(a: Array, b: Array, size: ArrayLike | None = None) -> Array:
    """Overlap (N,) of convex polygons (N, 8), counted in pixels inside a (width, height) image, one
    for all or (N, 2).

    NaN where either polygon is NaN. `size` bounds the regions as the toolkits do: pixels 0 to width
    and 0 to height, both included.
    """
    a, b = np.atleast_2d(np.asarray(a, np.float32)), np.atleast_2d(np.asarray(b, np.float32))
    found = np.full(len(a), np.nan)
    known = np.flatnonzero(np.isfinite(a).all(1) & np.isfinite(b).all(1))
    if not len(known):
        return found
    bound = None if size is None else np.broadcast_to(np.asarray(size, np.float64), (len(a), 2))
    for start in range(0, len(known), AT_ONCE):
        part = known[start : start + AT_ONCE]
        # One coordinate of all frames after the other: everything works on these.
        first, second = (np.ascontiguousarray(p[part].T).reshape(4, 2, -1) for p in (a, b))
        found[part] = _overlap(first, second, None if bound is None else bound[part].T)
    return found
