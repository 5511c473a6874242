"""How far trackers are apart, where other videos and other trainings would both have given another
number.

A mixed model: a value of a variant is its mean + the sequence's + the training's (seed's) + what
both do together, the last three drawn at random. Sequences are shared by all variants, so
differences are taken in pairs; seeds are each variant's own, their variance that of all variants
pooled, since a variant may have two. The variances are those of a two-way table, by moments. A
bootstrap that resamples seeds and sequences counts the last part three times (Owen, Annals of
Applied Statistics 1, 2007), adding the errors of both twice, and in tracking that part is large:
whether a target is lost depends on the video and the training together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEVEL, POWER = 0.05, 0.8
DIGITS = 12  # what is left of nothing after rounding is no difference


@dataclass(frozen=True)
class Effect:
    """A difference of variants.

    Attributes:
        value: positive in favour of the first. low, high: 95 % interval over other sequences and
        other trainings; NaN where it cannot be told.
        seen: the smallest true difference that a study of these variances and sizes finds in 80 of
            100 repetitions, two-sided at 5 %.
        error, freedom: standard error, and the degrees of freedom that it was estimated with.
        seeds: variant → number of trainings.
        sequences: how many all of them share.
        shares: what the squared error is made of, in percent: sequences, seeds, both together; none
            of a correlation.
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


def quantiles(freedom: float) -> tuple[float, float]:
    """Student's t of half the level on either side, and of the power."""
    from scipy.stats import t  # slow to import, and the plan of figures needs none of it

    return float(t.ppf(1 - LEVEL / 2, freedom)), float(t.ppf(POWER, freedom))


def mean_effect(values: Mapping[str, Array], weights: Mapping[str, float]) -> Effect:
    """Σ weight · mean of variants' values (seeds, S), which are of the same S sequences in the same
    order.

    The squared error is that of the weighted sums over sequences, plus that of the variants' means
    over seeds, less the part of seed and sequence together, which both of them hold; it is never
    taken below any of the three. The quantile is Student's t with Satterthwaite's degrees of
    freedom. With one seed of a variant or one sequence there is no interval. ValueError where the
    sequences are not as many.
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
    means = [table.mean(1) for table in own.values()]
    rests = [
        table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
        for table in own.values()
    ]
    scale, free = (
        sum(weights[name] ** 2 / number for name, number in seeds.items()),
        sum(seeds.values()) - len(seeds),
    )
    trainings = scale * sum(float(((mean - mean.mean()) ** 2).sum()) for mean in means) / free
    both = scale * sum(float((rest**2).sum()) for rest in rests) / free / (count - 1) / count
    rough = videos, trainings, both
    total = max(videos + trainings - both, *rough)
    parts = [(videos, count - 1.0), (trainings, float(free)), (both, float(free * (count - 1)))]
    error, freedom = sqrt(total), _freedom(parts, total)
    side, power = quantiles(freedom)
    pieces = {
        "sequences": max(rough[0] - rough[2], 0),
        "seeds": max(rough[1] - rough[2], 0),
        "both": rough[2],
    }
    whole = sum(pieces.values())
    shares = {name: 100 * piece / whole for name, piece in pieces.items()} if whole > 0 else {}
    low, high = (round(value + sign * side * error, DIGITS) for sign in (-1, 1))
    return Effect(value, low, high, (side + power) * error, error, freedom, seeds, count, shares)
