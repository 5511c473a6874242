"""Who plays in a clip: the target, distractors behind it and occluders in front of it."""

from dataclasses import dataclass, replace

import numpy as np

from siamla.miniatures.actors import (
    Actor,
    actor,
    angle_walk,
    distractors,
    occluders,
    position_walk,
    scale_walk,
    target_size,
    textures,
)
from siamla.miniatures.background import Background, camera, pick_scene
from siamla.miniatures.paths import Array, Rng, walk
from siamla.miniatures.segments import photo_segments
from siamla.miniatures.settings import ClipSettings
from siamla.miniatures.sprites import Image, Sprite, make_sprite


@dataclass(frozen=True)
class RegionTarget:
    """A part of the photo itself: the corners of a rectangle, or the outline of a segment, (P,
    2).
    """

    corners: Array


@dataclass(frozen=True)
class Cast:
    """Drawn in this order: distractors, target, occluders."""

    target: Actor | RegionTarget
    distractors: list[Actor]
    occluders: list[Actor]


def _blend_in(sprite: Sprite, seen: Image, strength: float) -> Sprite:
    """The sprite with its mean colour moved towards the scene's by `strength`."""
    move = (seen.reshape(-1, 3).mean(0) - sprite.texture.reshape(-1, 3).mean(0)) * strength
    texture = np.clip(sprite.texture.astype(np.float32) + move.astype(np.float32), 0, 255).astype(
        np.uint8
    )
    return replace(sprite, texture=texture)


def _around(frame: Image, centre: Array, size: float) -> Image:
    """What surrounds a place of the frame: a square of twice the size, as far as the frame goes."""
    x, y = np.clip(centre, 0, (frame.shape[1] - 1, frame.shape[0] - 1)).astype(int)
    reach = int(size) + 1
    return frame[max(y - reach, 0) : y + reach, max(x - reach, 0) : x + reach]


def _match_contrast(sprite: Sprite, seen: Image, strength: float) -> Sprite:
    """The sprite with its contrast moved towards the scene's by `strength`, between half and one
    and a half of it.
    """
    mean, spread = sprite.texture.mean((0, 1)), max(float(sprite.texture.std((0, 1)).mean()), 1.0)
    gain = 1 + strength * (float(np.clip(seen.std((0, 1)).mean() / spread, 0.5, 1.5)) - 1)
    return replace(
        sprite, texture=np.clip((sprite.texture - mean) * gain + mean, 0, 255).astype(np.uint8)
    )


def _stands_out(sprite: Sprite, seen: Image) -> bool:
    """Whether a person would find it there: other colours than its surroundings on average, or a
    texture.
    """
    apart = np.abs(sprite.texture.mean((0, 1)) - seen.mean((0, 1))).mean()
    return bool(apart + 0.3 * sprite.texture.std((0, 1)).mean() > 30)


def make_composite(rng: Rng, clip: ClipSettings, background: Background) -> Cast:
    """An object as the target, in front of the background."""
    size = target_size(rng, clip)
    centre = position_walk(rng, clip, size)
    sprite, seen = make_sprite(rng, textures(clip), size, clip.looks), background.frame(0)
    if clip.looks.segments:
        seen = _around(seen, centre[0], size)
        if not _stands_out(sprite, seen):
            sprite = make_sprite(rng, textures(clip), size, clip.looks)
        blended = _match_contrast(sprite, seen, rng.uniform(0, 0.8))
        blended = _blend_in(blended, seen, rng.uniform(*clip.motion.camouflage))
        sprite = blended if _stands_out(blended, seen) else sprite
    else:
        sprite = _blend_in(sprite, seen, rng.uniform(*clip.motion.camouflage))
    target = actor(rng, clip, sprite, size, centre)
    twin = sprite if "lookalike" in clip.challenges else None
    others = distractors(rng, clip, size, twin)
    return Cast(target, others, occluders(rng, clip, centre, size, background))


def _contrast(photo: Image, middle: Array, sides: Array) -> float:
    """How textured a rectangle is and how far its mean colour lies from that of its most similar
    neighbour.

    The neighbours are strips along its four sides: something that stands out on all sides looks
    like a thing.
    """
    (x0, y0), (x1, y1) = (middle - sides / 2).astype(int), (middle + sides / 2).astype(int)
    dx, dy = (sides / 3).astype(int) + 1
    left, top = max(x0 - dx, 0), max(y0 - dy, 0)
    strips = [
        photo[y0:y1, left:x0],
        photo[y0:y1, x1 : x1 + dx],
        photo[top:y0, x0:x1],
        photo[y1 : y1 + dy, x0:x1],
    ]
    inner = photo[y0:y1:3, x0:x1:3].reshape(-1, 3)
    mean = inner.mean(0)
    apart = [
        float(np.abs(strip[::3, ::3].reshape(-1, 3).mean(0) - mean).mean())
        for strip in strips
        if strip.size
    ]
    spread = float(inner.std(0).mean())
    return spread + 2 * min(spread, *apart)


