"""The engines by name: which one runs, and a network made ready by it."""

from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch

from siamla.engine.network import Crops, Engine, Maps, Network, State
from siamla.engine.settings import AUTO, EngineName
from siamla.errors import UserError
from siamla.model.siamla import SiamLA
from siamla.place import Place


def entry(engine: str) -> Engine:
    """The engine of a name other than auto."""
    found: Engine = import_module(f"siamla.engine.{engine}_engine").ENGINE
    return found


def installed(package: str) -> str | None:
    """The version of an installed package; None where it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def resolve_engine(name: EngineName, device: torch.device) -> str:
    """The engine that `name` stands for on this device; auto: torch on a GPU, openvino on a CPU
    where it is installed.

    UserError where its package is not installed, or it does not run on the device.
    """
    if name == "auto":
        able = (each for each in AUTO if device.type in entry(each).devices)
        return next(each for each in able if installed(entry(each).package))
    engine = entry(name)
    if installed(engine.package) is None:
        what = f"'siamla[{engine.extra}]'" if engine.extra else engine.package
        raise UserError(
            f"tracker.engine: {name}: {engine.package} is not installed; pip install {what}, or"
            " take engine auto or torch"
        )
    if device.type not in engine.devices:
        raise UserError(
            f"tracker.engine: {name} runs on a CPU here; on a GPU take engine auto or torch"
        )
    return name


def described(engine: str) -> str:
    """An engine that `resolve_engine` gave with its version, "openvino 2026.4.1": a part of what
    decides boxes.
    """
    return f"{engine} {installed(entry(engine).package)}"


def _search(network: Network, rows: int, state: State, crops: Crops) -> Maps:
    """Maps of any number of crops by a network that takes `rows` at a time: the last ones with
    others of zeros, so that what is said of a crop does not depend on how many there are.
    """
    state = state.expand(len(crops), *state.shape[1:]).contiguous()
    if len(crops) == rows:
        return network.search(state, crops)
    parts = []
    for start in range(0, len(crops), rows):
        count = min(rows, len(crops) - start)
        templates = state.new_zeros(rows, *state.shape[1:])
        templates[:count] = state[start : start + count]
        images = np.zeros((rows, *crops.shape[1:]), crops.dtype)
        images[:count] = crops[start : start + count]
        parts.append([part[:count].copy() for part in network.search(templates, images)])
    return Maps(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def prepare(engine: str, model: SiamLA, place: Place, rows: int = 1) -> Network:
    """The network ready to run on an engine that `resolve_engine` gave; the model itself stays as
    it is.

    Args:
        rows: crops that the engine computes in one pass. `search` takes any number; `rows` of them
            are the fastest.
    """
    network = entry(engine).prepare(model, place, rows)
    return Network(network.embed, partial(_search, network, rows))
