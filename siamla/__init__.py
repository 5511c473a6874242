"""SiamLA: a Siamese tracker whose scores know about localization, and the pipeline that reproduces
its paper.

tracker = siamla.load()  # the model that ships with siamla; load("model.pt") takes yours
tracker.init(image, (x, y, w, h))
box = tracker.update(next_image)
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siamla.tracker.api import Tracker

__version__ = "0.1.0"


def load(
    path: str | Path | None = None,
    tracker: Mapping[str, Any] | None = None,
    threads: int = 1,
    device: str | None = None,
) -> "Tracker":
    """The tracker of a model (siamla.tracker.api.load); `import siamla` itself loads nothing."""
    from siamla.tracker import api

    return api.load(path, tracker, threads, device)
