"""The tracker for Python: `siamla.load()` takes images as people have them."""

from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import is_zipfile

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.engine.exported import ABOUT, described, prepare_exported, read_exported
from siamla.errors import UserError, install
from siamla.files import regular
from siamla.geometry import Array
from siamla.settings import validate
from siamla.tracker.settings import RUNNING, TrackerSettings
from siamla.tracker.tracker import SiamTracker

Image = NDArray[np.uint8]
BORDER = 114  # grey
RELEASED = Path(__file__).parents[1] / "released"


def bgr(image: ArrayLike) -> Image:
    """(H, W), (H, W, 1), (H, W, 3) or (H, W, 4) as contiguous (H, W, 3) uint8: of 16 bits the upper
    eight, without alpha, in the same order of colours; UserError for others.
    """
    expected = "expected uint8 or uint16 of shape (H, W), (H, W, 3) or (H, W, 4)"
    if image is None or isinstance(image, str | Path):
        what = "None: was the file read" if image is None else f"{str(image)!r}: was it read"
        raise UserError(f"an image is {what}? {expected}")
    try:
        array = np.asarray(image)
    except ValueError:
        raise UserError(f"an image is a {type(image).__name__} of no shape; {expected}") from None
    if array.ndim == 2:
        array = array[..., None]
    formed = array.ndim == 3 and array.shape[2] in (1, 3, 4) and array.size
    if not formed or array.dtype not in (np.uint8, np.uint16):
        raise UserError(f"an image is {array.dtype} of shape {array.shape}; {expected}")
    if array.dtype == np.uint16:
        array = array >> 8
    channels = array.repeat(3, axis=2) if array.shape[2] == 1 else array[..., :3]
    return np.ascontiguousarray(channels, np.uint8)


def within(box: ArrayLike, size: tuple[int, int]) -> Array:
    """A box (4,), cut at the border of an image of this width and height; as it is where nothing of
    it lies inside. UserError for what is no box.
    """
    try:
        given = np.asarray(box, np.float64)
    except (TypeError, ValueError):
        given = np.zeros(0)
    if given.shape != (4,) or not np.isfinite(given).all():
        raise UserError(f"the box is {box!r}; expected four numbers: x, y, w, h in pixels")
    low = np.maximum(given[:2], 0)
    cut = np.array([*low, *(np.minimum(given[:2] + given[2:], size) - low)])
    return given if np.allclose(cut, given) or (cut[2:] <= 0).any() else cut


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

    def __init__(self, core: SiamTracker, label: str, engine: str = "") -> None:
        self.core, self.label, self.engine = core, label, engine
        self._size: tuple[int, int] | None = None

    def init(self, image: ArrayLike, box: ArrayLike) -> Array:
        """Start on a new target: on its box, cut at the image's border, which is given back (4,).
        UserError when the box has no area or is not in the image.
        """
        first = bgr(image)
        size = (first.shape[1], first.shape[0])
        cut = within(box, size)
        self.core.init(first, cut)
        self._size = size
        return cut

    def update(self, image: ArrayLike) -> Array:
        """The target's box (4,) in the next image."""
        if self._size is None:
            raise UserError("the tracker has no target yet: call init(image, box) first")
        fitted = fit(bgr(image), self._size)
        return fitted.back(self.core.update(fitted.image))

    def another(self) -> "Tracker":
        """A tracker of the same model for another target; the two share the network."""
        return Tracker(SiamTracker(self.core.network, self.core.settings), self.label, self.engine)

    @property
    def score(self) -> float:
        """Confidence of the last box, in [0, 1]."""
        return self.core.score

    @property
    def lost(self) -> bool | None:
        """Whether the target is lost; None where the tracker has no way to say so."""
        return self.core.lost


