"""Figure 4b: the label of a boundary cell over the IoU of its box, for several λ (eq. 5 and 7)."""

import numpy as np
import torch

from siamla.experiment.figures import Labels
from siamla.report.figures import style
from siamla.report.figures.data import Data, Drawn
from siamla.training.losses import dynamic_label, smooth_label

POINTS = 101
COLOURS = [style.BASELINE, *(colour for colour in style.OTHERS if colour != "#000000"), style.OURS]


def draw(entry: Labels, data: Data) -> Drawn:
    """The curves, computed by the loss's own functions."""
    quality = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    everywhere = torch.ones_like(quality, dtype=torch.bool)
    figure = style.new(style.COLUMN, 2.4)
    axes = figure.subplots()
    rows = []
    for index, value in enumerate(entry.lambdas):
        label = smooth_label(dynamic_label(quality), everywhere, value).numpy()
        centre = value == 1
        colour = "#000000" if centre else COLOURS[index % len(COLOURS)]
        name = "λ = 1 (centre cells)" if centre else f"λ = {value:g}"
        axes.plot(
            quality.numpy(),
            label,
            color=colour,
            label=name,
            linestyle=style.DASHES[index % len(style.DASHES)],
        )
        rows += [
            {"lambda": value, "iou": x, "label": y}
            for x, y in zip(np.round(quality.numpy(), 2), label, strict=True)
        ]
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="IoU", ylabel="Label")
    axes.grid(True)
    axes.legend(loc="upper left")
    told = ", ".join(f"{value:g}" for value in entry.lambdas)
    alt = f"Label over IoU for λ = {told}: the smaller λ, the later it rises."
    notes = [
        "Analytic: eq. 5 with α = 0.5 and β = 10, raised to 1/λ (eq. 7), before the min-max of"
        " eq. 6."
    ]
    return Drawn(figure, ("lambda", "iou", "label"), rows, alt, notes)
