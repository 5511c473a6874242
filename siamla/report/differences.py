"""Two trackers beside each other: how far one is above the other, by attribute and sequence, and
how sure that is.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.benchmark.metrics import video_interval
from siamla.report.mixed import mean_effect

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


def difference_interval(ours: ArrayLike, theirs: ArrayLike) -> tuple[float, float]:
    """95 % interval of mean(ours) − mean(theirs), of values (seeds, S) of two trackers on the same
    S sequences.

    Over other sequences and other trainings, by the study's mixed model (siamla.report.mixed),
    which counts what varies with both once. Seeds are not paired: the same seed in two variants
    shares the order of the data and the start of some weights, of which little is left after
    training; what is left makes the interval too wide rather than too narrow. Needs at least two
    seeds on either side and two sequences (ValueError).
    """
    tables = {"ours": np.asarray(ours, np.float64), "theirs": np.asarray(theirs, np.float64)}
    count, trainings = tables["ours"].shape[1], tuple(len(table) for table in tables.values())
    if min(count, *trainings) < 2:
        raise ValueError(f"{trainings} seeds and {count} sequences; two of each at least")
    found = mean_effect(tables, {"ours": 1.0, "theirs": -1.0})
    return found.low, found.high


def difference(
    ours: Sequence[Content], theirs: Sequence[Content], attribute: str, metric: str
) -> Difference:
    """Ours minus theirs, of the contents of score files by seed.

    The interval is over sequences and seeds; with one seed on a side, over sequences alone. There
    is none for fewer than two sequences that both have, and for attributes of single frames.
    """
    gap = value(ours, attribute, metric) - value(theirs, attribute, metric)
    names = members(ours, attribute)
    a, b = by_sequence(ours, names, metric), by_sequence(theirs, names, metric)
    both = np.isfinite(a).all(0) & np.isfinite(b).all(0)
    count = int(both.sum())
    if count < 2 or "frames" in ours[0]["per_attribute"].get(attribute, {}):
        return Difference(attribute, gap, float("nan"), float("nan"), count)
    interval = difference_interval if min(len(a), len(b)) > 1 else video_interval
    return Difference(attribute, gap, *interval(a[:, both], b[:, both]), count)


def sequence_gaps(
    ours: Sequence[Content], theirs: Sequence[Content], metric: str
) -> dict[str, float]:
    """Sequence → ours minus theirs, means over seeds; the largest gain first."""
    names = members(ours, OVERALL)
    gaps = by_sequence(ours, names, metric).mean(0) - by_sequence(theirs, names, metric).mean(0)
    known = {name: float(gap) for name, gap in zip(names, gaps, strict=True) if np.isfinite(gap)}
    return dict(sorted(known.items(), key=lambda pair: -pair[1]))
