"""Scores from stored predictions alone, by the rules of a protocol."""

import sys
from collections.abc import Mapping
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
    overlap,
    summarise,
)
from siamla.benchmark.protocols import Curve, OnePass, Protocol
from siamla.data.formats import LAYOUTS
from siamla.errors import UserError
from siamla.sequence import Sequence

Array = NDArray[np.float64]
Sizes = Mapping[str, tuple[int, int]]
Curves = dict[str, tuple[Array, Array]]


@dataclass(frozen=True)
class Scores:
    """What a tracker reached on a benchmark.

    Attributes:
        overall: metric → value; None where nothing counts (accuracy of a tracker that never survives the burn-in).
        per_sequence: one row per sequence: "sequence", "frames" and the metrics.
        per_attribute: attribute → metric → value, with "sequences" (or, for VOT, "frames") as the count.
        curves: "success", "precision", "norm_precision" or "expected_overlap" → (x (T,), y (T,)).
        attribute_curves: attribute → the curves of its sequences alone; none for VOT, whose tags are of frames.
        attributes_of: sequence → its labels, sorted; for VOT the tags that any of its frames has.
    """

    overall: dict[str, Any]
    per_sequence: list[dict[str, Any]]
    per_attribute: dict[str, dict[str, Any]]
    curves: Curves = field(default_factory=dict)
    attribute_curves: dict[str, Curves] = field(default_factory=dict)
    attributes_of: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Frames:
    """The frames of one sequence that count: truth and prediction (N, 4) 0-based, and what the curves divide by."""

    truth: Array
    found: Array
    denominator: int
    size: tuple[int, int] | None = None


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


def withheld(sequence: Sequence) -> bool:
    """True if the truth is public in the first frame alone, as in the test sets of TrackingNet and GOT-10k."""
    return len(sequence.frames) > 1 and (len(sequence.boxes) == 1 or bool(np.isnan(sequence.boxes[1:]).all()))


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
    return boxes[np.maximum.accumulate(np.where(sound, np.arange(len(boxes)), 0))]


def _select(sequence: Sequence, found: Array, rules: OnePass, size: tuple[int, int] | None) -> Frames:
    """The frames of one run that the protocol counts."""
    truth, keep, total = sequence.boxes, np.arange(len(sequence.boxes)), len(sequence.boxes)
    if rules.first_frame == "truth":
        found = np.concatenate([truth[:1], found[1:]])
    if rules.broken_prediction == "previous":
        found = _repeat_previous(found)
    if rules.unseen == "drop":
        keep = keep[sequence.visible]
    if rules.first_frame == "drop":
        keep, total = keep[keep > 0], total - 1
    return Frames(truth[keep], found[keep], total if rules.denominator == "all" else len(keep), size)


def _load(sequence: Sequence, folder: Path, protocol: Protocol, rules: OnePass, sizes: Sizes | None) -> Frames:
    """All stored repetitions of a sequence, one after the other."""
    if withheld(sequence):
        raise UserError(f"{sequence.name}: only the first box is known, unlike in the other sequences")
    if len(sequence.boxes) < len(sequence.frames):
        raise UserError(f"{sequence.name}: {len(sequence.boxes)} boxes for {len(sequence)} frames")
    count, layout = len(sequence.boxes), protocol.layout
    size = image_size(sequence, sizes) if rules.clipped else None
    numbers = store.repetitions(folder, sequence.name, layout)
    if not numbers and rules.short == "zeros":
        return _select(sequence, np.zeros((count, 4)), rules, size)
    runs = []
    for number in numbers or [1]:
        path = store.track_path(folder, sequence.name, layout, number)
        found = _matched(store.read_track(folder, sequence.name, layout, number).boxes, path, count, rules)
        runs.append(_select(sequence, found, rules, size))
    if len(runs) == 1:
        return runs[0]
    truth, found = (np.concatenate([getattr(run, key) for run in runs]) for key in ("truth", "found"))
    return Frames(truth, found, sum(run.denominator for run in runs), size)


