"""Figures 2 and 13: search regions beside score maps, of frames found by search over these."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.grid import SCORE, SEARCH, START, STRIDE
from siamla.report.drawing import jobs, style
from siamla.report.drawing.data import (
    Array,
    Data,
    Drawn,
    Nothing,
    Rows,
    cell_ious,
    has_truth,
    in_crop,
)
from siamla.report.drawing.settings import Figure, Names

if TYPE_CHECKING:
    from siamla.benchmark.maps import FrameMaps

CELL = ("cell", "cell_row", "cell_column", "confidence", "quality", "iou")
COLUMNS = ("row", "why", "tracker", "sequence", "frame", *CELL)
NEAR, FAR = START - STRIDE / 2, START + STRIDE * (SCORE - 0.5)
EXTENT = (NEAR, FAR, FAR, NEAR)
CONTRAST = 48  # grey levels of 255, of a target that a reader can see: dark clips have 30
GREY = (0.299, 0.587, 0.114)
FOUND = 0.5  # IoU of the best box above which a target counts as found
TRUTH, PICKED, BEST = "#FFFFFF", "#56B4E9", "#E69F00"
MARKS = {"picked": (PICKED, "x"), "best": (BEST, "o"), "peak": (PICKED, "x")}
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
    return jobs.tracked(plan, "maps", entry, first=True) or None


def _seen(frame: "FrameMaps") -> bool:
    """Whether the truth is known, its middle lies in the crop, and a reader can see the target:
    90 % of its grey values span CONTRAST levels or more.
    """
    if not has_truth(frame):
        return False
    x, y, w, h = in_crop(frame, frame.truth)
    if not (0 < x + w / 2 < SEARCH and 0 < y + h / 2 < SEARCH):
        return False
    (left, top), (right, bottom) = np.clip([(x, y), (x + w, y + h)], 0, SEARCH).round().astype(int)
    target = frame.crop[top : bottom + 1, left : right + 1] @ GREY
    low, high = np.percentile(target, [5, 95])
    return bool(high - low >= CONTRAST)


def _peak(values: ArrayLike) -> Cell:
    """Row and column of the highest value."""
    row, column = np.unravel_index(int(np.argmax(values)), (SCORE, SCORE))
    return int(row), int(column)


def _at_peak(frame: "FrameMaps") -> float:
    """IoU of the box at the quality's peak."""
    return float(cell_ious(frame)[_peak(frame.q)])


def _outside(frame: "FrameMaps") -> float:
    """The highest quality of cells outside of the true box."""
    row, column = np.mgrid[:SCORE, :SCORE] * STRIDE + START
    x, y, w, h = in_crop(frame, frame.truth)
    outside = (column < x) | (column > x + w) | (row < y) | (row > y + h)
    return float(np.where(outside, frame.q, 0).max())


def _gap(frame: "FrameMaps") -> float:
    """IoU of the best box less that of the most confident; −1 where no box finds the target."""
    ious = cell_ious(frame)
    return float(ious.max() - ious[_peak(frame.confidence)]) if ious.max() >= FOUND else -1.0


def _best(keys: Iterable[Key], worth: Callable[[Key], float], taken: Iterable[Key]) -> list[Key]:
    """The most worthy frame, of another sequence than those taken; none where there is none."""
    names = {key[0] for key in taken}
    free = [key for key in keys if key[0] not in names]
    return [max(free, key=lambda key: (worth(key), key))] if free else []


def choose_quality(frames: Frames, ours: str, theirs: str, rows: int) -> list[tuple[str, Key]]:
    """Frames by rule: the box at the quality's peak is better than the baseline's, distractors are
    quieter, the box is worse; in turn, each of another sequence.
    """
    pair = [frames[ours], frames[theirs]]
    both = [key for key in pair[0] if key in pair[1] and all(_seen(each[key]) for each in pair)]
    gains = {key: _at_peak(pair[0][key]) - _at_peak(pair[1][key]) for key in both}
    quiet = {key: _outside(pair[1][key]) - _outside(pair[0][key]) for key in both}
    rules: list[tuple[str, Callable[[Key], float]]] = [
        ("better at the peak", lambda key: gains[key]),
        ("quieter outside the target", lambda key: quiet[key]),
        ("worse at the peak", lambda key: -gains[key]),
    ]
    chosen: list[tuple[str, Key]] = []
    for row in range(rows):
        why, worth = rules[row % len(rules)]
        chosen += [(why, key) for key in _best(both, worth, (key for _, key in chosen))]
    return chosen


def choose_misplaced(frames: Mapping[Key, "FrameMaps"], rows: int) -> list[Key]:
    """The frames with the largest gap between best and most confident box, one a sequence."""
    gaps = {key: _gap(frame) for key, frame in frames.items() if _seen(frame)}
    keys = [key for key, gap in gaps.items() if gap >= 0]
    chosen: list[Key] = []
    for _ in range(rows):
        chosen += _best(keys, gaps.__getitem__, chosen)
    return chosen


def _cross(axes: Any, cell: Cell, colour: str, shape: str) -> None:
    row, column = cell
    at = START + STRIDE * column, START + STRIDE * row
    for edge, size, width in (("black", 7, 2.6), (colour, 6.5, 1.4)):
        how = {"color": edge, "markersize": size, "markeredgewidth": width}
        axes.plot(*at, shape, markerfacecolor="none", **how)


def _rows(spot: Spot, cells: Mapping[str, Cell], ious: Array) -> Rows:
    rows: Rows = []
    for word, cell in cells.items():
        values = (float(each[cell]) for each in (spot.frame.confidence, spot.frame.q, ious))
        where = (spot.row, spot.why, spot.tracker, spot.frame.sequence, spot.frame.frame)
        rows.append(dict(zip(COLUMNS, (*where, word, *cell, *values), strict=True)))
    return rows


