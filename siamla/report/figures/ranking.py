"""Figure 11: trackers by rank, the best at the right, measured scores filled and published ones
hollow.
"""

import csv
import math
from collections.abc import Sequence
from importlib.resources import files
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.report.drawing import needs as jobs
from siamla.report.drawing import style
from siamla.report.drawing.data import (
    Data,
    Drawn,
    count_sequences,
    legend_entry,
    overall,
    ranked,
)
from siamla.report.drawing.settings import TrackerFigure
from siamla.settings import Settings, nearest

COLUMNS = ("rank", "group", "tracker", "label", "metric", "score", "lowest", "highest", "seeds")
HOLLOW = "ox*v^d+<p>sh"
MOST = 40  # entries of a legend

Row = dict[str, Any]


class Published(Settings):
    """Published scores of a metric: a column of a file in siamla/report/paper."""

    file: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    column: str
    where: dict[str, str] = Field(
        default_factory=dict, description="cells that choose the rows; none = all"
    )


class Entry(TrackerFigure):
    """Trackers by rank, published scores hollow."""

    kind: Literal["ranking"]
    benchmark: str
    metric: str | None = Field(None, description="default: the protocol's headline")
    published: list[Published] = Field(default_factory=list)


class Point(NamedTuple):
    """A row in the figure: its marker, its text in the legend, and a measured tracker's name."""

    marker: Any
    text: str
    tracker: str | None


def needs(plan: Plan, entry: Entry) -> list[Job] | None:
    """The scores on its benchmark."""
    return jobs.scores(plan, entry, [entry.benchmark]) or None


def _column(source: Published) -> dict[str, float]:
    """Tracker → score, of the rows that a source chooses."""
    path = files("siamla.report") / "paper" / f"{source.file}.csv"
    if not path.is_file():
        raise UserError(f"published: no file {source.file}.csv in siamla/report/paper")
    scores = {}
    for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        if source.column not in row:
            raise UserError(
                f"published: {source.file}.csv has no column {source.column!r};"
                f" {nearest(source.column, list(row))}"
            )
        chosen = all(row.get(key) == value for key, value in source.where.items())
        if chosen and row[source.column]:
            scores[row["tracker"]] = float(row[source.column])
    return scores


def facts(plan: Plan, entry: Entry) -> dict[str, Any]:
    """published: tracker → published score."""
    scores: dict[str, float] = {}
    for source in entry.published:
        scores |= _column(source)
    return {"published": scores}


def _measured(data: Data, benchmark: str, metric: str) -> list[Row]:
    rows = []
    for name, scores in data.of(benchmark).items():
        values = overall(scores, metric)
        if len(values):
            row: Row = {"group": "measured", "tracker": name, "label": data.label(name)}
            row |= {"lowest": values.min(), "highest": values.max(), "seeds": len(values)}
            rows.append(row | {"score": float(values.mean())})
    return rows


def _ranked(rows: Sequence[Row], metric: str, better: str) -> list[Row]:
    order = ranked({str(index): row["score"] for index, row in enumerate(rows)}, better)
    return [
        rows[int(index)] | {"rank": rank, "metric": metric} for rank, index in enumerate(order, 1)
    ]


def rank(data: Data, benchmark: str, metric: str) -> list[list[Row]]:
    """Measured and published trackers with their ranks: together, or in two groups where their data
    differ.
    """
    better = data.benchmarks[benchmark]["metrics"][metric]["better"]
    published = [
        {"group": "published", "tracker": name, "label": name, "score": score}
        for name, score in data.facts.get("published", {}).items()
    ]
    measured = _measured(data, benchmark, metric)
    apart = data.benchmarks[benchmark]["synthetic"]
    groups = [measured, published] if apart else [measured + published]
    return [_ranked(group, metric, better) for group in groups if group]


def _marker(axes: Any, row: Row, data: Data, hollow: int) -> Any:
    """Draw a row."""
    stem = {"color": "0.8", "linewidth": 0.8, "linestyle": style.DOTTED, "zorder": 1}
    axes.vlines(row["rank"], 0, row["score"], **stem)
    if row["group"] == "published":
        how = {"color": "0.35", "markersize": 5, "markerfacecolor": "none"}
        shape = HOLLOW[hollow % len(HOLLOW)]
    else:
        tracker = data.trackers[row["tracker"]]
        colour = style.look(tracker)["color"]
        how = {"color": colour, "markersize": 7 if tracker["role"] == "ours" else 5.5}
        shape = style.marker(tracker)
        if row["seeds"] > 1:
            span = row["lowest"], row["highest"]
            axes.vlines(row["rank"], *span, color=colour, linewidth=1.2, zorder=3)
    (point,) = axes.plot(row["rank"], row["score"], shape, zorder=4, **how)
    return point


