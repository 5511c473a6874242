"""The engines: what one is, which one runs, and a network made ready by it."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import numpy as np
import torch

from siamla.engine.network import Crops, Maps, Network, State
from siamla.engine.settings import AUTO, EngineName
from siamla.errors import UserError
from siamla.hardware import Hardware
from siamla.model.siamla import SiamLA


class Engine(NamedTuple):
    """An engine: what runs a network, and what that needs."""

    prepare: Callable[[SiamLA, Hardware, int], Network]
    """Makes a network ready to search so many crops at a time and never another number."""
    package: str
    """The package that must be installed; its version is the engine's."""
    extra: str | None = None
    """The extra of siamla that installs the package; None where siamla needs it anyway."""
    devices: tuple[str, ...] = ("cpu",)


def entry(engine: str) -> Engine:
    """The engine of a name other than auto."""
    listed: Engine = import_module(f"siamla.engine.{engine}_engine").ENGINE
    return listed


def installed(package: str) -> str | None:
    """The version of an installed package; None where it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def resolve_engine(name: EngineName, device: torch.device) -> str:
    """The engine that `name` stands for on this device; UserError where it cannot run."""
    if name == "auto":
        able = (each for each in AUTO if device.type in entry(each).devices)
        return next(each for each in able if installed(entry(each).package))
    engine = entry(name)
    if installed(engine.package) is None:
        what = f"'siamla[{engine.extra}]'" if engine.extra else engine.package
        raise UserError(
            f"tracker.engine: {name}: {engine.package} is not installed; pip install {what}"
            f" (in a clone '.[{engine.extra}]'), or take engine auto or torch"
        )
    if device.type not in engine.devices:
        raise UserError(f"tracker.engine: {name} runs on a CPU; on a GPU take auto or torch")
    return name


def described(engine: str) -> str:
    """An engine that `resolve_engine` gave with its version, "openvino 2026.4.1"."""
    return f"{engine} {installed(entry(engine).package)}"


def _search(network: Network, rows: int, state: State, crops: Crops) -> Maps:
    """Maps of any number of crops by a network that takes `rows` at a time, the last with zeros."""
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


def prepare(engine: str, model: SiamLA, hardware: Hardware, rows: int = 1) -> Network:
    """The network ready to run on an engine; the model stays as it is. `search` takes any number of
    crops; `rows` of them are the fastest.
    """
    network = entry(engine).prepare(model, hardware, rows)
    return Network(network.embed, partial(_search, network, rows))
