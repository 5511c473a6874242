"""Figures 2 and 13: search regions beside score maps, of frames that are found by search over the
stored maps.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from siamla.benchmark.metrics import overlap
from siamla.data.crop import to_crop, to_index
from siamla.experiment.figures import Maps
from siamla.grid import SCORE, SEARCH, START, STRIDE
from siamla.report.figures import style
from siamla.report.figures.data import Array, Data, Drawn

if TYPE_CHECKING:
    from siamla.benchmark.maps import FrameMaps

COLUMNS = (
    "row",
    "why",
    "tracker",
    "sequence",
    "frame",
    "cell",
    "cell_row",
    "cell_column",
    "confidence",
    "quality",
    "iou",
)
EXTENT = (
    START - STRIDE / 2,
    START + STRIDE * (SCORE - 0.5),
    START + STRIDE * (SCORE - 0.5),
    START - STRIDE / 2,
)
FOUND = 0.5  # IoU of the best box above which a target counts as found
TRUTH, PICKED, BEST = "#FFFFFF", "#56B4E9", "#E69F00"
Key = tuple[str, int]
Frames = Mapping[str, Mapping[Key, "FrameMaps"]]


def _ious(frame: "FrameMaps") -> Array:
    """IoU (25, 25) of every cell's box with the truth."""
    boxes = frame.boxes.reshape(-1, 4)
    return overlap(np.broadcast_to(frame.truth, boxes.shape), boxes).reshape(SCORE, SCORE)


def _in_crop(frame: "FrameMaps", box: ArrayLike) -> Array:
    """A box of the image in the crop's pixel-index coordinates, those of the grid."""
    return to_index(to_crop(np.asarray(box, np.float64), frame.centre, frame.side, SEARCH))


def _seen(frame: "FrameMaps") -> bool:
    """Whether the truth is known and its middle lies in the crop."""
    if not np.isfinite(frame.truth).all() or (frame.truth[2:] <= 0).any():
        return False
    x, y, w, h = _in_crop(frame, frame.truth)
    return bool(0 < x + w / 2 < SEARCH and 0 < y + h / 2 < SEARCH)


def _peak(values: ArrayLike) -> tuple[int, int]:
    """Row and column of the highest value."""
    row, column = np.unravel_index(int(np.argmax(values)), (SCORE, SCORE))
    return int(row), int(column)


def _outside(frame: "FrameMaps") -> Array:
    """(25, 25) bool: cells outside of the true box."""
    row, column = np.mgrid[:SCORE, :SCORE] * STRIDE + START
    x, y, w, h = _in_crop(frame, frame.truth)
    return np.asarray((column < x) | (column > x + w) | (row < y) | (row > y + h))


def _gap(frame: "FrameMaps") -> float:
    """What choosing by confidence costs: IoU of the best box less that of the most confident
    cell's.
    """
    ious = _ious(frame)
    return float(ious.max() - ious[_peak(frame.confidence)]) if ious.max() >= FOUND else -1.0


def _first(keys: Sequence[Key], worth: Callable[[Key], float], taken: set[str]) -> Key | None:
    """The most worthy frame of a sequence that is not taken yet."""
    free = [key for key in keys if key[0] not in taken]
    return max(free, key=lambda key: (worth(key), key), default=None)


def choose_quality(frames: Frames, ours: str, theirs: str, rows: int) -> list[tuple[str, Key]]:
    """Frames by rule: the box at the quality's peak is better than the baseline's, worse, and
    distractors are quieter; in turn, each of another sequence.
    """
    both = [
        key
        for key in frames[ours]
        if key in frames[theirs] and all(_seen(frames[n][key]) for n in (ours, theirs))
    ]

    def at_peak(name: str, key: Key) -> float:
        frame = frames[name][key]
        return float(_ious(frame)[_peak(frame.q)])

    def loudest(name: str, key: Key) -> float:
        frame = frames[name][key]
        return float(np.where(_outside(frame), frame.q, 0).max())

    rules: dict[str, Callable[[Key], float]] = {
        "better at the peak": lambda key: at_peak(ours, key) - at_peak(theirs, key),
        "quieter outside the target": lambda key: loudest(theirs, key) - loudest(ours, key),
        "worse at the peak": lambda key: at_peak(theirs, key) - at_peak(ours, key),
    }
    chosen: list[tuple[str, Key]] = []
    while len(chosen) < rows:
        why = list(rules)[len(chosen) % len(rules)]
        key = _first(both, rules[why], {key[0] for _, key in chosen})
        if key is None:
            break
        chosen.append((why, key))
    return chosen


