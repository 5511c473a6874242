"""What a figure is drawn from, and what it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.geometry import iou
from siamla.grid import SCORE, SEARCH
from siamla.report.collect import Rows, Score
from siamla.report.differences import numbers
from siamla.sequence import Sequence as Video

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from siamla.benchmark.maps import FrameMaps

Info = Mapping[str, Mapping[str, Any]]
Array = NDArray[np.float64]


class Nothing(Exception):
    """Why there is nothing to draw; the picture says it."""


@dataclass(frozen=True)
class Run:
    """Stored results of a tracker, and the score maps of chosen frames where there are some."""

    benchmark: str
    tracker: str
    seed: int
    folder: Path | None = None
    maps: "Sequence[FrameMaps]" = ()


class Course(NamedTuple):
    """A line (N,): mean, lowest and highest of the seeds at each x, and how many seeds they are."""

    x: Array
    mean: Array
    low: Array
    high: Array
    seeds: Any

    def rows(self, x: str, mean: str, **fixed: Any) -> Rows:
        """A row for each point, with these names of its columns."""
        names = (x, mean, "low", "high", "seeds")
        points = zip(*self[:4], np.broadcast_to(self.seeds, len(self.x)), strict=True)
        return [fixed | dict(zip(names, point, strict=True)) for point in points]


@dataclass(frozen=True)
class Data:
    """Everything that a kind may draw.

    Attributes:
        trackers: name → {label, role: ours, baseline or other, place}.
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
        """Tracker → its scores on a benchmark by seed; without those of withheld truth."""
        groups: dict[str, list[Score]] = {name: [] for name in self.trackers}
        for score in sorted(self.scores, key=lambda score: score.seed):
            if score.benchmark == benchmark and score.content["overall"]:
                groups.get(score.tracker, []).append(score)
        return {name: scores for name, scores in groups.items() if scores}

    def count(self, benchmark: str) -> int:
        """How many sequences were scored."""
        scores = [score for group in self.of(benchmark).values() for score in group]
        return len({name for score in scores for name in score.content["per_sequence"]})

    def runs_of(self, tracker: str) -> list[Run]:
        """The runs of a tracker."""
        return [run for run in self.runs if run.tracker == tracker]

    def runners(self) -> list[str]:
        """The trackers that have runs, in the order of `trackers`."""
        return [name for name in self.trackers if self.runs_of(name)]

    def label(self, tracker: str) -> str:
        """A tracker's name for people."""
        return str(self.trackers[tracker]["label"])

    def headline(self, benchmark: str) -> tuple[str, Mapping[str, Any]]:
        """A benchmark's headline metric, and its label, direction and digits."""
        info = self.benchmarks[benchmark]
        return info["headline"], info["metrics"][info["headline"]]

    def role(self, role: str) -> str:
        """The tracker that has a role; "" where there is none."""
        return next((name for name, each in self.trackers.items() if each["role"] == role), "")


@dataclass(frozen=True)
class Drawn:
    """A figure, the numbers in it, and what its caption says.

    Attributes:
        alt: what a reader who cannot see it has to know.
        notes: sentences of the caption.
    """

    figure: "Figure"
    rows: Sequence[Mapping[str, Any]]
    alt: str
    notes: Sequence[str] = ()


def overall(scores: Sequence[Score], metric: str) -> Array:
    """A metric of each seed (seeds,), without those that lack it."""
    values = numbers(score.content["overall"].get(metric) for score in scores)
    return values[np.isfinite(values)]


def ious(video: Video, boxes: Array) -> Array:
    """IoU (N,) of boxes (N, 4) with the truth; NaN where that is not known."""
    count = min(len(video.boxes), len(boxes))
    truth = video.boxes[:count]
    clear = np.isfinite(truth).all(1) & video.visible[:count]
    return np.where(clear, iou(truth, boxes[:count]), np.nan)


def has_truth(frame: "FrameMaps") -> bool:
    """Whether the truth of a frame is known."""
    return bool(np.isfinite(frame.truth).all() and (frame.truth[2:] > 0).all())


def in_crop(frame: "FrameMaps", box: ArrayLike) -> Array:
    """A box of the image in the crop's pixel-index coordinates, those of the grid."""
    from siamla.data.crop import to_crop, to_index

    return to_index(to_crop(np.asarray(box, np.float64), frame.centre, frame.side, SEARCH))


def cell_ious(frame: "FrameMaps") -> Array:
    """IoU (25, 25) of every cell's box with the truth."""
    boxes = frame.boxes.reshape(-1, 4)
    return iou(np.broadcast_to(frame.truth, boxes.shape), boxes).reshape(SCORE, SCORE)


def ranked(values: Mapping[Any, float], better: str) -> list[Any]:
    """Keys, those of the best values first; of equal ones the first given."""
    sign = -1 if better == "higher" else 1
    return sorted(values, key=lambda key: sign * values[key])
