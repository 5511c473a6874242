"""Our model files: all that a tracker needs."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from siamla.errors import UserError
from siamla.files import atomic, canonical_json, parsed_by
from siamla.model.settings import ModelSettings
from siamla.model.siamla import SiamLA, build_model
from siamla.model.weights import check_finite, check_shapes
from siamla.settings import validate

KEYS = {"model", "settings", "label", "tracker", "digest"}


class ModelFile(NamedTuple):
    """What a model file holds."""

    model: SiamLA  # in evaluation mode
    label: str  # its name for people
    tracker: dict[str, Any]  # settings, which siamla.tracker.settings reads
    digest: str  # of the weights and the network's settings


def save_model(path: Path, model: SiamLA, label: str, tracker: Mapping[str, Any]) -> None:
    """Write a model file atomically; equal content gives equal bytes. UserError for NaN."""
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    check_finite(path, state)
    settings = model.settings.model_dump(mode="json", by_alias=True)
    content = {"model": state, "settings": settings, "label": label, "tracker": dict(tracker)}
    # torch names the archive after the file: a buffer keeps the bytes free of the path
    buffer = io.BytesIO()
    torch.save({**content, "digest": weights_digest(state, settings)}, buffer)
    with atomic(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def read_model(path: Path) -> ModelFile:
    """What a file that `save_model` wrote holds; UserError when it is missing, of another kind,
    damaged, does not fit its settings, or holds NaN.
    """
    if not path.is_file():
        raise UserError(f"{path}: not found; expected a model file that siamla wrote")
    with parsed_by("torch", path, "a model file"):
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    ours = isinstance(loaded, dict) and set(loaded) == KEYS
    if not ours or not all(isinstance(loaded[key], dict) for key in ("model", "tracker")):
        raise UserError(
            f"{path}: expected the keys {', '.join(sorted(KEYS))}; or use `siamla model import`"
        )
    settings = validate(ModelSettings, loaded["settings"], f"{path}: settings")
    model = empty_model(settings)
    load_state(model, loaded["model"], str(path))
    if weights_digest(loaded["model"], loaded["settings"]) != loaded["digest"]:
        raise UserError(f"{path}: the weights are not those that were written; the file is damaged")
    return ModelFile(model.eval(), str(loaded["label"]), loaded["tracker"], str(loaded["digest"]))


def load_model(path: Path) -> SiamLA:
    """The model of a file alone; UserError as `read_model`."""
    return read_model(path).model


def initial_model(settings: ModelSettings, seed: int, init: Path | None) -> SiamLA:
    """The network that a training starts from: with weights drawn from `seed`, or, where `init` is
    a model file, with that file's; UserError where they do not fit.
    """
    if init is None:
        return build_model(settings, seed)
    model = empty_model(settings)
    load_state(model, read_model(init).model.state_dict(), f"training.init: {init}")
    return model


def weights_digest(state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> str:
    """16 hex digits of the names, types, shapes and bytes of the weights, and of the settings."""
    content = hashlib.sha256(canonical_json(settings).encode())
    for key, value in sorted(state.items()):
        content.update(f"{key} {value.dtype} {list(value.shape)}".encode())
        content.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()[:16]


def empty_model(settings: ModelSettings) -> SiamLA:
    """The network with arbitrary weights, for `load_state`. Not on the device "meta": that costs
    three seconds of imports inside torch.
    """
    model = build_model(settings.model_copy(update={"weights": "random"}), seed=0)
    model.settings = settings
    return model


def load_state(model: SiamLA, state: dict[str, Tensor], name: str) -> None:
    """Make a state dict the weights of the model; UserError naming a key that does not fit."""
    weights, hint = model.state_dict(), "the file is of another architecture"
    check_shapes(name, state, weights, hint)
    if unknown := sorted(set(state) - set(weights)):
        raise UserError(f"{name}: unknown key {unknown[0]} ({len(unknown)} in all); {hint}")
    check_finite(name, state)
    model.load_state_dict(state, assign=True)
