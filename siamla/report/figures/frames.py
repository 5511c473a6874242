"""Figure 8: frames with the boxes of several trackers, where these differ most, both ways."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.report.differences import signed
from siamla.report.drawing import jobs, style
from siamla.report.drawing.data import Array, Data, Drawn, Nothing, Rows, ious
from siamla.report.drawing.settings import TrackerFigure
from siamla.sequence import Sequence as Video

BOX = ("x", "y", "width", "height")
COLUMNS = ("sequence", "frame", "tracker", *BOX, "iou", "mean_iou_difference")
SEQUENCES, FRAMES = 4, 4  # of a figure, and of each sequence
APART = 0.1  # of the sequence, the least distance of two frames
LEAST = 0.05  # mean difference of IoU from which on a sequence is shown
TRUTH = "#FFFFFF"
ORDER = {"ours": 0, "baseline": 1, "other": 2}


class Entry(TrackerFigure):
    """Frames of sequences with the boxes of several trackers."""

    kind: Literal["frames"]
    benchmark: str


class Track(NamedTuple):
    """Of each tracker its boxes (N, 4) of a sequence and their IoU (N,), NaN where the truth is
    not known; ours, the baseline, the others.
    """

    boxes: Mapping[str, Array]
    ious: Mapping[str, Array]

    @property
    def gap(self) -> Array:
        """IoU (N,) of the first tracker less the second's, or less 1 where there is none."""
        first, *others = self.ious.values()
        return first - (others[0] if others else 1.0)

    @property
    def gain(self) -> float:
        """Its mean; 0 where the truth is nowhere known."""
        known = self.gap[np.isfinite(self.gap)]
        return float(known.mean()) if len(known) else 0.0


def needs(plan: Plan, entry: Entry) -> list[Job] | None:
    """The scores on its benchmark, the boxes of each variant's first seed, and the videos."""
    boxes = jobs.boxes(plan, entry, first=True)
    return [*jobs.scores(plan, entry, [entry.benchmark]), *boxes] if boxes else None


