"""The tracker: a box in the first image, then a box for every further one."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.data.crop import crop, fill_colour, to_crop, whole_pixels
from siamla.engine.network import Network
from siamla.engine.network import State as TemplateState
from siamla.errors import UserError
from siamla.geometry import Array, from_centre, padded_size
from siamla.grid import SEARCH, TEMPLATE
from siamla.tracker.likeness import RATE, SURE, colours, likeness
from siamla.tracker.postprocess import Result, State, release, start, topn
from siamla.tracker.recovery import Belief, calmed
from siamla.tracker.settings import TrackerSettings


class Search(NamedTuple):
    """What the network was shown and said of a frame."""

    pixels: NDArray[np.uint8]  # the search crop (255, 255, 3), BGR
    centre: tuple[float, float]  # x, y of its middle in image pixels, continuous
    side: float  # of the crop in image pixels
    cls: NDArray[np.float32]  # (25, 25) classification score c
    ltrb: NDArray[np.float32]  # (4, 25, 25) offsets in crop pixels
    loc: NDArray[np.float32]  # (25, 25) logit of q


View = tuple[NDArray[np.uint8], tuple[float, float], float]
"""A crop (side, side, 3), its middle and its side in image pixels."""


def _seen(view: View, box: Array) -> Array:
    """The colours of an image's box in a view of it."""
    pixels, centre, side = view
    return colours(pixels, to_crop(box, centre, side, len(pixels)))


class SiamTracker:
    """SiamCAR or SiamLA as a tracker (Algorithm 1): the template is taken once, never updated.

    With the settings `colours`, `recover` and `calm` it knows more than the paper's: what its
    target looks like, when it has lost it, and when it stands still.
    """

    def __init__(self, network: Network, settings: TrackerSettings) -> None:
        self.network = network
        self.settings = settings
        self.score = 1.0  # confidence of the last update, in [0, 1]: c·q, with `colours` less
        self.state: State | None = None
        self.search: Search | None = None  # of the last update
        self._template: TemplateState | None = None
        self._mean = np.zeros(3)  # colour of the first image
        self._belief = Belief()
        self._colours = np.ones(1)  # of the target

    @property
    def lost(self) -> bool | None:
        """Whether the target is lost: by `recover`, else by the threshold `lost`, else None."""
        if self.settings.recover:
            return self._belief.frames > 0
        return None if self.settings.lost is None else self.score < self.settings.lost

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
        view = self._crop(image, self.state, TEMPLATE)
        self._template = self.network.embed(view[0][None])
        self._belief = Belief()
        if self.settings.colours:
            self._colours = _seen(view, box)

    def update(self, image: NDArray[np.uint8]) -> Array:
        """The target's box (4,) in the next image."""
        if self.state is None:
            raise UserError("the tracker has no target yet: call init(image, box) first")
        s, aim = self.settings, self._aim(self.state)
        pixels, centre, side = view = self._crop(image, aim, SEARCH)
        cls, ltrb, loc = (part[0] for part in self.network.search(self._template, pixels[None]))
        self.search = Search(pixels, centre, side, cls, ltrb, loc)
        window = 0.0 if self._belief.seeking else s.window  # lost, it may be anywhere
        maps, rates = (cls, ltrb, loc, aim), (s.penalty_k, window, s.size_lr)
        result = topn(*maps, s.top_n, *rates) if s.postprocess == "topn" else release(*maps, *rates)
        self.score = self._likeness(view, result) if s.colours else result.score
        self._belief = self._belief.judge(self.score, s.recover, aim.centre)
        self.state = self._settled(result.state, aim)
        if self.state is result.state:
            return result.box
        return from_centre(self.state.centre, self.state.size)

    def _aim(self, last: State) -> State:
        """What the next search crop is cut around: the last state, or where the target was lost."""
        belief = self._belief
        return last._replace(centre=belief.place, widen=belief.widen) if belief.seeking else last

    def _likeness(self, view: View, result: Result) -> float:
        """The score of a result, less where its colours are not the target's; sure colours are
        remembered.
        """
        seen = _seen(view, from_centre(result.state.centre, result.state.size))
        score = result.score * likeness(seen, self._colours)
        if not self._belief.frames and score > SURE * self._belief.usual > 0:
            self._colours = (1 - RATE) * self._colours + RATE * seen
        return score

    def _settled(self, after: State, aim: State) -> State:
        """The state of a frame: still targets kept still, the size of lost ones as it was."""
        lost, calm = self._belief.frames > 0, self.settings.calm
        if lost:
            after = after._replace(size=aim.size)
        elif calm:
            zone = calm * float(padded_size(*aim.size))
            x, y = aim.centre + calmed(np.subtract(after.centre, aim.centre), zone)
            after = after._replace(centre=(float(x), float(y)))
        return after

    def _crop(self, image: NDArray[np.uint8], state: State, size: int) -> View:
        """The crop (size, size, 3) around the target, its middle and its side."""
        if self.settings.postprocess == "release":
            whole = max(round(float(padded_size(*state.size)) * (size / TEMPLATE)), 1)
            pixels, (x, y) = whole_pixels(image, state.centre, whole, size, self._mean)
            return pixels, (float(x), float(y)), float(whole)
        side = float(padded_size(*state.size)) * state.widen * size / TEMPLATE
        fill = fill_colour(image, state.centre, side, size)
        return crop(image, state.centre, side, size, fill), state.centre, side
