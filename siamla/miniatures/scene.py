"""One rendered clip: a pure function of its settings and its seed."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.miniatures.attributes import Trace, frame_labels, sequence_labels
from siamla.miniatures.background import Background, Weather, make_background, make_weather
from siamla.miniatures.cast import Cast, RegionTarget, make_composite, make_region
from siamla.miniatures.paths import Array
from siamla.miniatures.settings import ClipSettings
from siamla.miniatures.sprites import Image, draw

# Less of the target than this in view counts as absent.
PRESENT = 0.05


@dataclass(frozen=True)
class Clip:
    """A rendered clip of N frames (H, W, 3) uint8 BGR with its exact truth.

    boxes (N, 4): xywh, 0-based continuous, the bounds of the target's outline before occlusion, cut
    at the frame's border, all 0 where nothing of it is inside. polygons (N, 8): the rectangle
    around the outline turned with the target, not cut. visible (N,): at least 5 % of the target is
    in view. attributes: labels of OTB, LaSOT and TNL2K by benchmark; frame_attributes: VOT's five
    tags.
    """

    frames: list[Image]
    boxes: Array
    visible: NDArray[np.bool_]
    polygons: Array
    attributes: dict[str, frozenset[str]]
    frame_attributes: dict[str, NDArray[np.bool_]]


def clip_boxes(boxes: Array, size: tuple[int, int]) -> Array:
    """xywh boxes (N, 4) cut at the border of a frame of (width, height); all zero where nothing is
    left.
    """
    low = np.clip(boxes[:, :2], 0, size)
    high = np.clip(boxes[:, :2] + boxes[:, 2:], 0, size)
    cut = np.concatenate([low, high - low], axis=1)
    return np.where((high - low > 1).all(1, keepdims=True), cut, 0.0)


def _share(outline: Array, size: tuple[int, int]) -> float:
    """The share of the outline's bounds that lies inside the frame."""
    low, high = outline.min(0), outline.max(0)
    inside = np.clip(high, 0, size) - np.clip(low, 0, size)
    return float(np.prod(inside) / max(np.prod(high - low), 1e-9))


def _render(
    t: int, background: Background, weather: Weather, cast: Cast
) -> tuple[Image, Array, float]:
    """Frame t, the target's outline (P, 2) and the share of its visible part that something
    covers.
    """
    frame = background.frame(t)
    for distractor in cast.distractors:
        draw(frame, distractor.sprite, distractor.pose(t))
    if isinstance(cast.target, RegionTarget):
        outline = background.project(t, cast.target.corners)
        low = np.clip(np.floor(outline.min(0)), 0, frame.shape[1::-1]).astype(int)
        high = np.clip(np.ceil(outline.max(0)), 0, frame.shape[1::-1]).astype(int)
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        alpha = np.zeros(frame.shape[:2], np.float32)
        alpha[window] = 1
    else:
        outline, sharp, window = draw(frame, cast.target.sprite, cast.target.pose(t))
        alpha = np.zeros(frame.shape[:2], np.float32)
        if sharp is not None:
            alpha[window] = sharp
    total = float(alpha.sum())
    for occluder in cast.occluders:
        _, cover, where = draw(frame, occluder.sprite, occluder.pose(t))
        if cover is not None:
            alpha[where] *= 1 - cover
    covered = 1 - float(alpha.sum()) / total if total else 0.0
    return weather.apply(t, frame), outline, covered


def _turned_rectangle(outline: Array, angle: float) -> Array:
    """The corners (8,) of the rectangle around the outline whose sides are turned by `angle`."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    own = outline @ turn
    (x0, y0), (x1, y1) = own.min(0), own.max(0)
    return (np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) @ turn.T).ravel()


def render(clip: ClipSettings, seed: np.random.SeedSequence) -> Clip:
    """Render a clip; the same settings and seed give the same bytes."""
    cv2.setNumThreads(1)
    rng = np.random.Generator(np.random.PCG64(seed))
    if clip.region:
        background, cast = make_region(rng, clip)
    else:
        background = make_background(rng, clip)
        cast = make_composite(rng, clip, background)
    weather = make_weather(rng, clip, background)
    frames, outlines, covered = [], [], []
    for t in range(clip.frames):
        frame, outline, cover = _render(t, background, weather, cast)
        frames.append(frame)
        outlines.append(outline)
        covered.append(cover)
    angles = background.angle if isinstance(cast.target, RegionTarget) else cast.target.angle
    low, high = np.array([o.min(0) for o in outlines]), np.array([o.max(0) for o in outlines])
    full = np.concatenate([low, high - low], axis=1)
    inside = np.array([_share(outline, clip.size) for outline in outlines])
    boxes = clip_boxes(full, clip.size)
    hidden = np.array(covered)
    # The photo itself neither wobbles nor has a twin.
    shown = clip.challenges - ({"deform", "lookalike"} if clip.region else set())
    visible = ((1 - hidden) * inside >= PRESENT) & (boxes[:, 2] > 0)
    trace = Trace(full, boxes, inside, hidden, background.shake(), weather.gain, angles, shown)
    polygons = np.array([_turned_rectangle(o, a) for o, a in zip(outlines, angles, strict=True)])
    return Clip(frames, boxes, visible, polygons, sequence_labels(trace), frame_labels(trace))
