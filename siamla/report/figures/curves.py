"""Figure 9 and its kin: curves with ranked legends, as the toolkits draw them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from siamla.benchmark.metrics import CURVES
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.report.differences import numbers
from siamla.report.drawing import jobs, style
from siamla.report.drawing.data import Course, Data, Drawn, Nothing, Rows, Score, overall, ranked
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


class Panel(NamedTuple):
    """A curve of a benchmark, how its metric is read off, and tracker → the score that ranks it
    and its line, the best first.
    """

    benchmark: str
    curve: str
    info: Mapping[str, Any]
    reading: Mapping[str, Any]
    described: Mapping[str, Any]
    scores: Mapping[str, float]
    courses: Mapping[str, Course]


def needs(plan: Plan, entry: Entry) -> list[Job] | None:
    """The scores on its benchmarks, as far as these have its curves."""
    every = jobs.benchmarks(plan)
    names = [
        name
        for name in entry.benchmarks or every
        if name in every and not every[name]["curves"].keys().isdisjoint(entry.curves)
    ]
    return jobs.scores(plan, entry, names) or None


def _course(scores: Sequence[Score], curve: str) -> Course | None:
    curves = [score.content.get("curves", {}).get(curve) for score in scores]
    points = [each for each in curves if each is not None]
    if not points:
        return None
    y = np.array([numbers(each["y"]) for each in points])
    return Course(numbers(points[0]["x"]), y.mean(0), y.min(0), y.max(0), len(points))


def _panel_of(data: Data, benchmark: str, curve: str) -> Panel | None:
    """A panel; None where the benchmark has no such curve or its truth is withheld."""
    info = data.benchmarks[benchmark]
    reading = info["curves"].get(curve)
    if reading is None:
        return None
    described = info["metrics"][reading["metric"]]
    scores: dict[str, float] = {}
    courses: dict[str, Course] = {}
    for name, group in data.of(benchmark).items():
        values = overall(group, reading["metric"])
        course = _course(group, curve)
        if course and len(values):
            scores[name] = float(values.mean())
            courses[name] = course
    ordered = {name: courses[name] for name in ranked(scores, described["better"])}
    return Panel(benchmark, curve, info, reading, described, scores, ordered) if ordered else None


def _draw_panel(axes: Any, panel: Panel, data: Data, small: bool) -> None:
    lines = {
        name: style.line(axes, course, style.look(data.trackers[name]))
        for name, course in panel.courses.items()
    }
    digits = panel.described["digits"]
    texts = [style.entry(panel.scores[name], data.label(name), digits) for name in lines]
    how: dict[str, Any] = {"fontsize": 5.6, "handlelength": 1.6} if small else {}
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2)}
    how |= below if len(lines) > INSIDE else {"loc": "best"}
    for at in panel.reading["at"]:
        axes.axvline(at, color="0.55", linewidth=0.6, linestyle=style.DOTTED, zorder=1)
    kind = CURVES[panel.curve]
    x = next(iter(panel.courses.values())).x
    end = float(x[-1])
    if panel.curve == "expected_overlap":  # beyond its window a few long videos alone are left
        end = min(end, 1.5 * max(panel.reading["at"]))
    axes.set(xlim=(x[0], end), ylim=(0, 1), xlabel=kind.x, ylabel=kind.y)
    legend = axes.legend(lines.values(), texts, **how)
    legend.set_in_layout(len(lines) > INSIDE)  # inside, however wide, the panel keeps its size
    sequences = style.sequences(panel.info, data.count(panel.benchmark))
    style.title(axes, kind.title, f"{panel.info['label']}, {sequences}")


def _rows(panel: Panel, data: Data) -> Rows:
    rows: Rows = []
    for rank, (name, course) in enumerate(panel.courses.items(), 1):
        values = (panel.benchmark, panel.curve, name, data.label(name), rank)
        fixed = dict(zip(LINE, (*values, panel.reading["metric"]), strict=False))
        rows += course.rows("x", "y", **fixed, score=panel.scores[name])
    return rows


def draw(entry: Entry, data: Data) -> Drawn:
    """A row of panels for each benchmark, of one curve two benchmarks beside each other; benchmarks
    that lack a curve come last.
    """
    names = [name for name in entry.benchmarks or data.benchmarks if name in data.benchmarks]
    table = [[_panel_of(data, name, curve) for curve in entry.curves] for name in names]
    table.sort(key=lambda row: row.count(None))
    panels = [panel for row in table for panel in row if panel]
    if not panels:
        raise Nothing("nothing was scored: the truth is withheld or nothing was tracked")
    drawn = {panel.curve for panel in panels}
    wide = min(len(panels), max(2, len(drawn)))
    longest = max(len(panel.courses) for panel in panels)
    below = 0.12 * longest if longest > INSIDE else 0
    figure, grid = style.grid(len(panels), wide, 2.55 + below)
    rows: Rows = []
    for axes, panel in zip(grid, panels, strict=True):
        _draw_panel(axes, panel, data, small=wide > 2)
        rows += _rows(panel, data)
    return Drawn(figure, rows, _alt(data, panels), _notes(data, panels))


def _notes(data: Data, panels: Sequence[Panel]) -> list[str]:
    """How many seeds there are, and what the numbers in the legends are, by each protocol."""
    counts = {len(group) for panel in panels for group in data.of(panel.benchmark).values()}
    notes = [f"Lines are means over {style.span(counts)} seeds, bands their range."]
    if counts == {1}:
        notes = ["One seed each, so no band: another seed would give another line."]
    legends: dict[str, list[str]] = {}
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
            number = f"{label}, {panel.reading['how']}"
            legends.setdefault(number, []).append(panel.info["label"])
    parts = [f"{number} ({', '.join(names)})" for number, names in legends.items()]
    return [*notes, f"Numbers in the legends: {'; '.join(parts)}."] if parts else notes


def _alt(data: Data, panels: Sequence[Panel]) -> str:
    words: dict[str, list[str]] = {}
    for panel in panels:
        digits = panel.described["digits"]
        best = [f"{data.label(n)} {panel.scores[n]:.{digits}f}" for n in list(panel.courses)[:3]]
        curve = f"{panel.curve.replace('_', ' ')} {', '.join(best)}"
        words.setdefault(style.on(panel.info), []).append(curve)
    return " ".join(f"Curves on {where}: {'; '.join(curves)}." for where, curves in words.items())
