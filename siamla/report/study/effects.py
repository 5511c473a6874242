"""How far trackers are apart, where other videos and other trainings would both have given another number.

Means have a mixed model: a value of a variant is its mean + the sequence's + the training's (seed's) + what both do
together, the last three drawn at random. Sequences are shared by all variants, so differences are taken in pairs; seeds
are each variant's own. The variances are those of a two-way table, by moments. A bootstrap that resamples seeds and
sequences counts the last part three times (Owen, Annals of Applied Statistics 1, 2007), and in tracking that part is
large: whether a target is lost depends on the video and the training together. (The tables' difference_interval, made
for two or three seeds, counts it twice.) So resampling is kept for what is no mean, the correlations of confidence and
IoU.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from siamla.report.figures.confidence import coefficient

Array = NDArray[np.float64]
LEVEL, POWER = 0.05, 0.8
RESAMPLES = 4000
DIGITS = 12  # what is left of nothing after rounding is no difference


@dataclass(frozen=True)
class Effect:
    """A difference of variants.

    Attributes:
        value: positive in favour of the first.
        low, high: 95 % interval over other sequences and other trainings; NaN where it cannot be told.
        seen: the smallest true difference that a study of these variances and sizes finds in 80 of 100 repetitions,
            two-sided at 5 %.
        error, freedom: standard error, and the degrees of freedom that it was estimated with.
        seeds: variant → number of trainings.
        sequences: how many all of them share.
        shares: what the squared error is made of, in percent: sequences, seeds, both together; none of a correlation.
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


def _freedom(parts: list[tuple[float, float]], total: float) -> float:
    """Satterthwaite's degrees of freedom of a sum of variances, each given with its own."""
    noise = sum(variance**2 / free for variance, free in parts)
    return max(total**2 / noise, min(free for _, free in parts)) if noise > 0 else inf


def _quantiles(freedom: float) -> tuple[float, float]:
    """Student's t of half the level on either side, and of the power."""
    return float(t.ppf(1 - LEVEL / 2, freedom)), float(t.ppf(POWER, freedom))


def mean_effect(values: Mapping[str, Array], weights: Mapping[str, float]) -> Effect:
    """Σ weight · mean of variants' values (seeds, S), which are of the same S sequences in the same order.

    The squared error is that of the weighted sums over sequences, plus that of each variant's means over seeds, less
    the part of seed and sequence together, which both of them hold; it is never taken below any of the three. The
    quantile is Student's t with Satterthwaite's degrees of freedom. With one seed of a variant or one sequence there is
    no interval. ValueError where the sequences are not as many.
    """
    own = {name: np.asarray(values[name], np.float64) for name in weights}
    seeds = {name: len(table) for name, table in own.items()}
    counts = {table.shape[1] for table in own.values()}
    if len(counts) != 1:
        raise ValueError(f"{sorted(counts)} sequences; the variants must have the same")
    count = counts.pop()
    gaps = sum((weights[name] * table.mean(0) for name, table in own.items()), np.zeros(count))
    value = round(float(gaps.mean()), DIGITS) if count else nan
    if count < 2 or min(seeds.values()) < 2:
        return Effect(value, seeds=seeds, sequences=count)
    videos = float(gaps.var(ddof=1)) / count
    trainings, both = {}, {}
    for name, table in own.items():
        scale, free = weights[name] ** 2 / len(table), (len(table) - 1) * (count - 1)
        rest = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
        trainings[name] = scale * float(table.mean(1).var(ddof=1))
        both[name] = scale * float((rest**2).sum()) / free / count
    rough = videos, sum(trainings.values()), sum(both.values())
    total = max(rough[0] + rough[1] - rough[2], *rough)
    parts = [(videos, count - 1.0), *((trainings[name], seeds[name] - 1.0) for name in own)]
    parts += [(both[name], (seeds[name] - 1.0) * (count - 1)) for name in own]
    error, freedom = sqrt(total), _freedom(parts, total)
    side, power = _quantiles(freedom)
    pieces = {"sequences": max(rough[0] - rough[2], 0), "seeds": max(rough[1] - rough[2], 0), "both": rough[2]}
    whole = sum(pieces.values())
    shares = {name: 100 * piece / whole for name, piece in pieces.items()} if whole > 0 else {}
    low, high = (round(value + sign * side * error, DIGITS) for sign in (-1, 1))
    return Effect(value, low, high, (side + power) * error, error, freedom, seeds, count, shares)


def _drawn(rng: np.random.Generator, count: int) -> Array:
    """Weights (RESAMPLES, count) of samples with replacement, one smaller than the sample that they are drawn from.

    That gives their mean the variance s²/count; samples of the full size give less, by a half of two.
    """
    return rng.multinomial(count - 1, np.full(count, 1 / count), size=RESAMPLES) / (count - 1)


def correlation_effect(ours: Array, theirs: Array, names: tuple[str, str], seed: int = 0) -> Effect:
    """The correlation of ours less that of theirs, of sums (seeds, S, 6) as `confidence.sums` gives them.

    Seeds of either and sequences in pairs are resampled; the interval's quantiles are those of Student's t with the
    seeds' degrees of freedom, or the sequences' where these are fewer, put in terms of the normal's. A little too wide
    rather than too narrow (see above). No interval with one seed of either or one sequence, NaN where either
    correlation is not defined.
    """
    counts = {name: len(table) for name, table in zip(names, (ours, theirs), strict=True)}
    count = ours.shape[1]
    gap = float(coefficient(ours.sum((0, 1))) - coefficient(theirs.sum((0, 1))))
    if min(count, *counts.values()) < 2 or not np.isfinite(gap):
        return Effect(gap, seeds=counts, sequences=count)
    rng = np.random.default_rng(seed)
    videos = _drawn(rng, count)
    one, other = (
        coefficient(np.einsum("bn,bs,nsk->bk", _drawn(rng, len(table)), videos, table)) for table in (ours, theirs)
    )
    found = (one - other)[np.isfinite(one - other)]
    freedom = float(min(sum(counts.values()) - 2, count - 1))
    side, power = _quantiles(freedom)
    error = float(found.std())
    low, high = np.quantile(found, [norm.cdf(-side), norm.cdf(side)])
    return Effect(gap, float(low), float(high), (side + power) * error, error, freedom, counts, count)
