"""The tracker: a box in the first image, then a box for every further one."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.data.crop import crop, fill_colour, whole_pixels
from siamla.engine.network import Network
from siamla.engine.network import State as TemplateState
from siamla.errors import UserError
from siamla.geometry import Array, padded_size
from siamla.grid import SEARCH, TEMPLATE
from siamla.tracker.postprocess import State, release, start, topn
from siamla.tracker.settings import TrackerSettings


class Search(NamedTuple):
    """What the network was shown and said of a frame."""

    pixels: NDArray[np.uint8]  # the search crop (255, 255, 3), BGR
    centre: tuple[float, float]  # x, y of its middle in image pixels, continuous
    side: float  # of the crop in image pixels
    cls: NDArray[np.float32]  # (25, 25) classification score c
    ltrb: NDArray[np.float32]  # (4, 25, 25) offsets in crop pixels
    loc: NDArray[np.float32]  # (25, 25) logit of q


class SiamTracker:
    """SiamCAR or SiamLA as a tracker (Algorithm 1): the template is taken once, never updated."""

    def __init__(self, network: Network, settings: TrackerSettings) -> None:
        self.network = network
        self.settings = settings
        self.score = 1.0  # target confidence c·q of the last update, in [0, 1]
        self.state: State | None = None
        self.search: Search | None = None  # of the last update
        self._template: TemplateState | None = None
        self._mean = np.zeros(3)  # colour of the first image

    def init(self, image: NDArray[np.uint8], box: ArrayLike) -> None:
        """Take `box` (xywh, 0-based continuous) in `image` (H, W, 3) BGR as the target."""
        box = np.asarray(box, np.float64)
        height, width = image.shape[:2]
        outside = (box[:2] >= (width, height)).any() or (box[:2] + box[2:] <= 0).any()
        if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= 0).any() or outside:
            raise UserError(
                f"the box {box.tolist()} (x, y, w, h) "
                + (f"is not in the {width}×{height} image" if outside else "has no area")
            )
        self.state, self.score = start(box, (width, height)), 1.0
        self._mean = image.mean((0, 1)) if self.settings.postprocess == "release" else self._mean
        self._template = self.network.embed(self._crop(image, self.state, TEMPLATE)[0][None])

    def update(self, image: NDArray[np.uint8]) -> Array:
        """The target's box (4,) in the next image."""
        if self.state is None:
            raise UserError("the tracker has no target yet: call init(image, box) first")
        pixels, centre, side = self._crop(image, self.state, SEARCH)
        cls, ltrb, loc = (part[0] for part in self.network.search(self._template, pixels[None]))
        self.search = Search(pixels, centre, side, cls, ltrb, loc)
        s = self.settings
        maps, rates = (cls, ltrb, loc, self.state), (s.penalty_k, s.window, s.size_lr)
        result = topn(*maps, s.top_n, *rates) if s.postprocess == "topn" else release(*maps, *rates)
        self.state, self.score = result.state, result.score
        return result.box

    def _crop(
        self, image: NDArray[np.uint8], state: State, size: int
    ) -> tuple[NDArray[np.uint8], tuple[float, float], float]:
        """The crop (size, size, 3) around the target, its middle and its side."""
        if self.settings.postprocess == "release":
            whole = max(round(float(padded_size(*state.size)) * (size / TEMPLATE)), 1)
            pixels, (x, y) = whole_pixels(image, state.centre, whole, size, self._mean)
            return pixels, (float(x), float(y)), float(whole)
        side = float(padded_size(*state.size)) * size / TEMPLATE
        fill = fill_colour(image, state.centre, side, size)
        return crop(image, state.centre, side, size, fill), state.centre, side
