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
from siamla.benchmark.curves import CURVES, frame_values, valid_frames
from siamla.benchmark.metrics import clip_to_image, fractions, summarise
from siamla.benchmark.protocols import OnePass, Protocol, ZeroCurves
from siamla.benchmark.results import lacks, tell
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
        overall: metric → value; None where nothing counts (accuracy of a tracker that never
            survives the burn-in).
        per_sequence: one row per sequence: "sequence", "frames" and the metrics.
        per_attribute: attribute → metric → value, with "sequences" (or, for VOT, "frames") as the
            count.
        curves: name (siamla.benchmark.curves) → (x (T,), y (T,)).
        attribute_curves: attribute → the curves of its sequences alone; none for VOT, whose tags
            are of frames.
        attributes_of: sequence → its labels, sorted; for VOT the tags that any of its frames has.
        beside: the overall values by each of the protocol's other conventions.
    """

    overall: dict[str, Any]
    per_sequence: list[dict[str, Any]]
    per_attribute: dict[str, dict[str, Any]]
    curves: Curves = field(default_factory=dict)
    attribute_curves: dict[str, Curves] = field(default_factory=dict)
    attributes_of: dict[str, list[str]] = field(default_factory=dict)
    beside: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Frames:
    """The frames of one sequence that count: truth and prediction (N, 4) 0-based, and what the
    curves divide by.
    """

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
        raise UserError(
            f"{sequence.name}: its protocol clips boxes to the image, and there are no frames to"
            " measure"
        )
    try:
        with Image.open(sequence.frames[0]) as image:
            return image.size
    except OSError as error:
        raise UserError(f"{sequence.frames[0]}: the image size cannot be read ({error})") from None


def withheld(sequence: Sequence) -> bool:
    """True if the truth is public in the first frame alone, as in the test sets of TrackingNet and
    GOT-10k.
    """
    return len(sequence.frames) > 1 and (
        len(sequence.boxes) == 1 or bool(np.isnan(sequence.boxes[1:]).all())
    )


def _matched(
    boxes: Array, path: Path, sequence: Sequence, rules: OnePass, notes: list[str]
) -> Array:
    """The predictions, brought to the truth's length or refused: NaN where rows lack."""
    count = len(sequence.boxes)
    lead = rules.lead.get(sequence.name, 0)
    if lead and len(boxes) == count + lead:
        boxes = boxes[lead:]
    if len(boxes) > count and rules.long == "error":
        raise UserError(f"{path}: {len(boxes)} rows, but the annotation has {count}")
    if len(boxes) < count:
        notes.append(
            f"{lacks(path, len(boxes), count, rules.lacking)}; the lacking frames are misses"
        )
    boxes = boxes[:count]
    if rules.broken_prediction == "miss" and np.isnan(boxes).any():
        unknown = np.isnan(boxes).any(1)
        notes.append(
            f"{path}: {unknown.sum()} rows with NaN, the first in line {unknown.argmax() + 1}; they"
            " miss"
        )
    return (
        boxes
        if len(boxes) == count
        else np.concatenate([boxes, np.full((count - len(boxes), 4), np.nan)])
    )


def _repeat_previous(boxes: Array, truth: Array) -> Array:
    """Each box that is NaN or without area replaced by the row before it; where the truth is NaN,
    too, it stays.
    """
    kept = (~np.isnan(boxes).any(1) & (boxes[:, 2:] > 0).all(1)) | np.isnan(truth).any(1)
    return boxes[np.maximum.accumulate(np.where(kept, np.arange(len(boxes)), 0))]


def _select(
    sequence: Sequence, found: Array, path: Path, rules: OnePass, size: tuple[int, int] | None
) -> Frames:
    """The frames of one run that the protocol counts."""
    truth, keep, total = sequence.boxes, np.arange(len(sequence.boxes)), len(sequence.boxes)
    if rules.broken_prediction == "previous":
        found = _repeat_previous(found, truth)
    if rules.first_frame == "truth":
        found = np.concatenate([truth[:1], found[1:]])
    if rules.unseen == "drop":
        keep = keep[sequence.visible]
    if rules.first_frame == "drop":
        keep, total = keep[keep > 0], total - 1
    if rules.broken_prediction == "error" and np.isnan(found[keep]).any():
        line = int(keep[np.isnan(found[keep]).any(1).argmax()]) + 1
        raise UserError(
            f"{path}, line {line}: a box that is NaN; the benchmark's own toolkit gives NaN for all"
            " of it"
        )
    if len(keep) < len(truth):
        truth, found = truth[keep], found[keep]
    return Frames(truth, found, total if rules.denominator == "all" else len(keep), size)


