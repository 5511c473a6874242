"""How sure a difference is: one mixed model, weighted means and correlations as means of it, and
Holm's correction.

The model: a value of a variant is its mean + the sequence's + the training's (seed's) + what both
do together, the last three drawn at random. Sequences are shared by all variants, so differences
are taken in pairs; seeds are each variant's own, their variance that of all variants pooled, since
a variant may have two. The variances are those of a two-way table, by moments. A bootstrap that
resamples seeds and sequences counts the last part three times (Owen, Annals of Applied Statistics
1, 2007), and in tracking that part is large: whether a target is lost depends on the video and the
training together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Parts = list[tuple[float, float]]  # variances, each with its degrees of freedom
Points = tuple[Array, Array]
"""Confidence (N,) and IoU (N,) of boxes."""
LEVEL = 0.05
POWER = 0.8
DIGITS = 12  # a value that rounds to 0 at so many digits is 0: rounding errors make no difference
FEWEST = 3  # points below which no correlation is computed


@dataclass(frozen=True)
class Effect:
    """A difference of variants.

    Attributes:
        value: positive in favour of the first. low, high: 95 % interval; NaN where there is none.
        seen: the smallest true difference that a study of these variances and sizes finds in 80 of
            100 repetitions, two-sided at 5 %.
        error, freedom: standard error, and the degrees of freedom that it was estimated with.
        seeds: variant → number of trainings.
        sequences: how many all of them share.
        shares: what the squared error is made of, in percent: sequences, seeds, both together.
    """

    value: float
    low: float = nan
    high: float = nan
    seen: float = nan
    error: float = nan
    freedom: float = nan
    seeds: Mapping[str, int] = field(default_factory=dict)
    sequences: int = 0
    shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def told(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    @property
    def p(self) -> float:
        """The two-sided p-value of no difference; NaN where there is no interval."""
        from scipy.stats import t  # slow to import, and a plan needs none of it

        if self.error == 0:
            return float(self.value == 0)
        return float(2 * t.sf(abs(self.value) / self.error, self.freedom))


def _interval(value: float, total: float, parts: Parts) -> tuple[float, float, float, float, float]:
    """low, high, seen, error, freedom (Satterthwaite's) of a value whose squared error is `total`,
    made of parts.
    """
    from scipy.stats import t

    noise = sum(variance**2 / free for variance, free in parts)
    freedom = max(total**2 / noise, min(free for _, free in parts)) if noise > 0 else inf
    error = sqrt(total)
    side = float(t.ppf(1 - LEVEL / 2, freedom))
    power = float(t.ppf(POWER, freedom))
    low = round(value - side * error, DIGITS)
    high = round(value + side * error, DIGITS)
    return low, high, (side + power) * error, error, freedom


def _fitted(values: Array, design: Array, weights: Array) -> tuple[Array, Parts]:
    """The weighted sum of a fit's coefficients in each sequence, and the squared errors of their
    mean by trainings, and by trainings and sequences together; of none where the fit leaves nothing
    to estimate them from.
    """
    (rows, columns), count = design.shape, values.shape[1]
    inverse = np.linalg.inv(design.T @ design)
    fit = inverse @ design.T @ values
    free = rows - columns
    if free < 1 or count < 2:
        return weights @ fit, []
    rests = values - design @ fit
    means = rests.mean(1, keepdims=True)
    scale = float(weights @ inverse @ weights) / free
    trainings = scale * float((means**2).sum())
    both = scale * float(((rests - means) ** 2).sum()) / (count - 1) / count
    return weights @ fit, [(trainings, float(free)), (both, float(free * (count - 1)))]


def _shares(videos: float, trainings: float, both: float) -> dict[str, float]:
    pieces = {"sequences": max(videos - both, 0), "seeds": max(trainings - both, 0), "both": both}
    whole = sum(pieces.values())
    return {name: 100 * piece / whole for name, piece in pieces.items()} if whole > 0 else {}


def fitted_effect(
    values: Array,
    design: Array,
    weights: Array,
    seeds: Mapping[str, int],
    least: int = 2,
) -> Effect:
    """Σ weight · coefficient, weights (k,), of the least-squares fit of values (R trainings, S
    sequences) by a design (R, k), as a mean over the sequences.

    The squared error is that of the sums over sequences, plus that of the trainings, less the part
    of both together, which each of them holds; it is never taken below any of the three. With one
    sequence, or fewer than `least` trainings of one of `seeds`, there is no interval; where the
    design explains every training it is over sequences alone.
    """
    sums, rest = _fitted(values, design, weights)
    count = len(sums)
    value = round(float(sums.mean()), DIGITS) if count else nan
    if count < 2 or min(seeds.values()) < least:
        return Effect(value, seeds=seeds, sequences=count)
    videos = (float(sums.var(ddof=1)) / count, count - 1.0)
    if min(seeds.values()) < 2 or not rest:
        return Effect(value, *_interval(value, videos[0], [videos]), seeds, count)
    errors = [videos[0], *(variance for variance, _ in rest)]
    total = max(errors[0] + errors[1] - errors[2], *errors)
    parts = [videos, *rest]
    return Effect(value, *_interval(value, total, parts), seeds, count, _shares(*errors))


def mean_effect(
    values: Mapping[str, Array], weights: Mapping[str, float], one_seed: bool = False
) -> Effect:
    """Σ weight · mean of variants' values (seeds, S), which are of the same S sequences in the same
    order, by the model above.

    Seeds are not paired: the same seed in two variants shares the order of the data and the start
    of some weights, which makes the interval too wide rather than too narrow.

    With one sequence or one seed of a variant there is no interval. one_seed: with one seed the
    interval is over sequences alone. ValueError where the variants have different numbers of
    sequences.
    """
    tables = [np.asarray(values[name], np.float64) for name in weights]
    seeds = {name: len(table) for name, table in zip(weights, tables, strict=True)}
    counts = {table.shape[1] for table in tables}
    if len(counts) != 1:
        raise ValueError(f"{sorted(counts)} sequences; the variants must have the same")
    of_variant = np.repeat(np.eye(len(tables)), [*seeds.values()], axis=0)
    factors = np.array([*weights.values()], np.float64)
    least = 1 if one_seed else 2
    return fitted_effect(np.concatenate(tables), of_variant, factors, seeds, least)


def weighted_values(values: Array, weights: Array) -> Array:
    """Values (..., S) whose mean is the weighted mean of `values` (..., S), so that its interval is
    that of all means.

    A value is the weighted mean and what its sequence moves it by, S times: with h the sequence's
    share of all weights, S · h · (v − mean) / (1 − h), up to a factor what the mean changes by when
    the sequence is left out (jackknife). Equal weights change nothing; a value that is NaN has no
    weight.
    """
    weights = np.where(np.isnan(values), 0, weights)
    values = np.where(weights > 0, values, 0)
    count = values.shape[-1]
    with np.errstate(invalid="ignore"):  # no weight, or one sequence alone
        shares = weights / weights.sum(-1, keepdims=True)
        mean = (shares * values).sum(-1, keepdims=True)
        moved = (count - 1) * shares * (values - mean) / (1 - shares)
    return np.asarray(mean + moved - moved.mean(-1, keepdims=True))


def correlation_values(cells: Sequence[Sequence[Points]], ranks: bool) -> Array | None:
    """Values (seeds, S) whose mean is Pearson's coefficient of all points, or Spearman's: that of
    their ranks among all. `cells` are the points of each seed and sequence.

    A value is the coefficient and what the points of its cell add to it: the sum of their influence
    x·y − r/2 · (x² + y²) at standard scores x and y (Devlin, Gnanadesikan and Kettenring,
    Biometrika 62, 1975), over the mean number of points in a cell. Ranks are taken as given. None
    where the coefficient is not defined: for fewer than three points, or constant ones.
    """
    from scipy.stats import rankdata

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


def holm(values: Sequence[float]) -> list[float]:
    """p-values that may be compared with the level though there are several, in the order given
    (Holm, Scandinavian Journal of Statistics 6, 1979).
    """
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(np.asarray(values)[order] * factors), 1)
    return [float(value) for value in adjusted]
