"""The 23 photos that everything is rendered from. They ship in packages that siamla needs."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.errors import UserError
from siamla.miniatures.settings import Split

_SKIMAGE = "skimage/data"
_SKLEARN = "sklearn/datasets/images"
_MATPLOTLIB = "matplotlib/mpl-data/sample_data"

# Both halves of the stereo pair (motorcycle) are in one split: they show the same scene.
PHOTOS: dict[Split, tuple[str, ...]] = {
    "train": (
        f"{_SKIMAGE}/astronaut.png",
        f"{_SKIMAGE}/brick.png",
        f"{_SKIMAGE}/grass.png",
        f"{_SKIMAGE}/hubble_deep_field.jpg",
        f"{_SKIMAGE}/logo.png",
        f"{_SKIMAGE}/moon.png",
        f"{_SKIMAGE}/motorcycle_left.png",
        f"{_SKIMAGE}/motorcycle_right.png",
        f"{_SKIMAGE}/page.png",
        f"{_SKIMAGE}/retina.jpg",
        f"{_SKIMAGE}/text.png",
        f"{_SKLEARN}/china.jpg",
    ),
    "test": (
        f"{_SKIMAGE}/chelsea.png",
        f"{_SKIMAGE}/coffee.png",
        f"{_SKIMAGE}/coins.png",
        f"{_SKIMAGE}/gravel.png",
        f"{_SKIMAGE}/rocket.jpg",
        f"{_MATPLOTLIB}/grace_hopper.jpg",
    ),
    "validation": (
        f"{_SKIMAGE}/camera.png",
        f"{_SKIMAGE}/cell.png",
        f"{_SKIMAGE}/clock_motion.png",
        f"{_SKIMAGE}/ihc.png",
        f"{_SKLEARN}/flower.jpg",
    ),
}

# Photos that make a poor scene (small, flat or mostly black) serve as texture alone; those of
# things stand twice as often as those of surfaces.
_TEXTURE_ONLY = {
    "cell.png",
    "clock_motion.png",
    "hubble_deep_field.jpg",
    "logo.png",
    "moon.png",
    "page.png",
    "text.png",
}
_THINGS = {
    "astronaut.png",
    "camera.png",
    "china.jpg",
    "flower.jpg",
    "motorcycle_left.png",
    "motorcycle_right.png",
}
# Of these no part is a thing: a brick among bricks is its own look-alike many times over.
_SURFACES = {"brick.png", "grass.png", "gravel.png", "ihc.png", "retina.jpg"}
_SIDE = 720


def photo_path(name: str) -> Path:
    """Where the photo "package/folder/file" lies; UserError when the installed package does not
    ship it.
    """
    package, _, inside = name.partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"{name}: the package {package} is not installed")
    path = Path(next(iter(spec.submodule_search_locations))) / inside
    if not path.is_file():
        raise UserError(f"{path}: not found; this version of {package} does not ship the photo")
    return path


@lru_cache(maxsize=32)
def load_photo(name: str) -> NDArray[np.uint8]:
    """The photo as (H, W, 3) uint8 BGR, its longer side between 480 and 720 px; read-only."""
    image = cv2.imread(str(photo_path(name)), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"{photo_path(name)}: not a readable image")
    side = max(image.shape[:2])
    scale = np.clip(1.0, 480 / side, _SIDE / side)
    if scale != 1:
        image = cv2.resize(
            image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else 1
        )
    image.setflags(write=False)
    return np.asarray(image, np.uint8)


def is_scene(name: str) -> bool:
    """Whether the photo shows enough to stand as a background and to have things in it."""
    return name.rpartition("/")[2] not in _TEXTURE_ONLY


def is_surface(name: str) -> bool:
    """Whether the photo shows the same all over."""
    return name.rpartition("/")[2] in _SURFACES


def scene_photos(split: Split, things: bool = False) -> tuple[str, ...]:
    """The photos of a split that can stand as a background. A name that is listed twice is drawn
    twice as often.

    things: only photos of which a part can be a target by itself.
    """
    fit = [name for name in PHOTOS[split] if is_scene(name)]
    if things:
        fit = [name for name in fit if not is_surface(name)]
    return tuple(fit + [name for name in fit if name.rpartition("/")[2] in _THINGS])
