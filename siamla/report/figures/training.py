"""Losses over the epochs of every training."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.ticker import MaxNLocator

from siamla.experiment.figures import Training
from siamla.report.figures import style
from siamla.report.figures.data import Data, Drawn, Run

COLUMNS = ("tracker", "label", "loss", "epoch", "mean", "low", "high", "seeds")
WORDS = {"total": "Sum", "cls": "Classification", "reg": "Regression", "loc": "Localization"}


def _course(runs: Sequence[Run], loss: str) -> pd.DataFrame:
    """Mean, lowest and highest over seeds by epoch, of the last row of each."""
    parts = []
    for run in runs:
        assert run.folder is not None
        history = pd.read_csv(run.folder / "history.csv")
        parts.append(
            history.groupby("epoch")[loss].last() if loss in history else pd.Series(dtype=float)
        )
    return pd.concat(parts, axis=1).agg(["mean", "min", "max"], axis=1).dropna()


def draw(entry: Training, data: Data) -> Drawn:
    """A panel for each loss, a line for each variant."""
    figure = style.new(style.PAGE, 2.2)
    panels = figure.subplots(1, len(WORDS))
    names = [name for name in data.trackers if any(run.tracker == name for run in data.runs)]
    rows: list[dict[str, Any]] = []
    for axes, (loss, word) in zip(panels, WORDS.items(), strict=True):
        for name in names:
            runs = [run for run in data.runs if run.tracker == name]
            course, how = _course(runs, loss), style.look(data.trackers[name])
            if course.empty:
                continue
            label = data.trackers[name]["label"]
            (line,) = axes.plot(course.index, course["mean"], label=label, **how)
            line.set_gid(style.gid(name))
            if len(runs) > 1:
                band = {"color": how["color"], "alpha": 0.12, "linewidth": 0, "zorder": 1}
                axes.fill_between(course.index, course["min"], course["max"], **band)
            fixed = {"tracker": name, "label": label, "loss": loss, "seeds": len(runs)}
            rows += [
                fixed | {"epoch": epoch, "mean": mean, "low": low, "high": high}
                for epoch, (mean, low, high) in course.iterrows()
            ]
        axes.set(xlabel="Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(True)
        style.title(axes, word)
    panels[0].set_ylabel("Loss on synthetic clips" if data.synthetic else "Loss")
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        wide = max(1, min(len(labels), 100 // (max(map(len, labels)) + 6)))
        figure.set_figheight(2.1 + 0.13 * -(-len(labels) // wide))
        figure.legend(handles, labels, loc="outside lower center", ncols=wide)
    last = [row for row in rows if row["loss"] == "total"]
    ends = {row["label"]: row["mean"] for row in last}
    alt = (
        "Loss at the end of training: "
        + ", ".join(f"{label} {value:.3f}" for label, value in ends.items())
        + "."
    )
    notes = [
        "Losses differ between variants in what they sum, so a lower sum is not a better tracker.",
        "Lines are means over seeds, bands their range.",
    ]
    return Drawn(figure, COLUMNS, rows, alt if ends else "Nothing was trained.", notes)
