"""Objects that move through a clip: a sprite with its path, as the clip's challenges say."""

from dataclasses import dataclass

import numpy as np

from siamla.miniatures.background import Background
from siamla.miniatures.paths import Array, Rng, bump, walk
from siamla.miniatures.photos import PHOTOS
from siamla.miniatures.settings import ClipSettings
from siamla.miniatures.sprites import Pose, Sprite, lookalike, make_sprite


@dataclass(frozen=True)
class Actor:
    """A sprite and its path: centre (N, 2), size, aspect, angle (N,), wobble (N, 3), shift and blur
    (N, 2).
    """

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
        a, b, c = (float(v) for v in self.wobble[t])
        (sx, sy), (bx, by) = self.shift[t], self.blur[t]
        size, aspect, angle = float(self.size[t]), float(self.aspect[t]), float(self.angle[t])
        return Pose(
            self.centre[t],
            size,
            aspect,
            angle,
            (a, b, c),
            (float(sx), float(sy)),
            (float(bx), float(by)),
        )


def textures(clip: ClipSettings) -> tuple[str, ...]:
    """The photos that objects are cut from: not the one they stand in front of."""
    return tuple(name for name in PHOTOS[clip.split] if name != clip.scene)


def target_size(rng: Rng, clip: ClipSettings) -> float:
    low, high = clip.motion.target
    side = float(np.exp(rng.uniform(np.log(low), np.log(high)))) * min(clip.size)
    return max(side / 3, 12.0) if "tiny" in clip.challenges else side


def scale_walk(rng: Rng, clip: ClipSettings) -> Array:
    """(N,) factor of the target's size, 1 in the middle of its range."""
    reach = np.log(clip.motion.zoom) / (1 if "zoom" in clip.challenges else 3)
    return np.asarray(
        np.exp(walk(rng, clip.frames, clip.motion.knot_frames, 0.7 * reach, -reach, reach))[:, 0]
    )


def angle_walk(rng: Rng, clip: ClipSettings) -> Array:
    reach = np.radians(clip.motion.rotation) / (1 if "rotate" in clip.challenges else 4)
    return walk(rng, clip.frames, clip.motion.knot_frames, 0.7 * reach, -reach, reach)[:, 0]


def position_walk(rng: Rng, clip: ClipSettings, size: float) -> Array:
    """(N, 2) path of a target inside the frame, over the border and back where the clip asks for
    it.
    """
    frame = np.array(clip.size, np.float64)
    step = clip.motion.travel * frame.min() * (2.5 if "fast" in clip.challenges else 1)
    margin = np.minimum(0.55 * size, 0.4 * frame)
    path = walk(rng, clip.frames, clip.motion.knot_frames, step, margin, frame - margin)
    if "leave" in clip.challenges and clip.frames > 2:
        middle = rng.uniform(0.4, 0.85) * clip.frames
        weight = bump(clip.frames, middle, max(0.18 * clip.frames, 0.9))[:, None]
        # Far enough out for the largest the target can get, or its middle on the border.
        depth = (
            rng.uniform(1.0, 1.3) * clip.motion.zoom
            if clip.motion.absence
            else rng.uniform(-0.1, 0.05)
        )
        beyond = path.copy()
        axis = int(rng.integers(2))
        side = rng.integers(2)
        beyond[:, axis] = frame[axis] + depth * size if side else -depth * size
        path = path * (1 - weight) + beyond * weight
    return path


def _blur(clip: ClipSettings, centre: Array) -> Array:
    """(N, 2) blur by half the displacement, at most 12 px; none unless the clip asks for it."""
    if "blur" not in clip.challenges:
        return np.zeros_like(centre)
    vector = np.vstack([np.zeros((1, 2)), np.diff(centre, axis=0)]) * 0.5
    length = np.linalg.norm(vector, axis=1, keepdims=True)
    return np.asarray(vector * np.minimum(1, 12 / np.maximum(length, 1e-9)))


