"""Things in photos: segments whose outline follows the photo's own edges, with the texture that
lies inside.

A photo is cut into superpixels, which are joined, the most alike first, to ever larger connected
groups. Every group is a candidate; compact ones that stand out from their surroundings on all sides
are kept.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from skimage.segmentation import slic
from sklearn.cluster import ward_tree

from siamla.miniatures.paths import Array
from siamla.miniatures.photos import is_scene, is_surface, load_photo

_SUPERPIXELS = 400
_AREA = (0.004, 0.12)  # of the photo
_SOLID = 0.72  # least share of the convex hull that is filled
_SHARE, _TEXTURE = (
    0.5,
    0.3,
)  # weights of the outline's mean contrast and of the texture beside its weak parts' contrast
_MOST, _FEW = 30, 10  # segments of a photo of things and of a surface
_LEAST = 25.0  # worth, in levels of Lab
_OVERLAP = 0.5  # of two kept segments' boxes at most, IoU
_RING = 5  # pixels on both sides of an outline that its contrast is taken from


@dataclass(frozen=True)
class Segment:
    """A part of a photo: outline (P, 2) in unit coordinates of its texture (H, W, 3) uint8 BGR.

    The texture covers the outline's box; where that is not the segment, the segment's nearest
    pixels are repeated. place (P, 2): the outline in the photo, continuous pixels.
    """

    outline: Array
    texture: NDArray[np.uint8]
    place: Array


def _groups(photo: NDArray[np.uint8]) -> list[NDArray[np.bool_]]:
    """Masks (H, W) of connected groups of superpixels, the nodes of a tree that joins the most
    alike first.
    """
    lab = cv2.cvtColor(photo, cv2.COLOR_BGR2LAB).astype(np.float64)
    smooth = cv2.GaussianBlur(photo, (0, 0), 1.0)
    labels = slic(
        smooth[..., ::-1], _SUPERPIXELS, compactness=8, start_label=0, enforce_connectivity=True
    )
    count = int(labels.max()) + 1
    area = np.bincount(labels.ravel(), minlength=count)
    mean = (
        np.stack([np.bincount(labels.ravel(), lab[..., c].ravel(), count) for c in range(3)], 1)
        / area[:, None]
    )
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    place = (
        np.stack([np.bincount(labels.ravel(), axis.ravel(), count) for axis in (x, y)], 1)
        / area[:, None]
    )
    # a little of the place keeps groups together; whole numbers make the tree the same on every
    # processor
    features = np.rint(np.hstack([mean, place * (60 / max(labels.shape))]) * 16) / 16
    first = np.concatenate([labels[:, :-1].ravel(), labels[:-1].ravel()])
    second = np.concatenate([labels[:, 1:].ravel(), labels[1:].ravel()])
    touching = coo_matrix((np.ones(len(first)), (first, second)), (count, count))
    children = ward_tree(features, connectivity=touching + touching.T)[0]
    members = [{index} for index in range(count)]
    for left, right in children:
        members.append(members[left] | members[right])
    low, high = (share * labels.size for share in _AREA)
    sizes = [sum(int(area[index]) for index in group) for group in members]
    chosen = [group for group, size in zip(members, sizes, strict=True) if low <= size <= high]
    return [np.isin(labels, list(group)) for group in chosen]


def _outline(mask: NDArray[np.bool_]) -> Array | None:
    """The smoothed outer outline (P, 2) of a mask in its pixels, continuous; None where it has too
    few points.
    """
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2.0)
    found, _ = cv2.findContours(
        (soft > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    if not found:
        return None
    points = max(found, key=len)[:, 0].astype(np.float64) + 0.5
    if len(points) < 24:
        return None
    return points[np.linspace(0, len(points), min(len(points), 96), endpoint=False).astype(int)]


def _worth(lab: NDArray[np.float32], outline: Array) -> float:
    """How well a segment stands out: colour difference across its outline and texture; 0 for no
    compact thing.
    """
    height, width = lab.shape[:2]
    low, high = outline.min(0), outline.max(0)
    # what the photo's border cuts is half a thing
    if (
        low.min() < 3
        or high[0] > width - 3
        or high[1] > height - 3
        or not 0.3 < np.divide(*(high - low)) < 3.3
    ):
        return 0.0
    points = outline.astype(np.float32)
    if cv2.contourArea(points) < _SOLID * cv2.contourArea(cv2.convexHull(points)):
        return 0.0
    along = np.roll(outline, -2, 0) - np.roll(outline, 2, 0)
    normal = (
        np.stack([along[:, 1], -along[:, 0]], 1)
        / np.maximum(np.linalg.norm(along, axis=1), 1e-9)[:, None]
    )
    sides = []
    for way in (-_RING, _RING):
        at = np.clip(np.floor(outline + way * normal), 0, (width - 1, height - 1)).astype(int)
        sides.append(lab[at[:, 1], at[:, 0]])
    across = np.linalg.norm(sides[0] - sides[1], axis=1)
    weak, mean = float(np.quantile(across, 0.25)), float(across.mean())
    (x0, y0), (x1, y1) = low.astype(int), high.astype(int)
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(mask, [(outline - low).astype(np.int32)], 1)
    texture = float(lab[y0:y1, x0:x1][mask > 0].std(0).sum())
    return weak + _SHARE * mean + _TEXTURE * texture


def _cut(photo: NDArray[np.uint8], outline: Array) -> Segment:
    """The segment within this outline of the photo's pixels."""
    low, high = outline.min(0), outline.max(0)
    (x0, y0), (x1, y1) = np.floor(low).astype(int), np.ceil(high).astype(int)
    patch = photo[y0:y1, x0:x1].copy()
    mask = np.zeros(patch.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(outline - (x0, y0) - 0.5).astype(np.int32)], 1)
    mask = cv2.erode(
        mask, np.ones((3, 3), np.uint8)
    )  # pixels of the edge are mixed with what lies behind
    _, nearest = cv2.distanceTransformWithLabels(
        1 - mask, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((int(nearest.max()) + 1, 3), np.uint8)
    colours[nearest[mask > 0]] = patch[mask > 0]
    middle, half = np.array([x0 + x1, y0 + y1]) / 2, np.array([x1 - x0, y1 - y0]) / 2
    return Segment((outline - middle) / half, colours[nearest], outline)


@lru_cache(maxsize=32)
def photo_segments(name: str) -> tuple[Segment, ...]:
    """The segments of a photo that look most like things, the best first; none where nothing stands
    out.
    """
    if not is_scene(name):
        return ()
    photo = load_photo(name)
    lab = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_BGR2LAB), (0, 0), 1.5).astype(np.float32)
    found = [outline for mask in _groups(photo) if (outline := _outline(mask)) is not None]
    worth = np.array([_worth(lab, outline) for outline in found])
    kept: list[Array] = []
    most = _FEW if is_surface(name) else _MOST
    for index in np.argsort(-worth, kind="stable"):
        if worth[index] < _LEAST or len(kept) == most:
            break
        box = np.concatenate([found[index].min(0), found[index].max(0)])
        inner = [
            np.clip(np.minimum(box[2:], o.max(0)) - np.maximum(box[:2], o.min(0)), 0, None).prod()
            for o in kept
        ]
        areas = [np.ptp(o, axis=0).prod() for o in kept]
        own = np.prod(box[2:] - box[:2])
        if all(i <= _OVERLAP * (own + a - i) for i, a in zip(inner, areas, strict=True)):
            kept.append(found[index])
    return tuple(_cut(photo, outline) for outline in kept)