def choose_misplaced(frames: Mapping[Key, "FrameMaps"], rows: int) -> list[Key]:
    """The frames with the largest gap between the best box and that of the highest confidence, one
    a sequence.
    """
    chosen: list[Key] = []
    worth = {key: _gap(frame) for key, frame in frames.items() if _seen(frame)}
    keys = [key for key, gap in worth.items() if gap >= 0]
    while len(chosen) < rows:
        key = _first(keys, lambda key: worth[key], {key[0] for key in chosen})
        if key is None:
            break
        chosen.append(key)
    return chosen


def _box(axes: Axes, box: Array, colour: str, width: float = 1.3, dashes: Any = "solid") -> None:
    x, y, w, h = box
    axes.add_patch(
        Rectangle((x, y), w, h, fill=False, edgecolor="black", linewidth=width + 0.9, alpha=0.6)
    )
    axes.add_patch(
        Rectangle((x, y), w, h, fill=False, edgecolor=colour, linewidth=width, linestyle=dashes)
    )


def _bare(axes: Axes) -> None:
    axes.set(
        xlim=(-0.5, SEARCH - 0.5), ylim=(SEARCH - 0.5, -0.5), xticks=[], yticks=[], aspect="equal"
    )


def _map(axes: Axes, values: ArrayLike, frame: "FrameMaps") -> Any:
    """A score map on its own grid, where its cells lie in the crop; no interpolation moves a
    peak.
    """
    axes.set_facecolor("0.88")
    picture = axes.imshow(values, extent=EXTENT, vmin=0, vmax=1, cmap="magma")
    _box(axes, _in_crop(frame, frame.truth), TRUTH, 1.0)
    _bare(axes)
    return picture


def _cross(axes: Axes, cell: tuple[int, int], colour: str, shape: str = "x") -> None:
    row, column = cell
    x, y = START + STRIDE * column, START + STRIDE * row
    axes.plot(x, y, shape, color="black", markersize=7, markeredgewidth=2.6, markerfacecolor="none")
    axes.plot(
        x, y, shape, color=colour, markersize=6.5, markeredgewidth=1.4, markerfacecolor="none"
    )


def _row(
    frame: "FrameMaps", name: str, why: str, number: int, cells: Mapping[str, tuple[int, int]]
) -> list[dict[str, Any]]:
    ious = _ious(frame)
    return [
        {
            "row": number,
            "why": why,
            "tracker": name,
            "sequence": frame.sequence,
            "frame": frame.frame,
            "cell": word,
            "cell_row": cell[0],
            "cell_column": cell[1],
            "confidence": float(frame.confidence[cell]),
            "quality": float(frame.q[cell]),
            "iou": float(ious[cell]),
        }
        for word, cell in cells.items()
    ]


def _pair(
    crop: Axes, plain: Axes, frame: "FrameMaps", show: str
) -> tuple[Any, dict[str, tuple[int, int]]]:
    """Draw a search region and its map; the map's picture, and the cells that are marked."""
    crop.imshow(frame.crop)
    _box(crop, _in_crop(frame, frame.truth), TRUTH)
    ious = _ious(frame)
    if show == "quality":
        peak = _peak(frame.q)
        picture = _map(plain, frame.q, frame)
        _cross(plain, peak, PICKED)
        _box(crop, _in_crop(frame, frame.boxes[peak]), PICKED)
        plain.set_xlabel(
            f"peak {frame.q[peak]:.2f}, IoU there {ious[peak]:.2f}", fontsize=6, labelpad=1.5
        )
        cells = {"peak": peak}
    else:
        cells = {"picked": _peak(frame.confidence), "best": _peak(ious)}
        picture = _map(plain, frame.confidence, frame)
        for word, colour, shape in (("best", BEST, "o"), ("picked", PICKED, "x")):
            _box(crop, _in_crop(frame, frame.boxes[cells[word]]), colour)
            _cross(plain, cells[word], colour, shape)
        told = [
            f"IoU {ious[cell]:.2f} at confidence {frame.confidence[cell]:.2f}"
            for cell in cells.values()
        ]
        plain.set_xlabel(f"picked: {told[0]}\nbest: {told[1]}", fontsize=5.6, labelpad=1.5)
    _bare(crop)
    crop.set_xlabel(f"{frame.sequence} #{frame.frame + 1:04d}", fontsize=6, labelpad=1.5)
    return picture, cells


