"""What a figure is drawn from, and what it gives."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from siamla.report.differences import numbers
from siamla.sequence import Sequence as Video

if TYPE_CHECKING:
    from siamla.benchmark.maps import FrameMaps

Info = Mapping[str, Mapping[str, Any]]
Array = NDArray[np.float64]
Content = Mapping[str, Any]
LONGEST = 32  # characters of a name in a legend


@dataclass(frozen=True)
class Score:
    """The content of a score file. value: of the setting that a sweep varies."""

    benchmark: str
    tracker: str
    seed: int
    content: Content
    value: float | None = None


@dataclass(frozen=True)
class Run:
    """Stored predictions of a tracker, and the score maps of chosen frames where there are some."""

    benchmark: str
    tracker: str
    seed: int
    folder: Path | None = None
    maps: "Sequence[FrameMaps]" = ()


@dataclass(frozen=True)
class Data:
    """Everything that a kind may draw.

    Attributes:
        trackers: name → {label, role: ours, baseline or other, place, imported}.
        benchmarks: name → {label, headline, metrics, curves, synthetic, layout, interval}.
        scores: as far as the figure shows scores.
        runs: as far as it shows boxes or maps, and by benchmark the videos that they are of.
        published: tracker → score, of a ranking.
        sweep: {key, used: tracker → the value that the plan uses}, of a sweep.
        synthetic: of the course of trainings: what they were trained on was rendered.
    """

    trackers: Info
    benchmarks: Info
    scores: Sequence[Score] = ()
    runs: Sequence[Run] = ()
    videos: Mapping[str, Sequence[Video]] = field(default_factory=dict)
    published: Mapping[str, float] = field(default_factory=dict)
    sweep: Mapping[str, Any] = field(default_factory=dict)
    synthetic: bool = False

    def of(self, benchmark: str) -> dict[str, list[Score]]:
        """Tracker → its scores on a benchmark by seed, in the order of `trackers`; without those of
        withheld truth.
        """
        found: dict[str, list[Score]] = {name: [] for name in self.trackers}
        for score in self.scores:
            if score.benchmark == benchmark and score.tracker in found and score.content["overall"]:
                found[score.tracker].append(score)
        return {
            name: sorted(own, key=lambda score: score.seed) for name, own in found.items() if own
        }

    def role(self, role: str) -> str | None:
        """The tracker that has a role."""
        return next(
            (name for name, tracker in self.trackers.items() if tracker["role"] == role), None
        )


@dataclass(frozen=True)
class Drawn:
    """A figure, the numbers in it, and what its caption says.

    Attributes:
        alt: what a reader who cannot see it has to know.
        notes: sentences of the caption.
    """

    figure: Figure
    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    alt: str
    notes: Sequence[str] = ()


def overall(scores: Sequence[Score], metric: str) -> Array:
    """A metric of each seed (seeds,), without those that lack it."""
    values = numbers(score.content["overall"].get(metric) for score in scores)
    return values[np.isfinite(values)]


def ranked(values: Mapping[str, float], better: str) -> list[str]:
    """Names, the best first; of equal ones the first given."""
    sign = -1 if better == "higher" else 1
    return sorted(values, key=lambda name: sign * values[name])


def entry(value: float, label: str, digits: int) -> str:
    """A legend's entry as the toolkits write it, "[0.560] Name"; a long name is cut."""
    return f"[{value:.{digits}f}] {label if len(label) <= LONGEST else label[: LONGEST - 1] + '…'}"


def seeds_note(groups: Iterable[Sequence[Score]]) -> str:
    """How many seeds lines and bands are of."""
    counts = sorted({len(group) for group in groups})
    if not counts or counts == [1]:
        return "One seed each, so no band: another seed would give another line."
    span = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"Lines are means over {span} seeds, bands their range."


def count_sequences(groups: Iterable[Sequence[Score]]) -> int:
    """How many sequences were scored."""
    return len(
        {name for group in groups for score in group for name in score.content["per_sequence"]}
    )
