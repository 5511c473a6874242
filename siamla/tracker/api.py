"""The tracker for Python: `siamla.load("model.pt")` takes images as people have them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from siamla.errors import UserError
from siamla.geometry import Array
from siamla.model.checkpoint import read_model
from siamla.settings import validate
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.tracker import SiamTracker

Image = NDArray[np.uint8]
BORDER = 114  # grey


def bgr(image: ArrayLike) -> Image:
    """(H, W), (H, W, 1), (H, W, 3) or (H, W, 4) as contiguous (H, W, 3) uint8: of 16 bits the upper
    eight, without alpha, in the same order of colours; UserError for others.
    """
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[..., None]
    formed = array.ndim == 3 and array.shape[2] in (1, 3, 4) and array.size
    if not formed or array.dtype not in (np.uint8, np.uint16):
        raise UserError(
            f"an image is {array.dtype} of shape {array.shape};"
            " expected uint8 or uint16 of shape (H, W), (H, W, 3) or (H, W, 4)"
        )
    if array.dtype == np.uint16:
        array = array >> 8
    channels = array.repeat(3, axis=2) if array.shape[2] == 1 else array[..., :3]
    return np.ascontiguousarray(channels, np.uint8)


class Fitted(NamedTuple):
    """An image scaled into another size, grey at two sides; how its pixels lead there."""

    image: Image
    scale: float
    offset: tuple[int, int]

    def into(self, box: ArrayLike) -> Array:
        """A box (4,) of the image, where it is now."""
        return np.asarray(box, np.float64) * self.scale + np.array([*self.offset, 0, 0])

    def back(self, box: ArrayLike) -> Array:
        """The inverse of `into`."""
        return (np.asarray(box, np.float64) - np.array([*self.offset, 0, 0])) / self.scale


def fit(image: Image, size: tuple[int, int]) -> Fitted:
    """The image in one of `size` (width, height), as large as it can be; itself if it has that."""
    height, width = image.shape[:2]
    if (width, height) == size:
        return Fitted(image, 1.0, (0, 0))
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    whole = np.full((size[1], size[0], 3), BORDER, np.uint8)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(image, inner, interpolation=way)
    whole[top : top + inner[1], left : left + inner[0]] = scaled
    return Fitted(whole, scale, (left, top))


class Tracker:
    """A trained tracker: `init` with the target's box in the first image, then `update` with each
    further one. Boxes are x, y, w, h in pixels of the image that is given, counted from 0; images
    are BGR, of any size: later ones are fitted into that of the first.
    """

    def __init__(self, core: SiamTracker, label: str) -> None:
        self.core, self.label = core, label
        self._size: tuple[int, int] | None = None

    def init(self, image: ArrayLike, box: ArrayLike) -> None:
        """Start on a new target; UserError when the box has no area or is not in the image."""
        first = bgr(image)
        self.core.init(first, box)
        self._size = (first.shape[1], first.shape[0])

    def update(self, image: ArrayLike) -> Array:
        """The target's box (4,) in the next image."""
        if self._size is None:
            raise UserError("the tracker has no target yet: call init(image, box) first")
        fitted = fit(bgr(image), self._size)
        return fitted.back(self.core.update(fitted.image))

    @property
    def score(self) -> float:
        """Confidence of the last box, in [0, 1]."""
        return self.core.score

    @property
    def lost(self) -> bool | None:
        """Whether the last box is too unsure; None where the model has no threshold."""
        limit = self.core.settings.lost
        return None if limit is None else self.score < limit


def load(path: str | Path, tracker: Mapping[str, Any] | None = None, threads: int = 1) -> Tracker:
    """The tracker of a model file alone, which may lie anywhere.

    `tracker` are settings that replace the file's, such as {"window": 0.3}; `threads` PyTorch's:
    more rarely help, since a frame is so little work. UserError (siamla.errors) for a file that is
    missing, damaged or of another kind, and for wrong settings.
    """
    torch.set_num_threads(threads)
    file = read_model(Path(path))
    settings = tracker_settings(path, file.tracker, tracker or {})
    return Tracker(SiamTracker(file.model, settings), file.label)


def tracker_settings(
    path: str | Path, stored: Mapping[str, Any], changed: Mapping[str, Any]
) -> TrackerSettings:
    """A model file's settings, some of them changed; UserError says which of both are wrong."""
    settings = validate(TrackerSettings, dict(stored), f"{path}: tracker")
    if not changed:
        return settings
    return validate(TrackerSettings, {**stored, **changed}, "tracker settings")
