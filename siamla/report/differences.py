"""Two trackers beside each other: how far one is above the other, by attribute and sequence, and
how sure that is.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamla.statistics.effects import mean_effect

Array = NDArray[np.float64]
Content = Mapping[str, Any]
OVERALL = "Overall"


class Difference(NamedTuple):
    """Ours minus the baseline on an attribute's sequences. low, high: 95 % interval, NaN where
    there is none.
    """

    attribute: str
    value: float
    low: float
    high: float
    sequences: int
    """Those of both."""

    @property
    def told(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def numbers(values: Any) -> Array:
    """Values of a score file as an array, null as NaN."""
    return np.array([np.nan if value is None else value for value in values], np.float64)


def value(scores: Sequence[Content], attribute: str, metric: str) -> float:
    """The mean over seeds of an attribute's score, or of the whole benchmark's; NaN where there is
    none.
    """
    if attribute == OVERALL:
        values = numbers(score["overall"].get(metric) for score in scores)
    else:
        values = numbers(score["per_attribute"].get(attribute, {}).get(metric) for score in scores)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def by_sequence(scores: Sequence[Content], names: Sequence[str], metric: str) -> Array:
    """A metric (seeds, sequences), NaN where it is missing."""
    rows = [
        numbers(score["per_sequence"].get(name, {}).get(metric) for name in names)
        for score in scores
    ]
    return np.array(rows).reshape(len(scores), len(names))


def members(scores: Sequence[Content], attribute: str) -> list[str]:
    """The sequences of an attribute, or all."""
    if attribute == OVERALL:
        return sorted(scores[0]["per_sequence"])
    labels: Mapping[str, Sequence[str]] = scores[0]["attributes_of"]
    return sorted(name for name, own in labels.items() if attribute in own)


def difference(
    ours: Sequence[Content], theirs: Sequence[Content], attribute: str, metric: str
) -> Difference:
    """Ours minus theirs, of the contents of score files by seed.

    The interval is over sequences and seeds; with one seed on a side, over sequences alone. There
    is none for fewer than two sequences that both have, and for attributes of single frames.
    """
    gap = value(ours, attribute, metric) - value(theirs, attribute, metric)
    names = members(ours, attribute)
    a = by_sequence(ours, names, metric)
    b = by_sequence(theirs, names, metric)
    both = np.isfinite(a).all(0) & np.isfinite(b).all(0)
    tables = {"ours": a[:, both], "theirs": b[:, both]}
    effect = mean_effect(tables, {"ours": 1.0, "theirs": -1.0}, one_seed=True)
    if "frames" in ours[0]["per_attribute"].get(attribute, {}):
        return Difference(attribute, gap, float("nan"), float("nan"), effect.sequences)
    return Difference(attribute, gap, effect.low, effect.high, effect.sequences)


def sequence_gaps(
    ours: Sequence[Content], theirs: Sequence[Content], metric: str
) -> dict[str, float]:
    """Sequence → ours minus theirs, means over seeds; the largest gain first."""
    names = members(ours, OVERALL)
    gaps = by_sequence(ours, names, metric).mean(0) - by_sequence(theirs, names, metric).mean(0)
    known = {name: float(gap) for name, gap in zip(names, gaps, strict=True) if np.isfinite(gap)}
    return dict(sorted(known.items(), key=lambda pair: -pair[1]))
