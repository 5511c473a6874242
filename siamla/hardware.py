"""What numbers are computed on: the machine's processor; device, precision and threads."""

import hashlib
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from siamla.errors import UserError

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Hardware:
    """device: "cpu", or "cuda: " and the card's name, or "mps: arm64"; threads: of one process on
    the CPU.
    """

    device: str
    precision: Precision
    threads: int

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON-ready data, for a record."""
        return asdict(self)

    @property
    def torch_device(self) -> "torch.device":
        """The device to put tensors on."""
        import torch

        return torch.device(self.device.partition(":")[0])

    def autocast(self) -> "torch.autocast":
        """A context in which a network computes in this precision."""
        import torch

        kind = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
        reduced = self.precision != "fp32"
        return torch.autocast(self.torch_device.type, kind[self.precision], enabled=reduced)


def default_device() -> "torch.device":
    """A GPU for training where there is one."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def tracking_device() -> "torch.device":
    """A GPU for tracking where there is one, Apple's too."""
    import torch

    found = default_device()
    apple = found.type == "cpu" and torch.backends.mps.is_available()
    return torch.device("mps") if apple else found


def named_device(name: str) -> "torch.device":
    """The device of a name like "cpu", "cuda" or "mps"; UserError where it is not there."""
    import torch

    there = ["cpu", *(["mps"] if torch.backends.mps.is_available() else [])]
    there += ["cuda"] if torch.cuda.is_available() else []
    if name not in there:
        raise UserError(f"device {name}: not there; this machine has {', '.join(there)}")
    return torch.device(name)


def has_bf16(device: "torch.device") -> bool:
    """Whether the device computes in bf16 by itself, without emulation."""
    import torch

    if device.type == "mps":
        return bool(torch.backends.mps.is_macos_or_newer(14, 0))
    if device.type == "cpu":
        return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def hardware_on(
    device: "torch.device", precision: Precision, threads: int, of: str = "training"
) -> Hardware:
    """The hardware of a device; UserError where it is not there, or, which names settings `of`,
    where bf16 is lacking.
    """
    if named_device(device.type).type == "cpu":
        return Hardware("cpu", precision, threads)
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    if precision == "bf16" and not has_bf16(device):
        raise UserError(f"{of}.precision: bf16, but {name} does not compute in it; use fp32")
    return Hardware(f"{device.type}: {name}", precision, threads)


def processor() -> str:
    """Model and instructions of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in reversed(lines))
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    model = facts.get("model name", platform.machine())
    flags = " ".join(sorted((facts.get("flags") or facts.get("Features") or "").split()))
    return f"{model} {hashlib.sha256(flags.encode()).hexdigest()[:8]}"
