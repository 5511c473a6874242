"""Our tracker inside other people's toolkits: the got10k toolkit and the VOT toolkit.

got10k: `ExperimentOTB(root).run(Got10kTracker(tracker, "siamla"))`. VOT: `vot_entry` gives the text
of trackers.ini, which makes the toolkit call `serve_model`; docs/vot.md shows a whole evaluation.
"""

from pathlib import Path
from typing import Any

import numpy as np
from got10k.trackers import Tracker as ToolkitTracker

from siamla.benchmark.onepass import Tracker
from siamla.data.images import read_image
from siamla.errors import UserError, install
from siamla.settings import validate
from siamla.tracker.loading import load_tracker
from siamla.tracker.settings import TrackerSettings


def _bgr(image: Any) -> np.ndarray:
    """(H, W, 3) BGR of a PIL image in RGB."""
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])


class Got10kTracker(ToolkitTracker):
    """A tracker as the got10k toolkit drives it; `origin`: the files' first pixel (1 for OTB)."""

    def __init__(self, tracker: Tracker, name: str, origin: int = 0) -> None:
        super().__init__(name=name, is_deterministic=True)
        self.tracker = tracker
        self.shift = np.array([origin, origin, 0, 0], np.float64)

    def init(self, image: Any, box: Any) -> None:
        """Start on a box of the data set."""
        self.tracker.init(_bgr(image), np.asarray(box, np.float64) - self.shift)

    def update(self, image: Any) -> np.ndarray:
        """The box in the next frame, in the data set's coordinates."""
        return np.asarray(self.tracker.update(_bgr(image)), np.float64) + self.shift


def vot_entry(label: str, model: Path, settings: TrackerSettings) -> str:
    """The section of a VOT workspace's trackers.ini that runs a model file with these settings."""
    changed = settings.model_dump(exclude_defaults=True)
    words = [repr(str(model.absolute())), *(f"{name}={value!r}" for name, value in changed.items())]
    command = f"from siamla.benchmark.toolkits import serve_model; serve_model({', '.join(words)})"
    return f"[{label}]\nlabel = {label}\nprotocol = traxpython\ncommand = {command}\n"


def serve_vot(tracker: Tracker) -> None:
    """Answer the VOT toolkit over TraX until it ends. UserError without the extra `vot`."""
    try:
        from trax import Image, Rectangle, Region, Server, TraxStatus  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise UserError(f"the VOT toolkit is not installed; {install('vot')}") from None
    with Server([Region.RECTANGLE], [Image.PATH]) as server:
        while (request := server.wait()).type in (TraxStatus.INITIALIZE, TraxStatus.FRAME):
            image = read_image(Path(request.image["color"].path()))
            if request.type == TraxStatus.INITIALIZE:
                box = np.array(request.objects[0][0].bounds(), np.float64)
                tracker.init(image, box)
            else:
                box = np.asarray(tracker.update(image), np.float64)
            server.status([(Rectangle.create(*box.tolist()), {})])


def serve_model(model: str, **settings: Any) -> None:
    """serve_vot with a model file and tracker settings (siamla.tracker.settings)."""
    serve_vot(load_tracker(Path(model), validate(TrackerSettings, settings, "serve_model")))
