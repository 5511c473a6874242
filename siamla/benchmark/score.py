"""Scores from stored predictions alone, by the rules of a protocol."""

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark import store, vot
from siamla.benchmark.metrics import (
    centre_distance,
    clip_to_image,
    fractions,
    normalised_distance,
    summarise,
)
from siamla.benchmark.protocols import Curve, OnePass, Protocol
from siamla.data.formats import LAYOUTS
from siamla.errors import UserError
from siamla.geometry import iou
from siamla.sequence import Sequence

Array = NDArray[np.float64]
Sizes = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Scores:
    """What a tracker reached on a benchmark.

    Attributes:
        overall: metric → value; None where nothing counts (accuracy of a tracker that never survives the burn-in).
        per_sequence: one row per sequence: "sequence", "frames" and the metrics.
        per_attribute: attribute → metric → value, with "sequences" (or, for VOT, "frames") as the count.
        curves: "success", "precision", "norm_precision" or "expected_overlap" → (x (T,), y (T,)).
    """

    overall: dict[str, Any]
    per_sequence: list[dict[str, Any]]
    per_attribute: dict[str, dict[str, Any]]
    curves: dict[str, tuple[Array, Array]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Values:
    """The kept frames of one sequence: their overlaps and distances, and what the curves divide by."""

    overlap: Array
    distance: Array
    normalised: Array
    denominator: int


def image_size(sequence: Sequence, sizes: Sizes | None = None) -> tuple[int, int]:
    """(width, height) of a sequence's images: given, or read from the header of its first frame."""
    if sizes and sequence.name in sizes:
        return sizes[sequence.name]
    from PIL import Image

    if not sequence.frames:
        raise UserError(f"{sequence.name}: its protocol clips boxes to the image, and there are no frames to measure")
    try:
        with Image.open(sequence.frames[0]) as image:
            return image.size
    except OSError as error:
        raise UserError(f"{sequence.frames[0]}: the image size cannot be read ({error})") from None


def _matched(boxes: Array, path: Path, count: int, rules: OnePass) -> Array:
    """The predictions, brought to the truth's length or refused."""
    finite = np.isfinite(boxes).all(1)
    if not finite.all() and rules.broken_prediction != "previous":
        raise UserError(f"{path}, line {int(finite.argmin()) + 1}: a box that is not finite")
    if len(boxes) < count and rules.short == "zeros":
        return np.concatenate([boxes, np.zeros((count - len(boxes), 4))])
    if len(boxes) < count or (len(boxes) > count and rules.long == "error"):
        raise UserError(f"{path}: {len(boxes)} rows, but the annotation has {count}")
    return boxes[:count]


def _repeat_previous(boxes: Array) -> Array:
    """Each box that is NaN or without area replaced by the last sound one before it."""
    sound = np.isfinite(boxes).all(1) & (boxes[:, 2:] > 0).all(1)
    sound[0] = True
    return boxes[np.maximum.accumulate(np.where(sound, np.arange(len(boxes)), 0))]


def _measure(truth: Array, seen: NDArray[np.bool_], found: Array, origin: int, rules: OnePass,
             size: tuple[int, int] | None) -> _Values:  # fmt: skip
    """Overlaps and distances of one run, by the protocol's rules."""
    if rules.first_frame == "truth":
        found = np.concatenate([truth[:1], found[1:]])
    if rules.broken_prediction == "previous":
        found = _repeat_previous(found)
    keep: NDArray[np.bool_] = np.array(seen if rules.unseen == "drop" else np.ones(len(truth), bool))
    total = len(truth)
    if rules.first_frame == "drop":
        keep[0] = False
        total -= 1
    truth, found = truth[keep], found[keep]
    if rules.rounded:
        truth, found = np.round(truth), np.round(found)
    if rules.clipped and size is not None:
        truth, found = clip_to_image(truth, size), clip_to_image(found, size)
    overlap = np.minimum(iou(truth, found), 1)  # equal boxes may overlap by a rounding error more than 1
    distance = centre_distance(truth, found)
    normalised = normalised_distance(truth, found)
    if rules.valid_truth != "any":
        with np.errstate(invalid="ignore"):
            positive = (truth[:, 2:] > 0).all(1)
            if rules.valid_truth == "all":
                positive &= (truth[:, :2] + origin > 0).all(1)
        overlap = np.where(positive, overlap, -1.0)
        distance = np.where(positive, distance, rules.invalid_distance)
        normalised = np.where(positive, normalised, rules.invalid_distance)
    return _Values(overlap, distance, normalised, total if rules.denominator == "all" else len(truth))


def _load(sequence: Sequence, folder: Path, protocol: Protocol, rules: OnePass, sizes: Sizes | None) -> _Values:
    """All repetitions of a sequence, measured and joined."""
    if len(sequence.boxes) < len(sequence.frames):
        withheld = "only the first box is public: submit the predictions" if len(sequence.boxes) == 1 else "incomplete"
        raise UserError(f"{sequence.name}: {len(sequence.boxes)} boxes for {len(sequence)} frames ({withheld})")
    count, origin = len(sequence.boxes), LAYOUTS[protocol.layout].ORIGIN
    size = image_size(sequence, sizes) if rules.clipped else None
    runs = []
    numbers = store.repetitions(folder, sequence.name, protocol.layout)
    if not numbers and rules.short == "zeros":
        runs.append(_measure(sequence.boxes, sequence.visible, np.zeros((count, 4)), origin, rules, size))
    for number in numbers or ([] if runs else [1]):
        path = store.track_path(folder, sequence.name, protocol.layout, number)
        boxes = store.read_track(folder, sequence.name, protocol.layout, number).boxes
        found = _matched(boxes, path, count, rules)
        runs.append(_measure(sequence.boxes, sequence.visible, found, origin, rules, size))
    if len(runs) == 1:
        return runs[0]
    return _Values(
        np.concatenate([run.overlap for run in runs]),
        np.concatenate([run.distance for run in runs]),
        np.concatenate([run.normalised for run in runs]),
        sum(run.denominator for run in runs),
    )


def _score_onepass(sequences: Many[Sequence], folder: Path, protocol: Protocol, sizes: Sizes | None) -> Scores:
    rules = protocol.onepass
    assert rules is not None
    values = [_load(sequence, folder, protocol, rules, sizes) for sequence in sequences]
    parts: dict[str, tuple[Curve, Callable[[_Values], Array]]] = {"success": (rules.success, lambda v: v.overlap)}
    if rules.precision:
        parts["precision"] = (rules.precision, lambda v: v.distance)
    if rules.norm_precision:
        parts["norm_precision"] = (rules.norm_precision, lambda v: v.normalised)
    each = {key: np.stack([fractions(pick(v), curve, v.denominator) for v in values])
            for key, (curve, pick) in parts.items()}  # fmt: skip
    lengths = np.array([v.denominator for v in values], np.float64)
    means = np.array([v.overlap.mean() if len(v.overlap) else 0.0 for v in values])
    kept = np.array([len(v.overlap) for v in values], np.float64)

    def reported(curves: dict[str, Array], mean: Array) -> dict[str, Array]:
        found = {rules.overlap: mean} if rules.overlap else {}
        for key, (curve, _) in parts.items():
            found |= summarise(curves[key], curve)
        return {metric: found[metric] for metric in protocol.metrics}

    def together(chosen: NDArray[np.bool_]) -> tuple[dict[str, float], dict[str, Array]]:
        pooled = rules.pooled == "frames"
        weights = lengths[chosen] if pooled else np.ones(int(chosen.sum()))
        curves = {key: _mean(rows[chosen], weights) for key, rows in each.items()}
        mean = _mean(means[chosen], kept[chosen] if pooled else weights)
        return {metric: float(value) for metric, value in reported(curves, mean).items()}, curves

    overall, curves = together(np.ones(len(sequences), bool))
    columns = reported(each, means)
    rows = [{"sequence": sequence.name, "frames": len(sequence.boxes)}
            | {metric: float(column[index]) for metric, column in columns.items()}
            for index, sequence in enumerate(sequences)]  # fmt: skip
    attributes = {}
    for attribute in sorted({label for sequence in sequences for label in sequence.attributes}):
        chosen = np.array([attribute in sequence.attributes for sequence in sequences])
        attributes[attribute] = {"sequences": float(chosen.sum())} | together(chosen)[0]
    shown = {key: (parts[key][0].thresholds(), curve) for key, curve in curves.items()}
    return Scores(overall, rows, attributes, shown)


def _mean(rows: Array, weights: Array) -> Array:
    """Weighted mean over the first axis; 0 where all weights are 0."""
    return np.tensordot(weights, rows, 1) / max(float(weights.sum()), 1e-300)


def score(sequences: Many[Sequence], folder: Path, protocol: Protocol, sizes: Sizes | None = None) -> Scores:
    """Score the predictions stored in `folder` against the sequences' truth, by the protocol.

    `sizes` gives (width, height) by sequence name where a protocol clips to the image and no frames are at hand.
    UserError for a missing sequence, wrong counts, or numbers that the protocol has no rule for.
    """
    if not sequences:
        raise UserError(f"{protocol.title}: no sequences to score")
    if protocol.supervised is None:
        return _score_onepass(sequences, folder, protocol, sizes)
    return Scores(*vot.score_supervised(sequences, folder, protocol, lambda s: image_size(s, sizes)))
