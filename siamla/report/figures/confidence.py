"""Figure 12: target confidence against the IoU of its box, over all cells, those inside the target,
and tracks.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from numpy.typing import NDArray
from scipy.stats import rankdata

from siamla.benchmark import store
from siamla.benchmark.metrics import overlap
from siamla.data.crop import to_crop, to_index
from siamla.experiment.figures import Confidence
from siamla.grid import SCORE, SEARCH, START, STRIDE
from siamla.report.figures import style
from siamla.report.figures.data import Array, Data, Drawn, Run

COLUMNS = ("tracker", "points", "iou", "confidence", "count", "statistic", "value", "low", "high")
WORDS = {"cells": "all cells", "inside": "cells inside the target", "tracked": "tracked frames"}
RESAMPLES = 2000
BINS = 28


class Points(NamedTuple):
    """Confidence (N,) and IoU (N,) of boxes, and the number of the sequence (N,) that each is
    of.
    """

    confidence: Array
    iou: Array
    sequence: Array


class Correlation(NamedTuple):
    """A coefficient with its 95 % interval over sequences; NaN where it is not defined."""

    value: float
    low: float
    high: float


def _gathered(parts: Sequence[tuple[str, Array, Array]]) -> Points:
    names = sorted({name for name, _, _ in parts})
    numbers = [np.full(len(c), names.index(name), np.float64) for name, c, _ in parts]
    empty = np.zeros(0)
    return Points(
        *(
            np.concatenate([empty, *own])
            for own in ([c for _, c, _ in parts], [q for _, _, q in parts], numbers)
        )
    )


def on_cells(runs: Sequence[Run], inside: bool) -> Points:
    """Every cell of the stored maps, or those inside the true box, of frames whose truth is
    known.
    """
    row, column = np.mgrid[:SCORE, :SCORE] * STRIDE + START
    parts = []
    for frame in (frame for run in runs for frame in run.maps):
        truth = frame.truth
        if not np.isfinite(truth).all() or (truth[2:] <= 0).any():
            continue
        boxes = frame.boxes.reshape(-1, 4)
        x, y, w, h = to_index(to_crop(truth, frame.centre, frame.side, SEARCH))
        chosen = (
            (column > x) & (column < x + w) & (row > y) & (row < y + h)
            if inside
            else np.ones_like(row, bool)
        )
        quality = overlap(np.broadcast_to(truth, boxes.shape), boxes)
        parts.append(
            (
                frame.sequence,
                frame.confidence.ravel()[chosen.ravel()].astype(float),
                quality[chosen.ravel()],
            )
        )
    return _gathered(parts)


def on_tracks(runs: Sequence[Run], data: Data, benchmark: str) -> Points:
    """Every tracked frame whose truth and confidence are known."""
    layout, parts = data.benchmarks[benchmark]["layout"], []
    for run in runs:
        for video in data.videos.get(benchmark, ()) if layout != "vot" else ():
            if run.folder is None:
                continue
            confidence = store.read_confidence(run.folder, video.name, layout)
            if confidence is None:
                continue
            boxes = store.read_boxes(run.folder, video.name, layout)
            count = min(len(boxes), len(video.boxes), len(confidence))
            quality = overlap(video.boxes[:count], boxes[:count])
            known = (
                np.isfinite(confidence[:count])
                & np.isfinite(video.boxes[:count]).all(1)
                & video.visible[:count]
            )
            parts.append((video.name, confidence[:count][known], quality[known]))
    return _gathered(parts)


def scaled(points: Points, ranks: bool) -> tuple[Array, Array] | None:
    """Confidence and IoU, or their ranks among all points, of mean 0 and variance 1; None where
    either is constant.
    """
    x, y = (rankdata(v) if ranks else v for v in (points.confidence, points.iou))
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return (x - x.mean()) / x.std(), (y - y.mean()) / y.std()


def sums(x: Array, y: Array, groups: NDArray[np.int64], count: int) -> Array:
    """What Pearson's coefficient needs of the points of each of `count` groups (count, 6), so that
    groups add up.
    """
    columns = (np.ones_like(x), x, y, x * x, y * y, x * y)
    return np.stack([np.bincount(groups, column, minlength=count) for column in columns], 1)


def coefficient(totals: Array) -> Array:
    """Pearson's coefficient (…) of sums (…, 6) over any weighted choice of groups; NaN where it is
    not defined.
    """
    n, sx, sy, xx, yy, xy = np.moveaxis(totals, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((n * xy - sx * sy) / np.sqrt((n * xx - sx**2) * (n * yy - sy**2)))


def correlation(points: Points, ranks: bool) -> Correlation:
    """Pearson's coefficient, or Spearman's (of ranks among all points), resampling whole
    sequences.
    """
    nothing = Correlation(float("nan"), float("nan"), float("nan"))
    both = scaled(points, ranks)
    if both is None:
        return nothing
    x, y = both
    groups = points.sequence.astype(int)
    totals = sums(x, y, groups, int(groups.max()) + 1)
    count = len(totals)
    draws = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    found = coefficient(draws @ totals)
    found = found[np.isfinite(found)]
    value = float((x * y).mean())
    if count < 2 or not len(found):
        return nothing._replace(value=value)
    low, high = np.quantile(found, [0.025, 0.975])
    return Correlation(value, float(low), float(high))


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
    if not len(points.iou):
        style.empty(axes, "none stored")
        return None, []
    counts, xs, ys = np.histogram2d(points.iou, points.confidence, BINS, [[0, 1], [0, 1]])
    density = np.ma.masked_equal(counts.T, 0)
    picture = axes.pcolormesh(
        xs, ys, density, norm=LogNorm(1, most), cmap="viridis_r", zorder=2, rasterized=True
    )
    lines = [
        _told("r", told["pearson"]),
        _told("ρ", told["spearman"]),
        f"n = {len(points.iou):,}".replace(",", " "),
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
            "cells": on_cells(runs, False),
            "inside": on_cells(runs, True),
            "tracked": on_tracks(runs, data, entry.benchmark),
        }
    figure = style.new(style.PAGE, 2.35 * max(1, len(names)) + 0.2)
    grid = figure.subplots(max(1, len(names)), len(WORDS), squeeze=False, sharex=True, sharey=True)
    most = max([10] + [len(points.iou) // 20 for own in found.values() for points in own.values()])
    rows: list[dict[str, Any]] = []
    told, picture = [], None
    for line, name in zip(grid, names, strict=False):
        label = data.trackers[name]["label"]
        for axes, (kind, points) in zip(line, found[name].items(), strict=True):
            both = {"pearson": correlation(points, False), "spearman": correlation(points, True)}
            made, bins = _panel(axes, points, both, most)
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
            "Pearson's r and Spearman's ρ with 95 % intervals, whole sequences being resampled;"
            f" {seeds} seed(s) pooled."
        ),
        (
            "Dotted: confidence equal to the IoU. Which of the three is meant changes the answer,"
            " so all are drawn."
        ),
    ]
    return Drawn(
        figure, COLUMNS, rows, "; ".join(told) + "." if told else "Nothing was stored.", notes
    )
