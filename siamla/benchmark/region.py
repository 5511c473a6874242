"""VOT's region overlap: two convex polygons as sets of pixels inside the image.

VOT does not measure areas, it counts pixels, and published digits depend on how: vertices are rounded to whole pixels,
a row runs from its first to its last edge crossing with both ends counted, crossings are cut towards zero, and a row
that meets a single point counts nothing. A row of a convex polygon is one interval, so no mask is needed: we intersect
intervals, for all frames at once. Facts of the rasteriser from the public TraX library, which pysot and the VOT
toolkit share; the code is our own.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def _round(values: Array) -> Array:
    """Halves away from zero, as C rounds."""
    return np.copysign(np.floor(np.abs(values) + 0.5), values)


def _bounds(polygons: Array, size: tuple[int, int] | None) -> Array:
    """Left, top, right, bottom (N, 4) in whole pixels, cut at the image."""
    points = polygons.reshape(-1, 4, 2)
    low, high = np.floor(points.min(1)), np.ceil(points.max(1))
    if size is not None:
        low, high = np.maximum(low, 0), np.minimum(high, size)
    return np.concatenate([low, high], axis=1)


def _intervals(polygons: Array, frame: Ints, row: Ints, width: Ints) -> tuple[Ints, Ints]:
    """First and last pixel of each (frame, row); an empty row has last < first."""
    points = _round(polygons).reshape(-1, 4, 2)
    ends = np.roll(points, 1, axis=1)
    rise = ends[..., 1] - points[..., 1]
    run = ends[..., 0] - points[..., 0]
    top = np.where(rise == 0, np.inf, np.minimum(points[..., 1], ends[..., 1]))  # no row crosses a level edge
    bottom = np.maximum(points[..., 1], ends[..., 1])
    first, last = np.full(len(row), np.inf), np.full(len(row), -np.inf)
    for edge in range(4):
        crossed = (top[frame, edge] <= row) & (row <= bottom[frame, edge])
        with np.errstate(divide="ignore", invalid="ignore"):  # level edges, which `crossed` leaves out
            share = (row - points[frame, edge, 1]) / rise[frame, edge]  # divided first: crossings are cut to integers
            node = np.trunc(points[frame, edge, 0] + share * run[frame, edge])
        np.minimum(first, node, out=first, where=crossed)
        np.maximum(last, node, out=last, where=crossed)
    outside = (first >= last) | (first >= width) | (last < 0)
    first, last = np.maximum(first, 0), np.minimum(last, width - 1)
    return np.where(outside, 0, first).astype(np.int64), np.where(outside, -1, last).astype(np.int64)


def region_overlap(a: Array, b: Array, size: tuple[int, int] | None = None) -> Array:
    """Overlap (N,) of convex polygons (N, 8), counted in pixels inside a (width, height) image.

    NaN where either polygon is NaN. `size` bounds the regions as the toolkits do: pixels 0 to width and 0 to
    height, both included.
    """
    a, b = np.atleast_2d(np.asarray(a, np.float32)), np.atleast_2d(np.asarray(b, np.float32))
    found = np.full(len(a), np.nan)
    known = np.flatnonzero(np.isfinite(a).all(1) & np.isfinite(b).all(1))
    if not len(known):
        return found
    a, b = a[known].astype(np.float64), b[known].astype(np.float64)
    bounds_a, bounds_b = _bounds(a, size), _bounds(b, size)
    low = np.minimum(bounds_a[:, :2], bounds_b[:, :2])
    extent = (np.maximum(bounds_a[:, 2:], bounds_b[:, 2:]) - low).astype(np.int64) + 1
    meet = (np.minimum(bounds_a[:, 2:], bounds_b[:, 2:]) > np.maximum(bounds_a[:, :2], bounds_b[:, :2])).all(1)
    meet &= (extent > 0).all(1)
    a, b, low, extent = a[meet], b[meet], low[meet], extent[meet]
    height = extent[:, 1]
    frame = np.repeat(np.arange(len(a)), height)
    row = np.arange(len(frame)) - np.repeat(np.cumsum(height) - height, height)
    width = extent[:, 0][frame]
    # The toolkits shift in single precision before they round.
    shift = np.tile(low, 4).astype(np.float32)
    rows = [_intervals((p.astype(np.float32) - shift).astype(np.float64), frame, row, width) for p in (a, b)]
    (first_a, last_a), (first_b, last_b) = rows
    both = np.maximum(np.minimum(last_a, last_b) - np.maximum(first_a, first_b) + 1, 0)
    counts = [np.bincount(frame, values, len(a)) for values in (both, last_a - first_a + 1, last_b - first_b + 1)]
    union = counts[1] + counts[2] - counts[0]
    overlap = np.zeros(len(known))
    overlap[meet] = np.where(union > 0, counts[0] / np.maximum(union, 1), 0)
    found[known] = overlap
    return found
