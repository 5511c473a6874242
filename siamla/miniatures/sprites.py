"""Objects: an outline (polygon in unit coordinates) filled with a texture, drawn into a frame.

Unit coordinates: the outline fits [-1, 1]². A shear wobble deforms outline and texture alike; being
a chain of two shears it inverts exactly, so the box of the deformed outline is the box of what is
drawn.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.geometry import Array
from siamla.miniatures.paths import Rng
from siamla.miniatures.photos import load_photo, photo_segments
from siamla.miniatures.settings import Looks

Image = NDArray[np.uint8]
_SHAPES = ("ellipse", "box", "polygon", "star", "blob", "capsule", "person", "car", "bird")
# fmt: off
_PERSON = np.array(
    [(-0.2, -1), (0.2, -1), (0.3, -0.75), (0.22, -0.55), (0.75, -0.4), (0.95, 0.2), (0.6, 0.2),
     (0.5, 0), (0.45, 1), (0.1, 1), (0, 0.45), (-0.1, 1), (-0.45, 1), (-0.5, 0), (-0.6, 0.2),
     (-0.95, 0.2), (-0.75, -0.4), (-0.22, -0.55), (-0.3, -0.75)]
)
_CAR = np.array(
    [(-1, 0.5), (-1, 0), (-0.6, -0.1), (-0.35, -0.8), (0.35, -0.8), (0.65, -0.1), (1, 0.05),
     (1, 0.5), (0.75, 0.5), (0.65, 0.85), (0.4, 0.85), (0.3, 0.5), (-0.35, 0.5), (-0.45, 0.85),
     (-0.7, 0.85), (-0.8, 0.5)]
)
_BIRD = np.array(
    [(-1, -0.1), (-0.6, -0.3), (-0.3, -0.1), (0, -0.9), (0.25, -0.95), (0.25, -0.15), (0.7, -0.35),
     (1, -0.1), (0.7, 0), (0.4, 0.4), (-0.1, 0.6), (-0.4, 0.3), (-0.9, 0.5)]
)
# fmt: on
_DRAWN = {"person": (_PERSON, 0.45), "car": (_CAR, 1.9), "bird": (_BIRD, 1.3)}
"""Outlines and their aspects (w / h)."""


@dataclass(frozen=True)
class Sprite:
    """An outline (P, 2) in unit coordinates and a texture (T, T, 3) uint8 that covers [-1, 1]².

    edge: standard deviation of the soft edge, pixels. fixed: the texture is the outline's own and
    stays with it.
    """

    outline: Array
    texture: Image
    aspect: float
    edge: float = 0.6
    fixed: bool = False


@dataclass(frozen=True)
class Pose:
    """Where a sprite is in one frame: centre (2,) and √(w h) in pixels, turn in radians, wobble
    (amplitude and two phases), shift of the texture, motion blur in pixels.
    """

    centre: Array
    size: float
    aspect: float
    angle: float
    wobble: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift: tuple[float, float] = (0.0, 0.0)
    blur: tuple[float, float] = (0.0, 0.0)


def _dense(points: Array, count: int = 72) -> Array:
    """The closed polyline with points enough for a wobble to bend its edges."""
    closed = np.vstack([points, points[:1]])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    at = np.union1d(np.linspace(0, length[-1], count, endpoint=False), length[:-1])
    return np.stack([np.interp(at, length, closed[:, i]) for i in (0, 1)], axis=1)


def _circle(angles: Array) -> Array:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _outline(rng: Rng) -> tuple[Array, float]:
    """A random outline in [-1, 1]² and the aspect (w / h) that suits it."""
    kind = _SHAPES[rng.integers(len(_SHAPES))]
    around = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    unit = _circle(around)
    aspect = float(np.exp(rng.uniform(-0.7, 0.7)))
    if kind in ("ellipse", "box", "capsule"):
        power = {"ellipse": 1.0, "box": rng.uniform(0.1, 0.4), "capsule": 0.5}[kind]
        points = np.sign(unit) * np.abs(unit) ** power
    elif kind == "polygon":
        corner = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(4, 9)))
        points = _circle(corner) if len(corner) > 4 else unit[::18]
    elif kind == "star":
        spikes, depth = rng.integers(4, 8), rng.uniform(0.45, 0.75)
        corner = np.arange(2 * spikes) * np.pi / spikes
        points = _circle(corner) * np.where(np.arange(2 * spikes) % 2, depth, 1.0)[:, None]
    elif kind == "blob":
        waves = np.zeros(len(around))
        for k in range(2, 6):
            waves = waves + rng.normal(0, 0.25 / k) * np.cos(k * around + rng.uniform(0, 2 * np.pi))
        points = unit * (1 + np.clip(waves, -0.6, 0.6))[:, None]
    else:
        drawn, usual = _DRAWN[kind]
        points = drawn * rng.uniform(0.85, 1.15, 2)
        aspect = usual * float(np.exp(rng.uniform(-0.2, 0.2)))
        points = points * [rng.choice([-1, 1]), 1]
    low, high = points.min(0), points.max(0)
    return _dense((points - (low + high) / 2) / np.maximum((high - low) / 2, 1e-6)), aspect


def _photo_patch(rng: Rng, names: tuple[str, ...], side: int) -> Image:
    """A recoloured (side, side) patch of a photo, the most textured of four candidates."""
    contrast = -1.0
    for _ in range(4):
        photo = load_photo(names[rng.integers(len(names))])
        cut = int(min(side * rng.uniform(0.8, 2.5), min(photo.shape[:2]) - 1))
        y, x = rng.integers(photo.shape[0] - cut), rng.integers(photo.shape[1] - cut)
        patch = photo[y : y + cut, x : x + cut]
        spread = float(patch[::4, ::4].std()) * rng.uniform(0.5, 1)
        if spread > contrast:
            best, contrast = patch, spread
    patch = cv2.resize(best, (side, side), interpolation=cv2.INTER_AREA)
    patch = np.rot90(patch, int(rng.integers(4))) if rng.random() < 0.5 else patch
    return recolour(np.ascontiguousarray(patch), rng, 0.35)


def recolour(image: Image, rng: Rng, strength: float) -> Image:
    """The image under a random mix of channels, contrast and brightness; 0: as it is."""
    mix = np.eye(3) + rng.normal(0, strength, (3, 3)) * 0.6
    mix /= np.maximum(mix.sum(1, keepdims=True), 0.4)
    gain, offset = np.exp(rng.normal(0, strength * 0.5)), rng.normal(0, 50 * strength, 3)
    matrix = np.hstack([mix * gain, (offset + 110 * (1 - gain))[:, None]])
    return np.asarray(cv2.transform(image, matrix.astype(np.float32)), np.uint8)


def _procedural(rng: Rng, side: int) -> Image:
    """Stripes, checks, dots or clouds in two or three colours."""
    v, u = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    angle, frequency = rng.uniform(0, np.pi), rng.uniform(2, 7)
    a = np.cos(angle) * u + np.sin(angle) * v
    b = np.cos(angle) * v - np.sin(angle) * u
    kind = rng.integers(4)
    if kind == 0:
        field = np.sin(a * frequency * 3)
    elif kind == 1:
        field = np.sin(a * frequency * 2) * np.sin(b * frequency * 2)
    elif kind == 2:
        field = np.sin(np.hypot(u - rng.uniform(-0.5, 0.5), v) * frequency * 3)
    else:
        coarse = rng.normal(size=(rng.integers(3, 8), rng.integers(3, 8)))
        field = np.clip(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), -1, 1)
    weight = np.clip(field * rng.uniform(1, 4) * 0.5 + 0.5, 0, 1)[..., None]
    colours = rng.uniform(10, 245, (2, 3))
    shade = rng.normal(0, 25) * u[..., None] + rng.normal(0, 25) * v[..., None]
    return np.clip(colours[0] * weight + colours[1] * (1 - weight) + shade, 0, 255).astype(np.uint8)


def _light(rng: Rng, texture: Image) -> Image:
    """The texture under light from one side; it moves and turns with the object."""
    side = texture.shape[0]
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.35)
    v, u = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    light = 1 + depth * (np.cos(angle) * u + np.sin(angle) * v)
    return np.clip(texture * light[..., None], 0, 255).astype(np.uint8)


def _texture(rng: Rng, names: tuple[str, ...], side: int) -> Image:
    """A photo patch, a pattern, or two of them joined as clothes or a roof and a body are."""
    kind = rng.random()
    if 0.55 <= kind < 0.7:
        return _light(rng, _procedural(rng, side))
    base = _photo_patch(rng, names, side)
    if kind >= 0.7:
        second = _procedural(rng, side) if rng.random() < 0.5 else _photo_patch(rng, names, side)
        cut = int(side * rng.uniform(0.3, 0.7))
        if rng.random() < 0.7:
            base[cut:] = second[cut:]
        else:
            base[:, cut:] = second[:, cut:]
    return _light(rng, base)


def _segment_sprite(rng: Rng, names: tuple[str, ...], size: float, side: int) -> Sprite | None:
    """A segment of one of the named photos, perhaps mirrored; None where none has any."""
    segments = [segment for name in names for segment in photo_segments(name)]
    # enlarged ones are smooth where everything else is sharp
    fine = [each for each in segments if np.sqrt(np.prod(each.texture.shape[:2])) > 0.7 * size]
    segments = fine or segments
    if not segments:
        return None
    segment = segments[rng.integers(len(segments))]
    outline, texture = segment.outline, segment.texture
    if rng.random() < 0.5:
        outline, texture = outline * (-1, 1), texture[:, ::-1]
    aspect = texture.shape[1] / texture.shape[0] * float(np.exp(rng.uniform(-0.15, 0.15)))
    flags = cv2.INTER_AREA if min(texture.shape[:2]) > side else cv2.INTER_LINEAR
    texture = cv2.resize(np.ascontiguousarray(texture), (side, side), interpolation=flags)
    texture = _light(rng, recolour(texture, rng, rng.uniform(0, 0.2)))
    return Sprite(outline, texture, aspect, fixed=True)


def make_sprite(rng: Rng, names: tuple[str, ...], size: float, looks: Looks) -> Sprite:
    """A random object textured from the named photos; its size is in pixels."""
    side = int(np.clip(size * 1.3, 24, 160))
    sprite = None
    if looks.segments and rng.random() < looks.segments:
        sprite = _segment_sprite(rng, names, size, side)
    if sprite is None:
        outline, aspect = _outline(rng)
        sprite = Sprite(outline, _texture(rng, names, side), aspect)
    if looks.feather:  # a third hard, a third as a lens gives it, a third feathered
        soft = max(0.9, min(looks.feather, 0.04 * size))
        edge = (0.35, 0.6, rng.uniform(min(0.9, soft), soft))[rng.integers(3)]
        sprite = replace(sprite, edge=float(edge))
    return sprite


def lookalike(sprite: Sprite, rng: Rng) -> Sprite:
    """Nearly the same object, of slightly other proportions and colours."""
    side = sprite.texture.shape[0]
    moved = rng.integers(-side // 5, side // 5 + 1, 2)
    other = sprite.texture if sprite.fixed else np.roll(sprite.texture, moved, axis=(0, 1))
    aspect = sprite.aspect * float(np.exp(rng.normal(0, 0.12)))
    return replace(sprite, texture=recolour(other, rng, 0.12), aspect=aspect)


def _matrix(pose: Pose) -> Array:
    """(2, 2) from unit coordinates to pixels."""
    half = pose.size / 2 * np.array([np.sqrt(pose.aspect), 1 / np.sqrt(pose.aspect)])
    cos, sin = np.cos(pose.angle), np.sin(pose.angle)
    return np.array([[cos, -sin], [sin, cos]]) * half


def placed_outline(sprite: Sprite, pose: Pose) -> Array:
    """The outline (P, 2) in continuous frame coordinates."""
    amplitude, first, second = pose.wobble
    u, v = sprite.outline.T
    u = u + amplitude * np.sin(3 * v + first)
    v = v + amplitude * np.sin(3 * u + second)
    return np.stack([u, v], axis=1) @ _matrix(pose).T + pose.centre


def blur_kernel(vector: tuple[float, float] | Array) -> NDArray[np.float32] | None:
    """The kernel of a straight motion blur by `vector` pixels; None under 1.5."""
    length = float(np.hypot(*vector))
    if length < 1.5:
        return None
    half = int(np.ceil(length / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    t = np.linspace(-0.5, 0.5, 4 * half + 1)
    x, y = (np.rint(half + t * part).astype(int) for part in vector)
    np.add.at(kernel, (y, x), 1)
    return kernel / kernel.sum()


def _coverage(outline: Array, height: int, width: int) -> NDArray[np.float32]:
    """The covered share (height, width) of every pixel; fillPoly alone fattens edges."""
    shape = np.zeros((4 * height, 4 * width), np.uint8)
    # Pixel i covers [i, i + 1): OpenCV's integer coordinates are pixel centres.
    cv2.fillPoly(shape, [np.rint((outline * 4 - 0.5) * 16).astype(np.int32)], 255, shift=4)
    small = cv2.resize(shape, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small.astype(np.float32) / 255, np.float32)


def draw(
    frame: Image, sprite: Sprite, pose: Pose
) -> tuple[Array, NDArray[np.float32] | None, tuple[slice, slice]]:
    """Blend the sprite into the frame in place.

    Returns its outline (P, 2) in continuous frame coordinates and the alpha of the sharp shape over
    the returned window of the frame (None when the window is empty).
    """
    outline = placed_outline(sprite, pose)
    margin = 2 + float(np.hypot(*pose.blur)) / 2
    low = np.maximum(np.floor(outline.min(0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(outline.max(0) + margin), frame.shape[1::-1]).astype(int)
    window = (slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))
    if (high - low < 1).any():
        return outline, None, window
    inverse = np.linalg.inv(_matrix(pose))
    x = np.arange(low[0], high[0]) + 0.5 - pose.centre[0]
    y = (np.arange(low[1], high[1]) + 0.5 - pose.centre[1])[:, None]
    u = inverse[0, 0] * x + inverse[0, 1] * y
    v = inverse[1, 0] * x + inverse[1, 1] * y
    amplitude, first, second = pose.wobble
    if amplitude:
        v = v - amplitude * np.sin(3 * u + second)
        u = u - amplitude * np.sin(3 * v + first)
    half = sprite.texture.shape[0] / 2
    map_x = ((u + 1 + pose.shift[0]) * half - 0.5).astype(np.float32)
    map_y = ((v + 1 + pose.shift[1]) * half - 0.5).astype(np.float32)
    mode = cv2.BORDER_REFLECT_101
    colour = cv2.remap(sprite.texture, map_x, map_y, cv2.INTER_LINEAR, borderMode=mode)
    sharp = _coverage(outline - low, colour.shape[0], colour.shape[1])
    layer = np.dstack([colour * sharp[..., None], sharp]).astype(np.float32)
    kernel = blur_kernel(pose.blur)
    if kernel is not None:
        layer = cv2.filter2D(layer, -1, kernel)
    else:
        wide = 2 * int(np.ceil(1.5 * sprite.edge)) + 1
        layer = cv2.GaussianBlur(layer, (wide, wide), sprite.edge)
    below = frame[window]
    below[:] = np.clip(below * (1 - layer[..., 3:]) + layer[..., :3] + 0.5, 0, 255)
    return outline, sharp, window
