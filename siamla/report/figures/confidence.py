"""Figure 12: target confidence against the IoU of its box: all cells, those inside, and tracks."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.grid import SCORE, START, STRIDE
from siamla.report.drawing import jobs, style
from siamla.report.drawing.data import (
    Data,
    Drawn,
    Nothing,
    Rows,
    Run,
    cell_ious,
    has_truth,
    in_crop,
    ious,
)
from siamla.report.drawing.settings import Figure, Names
from siamla.statistics import Effect, Points, correlation_values, mean_effect

COLUMNS = ("tracker", "points", "iou", "confidence", "count", "statistic", "value", "low", "high")
WORDS = {"cells": "all cells", "inside": "cells inside the target", "tracked": "tracked frames"}
BINS = 28
NOTHING = (np.zeros(0), np.zeros(0))


class Entry(Figure):
    """Target confidence against the IoU of its box."""

    kind: Literal["confidence"]
    benchmark: str
    variants: Names


def needs(plan: Plan, entry: Entry) -> list[Job] | None:
    """The boxes and score maps of its variants on its benchmark, and the videos."""
    boxes = jobs.boxes(plan, entry)
    return [*boxes, *jobs.tracked(plan, "maps", entry)] if boxes else None


def on_cells(run: Run, inside: bool) -> dict[str, Points]:
    """Sequence → the points of the cells of stored maps, or of those inside the true box."""
    row, column = np.mgrid[:SCORE, :SCORE] * STRIDE + START
    points: dict[str, Points] = {}
    for frame in run.maps:
        if not has_truth(frame):
            continue
        x, y, w, h = in_crop(frame, frame.truth)
        within = (column > x) & (column < x + w) & (row > y) & (row < y + h)
        chosen = within | (not inside)
        confidence = frame.confidence[chosen].astype(float)
        quality = cell_ious(frame)[chosen]
        if len(quality):
            before = points.get(frame.sequence, NOTHING)
            points[frame.sequence] = (np.r_[before[0], confidence], np.r_[before[1], quality])
    return points


def on_tracks(run: Run, data: Data, benchmark: str) -> dict[str, Points]:
    """Sequence → the points of every tracked frame whose truth and confidence are known."""
    from siamla.benchmark import store

    layout = data.benchmarks[benchmark]["layout"]
    points: dict[str, Points] = {}
    if layout == "vot" or run.folder is None:
        return points
    for video in data.videos.get(benchmark, ()):
        confidence = store.read_confidence(run.folder, video.name, layout)
        if confidence is None:
            continue
        boxes = store.read_boxes(run.folder, video.name, layout)
        quality = ious(video, boxes[: len(confidence)])
        confidence = confidence[: len(quality)]
        clear = np.isfinite(confidence + quality)
        points[video.name] = (confidence[clear], quality[clear])
    return points


def pooled(runs: Sequence[dict[str, Points]]) -> Points:
    """The points of all runs and sequences."""
    parts = [NOTHING, *(points for run in runs for points in run.values())]
    confidence, quality = (np.concatenate(column) for column in zip(*parts, strict=True))
    return confidence, quality


def correlation(runs: Sequence[dict[str, Points]], ranks: bool) -> Effect:
    """Pearson's coefficient, or Spearman's, of the points of a tracker's runs (seeds)."""
    names = sorted(set().union(*runs))
    cells = [[points.get(name, NOTHING) for name in names] for points in runs]
    values = correlation_values(cells, ranks)
    if values is None:
        return Effect(np.nan)
    return mean_effect({"tracker": values}, {"tracker": 1.0}, one_seed=True)


def _words(name: str, one: Effect) -> str:
    """A coefficient with its interval: "r = 0.52 [0.40, 0.61]"."""
    if not np.isfinite(one.value):
        return f"{name} not defined"
    interval = f" [{one.low:.2f}, {one.high:.2f}]" if np.isfinite(one.low) else ""
    return f"{name} = {one.value:.2f}{interval}".replace("-", "−")


