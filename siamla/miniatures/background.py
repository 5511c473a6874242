"""The camera over a photo, and what the light and the sensor do to a frame."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.errors import UserError
from siamla.geometry import Array
from siamla.miniatures.paths import Rng, clipped, walk
from siamla.miniatures.photos import load_photo
from siamla.miniatures.settings import ClipSettings
from siamla.miniatures.sprites import Image, blur_kernel, recolour

_NOISE_MEAN = 24


def _image(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"{path}: cannot be read as an image")
    return np.asarray(image, np.uint8)


@dataclass(frozen=True)
class Background:
    """A photo under a camera: matrices (N, 2, 3) map photo to frame points, both continuous.

    film: the images (N) that are there in place of the photo, one a frame, all of its size.
    """

    photo: Image
    matrices: Array
    angle: Array
    size: tuple[int, int]
    film: tuple[Path, ...] = ()

    def frame(self, t: int) -> Image:
        """Frame t, (H, W, 3) uint8; beyond its edges the photo is mirrored."""
        matrix = self.matrices[t].copy()
        matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5  # continuous to pixel-centre coordinates
        shrinks = abs(np.linalg.det(matrix[:, :2])) < 0.36
        flags = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        mode = cv2.BORDER_REFLECT_101
        photo = _image(self.film[t]) if self.film else self.photo
        warped = cv2.warpAffine(photo, matrix, self.size, flags=flags, borderMode=mode)
        return np.asarray(warped, np.uint8)

    def project(self, t: int, points: Array) -> Array:
        """Photo points (P, 2) in frame t."""
        return np.asarray(points @ self.matrices[t, :, :2].T + self.matrices[t, :, 2], np.float64)

    def attached(self, point: Array, t: int) -> Array:
        """The path (N, 2) of what is at `point` (2,) of frame t and does not move in the world."""
        world = np.linalg.solve(self.matrices[t, :, :2], point - self.matrices[t, :, 2])
        return np.asarray(self.matrices[:, :, :2] @ world + self.matrices[:, :, 2], np.float64)

    def shake(self) -> Array:
        """(N, 2) pixels by which the camera moved the frame's middle since the frame before."""
        middle = np.array(self.size) / 2
        steps = np.zeros((len(self.matrices), 2))
        for t in range(1, len(steps)):
            before, now = self.matrices[t - 1], self.matrices[t]
            world = np.linalg.solve(before[:, :2], middle - before[:, 2])
            steps[t] = now[:, :2] @ world + now[:, 2] - middle
        return steps


