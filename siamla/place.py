"""Where numbers are made: the device, the precision and the number of threads."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from siamla.errors import UserError

Precision = Literal["fp32", "bf16", "fp16"]
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Place:
    """device: "cpu", or "cuda: " and the card's name; threads: of one process on the CPU."""

    device: str
    precision: Precision
    threads: int

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON-ready data, for a record."""
        return asdict(self)

    @property
    def torch_device(self) -> torch.device:
        """The device to put tensors on."""
        return torch.device(self.device.partition(":")[0])

    def autocast(self) -> torch.autocast:
        """A context in which a network computes in this precision."""
        return torch.autocast(
            self.torch_device.type, TYPES[self.precision], enabled=self.precision != "fp32"
        )


def default_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 by itself, without emulation."""
    if device.type == "cpu":
        return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def place_on(
    device: torch.device, precision: Precision, threads: int, of: str = "training"
) -> Place:
    """The place on this device; UserError for bf16 on a GPU that does not compute in it.

    `of` names the settings that ask for the precision.
    """
    name = "cpu" if device.type == "cpu" else f"cuda: {torch.cuda.get_device_name(device)}"
    if precision == "bf16" and device.type == "cuda" and not has_bf16(device):
        raise UserError(
            f"{of}.precision: bf16, but {name.removeprefix('cuda: ')} does not compute in it; use"
            " fp32"
        )
    return Place(name, precision, threads)
