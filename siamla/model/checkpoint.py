"""Our model files: the weights and the settings that they belong to."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from siamla.errors import UserError
from siamla.files import atomic, parsed_by
from siamla.model.settings import ModelSettings
from siamla.model.siamla import SiamLA, build_model
from siamla.settings import validate


def save_model(path: Path, model: SiamLA) -> None:
    """Write {"model": state dict, "settings": ModelSettings as JSON}, atomically; equal models give equal bytes.

    Raises UserError when a weight is NaN or infinite.
    """
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    _check_finite(path, state)
    settings = model.settings.model_dump(mode="json", by_alias=True)
    buffer = io.BytesIO()  # torch names the archive after the file: a buffer keeps the bytes free of the path
    torch.save({"model": state, "settings": settings}, buffer)
    with atomic(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_model(path: Path) -> SiamLA:
    """The model of a file that `save_model` wrote, in evaluation mode; needs no ImageNet weights.

    Raises UserError when the file is missing, is another kind of file, does not fit its settings, or holds NaN.
    """
    if not path.is_file():
        raise UserError(f"{path}: not found; expected a model file that siamla wrote")
    with parsed_by("torch", path, "a model file"):
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(loaded, dict) or set(loaded) != {"model", "settings"}:
        hint = "a SiamCAR checkpoint is converted by `siamla model import`"
        raise UserError(f"{path}: expected the keys model and settings, as siamla writes them; {hint}")
    settings = validate(ModelSettings, loaded["settings"], f"{path}: settings")
    model = empty_model(settings)
    load_state(model, loaded["model"], str(path))
    return model.eval()


def empty_model(settings: ModelSettings) -> SiamLA:
    """The network with arbitrary weights, to be given its own by `load_state`; reads no weight file.

    Not on the device "meta": initialising there costs three seconds of imports inside torch.
    """
    model = build_model(settings.model_copy(update={"weights": "random"}), seed=0)
    model.settings = settings
    return model


def load_state(model: SiamLA, state: dict[str, Tensor], name: str) -> None:
    """Make a state dict the weights of the model; UserError naming the first key that does not fit or holds NaN."""
    own = model.state_dict()
    for key, value in own.items():
        if key not in state:
            raise UserError(f"{name}: no key {key}; the file is of another architecture")
        if state[key].shape != value.shape:
            found, expected = tuple(state[key].shape), tuple(value.shape)
            raise UserError(f"{name}: {key} has shape {found}, expected {expected}")
    unknown = sorted(set(state) - set(own))
    if unknown:
        raise UserError(
            f"{name}: unknown key {unknown[0]} ({len(unknown)} in all); the file is of another architecture"
        )
    _check_finite(name, state)
    model.load_state_dict(state, assign=True)


def _check_finite(name: Any, state: dict[str, Tensor]) -> None:
    for key, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise UserError(f"{name}: {key} holds NaN or infinite values; the training diverged or the file is damaged")
