"""Trackers of model files: on which hardware, by which engine."""

from pathlib import Path
from typing import Any

import torch

from siamla.engine.engines import described, prepare, resolve_engine
from siamla.engine.network import Network
from siamla.errors import UserError
from siamla.hardware import Hardware, hardware_on, has_bf16, tracking_device
from siamla.model.checkpoint import load_model
from siamla.model.siamla import SiamLA
from siamla.tracker.lockstep import LockStep
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.tracker import SiamTracker


def tracking_hardware(
    settings: TrackerSettings, device: torch.device | None = None, threads: int | None = None
) -> Hardware:
    """Device, precision and threads for tracking; UserError where the engine is not installed, or
    it or the device does not compute in the precision of the settings.
    """
    device = device or tracking_device()
    engine = resolve_engine(settings.engine, device)
    if settings.precision == "bf16" and engine == "openvino" and not has_bf16(device):
        raise UserError(
            "tracker.precision: bf16, but openvino does not compute in it on this CPU; take fp32"
        )
    return hardware_on(device, settings.precision, threads or torch.get_num_threads(), of="tracker")


def recorded(settings: TrackerSettings, hardware: Hardware) -> dict[str, Any]:
    """The hardware with the engine and its version, as a record holds it."""
    engine = resolve_engine(settings.engine, hardware.torch_device)
    return hardware.plain | {"engine": described(engine)}


def tracker_of(
    model: SiamLA,
    settings: TrackerSettings,
    device: torch.device | None = None,
    hardware: Hardware | None = None,
) -> SiamTracker:
    """The tracker with a model; on `tracking_hardware` of the device unless told otherwise."""
    hardware = hardware or tracking_hardware(settings, device)
    engine = resolve_engine(settings.engine, hardware.torch_device)
    return SiamTracker(prepare(engine, model, hardware), settings)


def load_tracker(
    model: Path, settings: TrackerSettings, hardware: Hardware | None = None
) -> SiamTracker:
    """The tracker with a model file written by `siamla train` or `siamla model import`."""
    return tracker_of(load_model(model), settings, hardware=hardware)


def load_lock_step(
    model: Path, settings: TrackerSettings, hardware: Hardware
) -> tuple[LockStep, list[SiamTracker]]:
    """`settings.batch` trackers with a model file, and where they meet."""
    engine = resolve_engine(settings.engine, hardware.torch_device)
    meeting = LockStep(prepare(engine, load_model(model), hardware, settings.batch))
    shared = Network(meeting.network.embed, meeting.search)
    return meeting, [SiamTracker(shared, settings) for _ in range(settings.batch)]
