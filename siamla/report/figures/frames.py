"""Figure 8: frames of sequences with the boxes of several trackers and the truth, where they differ
most, both ways.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field

from siamla.benchmark.metrics import overlap
from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.report.drawing import needs as jobs
from siamla.report.drawing import style
from siamla.report.drawing.data import Array, Data, Drawn
from siamla.report.drawing.settings import TrackerFigure
from siamla.sequence import Sequence as Video

BOX = ("x", "y", "width", "height")
COLUMNS = ("sequence", "frame", "tracker", *BOX, "iou", "mean_iou_difference")
APART = 0.1  # of the sequence, the least distance of two frames
TRUTH = "#FFFFFF"
ORDER = {"ours": 0, "baseline": 1, "other": 2}


class Entry(TrackerFigure):
    """Frames of sequences with the boxes of several trackers."""

    kind: Literal["frames"]
    benchmark: str
    sequences: int = Field(4, ge=1, le=8)
    frames: int = Field(4, ge=1, le=8)


@dataclass(frozen=True)
class Tracks:
    """Boxes of the first seed, on the sequences of which every tracker has some.

    Attributes:
        trackers: ours, the baseline, the others.
        boxes: sequence → tracker → boxes (N, 4).
        ious: sequence → tracker → IoU (N,) with the truth; NaN where that is not known.
    """

    trackers: list[str]
    boxes: Mapping[str, Mapping[str, Array]]
    ious: Mapping[str, Mapping[str, Array]]

    @property
    def rival(self) -> str | None:
        """The tracker that the first is compared with."""
        return self.trackers[1] if len(self.trackers) > 1 else None

    def gap(self, sequence: str) -> Array:
        """IoU (N,) of the first tracker less the second's, or less 1 where there is none."""
        ious = self.ious[sequence]
        return ious[self.trackers[0]] - (ious[self.rival] if self.rival else 1.0)


def needs(plan: Plan, entry: Entry) -> list[Job] | None:
    """The scores on its benchmark, the boxes of each variant's first seed, and the videos."""
    if entry.benchmark not in plan.profile.benchmarks:
        return None
    runs = jobs.tracked(plan, entry.benchmark, entry.variants, first=True)
    return [
        *jobs.scores(plan, entry, [entry.benchmark]),
        *jobs.predictions(plan, runs),
        plan.job("curate", dataset=entry.benchmark),
    ]


def choose_sequences(gains: Mapping[str, float], count: int) -> list[str]:
    """The sequences in which ours gains most and, as many, those in which it loses most; the best
    gain first.
    """
    order = sorted(gains, key=lambda name: (-gains[name], name))
    if len(order) <= count:
        return order
    return order[: (count + 1) // 2] + order[len(order) - count // 2 :]


def choose_frames(gaps: Array, count: int) -> list[int]:
    """The frames with the largest |difference| (N,), at least a tenth of the sequence apart, in
    order of time.
    """
    least = max(1, round(APART * len(gaps)))
    chosen: list[int] = []
    for index in np.argsort(-np.abs(np.nan_to_num(gaps)), kind="stable").tolist():
        near = any(abs(index - other) < least for other in chosen)
        if len(chosen) < count and index > 0 and not near:
            chosen.append(index)
    return sorted(chosen)


def _ious(video: Video, boxes: Array) -> Array:
    """IoU (N,) with the truth; NaN where that is not known."""
    count = min(len(video.boxes), len(boxes))
    truth = video.boxes[:count]
    known = np.isfinite(truth).all(1) & video.visible[:count]
    return np.where(known, overlap(truth, boxes[:count]), np.nan)


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0


def _tracks(data: Data, benchmark: str) -> Tracks:
    from siamla.benchmark import store

    layout = data.benchmarks[benchmark]["layout"]
    if layout == "vot":
        raise UserError(
            f"frames: {benchmark}: its runs start anew after a failure; expected a one-pass"
            " benchmark"
        )
    folders = {
        run.tracker: run.folder
        for run in sorted(data.runs, key=lambda run: -run.seed)
        if run.folder is not None
    }
    names = [run.tracker for run in sorted(data.runs, key=lambda run: run.seed)]
    names = [name for name in dict.fromkeys(names) if name in folders]
    names.sort(key=lambda name: ORDER[data.trackers[name]["role"]])
    boxes = {}
    ious = {}
    for video in data.videos[benchmark] if names else ():
        if all(store.is_done(folder, video.name, layout) for folder in folders.values()):
            own = {name: store.read_boxes(folders[name], video.name, layout) for name in names}
            boxes[video.name] = own
            ious[video.name] = {name: _ious(video, own[name]) for name in names}
    return Tracks(names, boxes, ious)


def _box(axes: Any, box: Array, colour: str, dashes: Any, width: float) -> None:
    from matplotlib import patheffects
    from matplotlib.patches import Rectangle

    x, y, w, h = box
    if not np.isfinite(box).all():
        return
    frame = Rectangle((x - 0.5, y - 0.5), w, h, fill=False, edgecolor=colour, linewidth=width)
    frame.set_linestyle(dashes)
    around = patheffects.withStroke(linewidth=width + 0.9, foreground="black", alpha=0.5)
    frame.set_path_effects([around])
    axes.add_patch(frame)


def _picture(axes: Any, video: Video, index: int, boxes: Mapping[str, Array], data: Data) -> None:
    from matplotlib import patheffects

    from siamla.benchmark.onepass import read_image

    image = read_image(video.frames[index])[..., ::-1]
    axes.set_axis_on()
    axes.imshow(image)
    truth = video.boxes[index] if index < len(video.boxes) else np.full(4, np.nan)
    _box(axes, truth, TRUTH, "solid", 1.2)
    for name in reversed(list(boxes)):
        how = style.look(data.trackers[name])
        width = 1.6 if name == data.role("ours") else 1.2
        _box(axes, boxes[name][index], how["color"], how["linestyle"], width)
    text = axes.text(
        0.03,
        0.96,
        f"#{index + 1:04d}",
        transform=axes.transAxes,
        va="top",
        color="#F0E442",
        weight="bold",
    )
    text.set_path_effects([patheffects.withStroke(linewidth=1.4, foreground="black")])
    height, width = image.shape[:2]
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[])


