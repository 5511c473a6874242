"""A whole training: from crops and settings to a model file and its history."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siamla.files import locked, write_csv
from siamla.model.checkpoint import save_model
from siamla.training.batches import Inputs
from siamla.training.course import Upkeep
from siamla.training.loop import Trained, train
from siamla.training.step import Recipe, Resources, set_up


@dataclass(frozen=True)
class Output:
    """Where a trained model goes, and what its file says beside the weights.

    Attributes:
        folder: gets model.pt and history.csv.
        label: the model's name.
        tracker: the tracker's settings; neither decides a weight.
    """

    folder: Path
    label: str
    tracker: Mapping[str, Any]


def train_model(
    recipe: Recipe, inputs: Inputs, resources: Resources, upkeep: Upkeep, output: Output
) -> Trained:
    """Train, or go on, and write model and history; of several processes the first one writes.

    The place of the resources is put into force for this process. The state's folder is made, and
    locked while this runs. Raises as siamla.training.loop.train.
    """
    set_up(resources.place)
    first = resources.ranks.first
    source = inputs.open()
    with locked(upkeep.state.with_suffix(".lock")) if first else nullcontext():
        trained = train(recipe, source, resources, upkeep)
        if first:
            # all rows: not every epoch is validated
            columns = list(dict.fromkeys(name for row in trained.history for name in row))
            write_csv(output.folder / "history.csv", columns, trained.history)
            model = trained.model.to("cpu")
            save_model(output.folder / "model.pt", model, output.label, output.tracker)
    return trained
