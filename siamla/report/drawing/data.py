"""What a figure is drawn from, and what it gives."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from siamla.report.differences import numbers
from siamla.sequence import Sequence as Video

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
        benchmarks: name → {label, headline, metrics, curves, synthetic, layout}.
        scores: as far as the figure shows scores.
        runs: as far as it shows boxes, maps or losses.
        videos: benchmark → the videos that the boxes are of.
        facts: what the kind's `facts` says.
    """

    trackers: Info
    benchmarks: Info
    scores: Sequence[Score] = ()
    runs: Sequence[Run] = ()
    videos: Mapping[str, Sequence[Video]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def of(self, benchmark: str) -> dict[str, list[Score]]:
        """Tracker → its scores on a benchmark by seed, in the order of `trackers`; without those of
        withheld truth.
        """
        groups: dict[str, list[Score]] = {name: [] for name in self.trackers}
        for score in sorted(self.scores, key=lambda score: score.seed):
            known = score.tracker in groups and score.content["overall"]
            if score.benchmark == benchmark and known:
                groups[score.tracker].append(score)
        return {name: scores for name, scores in groups.items() if scores}

    def runs_of(self, tracker: str) -> list[Run]:
        """The runs of a tracker."""
        return [run for run in self.runs if run.tracker == tracker]

    def runners(self) -> list[str]:
        """The trackers that have runs, in the order of `trackers`."""
        return [name for name in self.trackers if self.runs_of(name)]

    def label(self, tracker: str) -> str:
        """A tracker's name for people."""
        return str(self.trackers[tracker]["label"])

    def metric(self, benchmark: str, metric: str | None) -> tuple[str, Mapping[str, Any]]:
        """A metric of a benchmark, by default its headline, and its label, direction and digits."""
        info = self.benchmarks[benchmark]
        name = metric or str(info["headline"])
        return name, info["metrics"][name]

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

    figure: "Figure"
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


def legend_entry(value: float, label: str, digits: int) -> str:
    """A legend's entry as the toolkits write it, "[0.560] Name"; a long name is cut."""
    return f"[{value:.{digits}f}] {label if len(label) <= LONGEST else label[: LONGEST - 1] + '…'}"


def span(counts: Iterable[int]) -> str:
    """The lowest and the highest of some counts: "2 to 3", or "2" where all are equal; "no"
    where there are none.
    """
    ordered = sorted(set(counts))
    if not ordered:
        return "no"
    return " to ".join(map(str, dict.fromkeys((ordered[0], ordered[-1]))))


def seeds_note(groups: Iterable[Sequence[Score]]) -> str:
    """How many seeds lines and bands are of."""
    counts = {len(group) for group in groups}
    if not counts or counts == {1}:
        return "One seed each, so no band: another seed would give another line."
    return f"Lines are means over {span(counts)} seeds, bands their range."


def count_sequences(groups: Iterable[Sequence[Score]]) -> int:
    """How many sequences were scored."""
    return len(
        {name for group in groups for score in group for name in score.content["per_sequence"]}
    )
