"""A correlation as a mean over seeds and sequences, so that its interval is that of all means."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Points = tuple[Array, Array]
"""Confidence (N,) and IoU (N,) of boxes."""
FEWEST = 3  # points below which no correlation is computed


def correlation_values(cells: Sequence[Sequence[Points]], ranks: bool) -> Array | None:
    """Values (seeds, S) whose mean is Pearson's coefficient of all points, or Spearman's: that of
    their ranks among all. `cells` are the points of each seed and sequence.

    A value is the coefficient and what the points of its cell add to it: the sum of their influence
    x·y − r/2 · (x² + y²) at standard scores x and y (Devlin, Gnanadesikan and Kettenring,
    Biometrika 62, 1975), over the mean number of points in a cell. Ranks are taken as given. None
    where the coefficient is not defined: for fewer than three points, or constant ones.
    """
    from scipy.stats import rankdata  # slow to import, and a plan needs none of it

    flat = [points for row in cells for points in row]
    columns = [np.concatenate([np.zeros(0), *column]) for column in zip(*flat, strict=True)]
    if not flat or len(columns[0]) < FEWEST or min(map(np.ptp, columns)) == 0:
        return None
    x, y = (rankdata(column) if ranks else column for column in columns)
    x = (x - x.mean()) / x.std()
    y = (y - y.mean()) / y.std()
    coefficient = (x * y).mean()
    influence = x * y - coefficient / 2 * (x**2 + y**2)
    groups = np.repeat(np.arange(len(flat)), [len(confidence) for confidence, _ in flat])
    added = np.bincount(groups, influence, minlength=len(flat)) * len(flat) / len(x)
    values: Array = (coefficient + added).reshape(len(cells), -1)
    return values
