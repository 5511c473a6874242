"""One rendered clip: a pure function of its settings and its seed. Attribute labels are measured on
what was rendered, by the benchmarks' own definitions where they have numbers.
"""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.errors import UserError
from siamla.geometry import Array, centre
from siamla.miniatures.background import Background, Weather, make_background, make_weather
from siamla.miniatures.cast import Actor, Cast, make_composite, make_region
from siamla.miniatures.findable import findable
from siamla.miniatures.paths import Rng
from siamla.miniatures.settings import ClipSettings
from siamla.miniatures.sprites import Image, draw

# Less of the target than this in view counts as absent.
PRESENT = 0.05

# A person is to find the target in every frame that shows this share of it.
_SHOWN = 0.5
_TRIES = 200


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
    """xywh boxes (N, 4) cut at a frame's border; zeros where nothing is left."""
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
    """Frame t, the target's outline (P, 2) and the covered share of its visible part."""
    frame = background.frame(t)
    for distractor in cast.distractors:
        draw(frame, distractor.sprite, distractor.pose(t))
    alpha = np.zeros(frame.shape[:2], np.float32)
    if isinstance(cast.target, Actor):
        outline, sharp, window = draw(frame, cast.target.sprite, cast.target.pose(t))
        if sharp is not None:
            alpha[window] = sharp
    else:
        outline = background.project(t, cast.target)
        low = np.clip(np.floor(outline.min(0)), 0, frame.shape[1::-1]).astype(int)
        high = np.clip(np.ceil(outline.max(0)), 0, frame.shape[1::-1]).astype(int)
        alpha[low[1] : high[1], low[0] : high[0]] = 1
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
    turned = outline @ turn
    (x0, y0), (x1, y1) = turned.min(0), turned.max(0)
    return (np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) @ turn.T).ravel()


@dataclass(frozen=True)
class Trace:
    """What happened in a clip of N frames: boxes (N, 4) before they are cut at the border, the
    share of the box in the frame, the covered share of its visible part, the camera's motion (N, 2)
    in pixels, brightness, turn in radians.
    """

    full: Array
    inside: Array
    hidden: Array
    shake: Array
    gain: Array
    angle: Array
    challenges: frozenset[str]


def _step(trace: Trace) -> Array:
    """(N,) how far the target's centre moved since the frame before, pixels."""
    middle = centre(trace.full)
    return np.asarray(np.linalg.norm(np.diff(middle, axis=0, prepend=middle[:1]), axis=1))


def _beyond(ratio: Array, factor: float) -> bool:
    """Whether a ratio leaves [1 / factor, factor] anywhere."""
    return bool((np.maximum(ratio, 1 / np.maximum(ratio, 1e-9)) > factor).any())


def _named(holds: dict[str, Any]) -> frozenset[str]:
    return frozenset(name for name, true in holds.items() if true)


def sequence_labels(trace: Trace) -> dict[str, frozenset[str]]:
    """The labels of the whole sequence for the layouts that have them.

    OTB: scale change over 2, more than 20 px a frame, fewer than 400 px. LaSOT: size ratio beyond
    [0.5, 2], motion beyond the box's own size, under 1000 px. TNL2K has LaSOT's and AS, TC and MS,
    of which the renderer makes the switch of modality alone.
    """
    size, area = trace.full[:, 2:], trace.full[:, 2:].prod(1)
    aspect = size[:, 0] / size[:, 1]
    turned = np.ptp(trace.angle) > np.radians(20)
    both = {
        "IV": trace.gain.max() / trace.gain.min() > 1.3 or "light" in trace.challenges,
        "DEF": "deform" in trace.challenges,
        "MB": "blur" in trace.challenges,
        "BC": "lookalike" in trace.challenges,
    }
    otb = both | {
        "SV": _beyond(size / size[0], 2) or _beyond(np.sqrt(area / area[0]), 1.6),
        "OCC": (trace.hidden > 0.1).any(),
        "FM": (_step(trace) > 20).any(),
        "IPR": turned,
        "OPR": "turn" in trace.challenges,
        "OV": (trace.inside < 0.9).any(),
        "LR": (area < 400).any(),
    }
    lasot = both | {
        "CM": (np.linalg.norm(trace.shake, axis=1) > 2).mean() > 0.1,
        "ROT": turned,
        "FOC": (trace.hidden > 0.95).any(),
        "OV": (trace.inside < 0.05).any(),
        "POC": ((trace.hidden > 0.1) & (trace.hidden <= 0.95)).any(),
        "VC": "turn" in trace.challenges,
        "SV": _beyond(area / area[0], 2),
        "ARC": _beyond(aspect / aspect[0], 2),
        "LR": (area < 1000).any(),
        "FM": (_step(trace) > np.sqrt(area)).any(),
    }
    tnl2k = lasot | {"MS": "switch" in trace.challenges}
    return {"otb": _named(otb), "lasot": _named(lasot), "tnl2k": _named(tnl2k)}


