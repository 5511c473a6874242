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
    """device: "cpu", or "cuda: " and the card's name; threads: of one process on the CPU."""

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
    """A GPU where there is one."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bf16(device: "torch.device") -> bool:
    """Whether the device computes in bf16 by itself, without emulation."""
    import torch

    if device.type == "cpu":
        return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def hardware_on(
    device: "torch.device", precision: Precision, threads: int, of: str = "training"
) -> Hardware:
    """The hardware of a device; UserError, which names settings `of`, where bf16 is lacking."""
    if device.type == "cpu":
        return Hardware("cpu", precision, threads)
    import torch

    name = torch.cuda.get_device_name(device)
    if precision == "bf16" and not has_bf16(device):
        raise UserError(f"{of}.precision: bf16, but {name} does not compute in it; use fp32")
    return Hardware(f"cuda: {name}", precision, threads)


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
