"""The tracker: a box in the first image, then a box for every further one; or several."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from siamla.data.crop import crop, fill_colour, whole_pixels
from siamla.engine.engines import Crops, Maps, Network, described, entry, prepare, resolve_engine
from siamla.engine.engines import State as TemplateState
from siamla.errors import UserError
from siamla.geometry import Array, padded_size
from siamla.grid import SEARCH, TEMPLATE
from siamla.hardware import Hardware, default_device, hardware_on, has_bf16
from siamla.model.checkpoint import load_model
from siamla.model.siamla import SiamLA
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


def tracking_hardware(
    settings: TrackerSettings, device: torch.device | None = None, threads: int | None = None
) -> Hardware:
    """Device, precision and threads for tracking; UserError where the engine is not installed, or
    it or the device does not compute in the precision of the settings.
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
    return hardware_on(device, settings.precision, threads or torch.get_num_threads(), of="tracker")


def recorded(settings: TrackerSettings, hardware: Hardware) -> dict[str, Any]:
    """The hardware with the engine and its version, as a record holds it."""
    engine = resolve_engine(settings.engine, hardware.torch_device)
    return hardware.plain | {"engine": described(engine)}


class SiamTracker:
    """SiamCAR or SiamLA as a tracker (Algorithm 1): the template is taken once, never updated."""

    def __init__(
        self,
        model: SiamLA,
        settings: TrackerSettings,
        device: torch.device | None = None,
        hardware: Hardware | None = None,
        network: Network | None = None,
    ) -> None:
        """hardware: else `tracking_hardware` on `device`; network: one that is ready there."""
        self.hardware = hardware or tracking_hardware(settings, device)
        self.network = network or prepare(
            resolve_engine(settings.engine, self.hardware.torch_device), model, self.hardware
        )
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
                f"the box {box.tolist()} (x, y, w, h) is not in the {width}×{height} image"
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


def load_tracker(
    model: Path, settings: TrackerSettings, hardware: Hardware | None = None
) -> SiamTracker:
    """The tracker with a model file written by `siamla train` or `siamla model import`."""
    return SiamTracker(load_model(model), settings, hardware=hardware)


class LockStep:
    """Several trackers over one network: the crops of all that search meet in one pass.

    Each tracker works in its own thread and waits until all that are at work have asked. The engine
    fills a pass up to one size, so that answers do not depend on who else is there.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._turn = threading.Lock()
        self._there = 0
        self._asked: list[tuple[Tensor, Crops, Future[Maps]]] = []
        self._stopped = False

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """In the block the others wait for this thread's crops."""
        with self._turn:
            self._there += 1
        try:
            yield
        finally:
            with self._turn:
                self._there -= 1
                self._run_if_complete()

    def search(self, state: Tensor, crops: Crops) -> Maps:
        """As Network.search; returns when all who take part have asked. All get what it raises."""
        answer: Future[Maps] = Future()
        with self._turn:
            self._asked.append((state.expand(len(crops), *state.shape[1:]), crops, answer))
            if self._stopped:
                answer.cancel()
            self._run_if_complete()
        return answer.result()

    def stop(self) -> None:
        """Whoever waits, or asks from now on, gets a CancelledError."""
        with self._turn:
            self._stopped = True
            for _, _, answer in self._asked:
                answer.cancel()

    def _run_if_complete(self) -> None:
        if self._stopped or not self._asked or len(self._asked) < self._there:
            return
        states, crops, answers = zip(*self._asked, strict=True)
        self._asked = []
        try:
            maps = self.network.search(torch.cat(states), np.concatenate(crops))
        except Exception as error:
            for answer in answers:
                answer.set_exception(error)
            return
        ends = np.cumsum([len(part) for part in crops])
        for part, end, answer in zip(crops, ends, answers, strict=True):
            answer.set_result(Maps(*(values[end - len(part) : end].copy() for values in maps)))


def load_lock_step(
    model: Path, settings: TrackerSettings, hardware: Hardware
) -> tuple[LockStep, list[SiamTracker]]:
    """`settings.batch` trackers with a model file, and where they meet."""
    loaded = load_model(model)
    engine = resolve_engine(settings.engine, hardware.torch_device)
    meeting = LockStep(prepare(engine, loaded, hardware, settings.batch))
    shared = Network(meeting.network.embed, meeting.search)

    def tracker() -> SiamTracker:
        return SiamTracker(loaded, settings, hardware=hardware, network=shared)

    return meeting, [tracker() for _ in range(settings.batch)]
