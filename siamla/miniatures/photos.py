"""The 23 photos that everything is rendered from, which ship in packages that siamla needs; and the
things in them: segments whose outline follows the photo's own edges.

For these a photo is cut into superpixels, which are joined, the most alike first, to ever larger
connected groups. Kept are compact groups that stand out from their surroundings on all sides.
"""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from skimage.segmentation import slic
from sklearn.cluster import ward_tree

from siamla.errors import UserError
from siamla.geometry import Array, iou
from siamla.miniatures.findable import across, standing
from siamla.miniatures.settings import Split

# The halves of the stereo pair (motorcycle) are in one split: they show the same scene. A photo of
# a thing stands twice as often as a scene as the others. Of a surface no part is a thing: a brick
# among bricks is its own look-alike many times over. A texture is too small, flat or black to be a
# scene.
_TABLE = """
    train skimage/data/astronaut.png thing
    train skimage/data/brick.png surface
    train skimage/data/grass.png surface
    train skimage/data/hubble_deep_field.jpg texture
    train skimage/data/logo.png texture
    train skimage/data/moon.png texture
    train skimage/data/motorcycle_left.png thing
    train skimage/data/motorcycle_right.png thing
    train skimage/data/page.png texture
    train skimage/data/retina.jpg surface
    train skimage/data/text.png texture
    train sklearn/datasets/images/china.jpg thing
    test skimage/data/chelsea.png scene
    test skimage/data/coffee.png scene
    test skimage/data/coins.png scene
    test skimage/data/gravel.png surface
    test skimage/data/rocket.jpg scene
    test matplotlib/mpl-data/sample_data/grace_hopper.jpg scene
    validation skimage/data/camera.png thing
    validation skimage/data/cell.png texture
    validation skimage/data/clock_motion.png texture
    validation skimage/data/ihc.png surface
    validation sklearn/datasets/images/flower.jpg thing
"""
_ROWS = [line.split() for line in _TABLE.strip().splitlines()]
_KIND = {name: kind for _, name, kind in _ROWS}

_SUPERPIXELS = 400
_AREA = (0.004, 0.12)  # of the photo
_SOLID = 0.72  # least share of the convex hull that is filled
# weights of the outline's mean contrast and of the texture, beside the contrast of its weak parts
_SHARE, _TEXTURE = 0.5, 0.3
_MOST, _FEW = 30, 10  # segments of a photo of things and of a surface
_LEAST = 25.0  # worth, in levels of Lab
# contrast of a thing of its own across all but a tenth of its outline, levels of Lab, and the ratio
# of the median's to that beside it
_WHOLE = (22.0, 5.0)
_OVERLAP = 0.5  # of two kept segments' boxes at most, IoU
_RING = 5  # pixels on both sides of an outline that its contrast is taken from


def _photos(split: str) -> tuple[str, ...]:
    return tuple(row[1] for row in _ROWS if row[0] == split)


PHOTOS = {split: _photos(split) for split in get_args(Split)}


def photo_path(name: str) -> Path:
    """Where the photo "package/folder/file" lies; UserError if the package lacks it."""
    package, _, inside = name.partition("/")
    spec = find_spec(package)
    path = Path(spec.origin).parent / inside if spec and spec.origin else Path(name)
    if not path.is_file():
        raise UserError(f"{path}: not found; this version of {package} does not ship the photo")
    return path


@cache
def load_photo(name: str) -> NDArray[np.uint8]:
    """The photo as (H, W, 3) uint8 BGR, its longer side between 480 and 720 px; read-only."""
    image = cv2.imread(str(photo_path(name)), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"{photo_path(name)}: not a readable image")
    side = max(image.shape[:2])
    scale = np.clip(1.0, 480 / side, 720 / side)
    if scale != 1:
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=way)
    image.setflags(write=False)
    return np.asarray(image, np.uint8)


def scene_photos(split: Split, things: bool = False) -> tuple[str, ...]:
    """The photos of a split that can stand as a background, with `things` those of which a part can
    be a target; a name that is listed twice is drawn twice as often.
    """
    unfit = ("texture", "surface") if things else ("texture",)
    fit = [name for name in PHOTOS[split] if _KIND[name] not in unfit]
    return tuple(fit + [name for name in fit if _KIND[name] == "thing"])


@dataclass(frozen=True)
class Segment:
    """A part of a photo: outline (P, 2) in unit coordinates of its texture (H, W, 3) uint8 BGR.

    The texture covers the outline's box; where that is not the segment, the segment's nearest
    pixels are repeated. place (P, 2): the outline in the photo, continuous pixels. whole: it stands
    out on all sides, so that a person would see a thing of its own in the photo.
    """

    outline: Array
    texture: NDArray[np.uint8]
    place: Array
    whole: bool