def camera(
    scale: Array, angle: Array, aspect: Array, photo_point: Array, frame_point: Array
) -> Array:
    """Matrices (N, 2, 3) that turn, scale and bring photo_point to frame_point."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], axis=1)
    stretch = np.stack([scale * np.sqrt(aspect), scale / np.sqrt(aspect)], axis=-1)
    linear = turn * stretch[:, None, :]
    shift = frame_point - np.einsum("nij,nj->ni", linear, photo_point)
    return np.concatenate([linear, shift[..., None]], axis=2)


def pick_scene(rng: Rng, clip: ClipSettings) -> tuple[Image, bool]:
    """The background photo with its colours changed, and whether it is mirrored."""
    photo = load_photo(clip.scene)
    mirrored = rng.random() < 0.5
    if mirrored:
        photo = np.ascontiguousarray(photo[:, ::-1])
    return recolour(photo, rng, rng.uniform(0, 0.3)), mirrored


def make_background(rng: Rng, clip: ClipSettings) -> Background:
    """A photo under a camera that wanders, zooms and rolls a little."""
    photo = _image(clip.film[0]) if clip.film else pick_scene(rng, clip)[0]
    extent, size = np.array(photo.shape[1::-1], np.float64), np.array(clip.size, np.float64)
    # closer, so that fewer mirror images of the photo come into view
    near, margin = (1.2, 1.0) if clip.looks.segments else (1.0, 0.8)
    base = rng.uniform(near, 1.9) * (size / extent).max()
    zoom = base * np.exp(walk(rng, clip, 0.08, -0.3, 0.3, [0.0]))[:, 0]
    angle = walk(rng, clip, 0.05, -0.2, 0.2)[:, 0]
    half = np.minimum(size / base / 2, extent / 2)
    step = clip.motion.camera * size.min() / base
    view = walk(rng, clip, step, half * margin, extent - half * margin)
    if clip.motion.shake:
        view = view + rng.normal(0, clip.motion.shake * size.min() / base, view.shape)
    frame_point = np.broadcast_to(size / 2, view.shape)
    matrices = camera(zoom, angle, np.ones(clip.frames), view, frame_point)
    return Background(photo, matrices, angle, clip.size, clip.film)


@lru_cache(maxsize=2)
def _noise(width: int, height: int) -> Image:
    """A grain larger than the frame, of which every frame takes another part."""
    rng = np.random.Generator(np.random.PCG64(20_24))
    grain = rng.normal(_NOISE_MEAN, 8, (height + 32, width + 32, 3))
    return np.clip(np.rint(grain), 0, 2 * _NOISE_MEAN).astype(np.uint8)


@dataclass(frozen=True)
class Weather:
    """Light, blur and grain: gain (N,), tint (N, 3) levels, shadow path (N, 2) and its depth,
    camera blur (N, 2), whether a frame is grey (N,).

    shrink: the frame has 1 / shrink of its pixels on each axis; quality: of its JPEG before it is
    shown, 0 = none.
    """

    gain: Array
    tint: Array
    shadow: Array
    depth: float
    blur: Array
    soft: float
    grain: float
    offsets: NDArray[np.int64]
    grey: NDArray[np.bool_]
    shrink: float
    quality: int

    def apply(self, t: int, frame: Image) -> Image:
        """The frame as the sensor gives it."""
        height, width = frame.shape[:2]
        kernel = blur_kernel(self.blur[t])
        if kernel is not None:
            frame = cv2.filter2D(frame, -1, kernel)
        elif self.soft > 0.3:
            frame = cv2.GaussianBlur(frame, (0, 0), self.soft)
        if self.grey[t]:
            grey = 255 - cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
            frame = cv2.merge([grey, grey, grey])
        levels = np.arange(256)[:, None] * self.gain[t] + self.tint[t]
        frame = cv2.LUT(frame, np.clip(levels, 0, 255).astype(np.uint8)[None])
        if self.depth > 0.02:
            across = np.arange(width) / width - self.shadow[t, 0]
            down = (np.arange(height) / height - self.shadow[t, 1])[:, None]
            shade = 1 - self.depth / (1 + np.exp(-12 * (across + 0.5 * down)))
            frame = cv2.multiply(frame, np.repeat(shade[..., None], 3, axis=2), dtype=cv2.CV_8U)
        if self.shrink > 1:
            small = round(width / self.shrink), round(height / self.shrink)
            frame = cv2.resize(frame, small, interpolation=cv2.INTER_AREA)
            frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
        y, x = self.offsets[t]
        noise = _noise(width, height)[y : y + height, x : x + width]
        frame = cv2.addWeighted(frame, 1, noise, self.grain, -_NOISE_MEAN * self.grain)
        if self.quality:
            coded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1]
            return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
        return np.asarray(frame, np.uint8)


def make_weather(rng: Rng, clip: ClipSettings, background: Background) -> Weather:
    """Steady light and a sharp camera, unless the clip's challenges say otherwise."""
    n = clip.frames
    light = "light" in clip.challenges
    varied = 1.0 if light else 0.15
    gain = np.exp(walk(rng, clip, 0.3 * varied, -0.55 * varied, 0.45 * varied))[:, 0]
    tint = walk(rng, clip, 12 * varied, np.full(3, -18 * varied), np.full(3, 18 * varied))
    shadow = walk(rng, clip, 0.3, [0, 0], [1, 1])
    depth = rng.uniform(0.3, 0.6) if light and rng.random() < 0.6 else 0.0
    blur = background.shake() * 0.5 if "blur" in clip.challenges else np.zeros((n, 2))
    grey = ("switch" in clip.challenges) & (np.arange(n) >= n // 2)
    soft = float(rng.choice([0.0, 0.0, 0.6, 1.0]))
    grain, shrink, quality = rng.uniform(0.05, 0.4), 1.0, 0
    offsets = rng.integers(0, 32, (n, 2))
    if clip.looks.degrade and rng.random() < clip.looks.degrade:  # a poor camera
        strength = rng.uniform(0.2, 1)
        defocus, few, noise, compress = (rng.random(4) < (0.4, 0.3, 0.4, 0.6)).tolist()
        soft = 0.8 + strength if defocus else soft
        shrink = 1 + 1.2 * strength if few else shrink
        grain = 0.4 + 0.9 * strength if noise else grain
        quality = round(70 - 50 * strength) if compress else quality
    blur = clipped(blur, 8)
    return Weather(gain, tint, shadow, depth, blur, soft, grain, offsets, grey, shrink, quality)