def find_model(path: str | Path | None) -> Path:
    """Where a model lies: a file or an exported folder; by default the folder that ships with
    siamla. UserError where nothing lies there, where a file is of another kind, and where it needs
    PyTorch and that is not installed.
    """
    if path is None:
        if not RELEASED.is_dir():
            raise UserError(f"{RELEASED}: the model of the package is gone; install siamla again")
        return RELEASED
    kinds = "a model file or a folder of `siamla model export`"
    if not isinstance(path, str | Path):
        raise UserError(f"the model is {path!r}; expected the path of {kinds}")
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; expected {kinds}")
    if path.is_dir():
        return path
    if not is_zipfile(regular(path)):
        hint = "`siamla model import` reads SiamCAR's checkpoints"
        raise UserError(f"{path}: not a model file, or damaged; expected {kinds}; {hint}")
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(
            f"{path}: a model file needs PyTorch: {install('train')}; the folder that"
            " `siamla model export` makes of it needs none"
        ) from error
    return path


def load(
    path: str | Path | None = None,
    tracker: Mapping[str, Any] | None = None,
    threads: int = 1,
    device: str | None = None,
) -> Tracker:
    """The tracker of a model.

    Args:
        path: a model file that `siamla train`, `siamla model import` or `siamla model calibrate`
            wrote, which needs PyTorch; or a folder that `siamla model export` wrote, which needs
            none and runs on the CPU; by default the folder that ships with siamla.
        tracker: settings that replace the model's, such as {"window": 0.3}.
        threads: of the network, and of PyTorch or OpenCV in this process; a frame is so little work
            that more rarely help and often hinder.
        device: of a model file "cpu", "cuda" or "mps"; by default a GPU where there is one.

    Raises UserError (siamla.errors) for a model that is missing, damaged or of another kind, for
    wrong settings, for a device that is not there, and where a model file is given and PyTorch is
    not installed.
    """
    path = find_model(path)
    if not isinstance(threads, Integral) or threads < 1:
        raise UserError(f"threads is {threads!r}; expected a whole number of at least 1")
    if tracker is not None and not isinstance(tracker, Mapping):
        raise UserError(f'tracker is {tracker!r}; expected settings such as {{"window": 0.3}}')
    if path.is_dir():
        if device not in (None, "cpu"):
            raise UserError(
                f"device {device}: {path} is an exported model, which runs on the CPU; leave"
                " --device out"
            )
        exported = read_exported(path)
        settings = exported_settings(path, exported.tracker, tracker or {})
        core = SiamTracker(prepare_exported(exported, int(threads)), settings)
        return Tracker(core, exported.label, described())
    import torch

    from siamla.hardware import named_device
    from siamla.model.checkpoint import read_model
    from siamla.tracker.loading import recorded, tracker_of, tracking_hardware

    torch.set_num_threads(int(threads))
    chosen = None if device is None else named_device(device)
    file = read_model(path)
    settings = tracker_settings(path, file.tracker, tracker or {})
    hardware = tracking_hardware(settings, chosen)
    core = tracker_of(file.model, settings, hardware=hardware)
    return Tracker(core, file.label, recorded(settings, hardware)["engine"])


def exported_settings(
    folder: Path, stored: Mapping[str, Any], changed: Mapping[str, Any]
) -> TrackerSettings:
    """An exported folder's settings, some of them changed; UserError also for those that say how a
    network is run.
    """
    for name in RUNNING:
        if name in changed:
            how = "runs by the fastest engine that is installed, in fp32, a crop at a time"
            raise UserError(f"tracker.{name}: {folder} is an exported model, which {how}")
    return tracker_settings(folder / ABOUT, stored, changed)


def tracker_settings(
    path: str | Path, stored: Mapping[str, Any], changed: Mapping[str, Any]
) -> TrackerSettings:
    """A model file's settings, some of them changed; UserError says which of both are wrong."""
    settings = validate(TrackerSettings, dict(stored), f"{path}: tracker")
    if not changed:
        return settings
    return validate(TrackerSettings, {**stored, **changed}, "tracker settings")
