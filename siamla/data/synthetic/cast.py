"""Who plays in a clip: the target, distractors behind it and occluders in front, each with its
path.
"""

from dataclasses import dataclass, replace

import numpy as np

from siamla.data.synthetic.background import Background, camera, pick_scene
from siamla.data.synthetic.paths import Array, Rng, bump, walk
from siamla.data.synthetic.photos import PHOTOS
from siamla.data.synthetic.segments import photo_segments
from siamla.data.synthetic.settings import ClipSettings
from siamla.data.synthetic.sprites import Image, Pose, Sprite, lookalike, make_sprite


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


@dataclass(frozen=True)
class RegionTarget:
    """A part of the photo itself: the corners of a rectangle, or the outline of a segment, (P, 2)."""

    corners: Array


@dataclass(frozen=True)
class Cast:
    """Drawn in this order: distractors, target, occluders."""

    target: Actor | RegionTarget
    distractors: list[Actor]
    occluders: list[Actor]


def _textures(clip: ClipSettings) -> tuple[str, ...]:
    """The photos that objects are cut from: not the one they stand in front of."""
    return tuple(name for name in PHOTOS[clip.split] if name != clip.scene)


def _target_size(rng: Rng, clip: ClipSettings) -> float:
    low, high = clip.motion.target
    side = float(np.exp(rng.uniform(np.log(low), np.log(high)))) * min(clip.size)
    return max(side / 3, 12.0) if "tiny" in clip.challenges else side


def _scale_walk(rng: Rng, clip: ClipSettings) -> Array:
    """(N,) factor of the target's size, 1 in the middle of its range."""
    reach = np.log(clip.motion.zoom) / (1 if "zoom" in clip.challenges else 3)
    return np.asarray(
        np.exp(walk(rng, clip.frames, clip.motion.knot_frames, 0.7 * reach, -reach, reach))[:, 0]
    )


def _angle_walk(rng: Rng, clip: ClipSettings) -> Array:
    reach = np.radians(clip.motion.rotation) / (1 if "rotate" in clip.challenges else 4)
    return walk(rng, clip.frames, clip.motion.knot_frames, 0.7 * reach, -reach, reach)[:, 0]


def _position_walk(rng: Rng, clip: ClipSettings, size: float) -> Array:
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


def _actor(rng: Rng, clip: ClipSettings, sprite: Sprite, size: float, centre: Array) -> Actor:
    """The sprite on the given path, with size, turn, wobble and viewpoint as the challenges say."""
    n, spacing = clip.frames, clip.motion.knot_frames
    size_path = size * _scale_walk(rng, clip)
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
        _angle_walk(rng, clip),
        wobble,
        shift,
        _blur(clip, centre),
    )


def _distractors(rng: Rng, clip: ClipSettings, size: float, twin: Sprite | None) -> list[Actor]:
    """Other objects on paths of their own; with `twin` one or two of them look like it."""
    frame = np.array(clip.size, np.float64)
    low, high = clip.motion.distractors
    sprites = [
        make_sprite(rng, _textures(clip), size, clip.looks)
        for _ in range(rng.integers(low, high + 1))
    ]
    if twin is not None:
        sprites += [lookalike(twin, rng) for _ in range(rng.integers(1, 3))]
    actors = []
    for sprite in sprites:
        step = clip.motion.travel * frame.min()
        centre = walk(rng, clip.frames, clip.motion.knot_frames, step, [0, 0], frame)
        actors.append(_actor(rng, clip, sprite, size * rng.uniform(0.7, 1.3), centre))
    return actors


def _occluders(
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
        sprite = make_sprite(rng, _textures(clip), big, clip.looks)
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
    size = _target_size(rng, clip)
    centre = _position_walk(rng, clip, size)
    sprite, seen = make_sprite(rng, _textures(clip), size, clip.looks), background.frame(0)
    if clip.looks.segments:
        seen = _around(seen, centre[0], size)
        if not _stands_out(sprite, seen):
            sprite = make_sprite(rng, _textures(clip), size, clip.looks)
        blended = _match_contrast(sprite, seen, rng.uniform(0, 0.8))
        blended = _blend_in(blended, seen, rng.uniform(*clip.motion.camouflage))
        sprite = blended if _stands_out(blended, seen) else sprite
    else:
        sprite = _blend_in(sprite, seen, rng.uniform(*clip.motion.camouflage))
    target = _actor(rng, clip, sprite, size, centre)
    twin = sprite if "lookalike" in clip.challenges else None
    others = _distractors(rng, clip, size, twin)
    return Cast(target, others, _occluders(rng, clip, centre, size, background))


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


def make_region(rng: Rng, clip: ClipSettings) -> tuple[Background, Cast]:
    """A part of the photo as the target: the camera alone makes it move, grow and turn."""
    photo, mirrored = pick_scene(rng, clip)
    n, spacing = clip.frames, clip.motion.knot_frames
    size = _target_size(rng, clip)
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
    zoom = scale * _scale_walk(rng, clip)
    path = _position_walk(rng, clip, size)
    if "leave" not in clip.challenges:
        # Keep most of the view on the photo: its mirror images beyond the edges would be second
        # targets.
        half = np.minimum(frame / zoom[:, None] / 2, extent / 2)
        half *= 0.95 if clip.looks.segments else 0.6
        view = np.clip(middle + (frame / 2 - path) / zoom[:, None], half, extent - half)
        path = frame / 2 - (view - middle) * zoom[:, None]
    # The axis-aligned box of a turned rectangle is loose: turn less than an object does.
    angle = 0.25 * _angle_walk(rng, clip)
    stretch = 0.35 if "turn" in clip.challenges else 0.06
    aspect = np.exp(walk(rng, n, spacing, 0.7 * stretch, -stretch, stretch)[:, 0])
    matrices = camera(zoom, angle, aspect, np.broadcast_to(middle, (n, 2)), path)
    background = Background(photo, matrices, angle, clip.size)
    count = clip.motion.distractors[1] // 2
    movers = [
        make_sprite(rng, _textures(clip), size, clip.looks)
        for _ in range(rng.integers(0, count + 1))
    ]
    distractors = []
    for sprite in movers:
        centre = walk(rng, n, spacing, clip.motion.travel * frame.min(), [0, 0], frame)
        # They cross behind nothing: keep them off the target, which is the scene itself.
        gap = centre - path
        far = np.maximum(np.linalg.norm(gap, axis=1, keepdims=True), 1e-6)
        centre = path + gap / far * np.maximum(far, 1.6 * size)
        distractors.append(_actor(rng, clip, sprite, size * rng.uniform(0.6, 1), centre))
    return background, Cast(
        RegionTarget(corners), distractors, _occluders(rng, clip, path, size, None)
    )
