"""Where numbers are made: device, precision and threads; and which precision is the faster one
there, by measurement.

bf16 is faster than fp32 on a GPU and on a CPU with AMX, and slower on a CPU that emulates it or has
AVX512-BF16 alone. So `auto` is decided once for a network, a device and a number of threads by a
few steps in each precision, and remembered in the cache folder of the machine. Delete the file to
measure again.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from siamla.errors import UserError
from siamla.files import cache_folder, digest, locked, read_json, write_json
from siamla.machine import processor

Precision = Literal["auto", "bf16", "fp16", "fp32"]
Resolved = Literal["bf16", "fp16", "fp32"]
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}

GAIN = 1.1  # how much faster bf16 must be to be taken: its results are coarser
STEPS, BUDGET = 5, 2.0  # timed steps in each precision, and the seconds after which fewer will do
FORMAT = 1


@dataclass(frozen=True)
class Place:
    """device: "cpu", or "cuda: " and the card's name; threads: of one process on the CPU."""

    device: str
    precision: Resolved
    threads: int

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON-ready data."""
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


def resolve(
    precision: Precision,
    device: torch.device,
    threads: int,
    what: Mapping[str, Any],
    prepare: Callable[[], Callable[[Place], object]],
) -> Place:
    """The place, with `precision` as asked for, and `auto` decided: bf16 if it is at least GAIN
    times as fast.

    Args:
        what: plain data that the speed depends on, apart from the machine: kind of work, model,
            batch.
        prepare: called where a measurement is needed; gives the step to be timed, which is called
            with a place.

    Parallel jobs measure once: the others wait and read. Where the cache folder cannot be written,
    this is said and the measurement holds for this process. UserError for bf16 on a GPU that
    cannot.
    """
    name = "cpu" if device.type == "cpu" else f"cuda: {torch.cuda.get_device_name(device)}"
    plain, fast = Place(name, "fp32", threads), Place(name, "bf16", threads)
    if precision == "bf16" and device.type == "cuda" and not has_bf16(device):
        raise UserError(
            f"precision: bf16, but {name.removeprefix('cuda: ')} does not compute in it; use fp32"
            " or auto"
        )
    if precision != "auto":
        return Place(name, precision, threads)
    if not has_bf16(device):
        return plain
    hardware = processor() if device.type == "cpu" else name
    key = {
        "format": FORMAT,
        **what,
        "device": hardware,
        "threads": threads,
        "torch": torch.__version__,
    }
    path = cache_folder() / "precision" / f"{digest(key)}.json"
    if path not in _measured:
        _measured[path] = _recall(path, key, lambda: _measure(prepare(), plain, fast))
    seconds = _measured[path]
    return fast if seconds["fp32"] >= GAIN * seconds["bf16"] else plain


_measured: dict[Path, dict[str, float]] = {}  # what this process knows


def _recall(
    path: Path, key: Mapping[str, Any], measure: Callable[[], dict[str, float]]
) -> dict[str, float]:
    """What stands in the file; else what is measured now, written down where that is possible."""
    with ExitStack() as stack:
        problem: Exception | None = None
        try:
            stack.enter_context(locked(path.with_suffix(".lock")))
        except OSError as error:
            problem = error
        found = _remembered(path, key)
        if found is None:
            found = measure()
            try:
                if problem is None:
                    write_json(path, {"key": key, "seconds": found})
            except (OSError, UserError) as error:
                problem = error
            if problem is not None:
                said = (
                    "which precision is faster is measured again each time; $SIAMLA_CACHE names"
                    " another folder"
                )
                print(
                    f"{path.parent}: cannot be written ({problem}); {said}",
                    file=sys.stderr,
                    flush=True,
                )
        return found


def _remembered(path: Path, key: Mapping[str, Any]) -> dict[str, float] | None:
    """What was measured before; None where there is nothing, or nothing that can be read."""
    try:
        entry = read_json(path)
        return (
            {name: float(entry["seconds"][name]) for name in ("fp32", "bf16")}
            if entry["key"] == key
            else None
        )
    except (UserError, OSError, KeyError, TypeError, ValueError):
        return None


def _measure(step: Callable[[Place], object], *places: Place) -> dict[str, float]:
    """Median seconds of a step in each precision, taken by turns so that other load meets all
    alike.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(places[0].threads)
    try:
        for place in places:
            step(place)  # the first builds kernels and fills caches
        seconds: dict[str, list[float]] = {place.precision: [] for place in places}
        start = time.perf_counter()
        for _ in range(STEPS):
            for place in places:
                seconds[place.precision].append(_timed(step, place))
            if time.perf_counter() - start > BUDGET:
                break
    finally:
        torch.set_num_threads(threads)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _timed(step: Callable[[Place], object], place: Place) -> float:
    _wait(place)
    start = time.perf_counter()
    step(place)
    _wait(place)
    return time.perf_counter() - start


def _wait(place: Place) -> None:
    if place.torch_device.type == "cuda":
        torch.cuda.synchronize()