def _load(
    sequence: Sequence,
    folder: Path,
    protocol: Protocol,
    rules: OnePass,
    sizes: Sizes | None,
    notes: list[str],
) -> Frames:
    """All stored repetitions of a sequence, one after the other."""
    if withheld(sequence):
        raise UserError(
            f"{sequence.name}: only the first box is known, unlike in the other sequences"
        )
    if len(sequence.boxes) < len(sequence.frames):
        raise UserError(f"{sequence.name}: {len(sequence.boxes)} boxes for {len(sequence)} frames")
    layout = protocol.layout
    size = image_size(sequence, sizes) if rules.clipped else None
    numbers = store.repetitions(folder, sequence.name, layout)
    if not numbers and rules.lacking == 1:
        path = store.track_path(folder, sequence.name, layout)
        notes.append(f"{path}: not found; its boxes count as empty")
        return _select(sequence, np.zeros((len(sequence.boxes), 4)), path, rules, size)
    runs = []
    for number in numbers or [1]:
        path = store.track_path(folder, sequence.name, layout, number)
        found = _matched(
            store.read_boxes(folder, sequence.name, layout, number), path, sequence, rules, notes
        )
        runs.append(_select(sequence, found, path, rules, size))
    if len(runs) == 1:
        return runs[0]
    truth, found = (
        np.concatenate([getattr(run, key) for run in runs]) for key in ("truth", "found")
    )
    return Frames(truth, found, sum(run.denominator for run in runs), size)


@dataclass(frozen=True)
class Compared:
    """Truth (N, 4) and, for each curve, the value (N,) of all frames of all sequences; counts (S,)
    of the frames.
    """

    truth: Array
    values: dict[str, Array]
    counts: NDArray[np.int64]
    denominators: list[int]


def compare(frames: Many[Frames], rules: OnePass) -> Compared:
    """Overlaps and distances of all frames in one pass, whether their truth is valid or not."""
    counts = np.array([len(part.truth) for part in frames])
    # By columns in memory: everything below works on one coordinate at a time.
    truth = np.asfortranarray(np.concatenate([part.truth for part in frames]))
    found = np.asfortranarray(np.concatenate([part.found for part in frames]))
    if rules.rounded:
        truth, found = np.round(truth), np.round(found)
    if rules.clipped:
        limits = np.repeat([part.size or (np.inf, np.inf) for part in frames], counts, axis=0)
        truth, found = clip_to_image(truth, limits), clip_to_image(found, limits)
    values = {name: frame_values(name, truth, found, rules) for name in rules.curves()}
    return Compared(truth, values, counts, [part.denominator for part in frames])


def measure(compared: Compared, rules: OnePass, origin: int) -> tuple[Array, dict[str, Array]]:
    """Mean overlap (S,) and curves (S, T) of every sequence, by the protocol's rules.

    `origin` is the first pixel of the layout's files, in whose coordinates a rule may ask for
    positive numbers.
    """
    count = len(compared.counts)
    groups = np.repeat(np.arange(count), compared.counts)
    means, curves = np.zeros(count), {}
    for name, curve in rules.curves().items():
        values = compared.values[name]
        if rules.valid_truth != "any":
            valid = valid_frames(name, compared.truth, rules, origin)
            distance = CURVES[name].centred is not None
            values = np.where(valid, values, rules.invalid_distance if distance else -1.0)
        if name == "success":
            means = np.bincount(groups, values, count) / np.maximum(compared.counts, 1)
        curves[name] = fractions(values, curve, compared.denominators, groups)
    return means, curves


