"""Smooth random paths: walks between bounds, sampled at every frame."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator

from siamla.geometry import Array
from siamla.miniatures.settings import ClipSettings

Rng = np.random.Generator


def walk(
    rng: Rng,
    clip: ClipSettings,
    step: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    start: ArrayLike | None = None,
) -> Array:
    """A (frames, D) random walk inside [low, high] with steps of half to one and a half times
    `step` between the clip's knots; it starts at `start`, or anywhere.

    The curve through the knots is smooth and never overshoots them.
    """
    frames, spacing = clip.frames, clip.motion.knot_frames
    bottom, top = np.sort(np.array([low, high], np.float64).reshape(2, -1), axis=0)
    count = -(-(frames - 1) // spacing) + 1
    direction = rng.normal(size=(count, len(bottom)))
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
    moves = direction * np.asarray(step, np.float64) * rng.uniform(0.5, 1.5, (count, 1))
    moves[0] = rng.uniform(bottom, top) if start is None else start
    # folded back into the bounds as a ball bounces between two walls
    span = np.maximum(top - bottom, 1e-9)
    folded = np.mod(np.cumsum(moves, axis=0) - bottom, 2 * span)
    knots = bottom + np.where(folded > span, 2 * span - folded, folded)
    if spacing == 1:
        return np.asarray(knots[:frames])
    curve = PchipInterpolator(np.arange(count) * spacing, knots)
    return np.asarray(curve(np.arange(frames)), np.float64)


def bump(frames: int, middle: float, half_width: float) -> Array:
    """(frames,) that rises smoothly from 0 to a plateau of 1 at `middle` and falls again."""
    distance = np.abs(np.arange(frames) - middle) / max(half_width, 1e-9)
    ramp = np.clip(2 * (1 - distance), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def clipped(vectors: Array, most: float) -> Array:
    """Vectors (N, 2), those that are longer than `most` shortened to it."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors * np.minimum(1, most / np.maximum(length, 1e-9)))
