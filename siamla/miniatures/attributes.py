"""Attribute labels, measured on what was rendered by the benchmarks' own definitions where they
have numbers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siamla.miniatures.paths import Array

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Trace:
    """What happened in a clip: boxes before and after cutting at the border (N, 4), shares (N,),
    camera and light.

    `inside` is the share of the box in the frame, `hidden` the covered share of the target's
    visible part, `shake` (N, 2) the camera's motion in pixels, `gain` (N,) the brightness, `angle`
    (N,) radians.
    """

    full: Array
    boxes: Array
    inside: Array
    hidden: Array
    shake: Array
    gain: Array
    angle: Array
    challenges: frozenset[str]


def _step(trace: Trace) -> Array:
    """(N,) how far the target's centre moved since the frame before, pixels."""
    centre = trace.full[:, :2] + trace.full[:, 2:] / 2
    return np.concatenate([[0.0], np.linalg.norm(np.diff(centre, axis=0), axis=1)])


def _beyond(ratio: Array, factor: float) -> bool:
    """Whether a ratio leaves [1 / factor, factor] anywhere."""
    return bool((np.maximum(ratio, 1 / np.maximum(ratio, 1e-9)) > factor).any())


def _otb(trace: Trace) -> frozenset[str]:
    """OTB's eleven: scale change over 2 against frame 1, more than 20 px a frame, fewer than 400
    px.
    """
    area, size = trace.full[:, 2:].prod(1), trace.full[:, 2:]
    found = {
        "IV": bool(trace.gain.max() / trace.gain.min() > 1.3 or "light" in trace.challenges),
        "SV": _beyond(size / size[0], 2) or _beyond(np.sqrt(area / area[0]), 1.6),
        "OCC": bool((trace.hidden > 0.1).any()),
        "DEF": "deform" in trace.challenges,
        "MB": "blur" in trace.challenges,
        "FM": bool((_step(trace) > 20).any()),
        "IPR": bool(np.ptp(trace.angle) > np.radians(20)),
        "OPR": "turn" in trace.challenges,
        "OV": bool((trace.inside < 0.9).any()),
        "BC": "lookalike" in trace.challenges,
        "LR": bool((area < 400).any()),
    }
    return frozenset(name for name, true in found.items() if true)


def _lasot(trace: Trace) -> frozenset[str]:
    """LaSOT's fourteen: size ratio beyond [0.5, 2], motion beyond the box's own size, area under
    1000 px.
    """
    area, aspect = trace.full[:, 2:].prod(1), trace.full[:, 2] / trace.full[:, 3]
    turned = bool(np.ptp(trace.angle) > np.radians(20))
    found = {
        "CM": bool((np.linalg.norm(trace.shake, axis=1) > 2).mean() > 0.1),
        "ROT": turned,
        "DEF": "deform" in trace.challenges,
        "FOC": bool((trace.hidden > 0.95).any()),
        "IV": bool(trace.gain.max() / trace.gain.min() > 1.3 or "light" in trace.challenges),
        "OV": bool((trace.inside < 0.05).any()),
        "POC": bool(((trace.hidden > 0.1) & (trace.hidden <= 0.95)).any()),
        "VC": "turn" in trace.challenges,
        "SV": _beyond(area / area[0], 2),
        "BC": "lookalike" in trace.challenges,
        "MB": "blur" in trace.challenges,
        "ARC": _beyond(aspect / aspect[0], 2),
        "LR": bool((area < 1000).any()),
        "FM": bool((_step(trace) > np.sqrt(area)).any()),
    }
    return frozenset(name for name, true in found.items() if true)


def _tnl2k(trace: Trace) -> frozenset[str]:
    """TNL2K's seventeen are LaSOT's and AS, TC, MS; of these the renderer makes the switch of
    modality alone.
    """
    return _lasot(trace) | (frozenset({"MS"}) if "switch" in trace.challenges else frozenset())


def sequence_labels(trace: Trace) -> dict[str, frozenset[str]]:
    """The labels of the whole sequence for the layouts that have them."""
    return {"otb": _otb(trace), "lasot": _lasot(trace), "tnl2k": _tnl2k(trace)}


def frame_labels(trace: Trace) -> dict[str, Flags]:
    """VOT's five tags of every frame, each (N,); the change is that of the last five frames."""
    n = len(trace.gain)
    before = np.maximum(np.arange(n) - 5, 0)
    side = np.sqrt(trace.full[:, 2:].prod(1))
    return {
        "camera_motion": np.linalg.norm(trace.shake, axis=1) > 1.5,
        "illum_change": np.abs(np.log(trace.gain / trace.gain[before])) > 0.12,
        "motion_change": _step(trace) > 0.12 * side,
        "occlusion": (trace.hidden > 0.1) | (trace.inside < 0.9),
        "size_change": np.abs(np.log(side / side[before])) > 0.12,
    }