def _groups(photo: NDArray[np.uint8]) -> list[NDArray[np.bool_]]:
    """Masks (H, W) of connected groups of superpixels, the most alike joined first."""
    lab = cv2.cvtColor(photo, cv2.COLOR_BGR2LAB).astype(np.float64)
    smooth = cv2.GaussianBlur(photo, (0, 0), 1.0)
    labels = slic(smooth[..., ::-1], _SUPERPIXELS, compactness=8, start_label=0)
    area = np.bincount(labels.ravel())
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    values = (*np.moveaxis(lab, 2, 0), x, y)
    sums = np.stack([np.bincount(labels.ravel(), each.ravel()) for each in values], 1)
    mean = sums / area[:, None]
    # a little of the place keeps groups together; whole numbers make the tree the same on every
    # processor
    mean[:, 3:] *= 60 / max(labels.shape)
    features = np.rint(mean * 16) / 16
    first = np.concatenate([labels[:, :-1].ravel(), labels[:-1].ravel()])
    second = np.concatenate([labels[:, 1:].ravel(), labels[1:].ravel()])
    touching = coo_matrix((np.ones(len(first)), (first, second)), (len(area), len(area)))
    members = [{index} for index in range(len(area))]
    for left, right in ward_tree(features, connectivity=touching + touching.T)[0]:
        members.append(members[left] | members[right])
    low, high = (share * labels.size for share in _AREA)
    chosen = [group for group in members if low <= area[list(group)].sum() <= high]
    return [np.isin(labels, list(group)) for group in chosen]


def _outline(mask: NDArray[np.bool_]) -> Array | None:
    """The smoothed outline (P, 2) of a mask, continuous; None where it has too few points."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2.0) > 0.5
    lines, _ = cv2.findContours(soft.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = max(lines, key=len, default=np.zeros((0, 1, 2)))[:, 0].astype(np.float64) + 0.5
    if len(points) < 24:
        return None
    return points[np.linspace(0, len(points), min(len(points), 96), endpoint=False).astype(int)]


def _worth(lab: NDArray[np.float32], outline: Array) -> float:
    """How well a segment stands out, by contrast and texture; 0 for no compact thing."""
    border = np.array(lab.shape[1::-1])
    low, high = outline.min(0), outline.max(0)
    # what the photo's border cuts is half a thing
    if low.min() < 3 or (high > border - 3).any() or not 0.3 < np.divide(*(high - low)) < 3.3:
        return 0.0
    points = outline.astype(np.float32)
    if cv2.contourArea(points) < _SOLID * cv2.contourArea(cv2.convexHull(points)):
        return 0.0
    apart = across(lab, outline, _RING)
    (x0, y0), (x1, y1) = low.astype(int), high.astype(int)
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(mask, [(outline - low).astype(np.int32)], 1)
    texture = float(lab[y0:y1, x0:x1][mask > 0].std(0).sum())
    return float(np.quantile(apart, 0.25)) + _SHARE * float(apart.mean()) + _TEXTURE * texture


def _cut(photo: NDArray[np.uint8], outline: Array) -> Segment:
    """The segment within this outline of the photo's pixels."""
    low, high = outline.min(0), outline.max(0)
    (x0, y0), (x1, y1) = np.floor(low).astype(int), np.ceil(high).astype(int)
    patch = photo[y0:y1, x0:x1].copy()
    mask = np.zeros(patch.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(outline - (x0, y0) - 0.5).astype(np.int32)], 1)
    # pixels of the edge are mixed with what lies behind
    mask = cv2.erode(mask, np.ones((3, 3), np.uint8))
    kind = cv2.DIST_LABEL_PIXEL
    _, nearest = cv2.distanceTransformWithLabels(1 - mask, cv2.DIST_L2, 5, labelType=kind)
    colours = np.zeros((int(nearest.max()) + 1, 3), np.uint8)
    colours[nearest[mask > 0]] = patch[mask > 0]
    middle, half = np.array([x0 + x1, y0 + y1]) / 2, np.array([x1 - x0, y1 - y0]) / 2
    weak, _, ratio = standing(photo, outline, weak=0.1)
    whole = weak >= _WHOLE[0] and ratio >= _WHOLE[1]
    return Segment((outline - middle) / half, colours[nearest], outline, whole)


@cache
def photo_segments(name: str) -> tuple[Segment, ...]:
    """The segments of a photo that look most like things, the best first."""
    if _KIND[name] == "texture":
        return ()
    photo = load_photo(name)
    lab = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_BGR2LAB), (0, 0), 1.5).astype(np.float32)
    outlines = [line for mask in _groups(photo) if (line := _outline(mask)) is not None]
    worth = np.array([_worth(lab, outline) for outline in outlines])
    kept: list[Array] = []
    most = _FEW if _KIND[name] == "surface" else _MOST
    for index in np.argsort(-worth, kind="stable"):
        if worth[index] < _LEAST or len(kept) == most:
            break
        box = _box(outlines[index])
        if all(iou(box, _box(other)) <= _OVERLAP for other in kept):
            kept.append(outlines[index])
    return tuple(_cut(photo, outline) for outline in kept)


def _box(outline: Array) -> Array:
    return np.concatenate([outline.min(0), np.ptp(outline, axis=0)])
