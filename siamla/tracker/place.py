"""Where a network tracks: the precision that makes a frame the fastest."""

from collections.abc import Callable

import torch

from siamla.grid import SEARCH, TEMPLATE
from siamla.model.checkpoint import empty_model
from siamla.model.settings import ModelSettings
from siamla.model.siamla import TemplateState
from siamla.place import Place, default_device, resolve
from siamla.tracker.settings import TrackerSettings


def tracking_place(
    model: ModelSettings, settings: TrackerSettings, device: torch.device | None = None, threads: int | None = None
) -> Place:
    """Device, precision and threads for tracking with this network; a GPU and this process's threads by default."""
    device, threads = device or default_device(), threads or torch.get_num_threads()

    def prepare() -> Callable[[Place], object]:
        network = empty_model(model).eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        noise = torch.Generator().manual_seed(0)
        template, search = (
            torch.randint(0, 256, (1, 3, side, side), generator=noise, dtype=torch.uint8).to(device)
            for side in (TEMPLATE, SEARCH)
        )

        states: dict[str, TemplateState] = {}

        @torch.inference_mode()
        def step(place: Place) -> None:
            with place.autocast():
                if place.precision not in states:  # once a sequence: its time does not count
                    states[place.precision] = network.embed_template(template)
                network.track(states[place.precision], search)

        return step

    what = {"kind": "track", "model": model.model_dump(mode="json", by_alias=True, exclude={"weights"})}
    return resolve(settings.precision, device, threads, what, prepare)
