"""Figure 12: target confidence against the IoU of its box, over all cells, those inside the target,
and tracks.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from siamla.benchmark import store
from siamla.benchmark.metrics import overlap
from siamla.data.crop import to_crop, to_index
from siamla.experiment.figures import Confidence
from siamla.grid import SCORE, SEARCH, START, STRIDE
from siamla.report.figures import style
from siamla.report.figures.data import Data, Drawn, Run
from siamla.statistics.correlation import Points, correlation_values
from siamla.statistics.effects import mean_effect

COLUMNS = ("tracker", "points", "iou", "confidence", "count", "statistic", "value", "low", "high")
WORDS = {"cells": "all cells", "inside": "cells inside the target", "tracked": "tracked frames"}
BINS = 28


NOTHING = (np.zeros(0), np.zeros(0))


class Correlation(NamedTuple):
    """A coefficient with its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def on_cells(run: Run, inside: bool) -> dict[str, Points]:
    """Sequence → the points of every cell of the stored maps, or of the cells inside the true box;
    of frames whose truth is known.
    """
    row, column = np.mgrid[:SCORE, :SCORE] * STRIDE + START
    points: dict[str, Points] = {}
    for frame in run.maps:
        truth = frame.truth
        if not np.isfinite(truth).all() or (truth[2:] <= 0).any():
            continue
        boxes = frame.boxes.reshape(-1, 4)
        chosen = np.ones(row.size, bool)
        if inside:
            x, y, w, h = to_index(to_crop(truth, frame.centre, frame.side, SEARCH))
            within = (column > x) & (column < x + w) & (row > y) & (row < y + h)
            chosen = within.ravel()
        confidence = frame.confidence.ravel()[chosen].astype(float)
        quality = overlap(np.broadcast_to(truth, boxes.shape), boxes)[chosen]
        if len(quality):
            before = points.get(frame.sequence, NOTHING)
            points[frame.sequence] = (np.r_[before[0], confidence], np.r_[before[1], quality])
    return points


def on_tracks(run: Run, data: Data, benchmark: str) -> dict[str, Points]:
    """Sequence → the points of every tracked frame whose truth and confidence are known."""
    layout = data.benchmarks[benchmark]["layout"]
    points: dict[str, Points] = {}
    if layout == "vot" or run.folder is None:
        return points
    for video in data.videos.get(benchmark, ()):
        confidence = store.read_confidence(run.folder, video.name, layout)
        if confidence is None:
            continue
        boxes = store.read_track(run.folder, video.name, layout).boxes
        count = min(len(boxes), len(video.boxes), len(confidence))
        truth = video.boxes[:count]
        confidence = confidence[:count]
        known = np.isfinite(confidence) & np.isfinite(truth).all(1) & video.visible[:count]
        points[video.name] = (confidence[known], overlap(truth, boxes[:count])[known])
    return points


def pooled(runs: Sequence[dict[str, Points]]) -> Points:
    """The points of all runs and sequences."""
    parts = [NOTHING, *(points for run in runs for points in run.values())]
    confidence, quality = (np.concatenate(column) for column in zip(*parts, strict=True))
    return confidence, quality


def correlation(runs: Sequence[dict[str, Points]], ranks: bool) -> Correlation:
    """Pearson's coefficient, or Spearman's, of the points of a tracker's runs (seeds). The interval
    is over sequences and seeds; with one seed over sequences alone.
    """
    names = sorted(set().union(*runs))
    cells = [[points.get(name, NOTHING) for name in names] for points in runs]
    values = correlation_values(cells, ranks)
    if values is None:
        return Correlation(np.nan, np.nan, np.nan)
    effect = mean_effect({"tracker": values}, {"tracker": 1.0}, one_seed=True)
    return Correlation(effect.value, effect.low, effect.high)


def _told(name: str, found: Correlation) -> str:
    if not np.isfinite(found.value):
        return f"{name} not defined"
    interval = f" [{found.low:.2f}, {found.high:.2f}]" if np.isfinite(found.low) else ""
    return f"{name} = {found.value:.2f}{interval}".replace("-", "−")


