"""Figures 2 and 13: search regions beside score maps, of frames that are found by search over the
stored maps.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from siamla.benchmark.metrics import overlap
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.grid import SCORE, SEARCH, START, STRIDE
from siamla.report.drawing import needs as jobs
from siamla.report.drawing import style
from siamla.report.drawing.data import Array, Data, Drawn
from siamla.report.drawing.settings import Figure, Names

if TYPE_CHECKING:
    from siamla.benchmark.maps import FrameMaps

CELL = ("cell", "cell_row", "cell_column", "confidence", "quality", "iou")
COLUMNS = ("row", "why", "tracker", "sequence", "frame", *CELL)
NEAR, FAR = START - STRIDE / 2, START + STRIDE * (SCORE - 0.5)
EXTENT = (NEAR, FAR, FAR, NEAR)
FOUND = 0.5  # IoU of the best box above which a target counts as found
TRUTH, PICKED, BEST = "#FFFFFF", "#56B4E9", "#E69F00"
Key = tuple[str, int]
Cell = tuple[int, int]
Frames = Mapping[str, Mapping[Key, "FrameMaps"]]


class Entry(Figure):
    """Search regions with score maps. quality: the localization branches beside each other;
    misplaced: the box of the highest confidence beside the best box.
    """

    kind: Literal["maps"]
    benchmark: str
    variants: Names
    show: Literal["quality", "misplaced"]
    rows: int = Field(3, ge=1, le=8)


class Spot(NamedTuple):
    """A frame in the figure: its row, the tracker, why it was chosen, and its maps."""

    row: int
    tracker: str
    why: str
    frame: "FrameMaps"


def needs(plan: Plan, entry: Entry) -> list[Job] | None:
    """The score maps of each variant's first seed."""
    if entry.benchmark not in plan.profile.benchmarks:
        return None
    runs = jobs.tracked(plan, entry.benchmark, entry.variants, first=True)
    return jobs.maps(plan, runs) or None


def _ious(frame: "FrameMaps") -> Array:
    """IoU (25, 25) of every cell's box with the truth."""
    boxes = frame.boxes.reshape(-1, 4)
    return overlap(np.broadcast_to(frame.truth, boxes.shape), boxes).reshape(SCORE, SCORE)


def _in_crop(frame: "FrameMaps", box: ArrayLike) -> Array:
    """A box of the image in the crop's pixel-index coordinates, those of the grid."""
    from siamla.data.crop import to_crop, to_index

    return to_index(to_crop(np.asarray(box, np.float64), frame.centre, frame.side, SEARCH))


def _seen(frame: "FrameMaps") -> bool:
    """Whether the truth is known and its middle lies in the crop."""
    if not np.isfinite(frame.truth).all() or (frame.truth[2:] <= 0).any():
        return False
    x, y, w, h = _in_crop(frame, frame.truth)
    return bool(0 < x + w / 2 < SEARCH and 0 < y + h / 2 < SEARCH)


