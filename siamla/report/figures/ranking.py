"""Figure 11: trackers by rank, measured scores filled and published ones hollow."""

import csv
import math
from collections.abc import Sequence
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import Field

from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.report.drawing import jobs, style
from siamla.report.drawing.data import Data, Drawn, Nothing, Rows, overall, ranked
from siamla.report.drawing.settings import TrackerFigure
from siamla.settings import Settings, nearest

COLUMNS = ("rank", "group", "tracker", "label", "metric", "score", "lowest", "highest", "seeds")
HOLLOW = "ox*v^d+<p>sh"
MOST = 40  # entries of a legend
FILLED = "filled: from raw results; hollow: as published"


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
    published: list[Published] = Field(default_factory=list)


needs = jobs.benchmark_scores


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
        if source.where.items() <= row.items() and row[source.column]:
            scores[row["tracker"]] = float(row[source.column])
    return scores


def facts(plan: Plan, entry: Entry) -> dict[str, Any]:
    """published: tracker → published score."""
    scores: dict[str, float] = {}
    for source in entry.published:
        scores |= _column(source)
    return {"published": scores}


def _groups(data: Data, benchmark: str) -> list[Rows]:
    """Trackers with their ranks: together, or in two groups where their data differ."""
    metric, described = data.headline(benchmark)
    measured: Rows = []
    for name, scores in data.of(benchmark).items():
        values = overall(scores, metric)
        if len(values):
            row: dict[str, Any] = {"group": "measured", "tracker": name, "label": data.label(name)}
            row |= {"lowest": values.min(), "highest": values.max(), "seeds": len(values)}
            measured.append(row | {"score": float(values.mean())})
    published: Rows = [
        {"group": "published", "tracker": name, "label": name, "score": score}
        for name, score in data.facts.get("published", {}).items()
    ]
    apart = data.benchmarks[benchmark]["synthetic"]
    groups = []
    for group in [measured, published] if apart else [measured + published]:
        scores_of = {index: row["score"] for index, row in enumerate(group)}
        order = ranked(scores_of, described["better"])
        rows = [group[i] | {"rank": rank, "metric": metric} for rank, i in enumerate(order, 1)]
        groups += [rows] if rows else []
    return groups


def _point(axes: Any, row: dict[str, Any], data: Data, hollow: int) -> Any:
    """Draw a row; its point. hollow: how many hollow ones were drawn before."""
    stem = {"color": "0.8", "linewidth": 0.8, "linestyle": style.DOTTED, "zorder": 1}
    axes.vlines(row["rank"], 0, row["score"], **stem)
    shape = HOLLOW[hollow % len(HOLLOW)]
    how: dict[str, Any] = {"color": "0.35", "markersize": 5, "markerfacecolor": "none"}
    if row["group"] == "measured":
        tracker = data.trackers[row["tracker"]]
        colour = style.look(tracker)["color"]
        shape = style.marker(tracker)
        how = {"color": colour, "markersize": 7 if tracker["role"] == "ours" else 5.5}
        if row["seeds"] > 1:
            seam = {"color": colour, "linewidth": 1.2, "zorder": 3}
            axes.vlines(row["rank"], row["lowest"], row["highest"], **seam)
    return axes.plot(row["rank"], row["score"], shape, zorder=4, **how)[0]


def _panel(axes: Any, rows: Rows, data: Data, digits: int) -> list[tuple[Any, str]]:
    """Draw ranked rows; the legend's entries."""
    entries = []
    hollow = 0
    for row in rows:
        point = _point(axes, row, data, hollow)
        hollow += row["group"] == "published"
        entries.append((point, style.entry(row["score"], row["label"], digits)))
    count = len(rows)
    axes.set_xticks(range(1, count + 1, max(1, math.ceil(math.log(count)))))
    axes.set_xlim(count + 0.6, 0.4)  # the best at the right
    axes.grid(False)
    return entries


def draw(entry: Entry, data: Data) -> Drawn:
    """One ranking; two where the measured trackers saw other data than the published."""
    info = data.benchmarks[entry.benchmark]
    _, described = data.headline(entry.benchmark)
    groups = _groups(data, entry.benchmark)
    rows = [row for group in groups for row in group]
    if not rows:
        raise Nothing("nothing was scored")
    width = style.PAGE if len(groups) > 1 or len(rows) > 8 else style.COLUMN
    figure = style.new(width, 2.7)
    widths = [max(6, len(group)) for group in groups]  # titles need room, too
    panels = figure.subplots(1, len(widths), squeeze=False, sharey=True, width_ratios=widths)[0]
    top = 1.12 * max([0.1, *(float(row.get("highest") or row["score"]) for row in rows)])
    titles = {
        "measured": "measured here, on\nsynthetic miniatures",
        "published": f"published, on\n{info['label']}",
    }
    entries = []
    for axes, group in zip(panels, groups, strict=True):
        entries += _panel(axes, group, data, described["digits"])
        axes.set(xlabel="Order", ylim=(0, min(1.0, top) if top <= 1.12 else top))
        whole = f"{described['label']} on {info['label']}"
        style.title(axes, titles[group[0]["group"]] if info["synthetic"] else whole)
    panels[0].set_ylabel(described["label"])
    columns = 1 + (min(len(entries), MOST) > 20)
    how: dict[str, Any] = {"loc": "outside right upper", "handlelength": 1.2, "ncols": columns}
    how |= {"title": FILLED, "title_fontsize": 6.3} if data.facts.get("published") else {}
    figure.legend(*zip(*entries[:MOST], strict=True), **how)
    best = ", ".join(f"{row['label']} {row['score']:.{described['digits']}f}" for row in rows[:3])
    alt = f"{described['label']} ranking on {style.on(info)}: {best}."
    return Drawn(figure, COLUMNS, rows, alt, _notes(data, entry.benchmark))


def _notes(data: Data, benchmark: str) -> Sequence[str]:
    info = data.benchmarks[benchmark]
    count = style.sequences(info, data.count(benchmark))
    notes = [f"Filled: computed here from raw results ({count}); hollow: as published."]
    if data.facts.get("published") and info["synthetic"]:
        notes.append(
            "The two panels are ranked apart: a score on miniatures says nothing about one on the"
            " benchmark."
        )
    return notes