def _rows(tracks: Tracks, sequence: str, index: int, gain: float) -> list[dict[str, Any]]:
    return [
        {
            "sequence": sequence,
            "frame": index,
            "tracker": tracker,
            **dict(zip(BOX, tracks.boxes[sequence][tracker][index], strict=True)),
            "iou": tracks.ious[sequence][tracker][index],
            "mean_iou_difference": gain,
        }
        for tracker in tracks.trackers
    ]


def _legend(figure: Any, trackers: Sequence[str], data: Data, title: str) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for name in trackers:
        how = style.look(data.trackers[name])
        handles.append(Line2D([], [], **{key: how[key] for key in how if key != "zorder"}))
    handles.append(Line2D([], [], color="0.7", linewidth=1.2))
    figure.legend(
        handles,
        [*map(data.label, trackers), "truth (white)"],
        loc="outside upper center",
        ncols=min(6, len(handles)),
        title=title,
        title_fontsize=7.5,
    )


def draw(entry: Entry, data: Data) -> Drawn:
    """A row of frames for each sequence."""
    videos = {video.name: video for video in data.videos[entry.benchmark]}
    tracks = _tracks(data, entry.benchmark)
    gains = {name: _mean(tracks.gap(name)) for name in tracks.boxes}
    chosen = choose_sequences(gains, entry.sequences)
    tall = max(1, len(chosen))
    height = _height([videos[name] for name in chosen]) * (style.PAGE - 0.4) / entry.frames
    figure = style.new(style.PAGE, 0.55 + tall * height)
    grid = figure.subplots(tall, entry.frames, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    if not chosen:
        style.empty(grid[0, 0], "no sequence has boxes of all trackers")
    rows: list[dict[str, Any]] = []
    for line, name in zip(grid, chosen, strict=False):
        for axes, index in zip(line, choose_frames(tracks.gap(name), entry.frames), strict=False):
            _picture(axes, videos[name], index, tracks.boxes[name], data)
            rows += _rows(tracks, name, index, gains[name])
        line[0].set_ylabel(f"{name}  {gains[name]:+.2f}", fontsize=6.5)
    _legend(figure, tracks.trackers, data, style.on(data.benchmarks[entry.benchmark]))
    told = ", ".join(f"{name} {gains[name]:+.2f}" for name in chosen)
    alt = f"Boxes on frames of {len(chosen)} sequences, with the mean difference of IoU: {told}."
    return Drawn(figure, COLUMNS, rows, alt, _notes(data, tracks))


def _height(videos: Sequence[Video]) -> float:
    """The largest height by width of the videos' images."""
    from siamla.benchmark.onepass import read_image

    shapes = [read_image(video.frames[0]).shape for video in videos]
    return max((shape[0] / shape[1] for shape in shapes), default=0.75)


def _notes(data: Data, tracks: Tracks) -> list[str]:
    seeds = sorted({run.seed for run in data.runs})
    if tracks.rival is None:
        return [f"Seed {seeds[0] if seeds else '–'}. Chosen by rule: the lowest IoU."]
    pair = f"{data.label(tracks.trackers[0])} less {data.label(tracks.rival)}"
    return [
        f"Seed {seeds[0]}. Chosen by rule: the sequences with the largest and the smallest mean"
        f" difference of IoU, {pair} (beside each row), so that the lower half shows losses where"
        " there are some; of each the frames with the largest absolute difference, a tenth of the"
        " sequence apart."
    ]
