"""The study's figures: differences against the steps of the training, and effects of switches."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from siamla.report.drawing import style
from siamla.report.study.switches import level_text
from siamla.statistics import LEVEL

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
CLEAR, FAINT = style.OURS, "0.55"  # an effect that is called different, and any other


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


def draw_doses(doses: Mapping[str, Any], baseline: str) -> "Figure":
    """A panel for each measure of the study's doses; vertical lines are 95 % intervals."""
    tables = doses["tables"]
    figure, panels = style.grid(len(tables), 2, HEIGHT)
    labels = list(dict.fromkeys(row["label"] for table in tables for row in table["rows"]))
    for axes, table in zip(panels, tables, strict=True):
        _panel(axes, table, doses["steps"], labels)
        axes.set_ylabel(f"difference to {baseline}")
    style.legend_below(figure, *panels[0].get_legend_handles_labels())
    return figure


def _forest(axes: "Axes", contrast: Mapping[str, Any]) -> None:
    """The effects of the switches on a difference, with their intervals."""
    effects = contrast["effects"]
    for place, effect in enumerate(effects):
        score = effect["scores"]
        colour = CLEAR if effect["p"] < LEVEL else FAINT
        axes.plot(score["value"], place, marker="D", markersize=4, color=colour)
        if score["low"] is not None:
            axes.hlines(place, score["low"], score["high"], color=colour, linewidth=1.0)
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set(title=contrast["words"].partition(",")[0], xlabel="effect on the tracking score")
    axes.locator_params("x", nbins=5)
    ticks = [f"{e['key'].rpartition('.')[2]}: {level_text(e['level'])}" for e in effects]
    axes.set_yticks(range(len(effects)), ticks)
    axes.invert_yaxis()


def draw_readings(contrasts: Sequence[Mapping[str, Any]]) -> "Figure":
    """A panel for each difference: what each switch adds to it, with 95 % intervals; in colour
    where Holm's p is below .05.
    """
    figure, panels = style.grid(len(contrasts), 2, HEIGHT)
    for axes, contrast in zip(panels, contrasts, strict=True):
        _forest(axes, contrast)
    return figure
