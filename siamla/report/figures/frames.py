"""Figure 8: frames of sequences with the boxes of several trackers and the truth, where they differ
most, both ways.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from siamla.benchmark import store
from siamla.benchmark.metrics import overlap
from siamla.benchmark.onepass import read_image
from siamla.errors import UserError
from siamla.experiment.figures import Frames
from siamla.report.figures import style
from siamla.report.figures.data import Array, Data, Drawn
from siamla.sequence import Sequence as Video

COLUMNS = (
    "sequence",
    "frame",
    "tracker",
    "x",
    "y",
    "width",
    "height",
    "iou",
    "mean_iou_difference",
)
APART = 0.1  # of the sequence, the least distance of two frames
TRUTH = "#FFFFFF"


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
    least, chosen = max(1, round(APART * len(gaps))), list[int]()
    for index in np.argsort(-np.abs(np.nan_to_num(gaps)), kind="stable"):
        if (
            len(chosen) < count
            and index > 0
            and all(abs(int(index) - other) >= least for other in chosen)
        ):
            chosen.append(int(index))
    return sorted(chosen)


def _ious(video: Video, boxes: Array) -> Array:
    """IoU (N,) with the truth; NaN where that is not known."""
    count = min(len(video.boxes), len(boxes))
    truth = video.boxes[:count]
    return np.where(
        np.isfinite(truth).all(1) & video.visible[:count], overlap(truth, boxes[:count]), np.nan
    )


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0


def _tracks(data: Data, benchmark: str) -> dict[str, dict[str, Array]]:
    """Tracker → sequence → boxes, of the first seed."""
    layout = data.benchmarks[benchmark]["layout"]
    if layout == "vot":
        raise UserError(
            f"frames: {benchmark}: its runs start anew after a failure; expected a one-pass"
            " benchmark"
        )
    found: dict[str, dict[str, Array]] = {}
    for run in sorted(data.runs, key=lambda run: run.seed):
        if run.tracker not in found and run.folder is not None:
            stored = [
                v.name for v in data.videos[benchmark] if store.is_done(run.folder, v.name, layout)
            ]
            found[run.tracker] = {
                name: store.read_boxes(run.folder, name, layout) for name in stored
            }
    return found


def _picture(axes: Any, video: Video, index: int, boxes: Mapping[str, Array], data: Data) -> None:
    image = read_image(video.frames[index])[..., ::-1]
    axes.imshow(image)
    height, width = image.shape[:2]
    truth = video.boxes[index] if index < len(video.boxes) else np.full(4, np.nan)
    drawn = [(name, style.look(data.trackers[name])) for name in reversed(list(boxes))]
    every = [
        ("truth", {"color": TRUTH, "linestyle": "solid"}, truth),
        *((n, how, boxes[n][index]) for n, how in drawn),
    ]
    for name, how, (x, y, w, h) in every:
        if np.isfinite([x, y, w, h]).all():
            heavy = 1.6 if name == data.role("ours") else 1.2
            frame = Rectangle(
                (x - 0.5, y - 0.5),
                w,
                h,
                fill=False,
                edgecolor=how["color"],
                linewidth=heavy,
                linestyle=how["linestyle"],
            )
            frame.set_path_effects(
                [patheffects.withStroke(linewidth=heavy + 0.9, foreground="black", alpha=0.5)]
            )
            axes.add_patch(frame)
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
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[])


def draw(entry: Frames, data: Data) -> Drawn:
    """A row of frames for each sequence."""
    info = data.benchmarks[entry.benchmark]
    videos = {video.name: video for video in data.videos[entry.benchmark]}
    tracks = _tracks(data, entry.benchmark)
    order = sorted(
        tracks, key=lambda name: {"ours": 0, "baseline": 1}.get(data.trackers[name]["role"], 2)
    )
    common = (
        [name for name in videos if all(name in own for own in tracks.values())] if tracks else []
    )
    ious = {
        name: {tracker: _ious(videos[name], tracks[tracker][name]) for tracker in order}
        for name in common
    }
    ours = order[0] if order else ""
    rival = order[1] if len(order) > 1 else None

    def gap(name: str) -> Array:
        return ious[name][ours] - (ious[name][rival] if rival else 1.0)

    gains = {name: _mean(gap(name)) for name in common}
    chosen = choose_sequences(gains, entry.sequences)
    figure = style.new(
        style.PAGE,
        0.55 + max(1, len(chosen)) * _height(videos, chosen) * (style.PAGE - 0.4) / entry.frames,
    )
    grid = figure.subplots(max(1, len(chosen)), entry.frames, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    if not chosen:
        grid[0, 0].set_axis_on()
        style.empty(grid[0, 0], "no sequence has boxes of all trackers")
    rows: list[dict[str, Any]] = []
    for line, name in zip(grid, chosen, strict=False):
        video = videos[name]
        for axes, index in zip(line, choose_frames(gap(name), entry.frames), strict=False):
            axes.set_axis_on()
            boxes = {tracker: tracks[tracker][name] for tracker in order}
            _picture(axes, video, index, boxes, data)
            for tracker in order:
                box = dict(
                    zip(("x", "y", "width", "height"), tracks[tracker][name][index], strict=True)
                )
                rows.append(
                    {
                        "sequence": name,
                        "frame": index,
                        "tracker": tracker,
                        **box,
                        "iou": ious[name][tracker][index],
                        "mean_iou_difference": gains[name],
                    }
                )
        line[0].set_ylabel(f"{name}  {gains[name]:+.2f}", fontsize=6.5)
    handles = [
        Line2D([], [], **{k: v for k, v in style.look(data.trackers[t]).items() if k != "zorder"})
        for t in order
    ]
    handles.append(Line2D([], [], color="0.7", linewidth=1.2))
    figure.legend(
        handles,
        [*(data.trackers[t]["label"] for t in order), "truth (white)"],
        loc="outside upper center",
        ncols=min(6, len(handles)),
        title=style.on(info),
        title_fontsize=7.5,
    )
    return Drawn(figure, COLUMNS, rows, _alt(gains, chosen), _notes(data, ours, rival))


def _height(videos: Mapping[str, Video], chosen: Sequence[str]) -> float:
    """The largest height by width of the chosen videos' images."""
    shapes = [read_image(videos[name].frames[0]).shape for name in chosen]
    return max((shape[0] / shape[1] for shape in shapes), default=0.75)


def _notes(data: Data, ours: str, rival: str | None) -> list[str]:
    seeds = sorted({run.seed for run in data.runs})
    if rival is None:
        return [f"Seed {seeds[0] if seeds else '–'}. Chosen by rule: the lowest IoU."]
    pair = f"{data.trackers[ours]['label']} less {data.trackers[rival]['label']}"
    return [
        f"Seed {seeds[0]}. Chosen by rule: the sequences with the largest and the smallest mean"
        f" difference of IoU, {pair} (beside each row), so that the lower half shows losses where"
        " there are some; of each the frames with the largest absolute difference, a tenth of the"
        " sequence apart."
    ]


def _alt(gains: Mapping[str, float], chosen: Sequence[str]) -> str:
    told = ", ".join(f"{name} {gains[name]:+.2f}" for name in chosen)
    return f"Boxes on frames of {len(chosen)} sequences, with the mean difference of IoU: {told}."
