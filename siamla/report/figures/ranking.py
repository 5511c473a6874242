"""Figure 11: trackers by rank, the measured and the published each in a panel of their own."""

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
HOLLOW = "ox*v^d+<p>shDPX1234|_8H"
GREYS = ("0.2", "0.55", "0.75")  # of published trackers, another where the shapes begin again
MOST = 40  # entries of a legend


class Published(Settings):
    """Published scores of a metric: a column of a file in siamla/report/paper."""

    file: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    column: str
    where: dict[str, str] = Field(
        default_factory=dict, description="cells that choose the rows; none = all"
    )


class Entry(TrackerFigure):
    """Trackers by rank, published scores apart."""

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
    """The measured trackers with their ranks, then the published; no group of nobody."""
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
    groups = []
    for group in (measured, published):
        scores_of = {index: row["score"] for index, row in enumerate(group)}
        order = ranked(scores_of, described["better"])
        rows = [group[i] | {"rank": rank, "metric": metric} for rank, i in enumerate(order, 1)]
        groups += [rows] if rows else []
    return groups


def _point(axes: Any, row: dict[str, Any], data: Data) -> Any:
    """Draw a row; its point."""
    stem = {"color": "0.8", "linewidth": 0.8, "linestyle": style.DOTTED, "zorder": 1}
    axes.vlines(row["rank"], 0, row["score"], **stem)
    again, shape = divmod(row["rank"] - 1, len(HOLLOW))
    colour, how = GREYS[again % len(GREYS)], {"markersize": 5, "markerfacecolor": "none"}
    marker = HOLLOW[shape]
    if row["group"] == "measured":
        tracker = data.trackers[row["tracker"]]
        colour, marker = style.look(tracker)["color"], style.marker(tracker)
        how = {"markersize": 7 if tracker["role"] == "ours" else 5.5}
        if row["seeds"] > 1:
            seam = {"color": colour, "linewidth": 1.2, "zorder": 3}
            axes.vlines(row["rank"], row["lowest"], row["highest"], **seam)
    return axes.plot(row["rank"], row["score"], marker, color=colour, zorder=4, **how)[0]


def _panel(axes: Any, rows: Rows, data: Data, digits: int) -> None:
    """Draw ranked rows, and their legend below."""
    points = [_point(axes, row, data) for row in rows]
    texts = [style.entry(row["score"], row["label"], digits) for row in rows]
    count = len(rows)
    axes.set_xticks(range(1, count + 1, max(1, math.ceil(math.log(count)))))
    axes.set_xlim(count + 0.6, 0.4)  # the best at the right
    axes.grid(False)
    axes.set(xlabel="Order")
    how = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.17), "handlelength": 1.2}
    axes.legend(points[:MOST], texts[:MOST], ncols=1 + (count > 6) + (count > 14), **how)


def draw(entry: Entry, data: Data) -> Drawn:
    """A ranking of the measured trackers and one of the published."""
    info = data.benchmarks[entry.benchmark]
    _, described = data.headline(entry.benchmark)
    groups = _groups(data, entry.benchmark)
    rows = [row for group in groups for row in group]
    if not rows:
        raise Nothing("nothing was scored")
    width = style.PAGE if len(groups) > 1 or len(rows) > 8 else style.COLUMN
    longest = max(map(len, groups))
    figure = style.new(width, 2.6 + 0.12 * min(longest, MOST) / (1 + (longest > 6)))
    widths = [min(16, max(9, len(group))) for group in groups]  # titles and legends need room, too
    panels = figure.subplots(1, len(groups), squeeze=False, width_ratios=widths)[0]
    where = {"measured": style.on(info), "published": info["label"]}
    words = []
    for axes, group in zip(panels, groups, strict=True):
        name = group[0]["group"]
        title = "Measured here" if name == "measured" else "As published"
        _panel(axes, group, data, described["digits"])
        same = group if info["synthetic"] else rows  # what can be compared has one scale
        top = 1.12 * max([0.1, *(float(row.get("highest") or row["score"]) for row in same)])
        axes.set_ylim(0, min(1.0, top) if top <= 1.12 else top)
        style.title(axes, title, f"{described['label']} on {where[name]}")
        best = [f"{row['label']} {row['score']:.{described['digits']}f}" for row in group[:3]]
        words.append(f"{title}, {described['label']} on {where[name]}: {', '.join(best)}.")
    panels[0].set_ylabel(described["label"])
    return Drawn(figure, rows, " ".join(words), _notes(data, entry.benchmark))


def _notes(data: Data, benchmark: str) -> Sequence[str]:
    info = data.benchmarks[benchmark]
    count = style.sequences(info, data.count(benchmark))
    notes = [f"Measured: computed here from raw results ({count})."]
    if data.facts.get("published"):
        notes.append("The published are ranked among themselves.")
        if info["synthetic"]:
            notes[-1] = (
                "The published are ranked among themselves and drawn on another scale: a score on"
                " miniatures says nothing about one on the benchmark."
            )
    return notes