def _panel(
    axes: Axes, points: Points, told: Mapping[str, Correlation], most: int
) -> tuple[Any, list[dict[str, float]]]:
    """Draw the density; the picture for the colour bar, and its bins."""
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=0.6, linestyle=style.DASHES[2], zorder=1)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    confidence, quality = points
    if not len(quality):
        style.empty(axes, "none stored")
        return None, []
    counts, xs, ys = np.histogram2d(quality, confidence, BINS, [[0, 1], [0, 1]])
    density = np.ma.masked_equal(counts.T, 0)
    picture = axes.pcolormesh(
        xs, ys, density, norm=LogNorm(1, most), cmap="viridis_r", zorder=2, rasterized=True
    )
    lines = [
        _told("r", told["pearson"]),
        _told("ρ", told["spearman"]),
        f"n = {len(quality):,}".replace(",", " "),
    ]
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.5}
    axes.text(
        0.04,
        0.96,
        "\n".join(lines),
        transform=axes.transAxes,
        va="top",
        fontsize=6,
        bbox=box,
        zorder=5,
    )
    at = np.argwhere(counts)
    rows = [
        {
            "iou": (xs[i] + xs[i + 1]) / 2,
            "confidence": (ys[j] + ys[j + 1]) / 2,
            "count": counts[i, j],
        }
        for i, j in at
    ]
    return picture, rows


def draw(entry: Confidence, data: Data) -> Drawn:
    """A row of three panels for each variant."""
    names = [name for name in data.trackers if any(run.tracker == name for run in data.runs)]
    info = data.benchmarks[entry.benchmark]
    found = {}
    for name in names:
        runs = [run for run in data.runs if run.tracker == name]
        found[name] = {
            "cells": [on_cells(run, False) for run in runs],
            "inside": [on_cells(run, True) for run in runs],
            "tracked": [on_tracks(run, data, entry.benchmark) for run in runs],
        }
    figure = style.new(style.PAGE, 2.35 * max(1, len(names)) + 0.2)
    grid = figure.subplots(max(1, len(names)), len(WORDS), squeeze=False, sharex=True, sharey=True)
    sizes = [len(pooled(parts)[0]) for kinds in found.values() for parts in kinds.values()]
    most = max([10, *(size // 20 for size in sizes)])
    rows: list[dict[str, Any]] = []
    told, picture = [], None
    for line, name in zip(grid, names, strict=False):
        label = data.trackers[name]["label"]
        for axes, (kind, parts) in zip(line, found[name].items(), strict=True):
            both = {"pearson": correlation(parts, False), "spearman": correlation(parts, True)}
            made, bins = _panel(axes, pooled(parts), both, most)
            picture = made or picture
            style.title(axes, f"{label}, {WORDS[kind]}")
            fixed = {"tracker": name, "points": kind}
            rows += [fixed | {"statistic": key} | one._asdict() for key, one in both.items()]
            rows += [fixed | one for one in bins]
            told.append(f"{label}, {WORDS[kind]}: {_told('ρ', both['spearman'])}")
        line[0].set_ylabel("Target confidence")
    for axes in grid[-1]:
        axes.set_xlabel("IoU")
    if picture is not None:
        ticks = [tick for tick in (1, 10, 100, 1000, 10_000) if tick <= most]
        bar = figure.colorbar(picture, ax=grid, ticks=ticks, shrink=0.7, aspect=30, pad=0.01)
        bar.ax.set_yticklabels([f"{tick:,}".replace(",", " ") for tick in ticks])
        bar.ax.minorticks_off()
        bar.set_label("boxes")
    figure.suptitle(style.on(info), fontsize=7.5)
    seeds = max(
        (len({run.seed for run in data.runs if run.tracker == name}) for name in names), default=0
    )
    notes = [
        (
            "Confidence is the classification score times the centre-ness or the location quality"
            " of the same cell."
        ),
        (
            "Pearson's r and Spearman's ρ of all points, with 95 % intervals over sequences"
            f"{' and seeds' if seeds > 1 else ''} (a mixed model); {seeds} seed(s) pooled."
        ),
        (
            "Dotted: confidence equal to the IoU. Which of the three is meant changes the answer,"
            " so all are drawn."
        ),
    ]
    return Drawn(
        figure, COLUMNS, rows, "; ".join(told) + "." if told else "Nothing was stored.", notes
    )