def _rectangle(rng: Rng, photo: Image, size: float, least: float) -> tuple[Array, Array, float]:
    """Middle (2,) and sides (2,) of a striking rectangle of the photo, and the pixels a photo pixel
    becomes.

    That scale is between `least` and 1.8, so that the photo fills the frame and is not blown up.
    """
    extent = np.array(photo.shape[1::-1], np.float64)
    best, best_score = (extent / 2, extent / 6, 1.0), -1.0
    for _ in range(16):
        side = size / float(np.exp(rng.uniform(np.log(least), np.log(max(1.8, 1.2 * least)))))
        aspect = np.exp(rng.uniform(-0.8, 0.8))
        sides = np.minimum(side * np.array([np.sqrt(aspect), 1 / np.sqrt(aspect)]), 0.7 * extent)
        middle = rng.uniform(sides / 2, extent - sides / 2)
        score = _contrast(photo, middle, sides) * rng.uniform(0.6, 1)
        if score > best_score:
            best, best_score = (middle, sides, size / float(np.sqrt(sides.prod()))), score
    return best


def _segment_outline(
    rng: Rng, name: str, mirrored: int | None, size: float, least: float
) -> Array | None:
    """The outline (P, 2) of a segment that becomes `size` large under a scale of `least` to 2.5;
    None without such.

    mirrored: the photo's width, where it is seen mirrored.
    """
    fit = []
    for segment in photo_segments(name):
        outline = segment.place if mirrored is None else segment.place * (-1, 1) + (mirrored, 0)
        if least <= size / np.sqrt(np.prod(np.ptp(outline, axis=0))) <= max(2.5, 1.5 * least):
            fit.append(outline)
    return fit[rng.integers(len(fit))] if fit else None


def _crossing(rng: Rng, clip: ClipSettings, path: Array, size: float) -> list[Actor]:
    """Objects in front of a scene whose own part is the target, on its `path` (N, 2).

    They cross behind nothing: they keep off the target.
    """
    frame = np.array(clip.size, np.float64)
    count = clip.motion.distractors[1] // 2
    movers = [
        make_sprite(rng, textures(clip), size, clip.looks)
        for _ in range(rng.integers(0, count + 1))
    ]
    crossing = []
    for sprite in movers:
        step = clip.motion.travel * frame.min()
        centre = walk(rng, clip.frames, clip.motion.knot_frames, step, [0, 0], frame)
        gap = centre - path
        far = np.maximum(np.linalg.norm(gap, axis=1, keepdims=True), 1e-6)
        centre = path + gap / far * np.maximum(far, 1.6 * size)
        crossing.append(actor(rng, clip, sprite, size * rng.uniform(0.6, 1), centre))
    return crossing


def make_region(rng: Rng, clip: ClipSettings) -> tuple[Background, Cast]:
    """A part of the photo as the target: the camera alone makes it move, grow and turn."""
    photo, mirrored = pick_scene(rng, clip)
    n, spacing = clip.frames, clip.motion.knot_frames
    size = target_size(rng, clip)
    extent, frame = np.array(photo.shape[1::-1], np.float64), np.array(clip.size, np.float64)
    least = 1.15 * float((frame / extent).max())
    corners = None
    if clip.looks.segments:
        corners = _segment_outline(
            rng, clip.scene, photo.shape[1] if mirrored else None, size, least
        )
    if corners is None:
        middle, sides, scale = _rectangle(rng, photo, size, least)
        corners = middle + sides / 2 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    else:
        low, high = corners.min(0), corners.max(0)
        middle, scale = (low + high) / 2, size / float(np.sqrt(np.prod(high - low)))
    zoom = scale * scale_walk(rng, clip)
    path = position_walk(rng, clip, size)
    if "leave" not in clip.challenges:
        # Keep most of the view on the photo: its mirror images beyond the edges would be second
        # targets.
        half = np.minimum(frame / zoom[:, None] / 2, extent / 2)
        half *= 0.95 if clip.looks.segments else 0.6
        view = np.clip(middle + (frame / 2 - path) / zoom[:, None], half, extent - half)
        path = frame / 2 - (view - middle) * zoom[:, None]
    # The axis-aligned box of a turned rectangle is loose: turn less than an object does.
    angle = 0.25 * angle_walk(rng, clip)
    stretch = 0.35 if "turn" in clip.challenges else 0.06
    aspect = np.exp(walk(rng, n, spacing, 0.7 * stretch, -stretch, stretch)[:, 0])
    matrices = camera(zoom, angle, aspect, np.broadcast_to(middle, (n, 2)), path)
    background = Background(photo, matrices, angle, clip.size)
    movers = _crossing(rng, clip, path, size)
    return background, Cast(RegionTarget(corners), movers, occluders(rng, clip, path, size, None))
