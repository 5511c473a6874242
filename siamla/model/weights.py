"""ImageNet weights of a backbone: found or fetched, checked against their SHA-256, read safely."""

import sys
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor

from siamla.errors import UserError
from siamla.files import cache_folder, locked, parsed_by, sha256
from siamla.model.settings import Weights


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict, perhaps below `state_dict`, without the prefix `module.`."""
    if not path.is_file():
        raise UserError(f"{path}: not found; expected a PyTorch state dict")
    with parsed_by("torch", path, "a state dict of tensors"):
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    values = loaded.values() if isinstance(loaded, dict) else ()
    if not values or not all(isinstance(value, Tensor) for value in values):
        raise UserError(
            f"{path}: expected a state dict (names to tensors), possibly under the key state_dict"
        )
    state = {str(key).removeprefix("module."): value for key, value in loaded.items()}
    check_finite(path, state)
    return state


def check_finite(file: object, state: Mapping[str, Tensor]) -> None:
    """UserError naming the first key that holds NaN or infinity."""
    for key, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise UserError(f"{file}: {key} holds NaN or infinite values")


def check_shapes(
    file: str, state: Mapping[str, Tensor], expected: Mapping[str, Tensor], hint: str
) -> None:
    """UserError naming the first key that the state lacks, or has in another shape or kind."""
    for key, value in expected.items():
        if key not in state:
            raise UserError(f"{file}: no key {key}; {hint}")
        weight = state[key]
        dense = isinstance(weight, Tensor) and weight.layout == torch.strided
        if not dense or weight.is_floating_point() != value.is_floating_point():
            kind = "fractions" if value.is_floating_point() else "whole numbers"
            raise UserError(f"{file}: {key} is no array of {kind}; {hint}")
        if weight.shape != value.shape:
            shapes = f"{tuple(weight.shape)}, expected {tuple(value.shape)}"
            raise UserError(f"{file}: {key} has shape {shapes}; {hint}")


def locate(weights: Weights) -> Path:
    """The file of `weights`, fetched into the cache if it is a URL; its SHA-256 is checked."""
    if weights.path is not None:
        if not weights.path.is_file():
            raise UserError(f"weights.path: {weights.path} not found; put the file there")
        if (digest := sha256(weights.path)) != weights.sha256:
            raise UserError(
                f"{weights.path}: SHA-256 is {digest}, weights.sha256 says {weights.sha256}"
            )
        return weights.path
    target, url = cache_folder() / "weights" / f"{weights.sha256}.pth", str(weights.url)
    with locked(target.with_suffix(".lock")):
        if target.is_file():
            return target
        try:
            torch.hub.download_url_to_file(
                url, str(target), hash_prefix=weights.sha256, progress=sys.stderr.isatty()
            )
        except RuntimeError as error:  # another checksum
            raise UserError(f"weights.url: {url}: {error}; correct it or weights.sha256") from None
        except (OSError, HTTPException, ValueError) as error:
            raise UserError(
                f"weights.url: cannot fetch {url} ({error}); correct it or give weights.path"
            ) from None
    return target
