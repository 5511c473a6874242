"""Figure 14: a score against a setting of the tracker, on models that are there already."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.report.drawing import needs as jobs
from siamla.report.drawing import style
from siamla.report.drawing.data import Data, Drawn, Score, count_sequences, overall, span
from siamla.report.drawing.settings import TrackerFigure
from siamla.settings import Name

SETTING = ("benchmark", "tracker", "label", "key", "value")
COLUMNS = (*SETTING, "metric", "mean", "low", "high", "seeds")
WORDS = {"window": "Window influence"}


class Entry(TrackerFigure):
    """A score against a setting of the tracker: an entry of params/sweeps.yaml."""

    kind: Literal["sweep"]
    sweep: Name
    metric: str | None = Field(None, description="default: the protocol's headline")


def needs(plan: Plan, entry: Entry) -> list[Job] | None:
    """The scores at every point of the sweep."""
    variants = jobs.chosen(plan, entry.variants)
    return [
        job
        for job in plan.jobs_of("score_sweep")
        if job.names["sweep"] == entry.sweep and job.names["variant"] in variants
    ] or None


def facts(plan: Plan, entry: Entry) -> dict[str, Any]:
    """key: the setting; used: benchmark → variant → the value that the plan tracks with. UserError
    for values that are no numbers, which have no place on an axis.
    """
    sweep = plan.experiment.sweeps[entry.sweep]
    variants = jobs.chosen(plan, entry.variants)
    used = {
        benchmark: {
            variant: getattr(plan.experiment.tracker(variant, benchmark), sweep.key)
            for variant in variants
        }
        for benchmark in plan.profile.benchmarks
        if benchmark in sweep.benchmarks
    }
    every = [*sweep.values, *(value for by in used.values() for value in by.values())]
    words = ["null" if value is None else str(value) for value in _no_numbers(every)]
    if words:
        raise UserError(
            f"sweep: {entry.sweep} varies {sweep.key}: found {', '.join(dict.fromkeys(words))}; a"
            " figure of kind sweep needs numbers"
        )
    return {
        "key": sweep.key,
        "used": {
            name: {variant: float(value) for variant, value in by.items()}
            for name, by in used.items()
        },
    }


def _no_numbers(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if not isinstance(value, int | float)]


def _points(scores: list[Score], metric: str) -> list[dict[str, Any]]:
    """Mean and range over seeds at each value of the setting."""
    points = []
    for value in sorted({score.value for score in scores if score.value is not None}):
        reached = overall([score for score in scores if score.value == value], metric)
        if len(reached):
            spread = {"mean": float(reached.mean()), "low": reached.min(), "high": reached.max()}
            points.append({"value": value, **spread, "seeds": len(reached)})
    return points


def _line(axes: Any, data: Data, tracker: str, points: list[dict[str, Any]]) -> None:
    look = data.trackers[tracker]
    how = style.look(look) | {"marker": style.marker(look), "markersize": 3.5}
    several = max(point["seeds"] for point in points) > 1
    names = {"x": "value", "mean": "mean"} | ({"low": "low", "high": "high"} if several else {})
    columns = {name: [point[key] for point in points] for name, key in names.items()}
    style.line(
        axes,
        tracker,
        columns,
        how | {"label": data.label(tracker), "markeredgecolor": how["color"]},
    )


def _panel(
    axes: Any, data: Data, benchmark: str, metric: str | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Draw a benchmark; its rows, and the best value of each tracker in words."""
    info = data.benchmarks[benchmark]
    metric, described = data.metric(benchmark, metric)
    key = str(data.facts["key"])
    sign = 1 if described["better"] == "higher" else -1
    groups = data.of(benchmark)
    rows: list[dict[str, Any]] = []
    words = []
    for tracker, scores in groups.items():
        if not (points := _points(scores, metric)):
            continue
        _line(axes, data, tracker, points)
        label = data.label(tracker)
        fixed = {"benchmark": benchmark, "tracker": tracker, "label": label, "key": key}
        rows += [fixed | {"metric": metric} | point for point in points]
        best = max(points, key=lambda point: sign * point["mean"])
        reached = f"{best['mean']:.{described['digits']}f} at {best['value']:g}"
        words.append(f"{label} on {style.on(info)}: best {reached}")
    used: Mapping[str, float] = data.facts["used"].get(benchmark, {})
    for value in sorted({value for tracker, value in used.items() if tracker in groups}):
        axes.axvline(value, color="0.45", linewidth=0.7, linestyle=style.DOTTED, zorder=1)
    name = WORDS.get(key, key.replace("_", " ").capitalize())
    axes.set(xlabel=name, ylabel=described["label"])
    axes.legend(loc="best")
    style.title(axes, info["label"], style.sequences(info, count_sequences(groups.values())))
    return rows, words


def draw(entry: Entry, data: Data) -> Drawn:
    """A panel for each benchmark of the sweep, a line for each variant."""
    scored = {score.benchmark for score in data.scores}
    names = [name for name in data.benchmarks if name in scored]
    wide = min(2, max(1, len(names)))
    width = style.COLUMN if wide == 1 else style.PAGE
    figure, panels = style.grid(len(names), wide, width, 2.4)
    if not names:
        style.empty(panels[0], "nothing of this sweep was scored")
    rows: list[dict[str, Any]] = []
    words: list[str] = []
    for axes, name in zip(panels, names, strict=False):
        drawn, best = _panel(axes, data, name, entry.metric)
        rows += drawn
        words += best
    seeds = span(row["seeds"] for row in rows)
    over = "no seed" if seeds == "no" else f"{seeds} seed(s)"
    notes = [
        f"Each point is a run of the same trained models with another {data.facts['key']}; means"
        f" over {over}, bands their range.",
        "Dotted line: the value that the tables are made with.",
    ]
    alt = "; ".join(words) + "." if words else "Nothing of this sweep was scored."
    return Drawn(figure, COLUMNS, rows, alt, notes)