def frame_labels(trace: Trace) -> dict[str, NDArray[np.bool_]]:
    """VOT's five tags of every frame, each (N,); the change is that of the last five frames."""
    before = np.maximum(np.arange(len(trace.gain)) - 5, 0)
    side = np.sqrt(trace.full[:, 2:].prod(1))
    return {
        "camera_motion": np.linalg.norm(trace.shake, axis=1) > 1.5,
        "illum_change": np.abs(np.log(trace.gain / trace.gain[before])) > 0.12,
        "motion_change": _step(trace) > 0.12 * side,
        "occlusion": (trace.hidden > 0.1) | (trace.inside < 0.9),
        "size_change": np.abs(np.log(side / side[before])) > 0.12,
    }


def _try(rng: Rng, clip: ClipSettings) -> Clip | None:
    """A clip drawn at random; None once a frame shows the target and nobody would find it."""
    if clip.region:
        made = make_region(rng, clip)
        if made is None:
            return None
        background, cast = made
    else:
        background = make_background(rng, clip)
        cast = make_composite(rng, clip, background)
    weather = make_weather(rng, clip, background)
    drawn = []
    for t in range(clip.frames):
        frame, outline, cover = _render(t, background, weather, cast)
        share = _share(outline, clip.size)
        if (1 - cover) * share >= _SHOWN and not findable(frame, outline):
            return None
        drawn.append((frame, outline, cover, share))
    frames, outlines, covers, shares = zip(*drawn, strict=True)
    angles = cast.target.angle if isinstance(cast.target, Actor) else background.angle
    low = np.array([outline.min(0) for outline in outlines])
    high = np.array([outline.max(0) for outline in outlines])
    full = np.concatenate([low, high - low], axis=1)
    inside, hidden = np.array(shares), np.array(covers)
    boxes = clip_boxes(full, clip.size)
    # The photo itself neither wobbles nor has a twin.
    challenges = clip.challenges - ({"deform", "lookalike"} if clip.region else set())
    visible = ((1 - hidden) * inside >= PRESENT) & (boxes[:, 2] > 0)
    trace = Trace(full, inside, hidden, background.shake(), weather.gain, angles, challenges)
    polygons = np.array([_turned_rectangle(*each) for each in zip(outlines, angles, strict=True)])
    return Clip([*frames], boxes, visible, polygons, sequence_labels(trace), frame_labels(trace))


def render(clip: ClipSettings, seed: np.random.SeedSequence) -> Clip:
    """Render a clip; the same settings and seed give the same bytes.

    Clips are drawn, each in the next of its scenes, until a person would find the target in each
    frame that shows at least half of it. UserError where 200 draws hold no such clip.
    """
    cv2.setNumThreads(1)
    scenes = (clip.scene, *clip.others)
    for index in range(_TRIES):
        key = (*seed.spawn_key, index)
        rng = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(seed.entropy, spawn_key=key))
        )
        made = _try(rng, replace(clip, scene=scenes[index % len(scenes)]))
        if made is not None:
            return made
    challenges = ", ".join(sorted(clip.challenges)) or "no challenge"
    raise UserError(
        f"no clip of {clip.frames} frames with {challenges} in {_TRIES} draws has a target that a "
        "person would find: lower `region` or `motion.camouflage`, or raise `motion.target`"
    )
