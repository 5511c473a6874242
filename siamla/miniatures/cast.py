"""Who plays in a clip: the target, distractors behind it and occluders in front of it, each with
its path, as the clip's challenges say.
"""

from dataclasses import dataclass, replace

import numpy as np

from siamla.geometry import Array
from siamla.miniatures.background import Background, camera, pick_scene
from siamla.miniatures.paths import Rng, bump, clipped, walk
from siamla.miniatures.photos import PHOTOS, photo_segments
from siamla.miniatures.settings import ClipSettings
from siamla.miniatures.sprites import Image, Pose, Sprite, lookalike, make_sprite


@dataclass(frozen=True)
class Actor:
    """A sprite and its path; wobble is (N, 3), centre, shift and blur (N, 2), the rest (N,)."""

    sprite: Sprite
    centre: Array
    size: Array
    aspect: Array
    angle: Array
    wobble: Array
    shift: Array
    blur: Array

    def pose(self, t: int) -> Pose:
        """Where the sprite is in frame t."""
        paths = self.centre, self.size, self.aspect, self.angle, self.wobble, self.shift, self.blur
        return Pose(*(path[t] for path in paths))


def new_sprite(rng: Rng, clip: ClipSettings, size: float) -> Sprite:
    """A random object; it is not cut from the photo that it stands in front of."""
    names = tuple(name for name in PHOTOS[clip.split] if name != clip.scene)
    return make_sprite(rng, names, size, clip.looks)


def target_size(rng: Rng, clip: ClipSettings) -> float:
    """√(w h) of the target in pixels."""
    low, high = clip.motion.target
    side = float(np.exp(rng.uniform(np.log(low), np.log(high)))) * min(clip.size)
    return max(side / 3, 12.0) if "tiny" in clip.challenges else side


def scale_walk(rng: Rng, clip: ClipSettings) -> Array:
    """(N,) factor of the target's size, 1 in the middle of its range."""
    reach = np.log(clip.motion.zoom) / (1 if "zoom" in clip.challenges else 3)
    return np.asarray(np.exp(walk(rng, clip, 0.7 * reach, -reach, reach))[:, 0])


def angle_walk(rng: Rng, clip: ClipSettings) -> Array:
    """(N,) turn in the image plane, radians."""
    reach = np.radians(clip.motion.rotation) / (1 if "rotate" in clip.challenges else 4)
    return walk(rng, clip, 0.7 * reach, -reach, reach)[:, 0]


def position_walk(rng: Rng, clip: ClipSettings, size: float) -> Array:
    """(N, 2) path of a target inside the frame, over the border and back if asked for."""
    frame = np.array(clip.size, np.float64)
    step = clip.motion.travel * frame.min() * (2.5 if "fast" in clip.challenges else 1)
    margin = np.minimum(0.55 * size, 0.4 * frame)
    path = walk(rng, clip, step, margin, frame - margin)
    if "leave" not in clip.challenges or clip.frames < 3:
        return path
    middle = rng.uniform(0.4, 0.85) * clip.frames
    weight = bump(clip.frames, middle, max(0.18 * clip.frames, 0.9))[:, None]
    if clip.motion.absence:  # far enough out for the largest the target can get
        depth = rng.uniform(1.0, 1.3) * clip.motion.zoom
    else:  # its middle on the border
        depth = rng.uniform(-0.1, 0.05)
    beyond = path.copy()
    axis = int(rng.integers(2))
    side = rng.integers(2)
    beyond[:, axis] = frame[axis] + depth * size if side else -depth * size
    return path * (1 - weight) + beyond * weight


def actor(rng: Rng, clip: ClipSettings, sprite: Sprite, size: float, centre: Array) -> Actor:
    """The sprite on the given path, with size, turn, wobble and viewpoint as the challenges say."""
    size_path = size * scale_walk(rng, clip)
    # A turn out of the plane narrows the object and brings another side of its texture forward.
    turn = 0.55 if "turn" in clip.challenges else 0.08
    aspect = sprite.aspect * np.exp(walk(rng, clip, 0.7 * turn, -turn, turn)[:, 0])
    shift = walk(rng, clip, 0.6 * turn, [-turn, -turn / 2], [turn, turn / 2], [0.0, 0.0])
    if sprite.fixed:
        shift = 0.2 * shift  # far beyond the outline there is none of its texture
    amplitude = rng.uniform(0.1, 0.28) if "deform" in clip.challenges else 0.0
    phase = walk(rng, clip, 2.0, [-9, -9], [9, 9])
    wobble = np.column_stack([np.full(clip.frames, amplitude), phase])
    angle = angle_walk(rng, clip)
    blur = np.zeros_like(centre)
    if "blur" in clip.challenges:  # by half the displacement
        blur = clipped(np.diff(centre, axis=0, prepend=centre[:1]) * 0.5, 12)
    return Actor(sprite, centre, size_path, aspect, angle, wobble, shift, blur)


