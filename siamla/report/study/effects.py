"""How far the correlations of confidence and IoU are apart, over other videos and other trainings.

They are no means, so there is no mixed model of them (siamla.report.mixed): seeds and sequences are
resampled, which counts what both do together more than once.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from siamla.report.figures.confidence import coefficient
from siamla.report.mixed import Effect, quantiles

Array = NDArray[np.float64]
RESAMPLES = 4000


def _drawn(rng: np.random.Generator, count: int) -> Array:
    """Weights (RESAMPLES, count) of samples with replacement, one smaller than the sample that they
    are drawn from.

    That gives their mean the variance s²/count; samples of the full size give less, by a half of
    two.
    """
    return rng.multinomial(count - 1, np.full(count, 1 / count), size=RESAMPLES) / (count - 1)


def correlation_effect(ours: Array, theirs: Array, names: tuple[str, str], seed: int = 0) -> Effect:
    """The correlation of ours less that of theirs, of sums (seeds, S, 6) as `confidence.sums` gives
    them.

    Seeds of either and sequences in pairs are resampled; the interval's quantiles are those of
    Student's t with the seeds' degrees of freedom, or the sequences' where these are fewer, put in
    terms of the normal's. A little too wide rather than too narrow (see above). No interval with
    one seed of either or one sequence, NaN where either correlation is not defined.
    """
    counts = {name: len(table) for name, table in zip(names, (ours, theirs), strict=True)}
    count = ours.shape[1]
    gap = float(coefficient(ours.sum((0, 1))) - coefficient(theirs.sum((0, 1))))
    if min(count, *counts.values()) < 2 or not np.isfinite(gap):
        return Effect(gap, seeds=counts, sequences=count)
    rng = np.random.default_rng(seed)
    videos = _drawn(rng, count)
    one, other = (
        coefficient(np.einsum("bn,bs,nsk->bk", _drawn(rng, len(table)), videos, table))
        for table in (ours, theirs)
    )
    found = (one - other)[np.isfinite(one - other)]
    freedom = float(min(sum(counts.values()) - 2, count - 1))
    side, power = quantiles(freedom)
    error = float(found.std())
    low, high = np.quantile(found, [norm.cdf(-side), norm.cdf(side)])
    return Effect(
        gap, float(low), float(high), (side + power) * error, error, freedom, counts, count
    )
