"""Our tracker inside other people's toolkits: the got10k toolkit and the VOT toolkit.

got10k: `ExperimentOTB(root).run(Got10kTracker(tracker, "siamla"))`. VOT: write a script that calls
`serve_vot(tracker)` and name it in trackers.ini, whose text `vot_entry` gives.
"""

from pathlib import Path
from typing import Any

import numpy as np
from got10k.trackers import Tracker as ToolkitTracker

from siamla.benchmark.onepass import Tracker, read_image
from siamla.errors import UserError


def _bgr(image: Any) -> np.ndarray:
    """(H, W, 3) BGR of a PIL image in RGB."""
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])


class Got10kTracker(ToolkitTracker):
    """A tracker as the got10k toolkit drives it: PIL images, boxes x, y, w, h in the files' own coordinates.

    `origin` is the coordinate of the first pixel in the data set's files (1 for OTB, 0 for GOT-10k).
    """

    def __init__(self, tracker: Tracker, name: str, origin: int = 0) -> None:
        super().__init__(name=name, is_deterministic=tracker.deterministic)
        self.tracker = tracker
        self.shift = np.array([origin, origin, 0, 0], np.float64)

    def init(self, image: Any, box: Any) -> None:
        """Start on a box of the data set."""
        self.tracker.init(_bgr(image), np.asarray(box, np.float64) - self.shift)

    def update(self, image: Any) -> np.ndarray:
        """The box in the next frame, in the data set's coordinates."""
        return np.asarray(self.tracker.update(_bgr(image)), np.float64) + self.shift


def vot_entry(label: str, module: str, folder: Path) -> str:
    """The section of a VOT workspace's trackers.ini that runs `python -m module` from `folder`."""
    return f"[{label}]\nlabel = {label}\nprotocol = traxpython\ncommand = {module}\npaths = {folder}\n"


def serve_vot(tracker: Tracker) -> None:
    """Answer the VOT toolkit until it ends: it sends a rectangle and image files, we send rectangles (extra `vot`)."""
    try:
        import vot
    except ImportError:
        raise UserError(
            "the VOT toolkit is not installed; install siamla with its extra: pip install 'siamla[vot]'"
        ) from None
    handle = vot.VOT("rectangle")
    region = handle.region()
    file = handle.frame()
    if not file:
        return
    tracker.init(read_image(Path(file)), np.array([region.x, region.y, region.width, region.height], np.float64))
    while file := handle.frame():
        x, y, w, h = (float(value) for value in tracker.update(read_image(Path(file))))
        handle.report(vot.Rectangle(x, y, w, h), 1.0)