def _score_onepass(
    sequences: Many[Sequence], folder: Path, protocol: Protocol, sizes: Sizes | None
) -> Scores:
    rules = protocol.onepass
    assert rules is not None
    notes: list[str] = []
    frames = [_load(sequence, folder, protocol, rules, sizes, notes) for sequence in sequences]
    tell(notes)
    origin, compared = LAYOUTS[protocol.layout].ORIGIN, compare(frames, rules)
    means, each = measure(compared, rules, origin)
    lengths = np.array([part.denominator for part in frames], np.float64)
    kept = np.array([len(part.truth) for part in frames], np.float64)

    def reported(curves: dict[str, Array], mean: Array) -> dict[str, Array]:
        found = {rules.overlap: mean} if rules.overlap else {}
        for name, curve in rules.curves().items():
            found |= summarise(curves[name], curve)
        return {metric: found[metric] for metric in protocol.metrics}

    def together(
        chosen: NDArray[np.bool_], means: Array, each: dict[str, Array], zeros: ZeroCurves
    ) -> tuple[dict[str, float], dict[str, Array]]:
        pooled = rules.pooled == "frames"
        weights = lengths[chosen] if pooled else np.ones(int(chosen.sum()))
        curves = {}
        for key, rows in each.items():
            counted = rows[chosen].sum(1) > 0 if zeros == "drop" else 1
            curves[key] = _mean(rows[chosen], weights * counted)
        mean = _mean(means[chosen], kept[chosen] if pooled else weights)
        return {metric: float(value) for metric, value in reported(curves, mean).items()}, curves

    everything = np.ones(len(sequences), bool)
    overall, curves = together(everything, means, each, rules.zero_curves)
    beside = {}
    for name, convention in protocol.beside.items():
        other = convention.over(rules)
        judged = means, each
        if other.valid_truth != rules.valid_truth:
            centred = other.valid_distance == "centre"
            unaffected = [name for name in rules.curves() if centred and CURVES[name].centred]
            changed = other.model_copy(update=dict.fromkeys(unaffected))
            found, curves_there = measure(compared, changed, origin)
            judged = found, each | curves_there
        beside[name] = together(everything, *judged, other.zero_curves)[0]
    columns = reported(each, means)
    rows = [
        {"sequence": sequence.name, "frames": len(sequence.boxes)}
        | {metric: float(column[index]) for metric, column in columns.items()}
        for index, sequence in enumerate(sequences)
    ]
    attributes, attribute_curves = {}, {}
    for attribute in sorted({label for sequence in sequences for label in sequence.attributes}):
        chosen = np.array([attribute in sequence.attributes for sequence in sequences])
        values, own = together(chosen, means, each, rules.zero_curves)
        attributes[attribute] = {"sequences": float(chosen.sum())} | values
        attribute_curves[attribute] = _shown(own, rules)
    shown = _shown(curves, rules)
    return Scores(
        overall, rows, attributes, shown, attribute_curves, attributes_of(sequences), beside
    )


def _shown(curves: Mapping[str, Array], rules: OnePass) -> Curves:
    """Curves with their thresholds."""
    thresholds = rules.curves()
    return {name: (thresholds[name].thresholds(), curve) for name, curve in curves.items()}


def attributes_of(sequences: Many[Sequence]) -> dict[str, list[str]]:
    """Sequence → its labels, those of single frames included."""
    return {
        sequence.name: sorted(
            {
                *sequence.attributes,
                *(tag for tag, frames in sequence.frame_attributes.items() if frames.any()),
            }
        )
        for sequence in sequences
    }


def _mean(rows: Array, weights: Array) -> Array:
    """Weighted mean over the first axis; 0 where all weights are 0."""
    return np.tensordot(weights, rows, 1) / max(float(weights.sum()), 1e-300)


def score(
    sequences: Many[Sequence], folder: Path, protocol: Protocol, sizes: Sizes | None = None
) -> Scores:
    """Score the predictions stored in `folder` against the sequences' truth, by the protocol.

    `sizes` gives (width, height) by sequence name where a protocol clips to the image and no frames
    are at hand. A test set whose truth is withheld gives empty scores, and a warning: only its
    server can score. UserError for a missing sequence, wrong counts, or numbers that the protocol
    has no rule for.
    """
    if not sequences:
        raise UserError(f"{protocol.title}: no sequences to score")
    if all(withheld(sequence) for sequence in sequences):
        print(
            f"warning: {protocol.title}: the truth of all {len(sequences)} sequences is withheld;"
            " write a zip for the server with `siamla results submit`",
            file=sys.stderr,
        )
        return Scores({}, [], {})
    if protocol.supervised is None:
        return _score_onepass(sequences, folder, protocol, sizes)
    found = vot.score_supervised(sequences, folder, protocol, lambda s: image_size(s, sizes))
    return Scores(*found, attributes_of=attributes_of(sequences))
