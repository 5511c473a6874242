"""Where a network is trained: the precision that makes a step the fastest."""

from collections.abc import Callable

import torch

from siamla.grid import SEARCH, TEMPLATE
from siamla.model.settings import ModelSettings
from siamla.model.siamla import crop_template
from siamla.place import Place, default_device, resolve
from siamla.training.batches import negative_noise
from siamla.training.features import Batch
from siamla.training.settings import Labels, LossWeights, TrainingSettings
from siamla.training.step import Recipe, optimise, set_up, start

SIDE = 64.0  # of the measured target, crop pixels


def _batch(recipe: Recipe, place: Place, frozen: bool) -> Batch:
    """A batch of noise with a target in the middle: the backbone's levels where it is frozen, else
    images.
    """
    generator = torch.Generator().manual_seed(0)
    size, device = recipe.training.batch, place.torch_device
    template, search = (
        torch.randint(0, 256, (size, 3, side, side), generator=generator, dtype=torch.uint8).to(
            device
        )
        for side in (TEMPLATE, SEARCH)
    )
    middle = (SEARCH - 1 - SIDE) / 2
    boxes = torch.tensor([[middle, middle, SIDE, SIDE]]).repeat(size, 1)
    if not frozen:
        return Batch((template,), (search,), boxes, frozen)
    backbone = start(recipe, place).model.backbone
    with torch.no_grad():
        levels = crop_template(backbone(template), backbone.strides)
        return Batch(tuple(levels), tuple(backbone(search)), boxes, frozen)


def training_place(model: ModelSettings, settings: TrainingSettings, threads: int) -> Place:
    """Device, precision and threads for training this network, on a GPU where there is one.

    What is measured are whole steps, of the kind that the training has most of: with a frozen
    backbone or a thawed one.
    """
    device = default_device()
    frozen = 2 * settings.frozen_epochs > settings.epochs
    recipe = Recipe(model, Labels(nearest_if_none=True), LossWeights(), settings, seed=0)

    def prepare() -> Callable[[Place], object]:
        place = Place(device.type, "fp32", threads)
        set_up(place)
        batch = _batch(recipe, place, frozen)
        noise = negative_noise(0, 0, 0, settings)
        learner = start(recipe, place)
        learner.model.backbone.requires_grad_(not frozen)
        return lambda there: optimise(learner, batch, noise, recipe, 0, there)

    what = {
        "kind": "train",
        "model": model.model_dump(mode="json", by_alias=True, exclude={"weights"}),
        "batch": settings.batch,
        "optimizer": settings.optimizer,
        "frozen": frozen,
    }
    return resolve(settings.precision, device, threads, what, prepare)