def actor(rng: Rng, clip: ClipSettings, sprite: Sprite, size: float, centre: Array) -> Actor:
    """The sprite on the given path, with size, turn, wobble and viewpoint as the challenges say."""
    n, spacing = clip.frames, clip.motion.knot_frames
    size_path = size * scale_walk(rng, clip)
    # A turn out of the plane narrows the object and brings another side of its texture forward.
    turn = 0.55 if "turn" in clip.challenges else 0.08
    aspect = sprite.aspect * np.exp(walk(rng, n, spacing, 0.7 * turn, -turn, turn)[:, 0])
    shift = walk(rng, n, spacing, 0.6 * turn, [-turn, -turn / 2], [turn, turn / 2], [0.0, 0.0])
    if sprite.fixed:
        shift = 0.2 * shift  # far beyond the outline there is none of its texture
    amplitude = rng.uniform(0.1, 0.28) if "deform" in clip.challenges else 0.0
    phase = walk(rng, n, spacing, 2.0, [-9, -9], [9, 9])
    wobble = np.column_stack([np.full(n, amplitude), phase])
    return Actor(
        sprite,
        centre,
        size_path,
        aspect,
        angle_walk(rng, clip),
        wobble,
        shift,
        _blur(clip, centre),
    )


def distractors(rng: Rng, clip: ClipSettings, size: float, twin: Sprite | None) -> list[Actor]:
    """Other objects on paths of their own; with `twin` one or two of them look like it."""
    frame = np.array(clip.size, np.float64)
    low, high = clip.motion.distractors
    sprites = [
        make_sprite(rng, textures(clip), size, clip.looks)
        for _ in range(rng.integers(low, high + 1))
    ]
    if twin is not None:
        sprites += [lookalike(twin, rng) for _ in range(rng.integers(1, 3))]
    actors = []
    for sprite in sprites:
        step = clip.motion.travel * frame.min()
        centre = walk(rng, clip.frames, clip.motion.knot_frames, step, [0, 0], frame)
        actors.append(actor(rng, clip, sprite, size * rng.uniform(0.7, 1.3), centre))
    return actors


def occluders(
    rng: Rng, clip: ClipSettings, centre: Array, size: float, fixed: Background | None
) -> list[Actor]:
    """One or two objects that meet the target after the first frame: standing in the world, or
    crossing.
    """
    if "occlusion" not in clip.challenges or clip.frames < 3:
        return []
    n, frame = clip.frames, np.array(clip.size, np.float64)
    actors = []
    for _ in range(rng.integers(1, 3)):
        meet = int(rng.integers(max(n // 4, 1), max(n - n // 8, 2)))
        big = size * rng.uniform(0.6, 1.4)
        sprite = make_sprite(rng, textures(clip), big, clip.looks)
        near = centre[meet] + rng.normal(0, 0.15 * size, 2)
        standing = fixed.attached(near, meet) if fixed is not None else None
        apart = standing is not None and np.linalg.norm(standing[0] - centre[0]) > 0.65 * (
            size + big
        )
        if standing is not None and apart and rng.random() < 0.7:
            path = standing
        else:
            direction = rng.uniform(0, 2 * np.pi)
            speed = (size + big) / max(0.1 * n, 1) * rng.uniform(0.6, 1.2)
            away = (
                (np.arange(n) - meet)[:, None]
                * speed
                * np.array([np.cos(direction), np.sin(direction)])
            )
            path = centre + away
        if np.linalg.norm(path[0] - centre[0]) < (size + big) / 1.6:
            continue
        path = np.clip(path, -2 * big, frame + 2 * big)
        still, none = np.full(n, big), np.zeros((n, 2))
        aspect, angle = np.full(n, sprite.aspect), np.full(n, rng.uniform(-0.3, 0.3))
        actors.append(Actor(sprite, path, still, aspect, angle, np.zeros((n, 3)), none, none))
    return actors
