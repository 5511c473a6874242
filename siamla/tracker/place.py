"""Where a network tracks: the engine, and the precision that makes a frame the fastest there."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from siamla.engine.engines import described, prepare, resolve_engine
from siamla.grid import SEARCH, TEMPLATE
from siamla.model.checkpoint import empty_model
from siamla.model.settings import ModelSettings
from siamla.place import Place, default_device, resolve
from siamla.tracker.settings import TrackerSettings


def tracking_place(
    model: ModelSettings,
    settings: TrackerSettings,
    device: torch.device | None = None,
    threads: int | None = None,
) -> Place:
    """Device, precision and threads for tracking with this network; a GPU and this process's
    threads by default.

    UserError where the engine of the settings is not installed.
    """
    device, threads = device or default_device(), threads or torch.get_num_threads()
    engine = resolve_engine(settings.engine, device)

    def measured() -> Callable[[Place], object]:
        network = empty_model(model).eval()
        noise = np.random.default_rng(0)
        template, search = (
            noise.integers(0, 256, (1, side, side, 3), dtype=np.uint8)
            for side in (TEMPLATE, SEARCH)
        )
        steps: dict[str, Callable[[], object]] = {}

        def step(place: Place) -> None:
            if place.precision not in steps:  # once a sequence: its time does not count
                ready = prepare(engine, network, place)
                steps[place.precision] = partial(ready.search, ready.embed(template), search)
            steps[place.precision]()

        return step

    what = {
        "kind": "track",
        "engine": described(engine),
        "model": model.model_dump(mode="json", by_alias=True, exclude={"weights"}),
    }
    return resolve(settings.precision, device, threads, what, measured)


def told(settings: TrackerSettings, place: Place) -> dict[str, Any]:
    """The place with the engine and its version, as a record holds it: all that decides sums and is
    no setting.
    """
    return place.plain | {"engine": described(resolve_engine(settings.engine, place.torch_device))}
