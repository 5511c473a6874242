"""Figure 14: a score against a setting of the tracker, on models that are there already."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.report.drawing import jobs, style
from siamla.report.drawing.data import Course, Data, Drawn, Nothing, Rows, Score, overall, ranked
from siamla.report.drawing.settings import TrackerFigure
from siamla.settings import Name

SETTING = ("benchmark", "tracker", "label", "key", "value")
COLUMNS = (*SETTING, "metric", "mean", "low", "high", "seeds")
WORDS = {"window": "Window influence"}
ALONE = (
    "One seed each, so no band.\nAnother training may differ by\nmore than the points of a line do."
)


class Entry(TrackerFigure):
    """A score against a setting of the tracker: an entry of params/sweeps.yaml."""

    kind: Literal["sweep"]
    sweep: Name


def needs(plan: Plan, entry: Entry) -> list[Job] | None:
    """The scores at every point of the sweep."""
    return jobs.of_step(plan, "score_sweep", entry, sweep=entry.sweep) or None


def facts(plan: Plan, entry: Entry) -> dict[str, Any]:
    """key: the setting; used: benchmark → variant → the value that the plan tracks with. UserError
    for values that are no numbers, which have no place on an axis.
    """
    sweep = plan.experiment.sweeps[entry.sweep]
    values: list[Any] = list(sweep.values)
    used: dict[str, dict[str, float]] = {}
    for benchmark in (name for name in plan.profile.benchmarks if name in sweep.benchmarks):
        for variant in jobs.chosen(plan, entry.variants):
            value = getattr(plan.experiment.tracker(variant, benchmark), sweep.key)
            used.setdefault(benchmark, {})[variant] = value
            values.append(value)
    words = [value for value in values if not isinstance(value, int | float)]
    if words:
        texts = dict.fromkeys("null" if word is None else str(word) for word in words)
        raise UserError(
            f"sweep: {entry.sweep} varies {sweep.key}: found {', '.join(texts)}; a figure of kind"
            " sweep needs numbers"
        )
    return {"key": sweep.key, "used": used}


def _course(scores: Sequence[Score], metric: str) -> Course:
    """Mean and range over seeds at each value of the setting."""
    reached = {}
    for value in sorted({score.value for score in scores if score.value is not None}):
        seeds = overall([score for score in scores if score.value == value], metric)
        if len(seeds):
            reached[value] = (seeds.mean(), seeds.min(), seeds.max(), len(seeds))
    rows = np.array([(value, *spread) for value, spread in reached.items()])
    x, mean, low, high, seeds = rows.reshape(-1, 5).T
    return Course(x, mean, low, high, seeds.astype(int))


def _panel(axes: Any, data: Data, benchmark: str) -> tuple[Rows, list[str]]:
    """Draw a benchmark; its rows, and the best value of each tracker in words."""
    info = data.benchmarks[benchmark]
    metric, described = data.headline(benchmark)
    key = str(data.facts["key"])
    groups = data.of(benchmark)
    rows: Rows = []
    words = []
    for tracker, scores in groups.items():
        course = _course(scores, metric)
        if not len(course.x):
            continue
        label = data.label(tracker)
        how = style.look(data.trackers[tracker]) | {"markersize": 3.5, "label": label}
        how |= {"marker": style.marker(data.trackers[tracker]), "markeredgecolor": how["color"]}
        style.line(axes, course, how)
        fixed = {"benchmark": benchmark, "tracker": tracker, "label": label, "key": key}
        rows += course.rows("value", "mean", **fixed, metric=metric)
        best = ranked(dict(enumerate(course.mean)), described["better"])[0]
        reached = f"{course.mean[best]:.{described['digits']}f} at {course.x[best]:g}"
        words.append(f"{label} on {style.on(info)}: best {reached}")
    used = data.facts["used"].get(benchmark, {})
    for value in sorted({used[tracker] for tracker in groups if tracker in used}):
        axes.axvline(value, color="0.45", linewidth=0.7, linestyle=style.DOTTED, zorder=1)
    name = WORDS.get(key, key.replace("_", " ").capitalize())
    axes.set(xlabel=name, ylabel=described["label"])
    if all(row["seeds"] == 1 for row in rows):  # no band shows how large a difference must be
        axes.set_ylim(0, 1.3 * max(row["mean"] for row in rows))
        how = {"transform": axes.transAxes, "ha": "center", "fontsize": 6, "color": "0.35"}
        axes.text(0.5, 0.04, ALONE, **how)
    axes.legend(loc="best")
    style.title(axes, info["label"], style.sequences(info, data.count(benchmark)))
    return rows, words


def draw(entry: Entry, data: Data) -> Drawn:
    """A panel for each benchmark of the sweep, a line for each variant."""
    names = [name for name in data.benchmarks if data.of(name)]
    if not names:
        raise Nothing("nothing of this sweep was scored")
    figure, panels = style.grid(len(names), min(2, len(names)), 2.4)
    rows: Rows = []
    words: list[str] = []
    for axes, name in zip(panels, names, strict=True):
        points, best = _panel(axes, data, name)
        rows += points
        words += best
    notes = [
        f"Each point is a run of the same trained models with another {data.facts['key']}; means"
        f" over {style.seeds(row['seeds'] for row in rows)}, bands their range.",
        "Dotted line: the value that the tables are made with.",
    ]
    return Drawn(figure, rows, "; ".join(words) + ".", notes)