def draw(entry: Maps, data: Data) -> Drawn:
    """Rows of frames; for each variant its search region and its map."""
    info = data.benchmarks[entry.benchmark]
    runs: dict[str, dict[Key, FrameMaps]] = {}
    for run in data.runs:
        runs.setdefault(run.tracker, {(frame.sequence, frame.frame): frame for frame in run.maps})
    names = [name for name in entry.variants if name in runs]
    quality = entry.show == "quality"
    places: list[tuple[int, str, str, FrameMaps]] = []  # row, tracker, why, frame
    if quality and len(names) > 1:
        for row, (why, key) in enumerate(choose_quality(runs, names[-1], names[0], entry.rows)):
            places += [(row, name, why, runs[name][key]) for name in names]
    elif not quality:
        for name in names:
            keys = choose_misplaced(runs[name], entry.rows)
            places += [(row, name, "largest gap", runs[name][key]) for row, key in enumerate(keys)]
    tall, wide = 1 + max((row for row, _, _, _ in places), default=0), 2 * max(1, len(names))
    figure = style.new(style.PAGE, 0.55 + 1.83 * tall)
    grid = figure.subplots(tall, wide, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    rows: list[dict[str, Any]] = []
    picture = None
    for row, name, why, frame in places:
        crop, plain = grid[row, 2 * names.index(name)], grid[row, 2 * names.index(name) + 1]
        for axes in (crop, plain):
            axes.set_axis_on()
        picture, cells = _pair(crop, plain, frame, entry.show)
        if quality:
            crop.set_ylabel(why if names.index(name) == 0 else "", fontsize=6)
        if row == 0:
            crop.set_title(data.trackers[name]["label"])
            plain.set_title(
                data.trackers[name].get("localization", "quality") if quality else "confidence"
            )
        rows += _row(frame, name, why, row, cells)
    if picture is None:
        grid[0, 0].set_axis_on()
        style.empty(grid[0, 0], "no frame was found")
    else:
        figure.colorbar(picture, ax=grid, shrink=0.6, aspect=30, pad=0.01)
        handles = [Line2D([], [], color=c, linewidth=1.6) for c in ("0.6", PICKED, BEST)]
        words = [
            "truth (white)",
            "box at the peak" if quality else "picked: highest confidence",
            "best box of all cells",
        ]
        count = 2 if quality else 3
        figure.legend(handles[:count], words[:count], loc="outside lower center", ncols=count)
    figure.suptitle(style.on(info), fontsize=7.5)
    return Drawn(figure, COLUMNS, rows, _alt(rows, data, quality), _notes(quality, data, names))


def _notes(quality: bool, data: Data, names: list[str]) -> list[str]:
    seeds = sorted({run.seed for run in data.runs})
    notes = [
        f"Seed {', '.join(map(str, seeds))}. Maps stand where their 25×25 cells lie in the crop,"
        " one scale from 0 to 1."
    ]
    if quality and len(names) > 1:
        pair = f"{data.trackers[names[-1]]['label']} against {data.trackers[names[0]]['label']}"
        notes.append(
            f"Frames were chosen by rule among the stored ones, each of another sequence; {pair},"
            " in turn: where the box at the quality's peak gains most, where the highest quality"
            " outside the target is lower by most, and where the box at the peak loses most."
        )
    if not quality:
        notes.append(
            "Frames were found by search: the largest gap between the IoU of the best box and that"
            " of the box with the highest confidence, one a sequence, where the best box reaches"
            " 0.5."
        )
        notes.append(
            "The paper's left half shows an anchor-based tracker, which is no part of this project."
        )
    return notes


def _alt(rows: list[dict[str, Any]], data: Data, quality: bool) -> str:
    if not rows:
        return "No frame was found."
    told = [
        f"{data.trackers[r['tracker']]['label']} on {r['sequence']}, frame {r['frame'] + 1}: IoU"
        f" {r['iou']:.2f} {'at the peak' if quality else 'of the ' + r['cell'] + ' box'}"
        for r in rows
    ]
    return "; ".join(told) + "."