def _peak(values: ArrayLike) -> Cell:
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
    shared = [key for key in frames[ours] if key in frames[theirs]]
    both = [key for key in shared if all(_seen(frames[name][key]) for name in (ours, theirs))]

    def at_peak(key: Key) -> float:
        mine, other = (
            float(_ious(f)[_peak(f.q)]) for f in (frames[ours][key], frames[theirs][key])
        )
        return mine - other

    def quieter(key: Key) -> float:
        pair = frames[theirs][key], frames[ours][key]
        other, mine = (float(np.where(_outside(frame), frame.q, 0).max()) for frame in pair)
        return other - mine

    rules: dict[str, Callable[[Key], float]] = {
        "better at the peak": at_peak,
        "quieter outside the target": quieter,
        "worse at the peak": lambda key: -at_peak(key),
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


def _box(axes: Any, box: Array, colour: str, width: float = 1.3) -> None:
    from matplotlib.patches import Rectangle

    x, y, w, h = box
    for edge, thick, alpha in (("black", width + 0.9, 0.6), (colour, width, 1.0)):
        how: dict[str, Any] = {"edgecolor": edge, "linewidth": thick, "alpha": alpha}
        axes.add_patch(Rectangle((x, y), w, h, fill=False, **how))


def _bare(axes: Any) -> None:
    limits = {"xlim": (-0.5, SEARCH - 0.5), "ylim": (SEARCH - 0.5, -0.5)}
    axes.set(xticks=[], yticks=[], aspect="equal", **limits)


def _map(axes: Any, values: ArrayLike, frame: "FrameMaps") -> Any:
    """A score map on its own grid, where its cells lie in the crop; its picture. No interpolation
    moves a peak.
    """
    axes.set_facecolor("0.88")
    picture = axes.imshow(values, extent=EXTENT, vmin=0, vmax=1, cmap="magma")
    _box(axes, _in_crop(frame, frame.truth), TRUTH, 1.0)
    _bare(axes)
    return picture


def _cross(axes: Any, cell: Cell, colour: str, shape: str = "x") -> None:
    row, column = cell
    at = START + STRIDE * column, START + STRIDE * row
    for edge, size, width in (("black", 7, 2.6), (colour, 6.5, 1.4)):
        how = {"color": edge, "markersize": size, "markeredgewidth": width}
        axes.plot(*at, shape, markerfacecolor="none", **how)


def _rows(spot: Spot, cells: Mapping[str, Cell]) -> list[dict[str, Any]]:
    frame = spot.frame
    ious = _ious(frame)
    return [
        {
            "row": spot.row,
            "why": spot.why,
            "tracker": spot.tracker,
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


def _quality(crop: Any, plain: Any, frame: "FrameMaps") -> tuple[Any, dict[str, Cell]]:
    """Draw the localization branch and the box at its peak."""
    peak = _peak(frame.q)
    picture = _map(plain, frame.q, frame)
    _cross(plain, peak, PICKED)
    _box(crop, _in_crop(frame, frame.boxes[peak]), PICKED)
    words = f"peak {frame.q[peak]:.2f}, IoU there {_ious(frame)[peak]:.2f}"
    plain.set_xlabel(words, fontsize=6, labelpad=1.5)
    return picture, {"peak": peak}


def _misplaced(crop: Any, plain: Any, frame: "FrameMaps") -> tuple[Any, dict[str, Cell]]:
    """Draw the confidence, and the box of its peak beside the best box."""
    ious = _ious(frame)
    cells = {"picked": _peak(frame.confidence), "best": _peak(ious)}
    picture = _map(plain, frame.confidence, frame)
    for word, colour, shape in (("best", BEST, "o"), ("picked", PICKED, "x")):
        _box(crop, _in_crop(frame, frame.boxes[cells[word]]), colour)
        _cross(plain, cells[word], colour, shape)
    words = [
        f"{word}: IoU {ious[cell]:.2f} at confidence {frame.confidence[cell]:.2f}"
        for word, cell in cells.items()
    ]
    plain.set_xlabel("\n".join(words), fontsize=5.6, labelpad=1.5)
    return picture, cells


def _spots(runs: Frames, entry: Entry, names: Sequence[str]) -> list[Spot]:
    """The frames that are shown."""
    if entry.show == "misplaced":
        chosen = {name: choose_misplaced(runs[name], entry.rows) for name in names}
        return [
            Spot(row, name, "largest gap", runs[name][key])
            for name, keys in chosen.items()
            for row, key in enumerate(keys)
        ]
    if len(names) < 2:
        return []
    return [
        Spot(row, name, why, runs[name][key])
        for row, (why, key) in enumerate(choose_quality(runs, names[-1], names[0], entry.rows))
        for name in names
    ]


def _draw_spot(pair: Any, spot: Spot, data: Data, show: str) -> tuple[Any, dict[str, Cell]]:
    """Draw a search region and its map; the map's picture, and the cells that are marked."""
    crop, plain = pair
    frame = spot.frame
    for axes in pair:
        axes.set_axis_on()
    crop.imshow(frame.crop)
    _box(crop, _in_crop(frame, frame.truth), TRUTH)
    picture, cells = (_quality if show == "quality" else _misplaced)(crop, plain, frame)
    _bare(crop)
    crop.set_xlabel(f"{frame.sequence} #{frame.frame + 1:04d}", fontsize=6, labelpad=1.5)
    if spot.row == 0:
        branch = data.trackers[spot.tracker].get("localization", "quality")
        crop.set_title(data.label(spot.tracker))
        plain.set_title(branch if show == "quality" else "confidence")
    return picture, cells


def _legend(figure: Any, quality: bool) -> None:
    from matplotlib.lines import Line2D

    words = {
        "truth (white)": "0.6",
        "box at the peak" if quality else "picked: highest confidence": PICKED,
    }
    words |= {} if quality else {"best box of all cells": BEST}
    handles = [Line2D([], [], color=colour, linewidth=1.6) for colour in words.values()]
    figure.legend(handles, list(words), loc="outside lower center", ncols=len(words))


def draw(entry: Entry, data: Data) -> Drawn:
    """Rows of frames; for each variant its search region and its map."""
    runs: dict[str, dict[Key, FrameMaps]] = {}
    for run in data.runs:
        runs.setdefault(run.tracker, {(frame.sequence, frame.frame): frame for frame in run.maps})
    names = [name for name in entry.variants if name in runs]
    quality = entry.show == "quality"
    spots = _spots(runs, entry, names)
    tall = 1 + max((spot.row for spot in spots), default=0)
    figure = style.new(style.PAGE, 0.55 + 1.83 * tall)
    grid = figure.subplots(tall, 2 * max(1, len(names)), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    rows: list[dict[str, Any]] = []
    for spot in spots:
        column = 2 * names.index(spot.tracker)
        pair = grid[spot.row, column : column + 2]
        picture, cells = _draw_spot(pair, spot, data, entry.show)
        if quality and column == 0:
            pair[0].set_ylabel(spot.why, fontsize=6)
        rows += _rows(spot, cells)
    if spots:
        figure.colorbar(picture, ax=grid, shrink=0.6, aspect=30, pad=0.01)
        _legend(figure, quality)
    else:
        style.empty(grid[0, 0], "no frame was found")
    figure.suptitle(style.on(data.benchmarks[entry.benchmark]), fontsize=7.5)
    return Drawn(figure, COLUMNS, rows, _alt(rows, data, quality), _notes(quality, data, names))


def _notes(quality: bool, data: Data, names: Sequence[str]) -> list[str]:
    seeds = sorted({run.seed for run in data.runs})
    notes = [
        f"Seed {', '.join(map(str, seeds))}. Maps stand where their 25×25 cells lie in the crop,"
        " one scale from 0 to 1."
    ]
    if quality and len(names) > 1:
        notes.append(
            "Frames were chosen by rule among the stored ones, each of another sequence;"
            f" {data.label(names[-1])} against {data.label(names[0])}, in turn: where the box at"
            " the quality's peak gains most, where the highest quality outside the target is lower"
            " by most, and where the box at the peak loses most."
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


def _alt(rows: Sequence[Mapping[str, Any]], data: Data, quality: bool) -> str:
    words = [
        f"{data.label(row['tracker'])} on {row['sequence']}, frame {row['frame'] + 1}: IoU"
        f" {row['iou']:.2f} {'at the peak' if quality else 'of the ' + row['cell'] + ' box'}"
        for row in rows
    ]
    return "; ".join(words) + "." if words else "No frame was found."
