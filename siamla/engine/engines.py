"""The engines by name; a new one is a module and a line in ENGINES and in PACKAGES, and its name in
EngineName.
"""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import torch

from siamla.engine.network import Network
from siamla.engine.onnx_engine import prepare_onnxruntime
from siamla.engine.openvino_engine import prepare_openvino
from siamla.engine.settings import EngineName
from siamla.engine.torch_engine import prepare_torch
from siamla.errors import UserError
from siamla.model.siamla import SiamLA
from siamla.place import Place

ENGINES: dict[str, Callable[[SiamLA, Place, int], Network]] = {
    "torch": prepare_torch,
    "openvino": prepare_openvino,
    "onnxruntime": prepare_onnxruntime,
}
PACKAGES = {"torch": ("torch",), "openvino": ("openvino",), "onnxruntime": ("onnxruntime", "onnx")}
EXTRAS = {"openvino": "fast", "onnxruntime": "onnx"}


def installed(package: str) -> str | None:
    """The version of an installed package; None where it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def resolve_engine(name: EngineName, device: torch.device) -> str:
    """The engine that `name` stands for on this device; auto: torch on a GPU, openvino on a CPU
    where it is installed.

    UserError where its packages are not installed, or it does not run on a GPU.
    """
    if name == "auto":
        return "openvino" if device.type == "cpu" and installed("openvino") else "torch"
    missing = [package for package in PACKAGES[name] if installed(package) is None]
    if missing:
        extra = (
            f"pip install 'siamla[{EXTRAS[name]}]'"
            if name in EXTRAS
            else f"pip install {missing[0]}"
        )
        raise UserError(
            f"tracker.engine: {name}: {missing[0]} is not installed; {extra}, or take engine auto"
            " or torch"
        )
    if name != "torch" and device.type != "cpu":
        raise UserError(
            f"tracker.engine: {name} runs on a CPU here; on a GPU take engine auto or torch"
        )
    return name


def described(engine: str) -> str:
    """An engine that `resolve_engine` gave with its version, "openvino 2026.4.1": a part of what
    decides boxes.
    """
    return f"{engine} {installed(engine)}"


def prepare(engine: str, model: SiamLA, place: Place, batch: int = 1) -> Network:
    """The network ready to run on an engine that `resolve_engine` gave; the model itself stays as
    it is.
    """
    return ENGINES[engine](model, place, batch)