def _spots(runs: Frames, entry: Entry, names: Sequence[str]) -> list[Spot]:
    """The frames that are drawn."""
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


def _draw_spot(pair: Any, spot: Spot, quality: bool) -> tuple[Any, Rows]:
    """Draw a search region and its map, where the cells lie in the crop; the picture, and rows."""
    crop, plain = pair
    frame = spot.frame
    ious = cell_ious(frame)
    values = frame.q if quality else frame.confidence
    peak = _peak(values)
    cells = {"peak": peak} if quality else {"picked": peak, "best": _peak(ious)}
    crop.imshow(frame.crop)
    top = 1 if quality else values[peak]  # a product of two is low, and its places are the point
    picture = plain.imshow(values, extent=EXTENT, vmin=0, vmax=top, cmap="magma")
    plain.set_facecolor("0.88")
    for axes, width in ((crop, 1.3), (plain, 1.0)):
        axes.set_axis_on()
        style.box(axes, in_crop(frame, frame.truth), TRUTH, width)
    for word, cell in reversed(cells.items()):
        colour, shape = MARKS[word]
        style.box(crop, in_crop(frame, frame.boxes[cell]), colour)
        _cross(plain, cell, colour, shape)
    for axes in pair:
        axes.set(xlim=(-0.5, SEARCH - 0.5), ylim=(SEARCH - 0.5, -0.5), aspect="equal")
    words = [f"peak {frame.q[peak]:.2f}, IoU there {ious[peak]:.2f}"]
    if not quality:
        words = [
            f"{word}: IoU {ious[cell]:.2f} at confidence {frame.confidence[cell]:.2f}"
            for word, cell in cells.items()
        ]
    plain.set_xlabel("\n".join(words), fontsize=5.8, labelpad=1.5)
    crop.set_xlabel(f"{frame.sequence} #{frame.frame + 1:04d}", fontsize=6, labelpad=1.5)
    return picture, _rows(spot, cells, ious)


def draw(entry: Entry, data: Data) -> Drawn:
    """Rows of frames; for each variant its search region and its map."""
    runs: dict[str, dict[Key, FrameMaps]] = {}
    for run in data.runs:
        runs.setdefault(run.tracker, {(frame.sequence, frame.frame): frame for frame in run.maps})
    names = [name for name in entry.variants if name in runs]
    quality = entry.show == "quality"
    spots = _spots(runs, entry, names)
    if not spots:
        raise Nothing("no frame was found")
    tall = 1 + max(spot.row for spot in spots)
    figure = style.new(style.PAGE, 0.55 + 1.83 * tall)
    grid = figure.subplots(tall, 2 * len(names), squeeze=False)
    style.bare(grid.flat)
    rows: Rows = []
    for spot in spots:
        column = 2 * names.index(spot.tracker)
        crop, plain = pair = grid[spot.row, column : column + 2]
        picture, cells = _draw_spot(pair, spot, quality)
        rows += cells
        if spot.row == 0:
            branch = data.trackers[spot.tracker].get("localization", "quality")
            crop.set_title(data.label(spot.tracker))
            plain.set_title(branch if quality else "confidence")
        if quality and column == 0:
            crop.set_ylabel(spot.why, fontsize=6)
    _keys(figure, grid, picture, quality)
    figure.suptitle(style.on(data.benchmarks[entry.benchmark]), fontsize=7.5)
    words = [
        f"{data.label(row['tracker'])} on {row['sequence']}, frame {row['frame'] + 1}: IoU"
        f" {row['iou']:.2f} {'at the peak' if quality else 'of the ' + row['cell'] + ' box'}"
        for row in rows
    ]
    return Drawn(figure, rows, "; ".join(words) + ".", _notes(quality, data, names))


def _keys(figure: Any, grid: Any, picture: Any, quality: bool) -> None:
    """The colour bar, and the legend of the boxes."""
    bar = figure.colorbar(picture, ax=grid, shrink=0.6, aspect=30, pad=0.01)
    if not quality:
        bar.set_ticks(picture.get_clim(), labels=["0", "each map's\nhighest"], fontsize=6)
    colours = {"truth (white)": TRUTH}
    colours |= {"box at the peak" if quality else "picked: highest confidence": PICKED}
    colours |= {} if quality else {"best box of all cells": BEST}
    handles = [style.box_handle(colour, 1.6) for colour in colours.values()]
    figure.legend(handles, colours, loc="outside lower center", ncols=len(handles))


def _notes(quality: bool, data: Data, names: Sequence[str]) -> list[str]:
    seeds = sorted({run.seed for run in data.runs})
    notes = [
        f"Seed {', '.join(map(str, seeds))}. Maps stand where their 25×25 cells lie in the crop,"
        f" {'one scale from 0 to 1' if quality else 'each on a scale from 0 to its highest value'}."
        f" Frames in which the target's grey values span less than {CONTRAST} of 255 levels are"
        " passed over."
    ]
    if quality:
        return [
            *notes,
            "Frames were chosen by rule among the stored ones, each of another sequence;"
            f" {data.label(names[-1])} against {data.label(names[0])}, in turn: where the box at"
            " the quality's peak gains most, where the highest quality outside the target is lower"
            " by most, and where the box at the peak loses most.",
        ]
    return [
        *notes,
        "Frames were found by search: the largest gap between the IoU of the best box and that of"
        " the box with the highest confidence, one a sequence, where the best box reaches 0.5.",
        "The paper's left half shows an anchor-based tracker, which is no part of this project.",
    ]
