"""Losses over the epochs of every training."""

from typing import TYPE_CHECKING, Any, Literal

from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.report.drawing import jobs, style
from siamla.report.drawing.data import Course, Data, Drawn, Nothing, Rows
from siamla.report.drawing.settings import TrackerFigure

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = ("tracker", "label", "loss", "epoch", "mean", "low", "high", "seeds")
HISTORY = "history.csv"
TOTAL = "total"
WORDS = {TOTAL: "Sum", "cls": "Classification", "reg": "Regression", "loc": "Localization"}
"""Titles of known losses; another has its name in the history."""
OTHERS = (
    *("tracker", "seed", "epoch", "step", "lr", "skipped", "grad_norm", "val_ao"),
    *("pairs_per_second", "wait_share", "memory_mib", "seconds"),
)
"""Columns that are no losses."""
WIDE = 4  # panels beside each other
NOT_COMPARED = "Losses of variants with other labels or another localization cannot be compared"


class Entry(TrackerFigure):
    """Losses over the epochs."""

    kind: Literal["training"]


def needs(plan: Plan, entry: Entry) -> list[Job] | None:
    """The trainings of its variants."""
    return jobs.of_step(plan, "train", entry) or None


def facts(plan: Plan, entry: Entry) -> dict[str, Any]:
    """synthetic: what the models are trained on is rendered."""
    return {"synthetic": any(entry.rendered for entry in plan.profile.train.values())}


def _histories(data: Data) -> "DataFrame":
    """The last row of each epoch of each training."""
    import pandas as pd

    histories = []
    for run in data.runs:
        assert run.folder is not None
        history = pd.read_csv(run.folder / HISTORY).groupby("epoch", as_index=False).last()
        histories.append(history.assign(tracker=run.tracker, seed=run.seed))
    if not histories:
        raise Nothing("nothing was trained")
    return pd.concat(histories)


def _courses(histories: "DataFrame", loss: str, data: Data) -> dict[str, Course]:
    """The course of a loss of each tracker that has it."""
    courses = {}
    for name in data.runners():
        losses = histories[histories["tracker"] == name].dropna(subset=[loss])
        seeds = losses.pivot(index="epoch", columns="seed", values=loss)
        spread = seeds.agg(["mean", "min", "max"], axis=1)
        if len(spread):
            mean, low, high = spread.to_numpy().T
            epochs = spread.index.to_numpy()
            courses[name] = Course(epochs, mean, low, high, len(data.runs_of(name)))
    return courses


def draw(entry: Entry, data: Data) -> Drawn:
    """A panel for each loss, a line for each variant."""
    from matplotlib.ticker import MaxNLocator

    histories = _histories(data)
    losses = [str(name) for name in histories if name not in OTHERS]
    losses.sort(key=lambda name: [*WORDS, name].index(name))
    figure, panels = style.grid(len(losses), min(WIDE, len(losses)), 2.1)
    rows: Rows = []
    for axes, loss in zip(panels, losses, strict=True):
        for name, course in _courses(histories, loss, data).items():
            label = data.label(name)
            style.line(axes, course, style.look(data.trackers[name]) | {"label": label})
            rows += course.rows("epoch", "mean", tracker=name, label=label, loss=loss)
        axes.set(xlabel="Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        style.title(axes, WORDS.get(loss, loss))
    for axes in panels[::WIDE]:
        axes.set_ylabel("Loss on synthetic clips" if data.facts.get("synthetic") else "Loss")
    figure.suptitle(NOT_COMPARED, fontsize=6.5, color="0.35")
    style.legend_below(figure, *panels[0].get_legend_handles_labels())
    ends = {row["label"]: row["mean"] for row in rows if row["loss"] == TOTAL}
    words = ", ".join(f"{label} {value:.3f}" for label, value in ends.items())
    notes = [
        f"{NOT_COMPARED}: they sum other things, so a lower one is not a better tracker.",
        "Lines are means over seeds, bands their range.",
    ]
    return Drawn(figure, rows, f"Loss at the end of training: {words}.", notes)
