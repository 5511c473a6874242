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
Parts = list[tuple[float, float]]  # variances, each with its degrees of freedom
LEVEL = 0.05
POWER = 0.8
DIGITS = 12  # a value that rounds to 0 at so many digits is 0: rounding errors make no difference


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
    def p(self) -> float:
        """The two-sided p-value of no difference; NaN where there is no interval."""
        from scipy.stats import t  # slow to import, and a plan needs none of it

        if self.error == 0:
            return float(self.value == 0)
        return float(2 * t.sf(abs(self.value) / self.error, self.freedom))


def _freedom(parts: Parts, total: float) -> float:
    """Satterthwaite's degrees of freedom of a sum of variances."""
    noise = sum(variance**2 / free for variance, free in parts)
    return max(total**2 / noise, min(free for _, free in parts)) if noise > 0 else inf


def _interval(value: float, total: float, parts: Parts) -> tuple[float, float, float, float, float]:
    """low, high, seen, error, freedom of a value whose squared error is `total`, made of parts."""
    from scipy.stats import t  # slow to import, and a plan needs none of it

    error = sqrt(total)
    freedom = _freedom(parts, total)
    side = float(t.ppf(1 - LEVEL / 2, freedom))
    power = float(t.ppf(POWER, freedom))
    low = round(value - side * error, DIGITS)
    high = round(value + side * error, DIGITS)
    return low, high, (side + power) * error, error, freedom


def _trainings(tables: Mapping[str, Array], weights: Mapping[str, float]) -> Parts:
    """The squared errors of trainings, and of trainings and sequences together."""
    count = next(iter(tables.values())).shape[1]
    means = [table.mean(1) for table in tables.values()]
    rests = [
        table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
        for table in tables.values()
    ]
    scale = sum(weights[name] ** 2 / len(table) for name, table in tables.items())
    free = sum(len(table) - 1 for table in tables.values())
    trainings = scale * sum(float(((mean - mean.mean()) ** 2).sum()) for mean in means) / free
    both = scale * sum(float((rest**2).sum()) for rest in rests) / free / (count - 1) / count
    return [(trainings, float(free)), (both, float(free * (count - 1)))]


def _shares(videos: float, trainings: float, both: float) -> dict[str, float]:
    pieces = {
        "sequences": max(videos - both, 0),
        "seeds": max(trainings - both, 0),
        "both": both,
    }
    whole = sum(pieces.values())
    return {name: 100 * piece / whole for name, piece in pieces.items()} if whole > 0 else {}


def mean_effect(
    values: Mapping[str, Array], weights: Mapping[str, float], one_seed: bool = False
) -> Effect:
    """Σ weight · mean of variants' values (seeds, S), which are of the same S sequences in the same
    order.

    The squared error is that of the weighted sums over sequences, plus that of the variants' means
    over seeds, less the part of seed and sequence together, which both of them hold; it is never
    taken below any of the three. The quantile is Student's t with Satterthwaite's degrees of
    freedom. Seeds are not paired: the same seed in two variants shares the order of the data and
    the start of some weights, of which little is left after training; what is left makes the
    interval too wide rather than too narrow.

    With one sequence or one seed of a variant there is no interval. one_seed: with one seed the
    interval is over sequences alone; what another training would change is not in it. ValueError
    where the variants have different numbers of sequences.
    """
    tables = {name: np.asarray(values[name], np.float64) for name in weights}
    seeds = {name: len(table) for name, table in tables.items()}
    counts = {table.shape[1] for table in tables.values()}
    if len(counts) != 1:
        raise ValueError(f"{sorted(counts)} sequences; the variants must have the same")
    count = counts.pop()
    gaps = sum((weights[name] * table.mean(0) for name, table in tables.items()), np.zeros(count))
    value = round(float(gaps.mean()), DIGITS) if count else nan
    if count < 2 or (min(seeds.values()) < 2 and not one_seed):
        return Effect(value, seeds=seeds, sequences=count)
    videos = (float(gaps.var(ddof=1)) / count, count - 1.0)
    if min(seeds.values()) < 2:
        return Effect(value, *_interval(value, videos[0], [videos]), seeds, count)
    parts = [videos, *_trainings(tables, weights)]
    errors = [variance for variance, _ in parts]
    total = max(errors[0] + errors[1] - errors[2], *errors)
    return Effect(value, *_interval(value, total, parts), seeds, count, _shares(*errors))
