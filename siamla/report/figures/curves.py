"""Figure 9 and its kin: success, precision and expected overlap with ranked legends, as the
toolkits draw them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from siamla.benchmark.metrics import CURVES
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.report.differences import numbers
from siamla.report.drawing import needs as jobs
from siamla.report.drawing import style
from siamla.report.drawing.data import (
    Array,
    Data,
    Drawn,
    Score,
    count_sequences,
    legend_entry,
    overall,
    ranked,
    seeds_note,
)
from siamla.report.drawing.settings import CurveName, Names, TrackerFigure

INSIDE = 7  # longer legends stand below their panel
LINE = ("benchmark", "curve", "tracker", "label", "rank", "metric", "score", "seeds")
COLUMNS = (*LINE, "x", "y", "low", "high")


class Entry(TrackerFigure):
    """Curves over thresholds: a row of panels for each benchmark."""

    kind: Literal["curves"]
    benchmarks: Names | None = Field(
        None, description="null = every benchmark of the profile that has such a curve"
    )
    curves: list[CurveName] = Field(min_length=1)
    most: int = Field(
        10, ge=1, description="ranks in a legend; trackers below are grey lines without an entry"
    )


class Line(NamedTuple):
    """A tracker in a panel: x, mean, lowest and highest of the seeds (T,), and the score that ranks
    it.
    """

    tracker: str
    score: float
    seeds: int
    x: Array
    mean: Array
    low: Array
    high: Array


class Panel(NamedTuple):
    """A curve of a benchmark: its lines, the best first, what the figure says of the benchmark, how
    the metric is read off the curve, and the metric's label, direction and digits.
    """

    benchmark: str
    curve: str
    lines: list[Line]
    info: Mapping[str, Any]
    reading: Mapping[str, Any]
    described: Mapping[str, Any]


def needs(plan: Plan, entry: Entry) -> list[Job] | None:
    """The scores on its benchmarks."""
    names = plan.profile.benchmarks if entry.benchmarks is None else entry.benchmarks
    return jobs.scores(plan, entry, names) or None


def _line(name: str, scores: Sequence[Score], curve: str, metric: str) -> Line | None:
    values = overall(scores, metric)
    curves = [score.content.get("curves", {}).get(curve) for score in scores]
    points = [each for each in curves if each is not None]
    if not points or not len(values):
        return None
    y = np.array([numbers(each["y"]) for each in points])
    x = numbers(points[0]["x"])
    return Line(name, float(values.mean()), len(points), x, y.mean(0), y.min(0), y.max(0))


def _panel_of(data: Data, benchmark: str, curve: str) -> Panel | None:
    """A panel; None where the benchmark has no such curve or its truth is withheld."""
    info = data.benchmarks[benchmark]
    reading = info["curves"].get(curve)
    if reading is None:
        return None
    described = info["metrics"][reading["metric"]]
    groups = data.of(benchmark).items()
    lines = [_line(name, scores, curve, reading["metric"]) for name, scores in groups]
    by_name = {line.tracker: line for line in lines if line}
    order = ranked({name: line.score for name, line in by_name.items()}, described["better"])
    ordered = [by_name[name] for name in order]
    return Panel(benchmark, curve, ordered, info, reading, described) if ordered else None


def _legend(axes: Any, panel: Panel, drawn: Mapping[str, Any], data: Data, small: bool) -> None:
    """The ranks of the lines that are drawn in colour, and how many others there are."""
    from matplotlib.lines import Line2D

    named = [line for line in panel.lines if line.tracker in drawn]
    digits = panel.described["digits"]
    handles = [drawn[line.tracker] for line in named]
    labels = [legend_entry(line.score, data.label(line.tracker), digits) for line in named]
    if others := len(panel.lines) - len(named):
        handles.append(Line2D([], [], color=style.GREY, linewidth=0.6))
        labels.append(f"{others} more")
    how: dict[str, Any] = {"fontsize": 5.6, "handlelength": 1.6} if small else {}
    if len(handles) > INSIDE:
        legend = axes.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.2), **how)
    else:
        legend = axes.legend(handles, labels, loc=_corner(panel, axes.get_xlim()[1]), **how)
        legend.set_in_layout(False)  # however wide it is, the panel keeps its size
    for text, line in zip(legend.get_texts(), named, strict=False):
        text.set_gid(style.gid(line.tracker))
        if data.trackers[line.tracker]["role"] == "ours":
            text.set_fontweight("bold")


def _corner(panel: Panel, end: float) -> str:
    """The corner of a panel where no line is."""
    low = any(np.interp(0.45 * end, line.x, line.mean) < 0.35 for line in panel.lines)
    return "upper right" if panel.curve == "success" and low else CURVES[panel.curve].legend


def _end(panel: Panel) -> float:
    """Where the x-axis ends. Beyond its window a few long videos alone are left of an expected
    overlap.
    """
    end = float(panel.lines[0].x[-1])
    if panel.curve == "expected_overlap" and max(panel.reading["at"]) < end:
        return min(end, 1.5 * max(panel.reading["at"]))
    return end


def _draw_panel(axes: Any, panel: Panel, data: Data, most: int, small: bool) -> None:
    drawn = {}
    for rank, line in enumerate(panel.lines):
        tracker = data.trackers[line.tracker]
        coloured = rank < most or tracker["role"] != "other"
        grey = {"color": style.GREY, "linewidth": 0.6, "zorder": 2}
        points = {"x": line.x, "mean": line.mean}
        points |= {"low": line.low, "high": line.high} if line.seeds > 1 else {}
        stroke = style.line(axes, line.tracker, points, style.look(tracker) if coloured else grey)
        if coloured:
            drawn[line.tracker] = stroke
    for at in panel.reading["at"]:
        axes.axvline(at, color="0.55", linewidth=0.6, linestyle=style.DOTTED, zorder=1)
    kind = CURVES[panel.curve]
    axes.set(xlim=(panel.lines[0].x[0], _end(panel)), ylim=(0, 1), xlabel=kind.x, ylabel=kind.y)
    _legend(axes, panel, drawn, data, small)
    groups = data.of(panel.benchmark)
    count = count_sequences([groups[line.tracker] for line in panel.lines])
    about = f"{panel.info['label']}, {style.sequences(panel.info, count)}"
    style.title(axes, kind.title, about)


def _rows(panel: Panel, data: Data) -> Iterator[dict[str, Any]]:
    for rank, line in enumerate(panel.lines, 1):
        fixed = {
            "benchmark": panel.benchmark,
            "curve": panel.curve,
            "tracker": line.tracker,
            "label": data.label(line.tracker),
            "rank": rank,
            "metric": panel.reading["metric"],
            "score": line.score,
            "seeds": line.seeds,
        }
        for x, y, low, high in zip(line.x, line.mean, line.low, line.high, strict=True):
            yield fixed | {"x": x, "y": y, "low": low, "high": high}


def draw(entry: Entry, data: Data) -> Drawn:
    """A panel for each benchmark and curve that was measured."""
    names = [
        name for name in data.benchmarks if entry.benchmarks is None or name in entry.benchmarks
    ]
    table = [[_panel_of(data, name, curve) for curve in entry.curves] for name in names]
    table = [row for row in table if any(row)]
    columns = [column for column in zip(*table, strict=True) if any(column)]
    if len(columns) > 1:
        wide = len(columns)
        places = [panel for row in zip(*columns, strict=True) for panel in row]
    else:
        wide = min(2, max(1, len(table)))
        places = [panel for column in columns for panel in column]
    panels = [panel for panel in places if panel]
    longest = max((min(len(panel.lines), entry.most + 3) for panel in panels), default=0)
    below = 0.12 * longest if longest > INSIDE else 0
    width = style.COLUMN if wide == 1 else style.PAGE
    figure, grid = style.grid(len(places), wide, width, 2.55 + below)
    if not panels:
        style.empty(grid[0], "nothing was scored: the truth is withheld or nothing was tracked")
    rows: list[dict[str, Any]] = []
    for axes, panel in zip(grid, places, strict=False):
        if panel is None:
            axes.set_axis_off()
            continue
        _draw_panel(axes, panel, data, entry.most, small=wide > 2)
        rows += _rows(panel, data)
    return Drawn(figure, COLUMNS, rows, _alt(data, panels), _notes(data, panels))


def _notes(data: Data, panels: Sequence[Panel]) -> list[str]:
    """How many seeds there are, and what the numbers in the legends are, by each protocol."""
    measured = dict.fromkeys(panel.benchmark for panel in panels)
    notes = [seeds_note(group for name in measured for group in data.of(name).values())]
    for panel in panels:
        label = panel.described["label"]
        scores = [score for group in data.of(panel.benchmark).values() for score in group]
        short = max(score.content["overall"].get("eao_short_frames") or 0 for score in scores)
        if short:  # what a table's note says as well
            notes.append(
                f"No sequence reaches EAO's window, so {label} is the mean over the whole curve, to"
                f" {short - 1:.0f}."
            )
        else:
            notes.append(
                f"Legend of {panel.curve.replace('_', ' ')} on {panel.info['label']}: {label},"
                f" {panel.reading['how']}."
            )
    return list(dict.fromkeys(notes))


def _alt(data: Data, panels: Sequence[Panel]) -> str:
    words = []
    for panel in panels:
        digits = panel.described["digits"]
        best = ", ".join(
            f"{data.label(line.tracker)} {line.score:.{digits}f}" for line in panel.lines[:3]
        )
        words.append(f"{CURVES[panel.curve].title} on {style.on(panel.info)}: {best}")
    return "; ".join(words) + "." if words else "No curves: nothing was scored."
