"""The tracker: a box in the first image, then a box for every further image."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siamla.data.crop import crop, fill_colour
from siamla.engine.engines import Network, described, entry, prepare, resolve_engine
from siamla.engine.engines import State as TemplateState
from siamla.errors import UserError
from siamla.geometry import Array, padded_size
from siamla.grid import SEARCH, TEMPLATE
from siamla.hardware import Hardware, default_device, hardware_on, has_bf16
from siamla.model.checkpoint import load_model
from siamla.model.siamla import SiamLA
from siamla.tracker import postprocess
from siamla.tracker.postprocess import State
from siamla.tracker.settings import TrackerSettings


class Search(NamedTuple):
    """What the network was shown and said of a frame."""

    pixels: NDArray[np.uint8]
    """The search crop (255, 255, 3), BGR."""
    centre: tuple[float, float]
    """x, y of its middle in image pixels, continuous."""
    side: float
    """Its side in image pixels."""
    cls: NDArray[np.float32]
    """(25, 25) classification score c."""
    ltrb: NDArray[np.float32]
    """(4, 25, 25) offsets in crop pixels."""
    loc: NDArray[np.float32]
    """(25, 25) logit of q."""


def tracking_place(
    settings: TrackerSettings, device: torch.device | None = None, threads: int | None = None
) -> Hardware:
    """Device, precision and threads for tracking; a GPU and this process's threads by default.

    UserError where the engine of the settings is not installed, or it or the device does not
    compute in the precision of the settings.
    """
    device = device or default_device()
    engine = resolve_engine(settings.engine, device)
    able = entry(engine).precisions
    if settings.precision not in able:
        raise UserError(
            f"tracker.precision: {settings.precision}, but {engine} computes in {', '.join(able)}"
        )
    if settings.precision == "bf16" and engine == "openvino" and not has_bf16(device):
        raise UserError(
            "tracker.precision: bf16, but openvino does not compute in it on this CPU; take fp32"
        )
    threads = threads or torch.get_num_threads()
    return hardware_on(device, settings.precision, threads, of="tracker")


def recorded(settings: TrackerSettings, place: Hardware) -> dict[str, Any]:
    """The place with the engine and its version, as a record holds it: all that decides sums and is
    no setting.
    """
    return place.plain | {"engine": described(resolve_engine(settings.engine, place.torch_device))}


class SiamTracker:
    """SiamCAR or SiamLA as a tracker (Algorithm 1): the template is taken once and never updated.

    Attributes:
        deterministic: benchmarks need not repeat it.
        place: on which device and in which precision it computes.
        network: what computes, made ready by the engine of the settings.
        score: target confidence c·q of the last update, in [0, 1].
        state: the target in the last image.
        search: what the network saw and said in the last update.
    """

    deterministic = True

    def __init__(
        self,
        model: SiamLA,
        settings: TrackerSettings,
        device: torch.device | None = None,
        place: Hardware | None = None,
        network: Network | None = None,
    ) -> None:
        """Without a place the precision is that of the settings on `device`, by default a GPU where
        there is one.

        network: one that is ready at this place, instead of the tracker's own.
        """
        self.place = place or tracking_place(settings, device)
        self.network = network or prepare(
            resolve_engine(settings.engine, self.place.torch_device), model, self.place
        )
        self.settings = settings
        self.score = 1.0
        self.state: State | None = None
        self.search: Search | None = None
        self._template: TemplateState | None = None

    def init(self, image: NDArray[np.uint8], box: ArrayLike) -> None:
        """Take `box` (xywh, 0-based continuous) in `image` (H, W, 3) BGR as the target."""
        box = np.asarray(box, np.float64)
        height, width = image.shape[:2]
        outside = (box[:2] >= (width, height)).any() or (box[:2] + box[2:] <= 0).any()
        if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= 0).any() or outside:
            raise UserError(
                f"the box {box.tolist()} (x, y, w, h) is not in the {width}×{height} image"
            )
        self.state, self.score = postprocess.start(box, (width, height)), 1.0
        self._template = self.network.embed(self._crop(image, TEMPLATE)[0][None])

    def update(self, image: NDArray[np.uint8]) -> Array:
        """The target's box (4,) in the next image."""
        if self.state is None or self._template is None:
            raise UserError("the tracker has no target yet: call init(image, box) first")
        pixels, side = self._crop(image, SEARCH)
        maps = self.network.search(self._template, pixels[None])
        cls, ltrb, loc = maps.cls[0], maps.ltrb[0], maps.loc[0]
        self.search = Search(pixels, self.state.centre, side, cls, ltrb, loc)
        s = self.settings
        if s.postprocess == "release":
            result = postprocess.release(
                cls, ltrb, loc, self.state, s.penalty_k, s.window, s.size_lr
            )
        else:
            result = postprocess.topn(
                cls, ltrb, loc, self.state, s.top_n, s.penalty_k, s.window, s.size_lr
            )
        self.state, self.score = result.state, result.score
        return result.box

    def _crop(self, image: NDArray[np.uint8], size: int) -> tuple[NDArray[np.uint8], float]:
        """The crop (size, size, 3) around the target and its side; a 127 px template spans the
        padded size.
        """
        assert self.state is not None
        side = float(padded_size(*self.state.size)) * size / TEMPLATE
        fill = fill_colour(image, self.state.centre, side, size)
        return crop(image, self.state.centre, side, size, fill), side


def load_tracker(
    model: Path, settings: TrackerSettings, place: Hardware | None = None
) -> SiamTracker:
    """The tracker with a model file written by `siamla train` or `siamla model import`."""
    return SiamTracker(load_model(model), settings, place=place)
