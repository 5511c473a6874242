"""Smooth random paths: walks between bounds, sampled at every frame."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator

Array = NDArray[np.float64]
Rng = np.random.Generator


def _reflect(value: Array, low: Array, high: Array) -> Array:
    """Values folded back into [low, high] as a ball bounces between two walls."""
    span = np.maximum(high - low, 1e-9)
    folded = np.mod(value - low, 2 * span)
    return low + np.where(folded > span, 2 * span - folded, folded)


def smooth(knots: ArrayLike, frames: int, spacing: int) -> Array:
    """A (frames, D) curve through knots (K, D), `spacing` frames apart, that never overshoots
    them.
    """
    knots = np.asarray(knots, np.float64)
    if spacing == 1:
        return knots[:frames]
    return np.asarray(
        PchipInterpolator(np.arange(len(knots)) * spacing, knots)(np.arange(frames)), np.float64
    )


def walk(
    rng: Rng,
    frames: int,
    spacing: int,
    step: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    start: ArrayLike | None = None,
) -> Array:
    """A (frames, D) random walk inside [low, high] with steps of half to one and a half times
    `step`.

    It starts at `start`, or anywhere.
    """
    ends = np.stack([np.atleast_1d(np.asarray(end, np.float64)) for end in (low, high)])
    bottom, top = ends.min(0), ends.max(0)
    count = -(-(frames - 1) // spacing) + 1
    direction = rng.normal(size=(count, len(bottom)))
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
    moves = direction * np.asarray(step, np.float64) * rng.uniform(0.5, 1.5, (count, 1))
    moves[0] = rng.uniform(bottom, top) if start is None else np.asarray(start, np.float64)
    return smooth(_reflect(np.cumsum(moves, axis=0), bottom, top), frames, spacing)


def bump(frames: int, middle: float, half_width: float) -> Array:
    """(frames,) that rises smoothly from 0 to 1 at frame `middle` and falls again, with a
    plateau.
    """
    distance = np.abs(np.arange(frames) - middle) / max(half_width, 1e-9)
    ramp = np.clip(2 * (1 - distance), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)
