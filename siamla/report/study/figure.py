"""The study's figure: differences to the baseline against the steps of the training."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from siamla.report.drawing import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = {
    "scores": "Tracking score",
    "chosen": "Crops: IoU of the chosen box",
    "lost": "Crops: fewer lost",
    "spearman": "ρ of confidence and IoU",
}
APART = 0.02  # of rows at one dose, in decades, so that their intervals can be told apart
HEIGHT = 2.3  # inches of a panel


def _panel(axes: "Axes", table: Mapping[str, Any], steps: list[int], labels: list[str]) -> None:
    """labels: of all rows of the figure; they decide a row's colour and its place."""
    for row in table["rows"]:
        place = labels.index(row["label"])
        found = [(n, row["points"][str(n)]) for n in steps if row["points"].get(str(n))]
        x = [n * 10 ** (APART * (place - (len(labels) - 1) / 2)) for n, _ in found]
        y = [effect["value"] for _, effect in found]
        ends = [(effect["low"], effect["high"]) for _, effect in found]
        known = [end for end in ends if None not in end]
        colour = style.OTHERS[place % len(style.OTHERS)]
        look: dict[str, Any] = {"color": colour, "marker": style.MARKERS[place], "markersize": 4}
        axes.plot(x, y, linewidth=1.2, label=row["label"], **look)
        if len(known) == len(found):
            low, high = zip(*ends, strict=True)
            axes.vlines(x, low, high, color=colour, linewidth=1.0)
    axes.axhline(0, color="0.3", linewidth=0.8)
    axes.set(title=TITLES[table["measure"]], xscale="log", xlabel="steps of the training")
    axes.set_xticks(steps, [f"{n:,}" for n in steps])
    axes.minorticks_off()


def draw(doses: Mapping[str, Any], baseline: str) -> "Figure":
    """A panel for each measure of the study's doses; vertical lines are 95 % intervals."""
    tables = doses["tables"]
    figure, panels = style.grid(len(tables), 2, HEIGHT)
    labels = list(dict.fromkeys(row["label"] for table in tables for row in table["rows"]))
    for axes, table in zip(panels, tables, strict=True):
        _panel(axes, table, doses["steps"], labels)
        axes.set_ylabel(f"difference to {baseline}")
    style.legend_below(figure, *panels[0].get_legend_handles_labels())
    return figure