def measure(frames: Many[Frames], rules: OnePass, origin: int) -> tuple[Array, dict[str, Array]]:
    """Mean overlap (S,) and curves (S, T) of every sequence, by the protocol's rules; all frames in one pass.

    `origin` is the first pixel of the layout's files, in whose coordinates a rule may ask for positive numbers.
    """
    counts = np.array([len(part.truth) for part in frames])
    truth, found = np.concatenate([f.truth for f in frames]), np.concatenate([f.found for f in frames])
    if rules.rounded:
        truth, found = np.round(truth), np.round(found)
    if rules.clipped:
        limits = np.repeat([part.size or (np.inf, np.inf) for part in frames], counts, axis=0)
        truth, found = clip_to_image(truth, limits), clip_to_image(found, limits)
    values = {
        "success": overlap(truth, found),
        "precision": centre_distance(truth, found),
        "norm_precision": normalised_distance(truth, found),
    }
    if rules.valid_truth != "any":
        valid = (truth[:, 2] > 0) & (truth[:, 3] > 0)
        if rules.valid_truth == "all":
            valid = valid & (truth[:, 0] + origin > 0) & (truth[:, 1] + origin > 0)
        replaced = {"success": -1.0, "precision": rules.invalid_distance, "norm_precision": rules.invalid_distance}
        values = {key: np.where(valid, column, replaced[key]) for key, column in values.items()}
    groups = np.repeat(np.arange(len(frames)), counts)
    means = np.bincount(groups, values["success"], len(frames)) / np.maximum(counts, 1)
    denominators = [part.denominator for part in frames]
    curves = {key: fractions(values[key], curve, denominators, groups) for key, curve in _curves(rules).items()}
    return means, curves


def _curves(rules: OnePass) -> dict[str, Curve]:
    named = {"success": rules.success, "precision": rules.precision, "norm_precision": rules.norm_precision}
    return {key: curve for key, curve in named.items() if curve}


def _score_onepass(sequences: Many[Sequence], folder: Path, protocol: Protocol, sizes: Sizes | None) -> Scores:
    rules = protocol.onepass
    assert rules is not None
    frames = [_load(sequence, folder, protocol, rules, sizes) for sequence in sequences]
    means, each = measure(frames, rules, LAYOUTS[protocol.layout].ORIGIN)
    lengths = np.array([part.denominator for part in frames], np.float64)
    kept = np.array([len(part.truth) for part in frames], np.float64)

    def reported(curves: dict[str, Array], mean: Array) -> dict[str, Array]:
        found = {rules.overlap: mean} if rules.overlap else {}
        for key, curve in _curves(rules).items():
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
    attributes, attribute_curves = {}, {}
    for attribute in sorted({label for sequence in sequences for label in sequence.attributes}):
        chosen = np.array([attribute in sequence.attributes for sequence in sequences])
        values, own = together(chosen)
        attributes[attribute] = {"sequences": float(chosen.sum())} | values
        attribute_curves[attribute] = _shown(own, rules)
    return Scores(overall, rows, attributes, _shown(curves, rules), attribute_curves, attributes_of(sequences))


def _shown(curves: Mapping[str, Array], rules: OnePass) -> Curves:
    """Curves with their thresholds."""
    return {key: (_curves(rules)[key].thresholds(), curve) for key, curve in curves.items()}


def attributes_of(sequences: Many[Sequence]) -> dict[str, list[str]]:
    """Sequence → its labels, those of single frames included."""
    return {
        sequence.name: sorted(
            {*sequence.attributes, *(tag for tag, frames in sequence.frame_attributes.items() if frames.any())}
        )
        for sequence in sequences
    }


def _mean(rows: Array, weights: Array) -> Array:
    """Weighted mean over the first axis; 0 where all weights are 0."""
    return np.tensordot(weights, rows, 1) / max(float(weights.sum()), 1e-300)


def score(sequences: Many[Sequence], folder: Path, protocol: Protocol, sizes: Sizes | None = None) -> Scores:
    """Score the predictions stored in `folder` against the sequences' truth, by the protocol.

    `sizes` gives (width, height) by sequence name where a protocol clips to the image and no frames are at hand.
    A test set whose truth is withheld gives empty scores, and a warning: only its server can score.
    UserError for a missing sequence, wrong counts, or numbers that the protocol has no rule for.
    """
    if not sequences:
        raise UserError(f"{protocol.title}: no sequences to score")
    if all(withheld(sequence) for sequence in sequences):
        print(
            f"warning: {protocol.title}: the truth of all {len(sequences)} sequences is withheld; write a zip for the "
            "server with `siamla results submit`",
            file=sys.stderr,
        )
        return Scores({}, [], {})
    if protocol.supervised is None:
        return _score_onepass(sequences, folder, protocol, sizes)
    found = vot.score_supervised(sequences, folder, protocol, lambda s: image_size(s, sizes))
    return Scores(*found, attributes_of=attributes_of(sequences))