def wander(rng: Rng, clip: ClipSettings) -> Array:
    """(N, 2) path of an object that may be anywhere in the frame."""
    frame = np.array(clip.size, np.float64)
    return walk(rng, clip, clip.motion.travel * frame.min(), [0, 0], frame)


def distractors(rng: Rng, clip: ClipSettings, size: float, twin: Sprite | None) -> list[Actor]:
    """Other objects on paths of their own; with `twin` one or two of them look like it."""
    low, high = clip.motion.distractors
    sprites = [new_sprite(rng, clip, size) for _ in range(rng.integers(low, high + 1))]
    if twin is not None:
        sprites += [lookalike(twin, rng) for _ in range(rng.integers(1, 3))]
    actors = []
    for sprite in sprites:
        path = wander(rng, clip)
        actors.append(actor(rng, clip, sprite, size * rng.uniform(0.7, 1.3), path))
    return actors


def occluders(
    rng: Rng, clip: ClipSettings, centre: Array, size: float, fixed: Background | None
) -> list[Actor]:
    """Objects that meet the target after the first frame: standing in the world or crossing."""
    if "occlusion" not in clip.challenges or clip.frames < 3:
        return []
    n = clip.frames
    actors = []
    for _ in range(rng.integers(1, 3)):
        meet = int(rng.integers(max(n // 4, 1), max(n - n // 8, 2)))
        big = size * rng.uniform(0.6, 1.4)
        sprite = new_sprite(rng, clip, big)
        near = centre[meet] + rng.normal(0, 0.15 * size, 2)
        path = fixed.attached(near, meet) if fixed is not None else centre
        apart = np.linalg.norm(path[0] - centre[0]) > 0.65 * (size + big)
        if not apart or rng.random() >= 0.7:
            direction = rng.uniform(0, 2 * np.pi)
            speed = (size + big) / max(0.1 * n, 1) * rng.uniform(0.6, 1.2)
            way = np.array([np.cos(direction), np.sin(direction)])
            path = centre + (np.arange(n) - meet)[:, None] * speed * way
        if np.linalg.norm(path[0] - centre[0]) < (size + big) / 1.6:
            continue
        path = np.clip(path, -2 * big, np.array(clip.size) + 2 * big)
        side, aspect = np.full(n, big), np.full(n, sprite.aspect)
        angle = np.full(n, rng.uniform(-0.3, 0.3))
        still = np.zeros((n, 2))
        actors.append(Actor(sprite, path, side, aspect, angle, np.zeros((n, 3)), still, still))
    return actors


@dataclass(frozen=True)
class Cast:
    """Drawn in this order: distractors, target, occluders. The target is an object, or a part of
    the photo itself: the outline (P, 2) of a segment.
    """

    target: Actor | Array
    distractors: list[Actor]
    occluders: list[Actor]


def _blend_in(sprite: Sprite, seen: Image, strength: float) -> Sprite:
    """The sprite with its mean colour moved towards the scene's by `strength`."""
    move = (seen.reshape(-1, 3).mean(0) - sprite.texture.reshape(-1, 3).mean(0)) * strength
    texture = np.clip(sprite.texture.astype(np.float32) + move.astype(np.float32), 0, 255)
    return replace(sprite, texture=texture.astype(np.uint8))


def _match_contrast(sprite: Sprite, seen: Image, strength: float) -> Sprite:
    """The sprite with its contrast moved towards the scene's, by a factor of .5 to 1.5."""
    mean = sprite.texture.mean((0, 1))
    spread = max(float(sprite.texture.std((0, 1)).mean()), 1.0)
    gain = 1 + strength * (float(np.clip(seen.std((0, 1)).mean() / spread, 0.5, 1.5)) - 1)
    texture = np.clip((sprite.texture - mean) * gain + mean, 0, 255)
    return replace(sprite, texture=texture.astype(np.uint8))


def make_composite(rng: Rng, clip: ClipSettings, background: Background) -> Cast:
    """An object as the target, in front of the background."""
    size = target_size(rng, clip)
    centre = position_walk(rng, clip, size)
    sprite = new_sprite(rng, clip, size)
    seen = background.frame(0)
    x, y = np.clip(centre[0], 0, (seen.shape[1] - 1, seen.shape[0] - 1)).astype(int)
    reach = int(size) + 1  # what surrounds the target: a square of twice its size
    seen = seen[max(y - reach, 0) : y + reach, max(x - reach, 0) : x + reach]
    sprite = _match_contrast(sprite, seen, rng.uniform(0, 0.8))
    sprite = _blend_in(sprite, seen, rng.uniform(*clip.motion.camouflage))
    target = actor(rng, clip, sprite, size, centre)
    twin = sprite if "lookalike" in clip.challenges else None
    others = distractors(rng, clip, size, twin)
    return Cast(target, others, occluders(rng, clip, centre, size, background))


def _segment_outline(
    rng: Rng, clip: ClipSettings, mirrored: int | None, size: float, least: float
) -> Array | None:
    """The outline (P, 2) of a segment that becomes `size` large under a scale of `least` to 2.5, or
    None; `mirrored` is the photo's width, where it is seen mirrored. What is scored is a thing of
    its own; for training any part of a photo will do.
    """
    fit = []
    for segment in photo_segments(clip.scene):
        outline = segment.place if mirrored is None else segment.place * (-1, 1) + (mirrored, 0)
        scale = size / np.sqrt(np.prod(np.ptp(outline, axis=0)))
        thing = segment.whole or clip.split == "train"
        if thing and least <= scale <= max(2.5, 1.5 * least):
            fit.append(outline)
    return fit[rng.integers(len(fit))] if fit else None


def _crossing(rng: Rng, clip: ClipSettings, path: Array, size: float) -> list[Actor]:
    """Objects in front of a scene; they keep off the target's `path` (N, 2), a part of it."""
    count = rng.integers(0, clip.motion.distractors[1] // 2 + 1)
    crossing = []
    for sprite in [new_sprite(rng, clip, size) for _ in range(count)]:
        gap = wander(rng, clip) - path
        far = np.maximum(np.linalg.norm(gap, axis=1, keepdims=True), 1e-6)
        centre = path + gap / far * np.maximum(far, 1.6 * size)
        crossing.append(actor(rng, clip, sprite, size * rng.uniform(0.6, 1), centre))
    return crossing


def make_region(rng: Rng, clip: ClipSettings) -> tuple[Background, Cast] | None:
    """A segment of the photo as the target: the camera alone makes it move, grow and turn.

    None where no segment of the photo fits the clip.
    """
    photo, mirrored = pick_scene(rng, clip)
    size = target_size(rng, clip)
    extent = np.array(photo.shape[1::-1], np.float64)
    frame = np.array(clip.size, np.float64)
    least = 1.15 * float((frame / extent).max())
    width = photo.shape[1] if mirrored else None
    outline = _segment_outline(rng, clip, width, size, least)
    if outline is None:
        return None
    sides = np.ptp(outline, axis=0)
    middle = (outline.min(0) + outline.max(0)) / 2
    zoom = size / float(np.sqrt(np.prod(sides))) * scale_walk(rng, clip)
    path = position_walk(rng, clip, size)
    if "leave" not in clip.challenges:
        # Keep most of the view on the photo: its mirror images beyond the edges would be second
        # targets.
        half = np.minimum(frame / zoom[:, None] / 2, extent / 2)
        half *= 0.95
        view = np.clip(middle + (frame / 2 - path) / zoom[:, None], half, extent - half)
        path = frame / 2 - (view - middle) * zoom[:, None]
    # The axis-aligned box of a turned rectangle is loose: turn less than an object does.
    angle = 0.25 * angle_walk(rng, clip)
    stretch = 0.35 if "turn" in clip.challenges else 0.06
    aspect = np.exp(walk(rng, clip, 0.7 * stretch, -stretch, stretch)[:, 0])
    matrices = camera(zoom, angle, aspect, np.broadcast_to(middle, path.shape), path)
    background = Background(photo, matrices, angle, clip.size)
    movers = _crossing(rng, clip, path, size)
    return background, Cast(outline, movers, occluders(rng, clip, path, size, None))
