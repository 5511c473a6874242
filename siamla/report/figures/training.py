"""Losses over the epochs of every training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.report.drawing import needs as jobs
from siamla.report.drawing import style
from siamla.report.drawing.data import Data, Drawn
from siamla.report.drawing.settings import Figure, Names

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = ("tracker", "label", "loss", "epoch", "mean", "low", "high", "seeds")
HISTORY = "history.csv"
TOTAL = "total"
WORDS = {TOTAL: "Sum", "cls": "Classification", "reg": "Regression", "loc": "Localization"}
"""Titles of known losses; another has its name in the history."""
OTHERS = (
    *("epoch", "step", "lr", "skipped", "grad_norm", "val_ao"),
    *("pairs_per_second", "wait_share", "memory_mib", "seconds"),
)
"""Columns of a history that are no losses."""
WIDE = 4  # panels beside each other


class Entry(Figure):
    """Losses over the epochs."""

    kind: Literal["training"]
    variants: Names | None = Field(
        None, description="variants to show; null = all that were trained"
    )


def needs(plan: Plan, entry: Entry) -> list[Job] | None:
    """The trainings of its variants."""
    variants = jobs.chosen(plan, entry.variants)
    return [job for job in plan.jobs_of("train") if job.names["variant"] in variants] or None


def facts(plan: Plan, entry: Entry) -> dict[str, Any]:
    """synthetic: what the models are trained on is rendered."""
    return {"synthetic": any(map(jobs.rendered, plan.profile.train.values()))}


def _history(folder: Path | None) -> "DataFrame":
    """The last row of each epoch."""
    import pandas as pd

    assert folder is not None
    return pd.read_csv(folder / HISTORY).groupby("epoch").last()


def _course(histories: Sequence["DataFrame"], loss: str) -> dict[str, Any]:
    """Mean, lowest and highest of a loss over seeds, by epoch."""
    import pandas as pd

    columns = [history[loss] for history in histories if loss in history]
    if not columns:
        return {}
    spread = pd.concat(columns, axis=1).agg(["mean", "min", "max"], axis=1).dropna()
    course = {"x": spread.index, "mean": spread["mean"]}
    return course | ({"low": spread["min"], "high": spread["max"]} if len(histories) > 1 else {})


def _losses(histories: Mapping[str, Sequence["DataFrame"]]) -> list[str]:
    """The losses in the histories, the known ones first."""
    columns = {str(name): None for runs in histories.values() for run in runs for name in run}
    losses = [name for name in columns if name not in OTHERS]
    return sorted(losses, key=lambda name: [*WORDS, name].index(name))


def _rows(tracker: str, label: str, loss: str, seeds: int, course: Any) -> list[dict[str, Any]]:
    fixed = {"tracker": tracker, "label": label, "loss": loss, "seeds": seeds}
    low, high = course.get("low", course["mean"]), course.get("high", course["mean"])
    points = zip(course["x"], course["mean"], low, high, strict=True)
    names = ("epoch", "mean", "low", "high")
    return [fixed | dict(zip(names, point, strict=True)) for point in points]


def draw(entry: Entry, data: Data) -> Drawn:
    """A panel for each loss, a line for each variant."""
    from matplotlib.ticker import MaxNLocator

    histories = {
        name: [_history(run.folder) for run in data.runs_of(name)] for name in data.runners()
    }
    losses = _losses(histories)
    wide = min(WIDE, max(1, len(losses)))
    figure, panels = style.grid(len(losses), wide, style.PAGE, 2.1)
    rows: list[dict[str, Any]] = []
    for axes, loss in zip(panels, losses, strict=False):
        for name, runs in histories.items():
            if course := _course(runs, loss):
                how = style.look(data.trackers[name]) | {"label": data.label(name)}
                style.line(axes, name, course, how)
                rows += _rows(name, data.label(name), loss, len(runs), course)
        axes.set(xlabel="Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        style.title(axes, WORDS.get(loss, loss))
    for axes in panels[::wide]:
        axes.set_ylabel("Loss on synthetic clips" if data.facts.get("synthetic") else "Loss")
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        lines = style.legend_below(figure, handles, labels, 100)
        figure.set_figheight(figure.get_figheight() + 0.13 * lines)
    notes = [
        "Losses differ between variants in what they sum, so a lower sum is not a better tracker.",
        "Lines are means over seeds, bands their range.",
    ]
    return Drawn(figure, COLUMNS, rows, _alt(rows), notes)


def _alt(rows: Sequence[Mapping[str, Any]]) -> str:
    ends = {row["label"]: row["mean"] for row in rows if row["loss"] == TOTAL}
    if not ends:
        return "Nothing was trained."
    every = ", ".join(f"{label} {value:.3f}" for label, value in ends.items())
    return f"Loss at the end of training: {every}."
