"""Figure 12: target confidence against the IoU of its box, over all cells, those inside the target,
and tracks.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark.metrics import overlap
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.grid import SCORE, SEARCH, START, STRIDE
from siamla.report.drawing import needs as jobs
from siamla.report.drawing import style
from siamla.report.drawing.data import Array, Data, Drawn, Run
from siamla.report.drawing.settings import Figure, Names

COLUMNS = ("tracker", "points", "iou", "confidence", "count", "statistic", "value", "low", "high")
WORDS = {"cells": "all cells", "inside": "cells inside the target", "tracked": "tracked frames"}
RESAMPLES = 2000
BINS = 28


class Entry(Figure):
    """Target confidence against the IoU of its box."""

    kind: Literal["confidence"]
    benchmark: str
    variants: Names


def needs(plan: Plan, entry: Entry) -> list[Job] | None:
    """The boxes and score maps of its variants on its benchmark, and the videos."""
    if entry.benchmark not in plan.profile.benchmarks:
        return None
    runs = jobs.tracked(plan, entry.benchmark, entry.variants, first=False)
    stored = [*jobs.predictions(plan, runs), *jobs.maps(plan, runs)]
    return [*stored, plan.job("curate", dataset=entry.benchmark)]


class Points(NamedTuple):
    """Confidence (N,) and IoU (N,) of boxes, and the number of the sequence (N,) of each."""

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
    """Every cell of the stored maps, or those inside the true box; of frames with known truth."""
    from siamla.data.crop import to_crop, to_index

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
    from siamla.benchmark import store

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
    from scipy.stats import rankdata

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
    """Pearson's coefficient, or Spearman's (of ranks among all points), resampling sequences."""
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


def _words(name: str, found: Correlation) -> str:
    """A coefficient with its interval: "r = 0.52 [0.40, 0.61]"."""
    if not np.isfinite(found.value):
        return f"{name} not defined"
    interval = f" [{found.low:.2f}, {found.high:.2f}]" if np.isfinite(found.low) else ""
    return f"{name} = {found.value:.2f}{interval}".replace("-", "−")


def _thousands(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _density(axes: Any, points: Points, most: int) -> Any:
    """Draw how many boxes there are in each bin; the picture for the colour bar."""
    import seaborn
    from matplotlib.colors import LogNorm

    axes.plot([0, 1], [0, 1], color="0.5", linewidth=0.6, linestyle=style.DOTTED, zorder=1)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.grid(False)
    if not len(points.iou):
        style.empty(axes, "none stored")
        return None
    seaborn.histplot(
        x=points.iou,
        y=points.confidence,
        ax=axes,
        bins=BINS,
        binrange=((0, 1), (0, 1)),
        norm=LogNorm(1, most),
        vmin=None,
        vmax=None,
        cmap="viridis_r",
        zorder=2,
        rasterized=True,
    )
    return axes.collections[-1]


def _note(axes: Any, points: Points, pearson: Correlation, spearman: Correlation) -> None:
    """Write the coefficients into a panel."""
    lines = [_words("r", pearson), _words("ρ", spearman), f"n = {_thousands(len(points.iou))}"]
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.5}
    how: dict[str, Any] = {"va": "top", "fontsize": 6, "bbox": box, "zorder": 5}
    axes.text(0.04, 0.96, "\n".join(lines), transform=axes.transAxes, **how)


def _bins(points: Points) -> list[dict[str, float]]:
    """The middle of each bin that is not empty, and how many boxes are in it."""
    counts, xs, ys = np.histogram2d(points.iou, points.confidence, BINS, [[0, 1], [0, 1]])
    return [
        {
            "iou": (xs[i] + xs[i + 1]) / 2,
            "confidence": (ys[j] + ys[j + 1]) / 2,
            "count": counts[i, j],
        }
        for i, j in np.argwhere(counts)
    ]


def _points(data: Data, tracker: str, benchmark: str) -> dict[str, Points]:
    runs = data.runs_of(tracker)
    return {
        "cells": on_cells(runs, False),
        "inside": on_cells(runs, True),
        "tracked": on_tracks(runs, data, benchmark),
    }


def _bar(figure: Any, picture: Any, grid: Any, most: int) -> None:
    ticks = [tick for tick in (1, 10, 100, 1000, 10_000) if tick <= most]
    bar = figure.colorbar(picture, ax=grid, ticks=ticks, shrink=0.7, aspect=30, pad=0.01)
    bar.ax.set_yticklabels([_thousands(tick) for tick in ticks])
    bar.ax.minorticks_off()
    bar.set_label("boxes")


def draw(entry: Entry, data: Data) -> Drawn:
    """A row of three panels for each variant."""
    points = {name: _points(data, name, entry.benchmark) for name in data.runners()}
    tall = max(1, len(points))
    figure = style.new(style.PAGE, 2.35 * tall + 0.2)
    grid = figure.subplots(tall, len(WORDS), squeeze=False, sharex=True, sharey=True)
    sizes = [len(part.iou) for parts in points.values() for part in parts.values()]
    most = max([10, *(size // 20 for size in sizes)])
    rows: list[dict[str, Any]] = []
    words, picture = [], None
    for line, (name, parts) in zip(grid, points.items(), strict=False):
        for axes, (kind, part) in zip(line, parts.items(), strict=True):
            both = {"pearson": correlation(part, False), "spearman": correlation(part, True)}
            density = _density(axes, part, most)
            if density is not None:
                picture = density
                _note(axes, part, **both)
            panel = f"{data.label(name)}, {WORDS[kind]}"
            style.title(axes, panel)
            words.append(f"{panel}: {_words('ρ', both['spearman'])}")
            fixed = {"tracker": name, "points": kind}
            rows += [fixed | {"statistic": key} | one._asdict() for key, one in both.items()]
            rows += [fixed | bin for bin in _bins(part)]
        line[0].set_ylabel("Target confidence")
    for axes in grid[-1]:
        axes.set_xlabel("IoU")
    if picture is not None:
        _bar(figure, picture, grid, most)
    figure.suptitle(style.on(data.benchmarks[entry.benchmark]), fontsize=7.5)
    alt = "; ".join(words) + "." if words else "Nothing was stored."
    return Drawn(figure, COLUMNS, rows, alt, _notes(data))


def _notes(data: Data) -> list[str]:
    seeds = [len({run.seed for run in data.runs_of(name)}) for name in data.runners()]
    return [
        "Confidence is the classification score times the centre-ness or the location quality of"
        " the same cell.",
        "Pearson's r and Spearman's ρ with 95 % intervals, whole sequences being resampled;"
        f" {max(seeds, default=0)} seed(s) pooled.",
        "Dotted: confidence equal to the IoU. Which of the three is meant changes the answer, so"
        " all are drawn.",
    ]