def _density(axes: Any, points: Points, most: int, words: Sequence[str]) -> Any:
    """Draw how many boxes there are in each bin; the picture for the colour bar."""
    import seaborn
    from matplotlib.colors import LogNorm

    axes.plot([0, 1], [0, 1], color="0.5", linewidth=0.6, linestyle=style.DOTTED, zorder=1)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.grid(False)
    confidence, quality = points
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.5}
    how: dict[str, Any] = {"va": "top", "fontsize": 6, "bbox": box, "zorder": 5}
    text = "\n".join([*words, f"n = {len(quality):,}"]) if len(quality) else "none stored"
    axes.text(0.04, 0.96, text, **how)
    if not len(quality):
        return None
    bins: dict[str, Any] = {"bins": BINS, "binrange": ((0, 1), (0, 1)), "cmap": "viridis_r"}
    bins |= {"norm": LogNorm(1, most), "vmin": None, "vmax": None}
    seaborn.histplot(x=quality, y=confidence, ax=axes, zorder=2, rasterized=True, **bins)
    return axes.collections[-1]


def _bins(points: Points) -> Rows:
    """The middle of each bin that is not empty, and how many boxes are in it."""
    confidence, quality = points
    counts, xs, ys = np.histogram2d(quality, confidence, BINS, [[0, 1], [0, 1]])
    rows: Rows = []
    for i, j in np.argwhere(counts):
        middle = {"iou": (xs[i] + xs[i + 1]) / 2, "confidence": (ys[j] + ys[j + 1]) / 2}
        rows.append(middle | {"count": counts[i, j]})
    return rows


def _points(data: Data, benchmark: str) -> dict[tuple[str, str], list[dict[str, Points]]]:
    """Tracker and which points → those of each run."""
    points = {}
    for name in data.runners():
        runs = data.runs_of(name)
        points[name, "cells"] = [on_cells(run, False) for run in runs]
        points[name, "inside"] = [on_cells(run, True) for run in runs]
        points[name, "tracked"] = [on_tracks(run, data, benchmark) for run in runs]
    return points


def draw(entry: Entry, data: Data) -> Drawn:
    """A row of three panels for each variant."""
    points = _points(data, entry.benchmark)
    if not points:
        raise Nothing("nothing was stored")
    tall = len(points) // len(WORDS)
    figure = style.new(style.PAGE, 2.35 * tall + 0.2)
    grid = figure.subplots(tall, len(WORDS), squeeze=False, sharex=True, sharey=True)
    most = max([10, *(len(pooled(part)[0]) // 20 for part in points.values())])
    rows: Rows = []
    words, picture = [], None
    for axes, ((name, kind), part) in zip(grid.flat, points.items(), strict=True):
        both = {"pearson": correlation(part, False), "spearman": correlation(part, True)}
        texts = [_words("r", both["pearson"]), _words("ρ", both["spearman"])]
        picture = _density(axes, pooled(part), most, texts) or picture
        panel = f"{data.label(name)}, {WORDS[kind]}"
        style.title(axes, panel)
        words.append(f"{panel}: {texts[1]}")
        fixed = {"tracker": name, "points": kind}
        for key, one in both.items():
            effect = {"value": one.value, "low": one.low, "high": one.high}
            rows.append(fixed | {"statistic": key} | effect)
        rows += [fixed | bin for bin in _bins(pooled(part))]
    for line in grid:
        line[0].set_ylabel("Target confidence")
    for axes in grid[-1]:
        axes.set_xlabel("IoU")
    if picture is not None:
        bar = figure.colorbar(picture, ax=grid, format="{x:,.0f}", aspect=40, pad=0.01)
        bar.set_label("boxes")
    figure.suptitle(style.on(data.benchmarks[entry.benchmark]), fontsize=7.5)
    seeds = max(len({run.seed for run in data.runs_of(name)}) for name in data.runners())
    over = "sequences and seeds" if seeds > 1 else "sequences"
    notes = [
        "Confidence is the classification score times the centre-ness or the location quality of"
        " the same cell.",
        f"Pearson's r and Spearman's ρ of all points, with 95 % intervals over {over} (a mixed"
        f" model); {style.seeds([seeds])} pooled.",
        "Dotted: confidence equal to the IoU. Which of the three is meant changes the answer, so"
        " all are drawn.",
    ]
    return Drawn(figure, rows, "; ".join(words) + ".", notes)