def choose_sequences(gains: Mapping[str, float], count: int) -> list[str]:
    """The sequences in which ours gains most and, as many, loses most, of those with a difference
    of at least LEAST; the best gain first.
    """
    large = [name for name, gain in gains.items() if abs(gain) >= LEAST]
    order = sorted(large, key=lambda name: (-gains[name], name))
    if len(order) <= count:
        return order
    return order[: (count + 1) // 2] + order[len(order) - count // 2 :]


def choose_frames(gaps: Array, count: int) -> list[int]:
    """The frames with the largest |difference| (N,), a tenth of the sequence apart, by time."""
    least = max(1, round(APART * len(gaps)))
    chosen: list[int] = []
    for index in np.argsort(-np.abs(np.nan_to_num(gaps)), kind="stable").tolist():
        near = any(abs(index - other) < least for other in chosen)
        if len(chosen) < count and index > 0 and not near:
            chosen.append(index)
    return sorted(chosen)


def _tracks(data: Data, benchmark: str) -> dict[str, Track]:
    """The sequences of which every tracker has boxes."""
    from siamla.benchmark import store

    layout = data.benchmarks[benchmark]["layout"]
    if layout == "vot":
        raise UserError(
            f"frames: {benchmark}: its runs start anew after a failure; expected a one-pass"
            " benchmark"
        )
    runs = sorted(data.runs, key=lambda run: ORDER[data.trackers[run.tracker]["role"]])
    folders = {run.tracker: run.folder for run in runs if run.folder is not None}
    tracks = {}
    for video in data.videos[benchmark] if folders else ():
        if all(store.is_done(folder, video.name, layout) for folder in folders.values()):
            boxes = {n: store.read_boxes(f, video.name, layout) for n, f in folders.items()}
            tracks[video.name] = Track(boxes, {n: ious(video, each) for n, each in boxes.items()})
    return tracks


def _picture(axes: Any, video: Video, index: int, boxes: Mapping[str, Array], data: Data) -> None:
    from matplotlib import patheffects

    from siamla.data.images import read_image

    image = read_image(video.frames[index])[..., ::-1]
    axes.set_axis_on()
    axes.imshow(image)
    if index < len(video.boxes):
        style.box(axes, video.boxes[index] - [0.5, 0.5, 0, 0], TRUTH, 1.2)
    for name in reversed(list(boxes)):
        how = style.look(data.trackers[name])
        width = 1.6 if name == data.role("ours") else 1.2
        rectangle = boxes[name][index] - [0.5, 0.5, 0, 0]
        style.box(axes, rectangle, how["color"], width, how["linestyle"])
    number = {"va": "top", "color": "#F0E442", "weight": "bold"}
    text = axes.text(0.03, 0.96, f"#{index + 1:04d}", transform=axes.transAxes, **number)
    text.set_path_effects([patheffects.withStroke(linewidth=1.4, foreground="black")])
    height, width = image.shape[:2]
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _rows(track: Track, **fixed: Any) -> Rows:
    index = fixed["frame"]
    rows: Rows = []
    for tracker, boxes in track.boxes.items():
        row = dict(zip(BOX, boxes[index], strict=True))
        rows.append({**fixed, "tracker": tracker, **row, "iou": track.ious[tracker][index]})
    return rows


def _legend(figure: Any, trackers: list[str], data: Data, title: str) -> None:
    looks = [style.look(data.trackers[name]) for name in trackers]
    handles = [style.box_handle(look["color"], 1.6, look["linestyle"]) for look in looks]
    handles.append(style.box_handle(TRUTH, 1.6))
    labels = [*map(data.label, trackers), "truth (white)"]
    how = {"loc": "outside upper center", "ncols": min(6, len(handles)), "title_fontsize": 7.5}
    figure.legend(handles, labels, title=title, **how)


def draw(entry: Entry, data: Data) -> Drawn:
    """A row of frames for each sequence."""
    from siamla.data.images import read_image

    videos = {video.name: video for video in data.videos[entry.benchmark]}
    tracks = _tracks(data, entry.benchmark)
    gains = {name: track.gain for name, track in tracks.items()}
    chosen = choose_sequences(gains, SEQUENCES)
    if not gains:
        raise Nothing("no sequence has boxes of all trackers")
    if not chosen:
        raise Nothing(f"in no sequence do mean IoUs differ by {LEAST:g} or more")
    shapes = [read_image(videos[name].frames[0]).shape for name in chosen]
    height = max(shape[0] / shape[1] for shape in shapes) * (style.PAGE - 0.4) / FRAMES
    figure = style.new(style.PAGE, 0.55 + len(chosen) * height)
    grid = figure.subplots(len(chosen), FRAMES, squeeze=False)
    style.bare(grid.flat)
    rows: Rows = []
    for line, name in zip(grid, chosen, strict=True):
        track = tracks[name]
        for axes, index in zip(line, choose_frames(track.gap, FRAMES), strict=False):
            _picture(axes, videos[name], index, track.boxes, data)
            rows += _rows(track, sequence=name, frame=index, mean_iou_difference=track.gain)
        line[0].set_ylabel(f"{name}  {signed(track.gain, 2)}", fontsize=6.5)
    trackers = list(tracks[chosen[0]].boxes)
    _legend(figure, trackers, data, style.on(data.benchmarks[entry.benchmark]))
    words = ", ".join(f"{name} {signed(gains[name], 2)}" for name in chosen)
    alt = f"Boxes on frames of {len(chosen)} sequences, with the mean difference of IoU: {words}."
    return Drawn(figure, rows, alt, _notes(data, trackers, gains))


def _notes(data: Data, trackers: list[str], gains: Mapping[str, float]) -> list[str]:
    seed = min(run.seed for run in data.runs)
    if len(trackers) < 2:
        return [f"Seed {seed}. Chosen by rule: the lowest IoU."]
    below = sum(abs(gain) < LEAST for gain in gains.values())
    return [
        f"Seed {seed}. Chosen by rule: the sequences with the largest and the smallest mean"
        f" difference of IoU, {data.label(trackers[0])} less {data.label(trackers[1])} (beside each"
        " row), so that the lower half shows losses where there are some; of each the frames with"
        " the largest absolute difference, a tenth of the sequence apart.",
        f"Left out: {below} of {len(gains)} sequences, with a mean difference below {LEAST:g}.",
    ]
