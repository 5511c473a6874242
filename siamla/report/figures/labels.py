"""Figure 4b: the label of a boundary cell over the IoU of its box, for several λ (eq. 5 and 7)."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.report.drawing import style
from siamla.report.drawing.data import Data, Drawn
from siamla.report.drawing.settings import Figure

COLUMNS = ("lambda", "iou", "label")
POINTS = 101
BLACK = "#000000"
COLOURS = [style.BASELINE, *(colour for colour in style.OTHERS if colour != BLACK), style.OURS]


class Entry(Figure):
    """Classification labels over the IoU (eq. 7) for several λ."""

    kind: Literal["labels"]
    lambdas: list[Annotated[float, Field(gt=0, le=1)]] = Field(min_length=1)


def needs(plan: Plan, entry: Entry) -> list[Job]:
    """Nothing: the curves are analytic."""
    return []


def draw(entry: Entry, data: Data) -> Drawn:
    """The curves, computed by the loss's own functions."""
    import seaborn
    import torch

    from siamla.training.losses import dynamic_label, smooth_label

    quality = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    everywhere = torch.ones_like(quality, dtype=torch.bool)
    figure = style.new(style.COLUMN, 2.4)
    axes = figure.subplots()
    rows = []
    for index, value in enumerate(entry.lambdas):
        label = smooth_label(dynamic_label(quality), everywhere, value).numpy()
        seaborn.lineplot(
            x=quality.numpy(),
            y=label,
            ax=axes,
            color=BLACK if value == 1 else COLOURS[index % len(COLOURS)],
            label="λ = 1 (centre cells)" if value == 1 else f"λ = {value:g}",
            linestyle=style.DASHES[index % len(style.DASHES)],
        )
        rows += [
            {"lambda": value, "iou": x, "label": y}
            for x, y in zip(np.round(quality.numpy(), 2), label, strict=True)
        ]
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="IoU", ylabel="Label")
    axes.legend(loc="upper left")
    every = ", ".join(f"{value:g}" for value in entry.lambdas)
    alt = f"Label over IoU for λ = {every}: the smaller λ, the later it rises."
    notes = [
        "Analytic: eq. 5 with α = 0.5 and β = 10, raised to 1/λ (eq. 7), before the min-max of"
        " eq. 6."
    ]
    return Drawn(figure, rows, alt, notes)
