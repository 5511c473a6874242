"""SiamLA: a Siamese tracker whose scores know about localization, and the pipeline that reproduces
its paper.

tracker = siamla.load("model.pt")
tracker.init(image, (x, y, w, h))
box = tracker.update(next_image)
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siamla.tracker.api import Tracker

__version__ = "0.1.0"


def load(path: str | Path, tracker: Mapping[str, Any] | None = None, threads: int = 1) -> "Tracker":
    """The tracker of a model file (siamla.tracker.api.load); `import siamla` loads no PyTorch."""
    from siamla.tracker import api

    return api.load(path, tracker, threads)