def _panel(axes: Any, rows: Sequence[Row], data: Data, digits: int) -> list[Point]:
    """Draw ranked rows; the legend's entries."""
    points = []
    hollow = 0
    for row in rows:
        marker = _marker(axes, row, data, hollow)
        hollow += row["group"] == "published"
        name = row["tracker"] if row["group"] == "measured" else None
        if name:
            marker.set_gid(style.gid(name))
        points.append(Point(marker, legend_entry(row["score"], row["label"], digits), name))
    count = len(rows)
    step = max(1, math.ceil(math.log(count))) if count > 1 else 1
    axes.set_xticks(range(1, count + 1, step))
    axes.set_xlim(count + 0.6, 0.4)  # the best at the right
    axes.grid(False)
    return points


def _legend(figure: Any, points: Sequence[Point], data: Data) -> None:
    shown = sorted(points, key=lambda point: point.text[0] != "[")[:MOST]
    if not shown:
        return
    words = {False: "filled: from raw results", True: "hollow: as published"}
    kinds = {point.tracker is None for point in points}
    legend = figure.legend(
        [point.marker for point in shown],
        [point.text for point in shown],
        loc="outside right upper",
        ncols=1 + (len(shown) > 20),
        handlelength=1.2,
        title="; ".join(words[hollow] for hollow in sorted(kinds)),
        title_fontsize=6.3,
    )
    for line, point in zip(legend.get_texts(), shown, strict=True):
        if point.tracker:
            line.set_gid(style.gid(point.tracker))
            ours = data.trackers[point.tracker]["role"] == "ours"
            line.set_fontweight("bold" if ours else "normal")


def draw(entry: Entry, data: Data) -> Drawn:
    """One ranking; two where the measured trackers saw other data than the published."""
    info = data.benchmarks[entry.benchmark]
    metric, described = data.metric(entry.benchmark, entry.metric)
    groups = rank(data, entry.benchmark, metric)
    rows = [row for group in groups for row in group]
    wide = len(groups) > 1 or len(rows) > 8
    figure = style.new(style.PAGE if wide else style.COLUMN, 2.7)
    widths = [max(6, len(group)) for group in groups] or [1]  # titles need room, too
    panels = figure.subplots(1, len(widths), squeeze=False, sharey=True, width_ratios=widths)[0]
    top = 1.12 * max([0.1, *(float(row.get("highest") or row["score"]) for row in rows)])
    titles = {
        "measured": "measured here, on\nsynthetic miniatures",
        "published": f"published, on\n{info['label']}",
    }
    points: list[Point] = []
    for axes, group in zip(panels, groups, strict=False):
        points += _panel(axes, group, data, described["digits"])
        axes.set(xlabel="Order", ylim=(0, min(1.0, top) if top <= 1.12 else top))
        whole = f"{described['label']} on {info['label']}"
        style.title(axes, titles[group[0]["group"]] if info["synthetic"] else whole)
    if not groups:
        style.empty(panels[0], "nothing was scored")
    panels[0].set_ylabel(described["label"])
    _legend(figure, points, data)
    best = ", ".join(f"{row['label']} {row['score']:.{described['digits']}f}" for row in rows[:3])
    alt = f"{described['label']} ranking on {style.on(info)}: {best}."
    notes = _notes(data, entry.benchmark)
    return Drawn(figure, COLUMNS, rows, alt if rows else "No tracker was scored.", notes)


def _notes(data: Data, benchmark: str) -> list[str]:
    info = data.benchmarks[benchmark]
    notes = []
    if count := count_sequences(data.of(benchmark).values()):
        notes.append(f"Filled: computed here from raw results ({style.sequences(info, count)}).")
    if data.facts.get("published"):
        notes.append("Hollow: as published; of those there are no raw results here.")
        if info["synthetic"]:
            notes.append(
                "The two panels are ranked apart: a score on miniatures says nothing about one on"
                " the benchmark."
            )
    return notes
