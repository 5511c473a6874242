"""Scores from stored predictions alone, by the rules of a protocol."""

import sys
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark import store, vot
from siamla.benchmark.metrics import (
    CURVES,
    clip_to_image,
    fractions,
    frame_values,
    summarise,
    valid_frames,
)
from siamla.benchmark.protocols import OnePass, Protocol
from siamla.data.formats import LAYOUTS
from siamla.errors import UserError
from siamla.sequence import Sequence

Array = NDArray[np.float64]
Curves = dict[str, dict[str, list[float]]]
"""Name in siamla.benchmark.metrics → its thresholds as "x" and its values as "y"."""
Measured = tuple[Array, dict[str, Array]]
"""Of every sequence the mean overlap (S,) and the curves (S, T)."""


@dataclass(frozen=True)
class Scores:
    """What a tracker reached on a benchmark, as JSON-ready data.

    Values are by metric, None where nothing counts. A sequence has "frames" and the metrics; an
    attribute a count of "sequences", for VOT of "frames". `attributes_of`: sequence → its labels,
    sorted. `weights`: of a metric that pools frames, metric → sequence → its weight; the others'
    are plain means. `beside`: by the protocol's other conventions.
    """

    overall: dict[str, Any]
    per_sequence: dict[str, dict[str, Any]]
    per_attribute: dict[str, dict[str, Any]]
    curves: Curves = field(default_factory=dict)
    attributes_of: dict[str, list[str]] = field(default_factory=dict)
    weights: dict[str, dict[str, float]] = field(default_factory=dict)
    beside: dict[str, dict[str, float]] = field(default_factory=dict)
    beside_curves: dict[str, Curves] = field(default_factory=dict)


class _Frames(NamedTuple):
    """The frames of a sequence that count, what curves divide by, and the size that clips boxes."""

    truth: Array
    boxes: Array
    denominator: int
    size: tuple[int, int] | None = None


class _Compared(NamedTuple):
    """Of all frames truth (N, 4) and each curve's values (N,); of sequences two counts (S,)."""

    truth: Array
    values: dict[str, Array]
    counts: NDArray[np.int64]
    denominators: NDArray[np.int64]


def image_size(sequence: Sequence) -> tuple[int, int]:
    """(width, height) of a sequence's images, from the header of the first."""
    from PIL import Image

    with Image.open(sequence.frames[0]) as image:
        return image.size


def withheld(sequence: Sequence) -> bool:
    """Whether the truth is public in the first frame alone, as in TrackingNet's test set."""
    only_first = len(sequence.boxes) == 1 or bool(np.isnan(sequence.boxes[1:]).all())
    return len(sequence.frames) > 1 and only_first


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
        note = store.lacks(path, len(boxes), count, rules.lacking)
        notes.append(f"{note}; the lacking frames are misses")
    boxes = boxes[:count]
    if rules.broken_prediction == "miss" and np.isnan(boxes).any():
        unknown = np.isnan(boxes).any(1)
        first = unknown.argmax() + 1
        notes.append(f"{path}: {unknown.sum()} rows with NaN, the first in line {first}; they miss")
    lacking = np.full((count - len(boxes), 4), np.nan)
    return np.concatenate([boxes, lacking]) if len(lacking) else boxes


def _repeat_previous(boxes: Array, truth: Array) -> Array:
    """A box that is NaN or without area becomes the row before it, unless the truth is NaN."""
    kept = (~np.isnan(boxes).any(1) & (boxes[:, 2:] > 0).all(1)) | np.isnan(truth).any(1)
    return boxes[np.maximum.accumulate(np.where(kept, np.arange(len(boxes)), 0))]


def _select(
    sequence: Sequence, boxes: Array, path: Path, rules: OnePass, size: tuple[int, int] | None
) -> _Frames:
    """The frames of one run that the protocol counts."""
    truth, keep, total = sequence.boxes, np.arange(len(sequence.boxes)), len(sequence.boxes)
    if rules.broken_prediction == "previous":
        boxes = _repeat_previous(boxes, truth)
    if rules.first_frame == "truth":
        boxes = np.concatenate([truth[:1], boxes[1:]])
    if rules.unseen == "drop":
        keep = keep[sequence.visible]
    if rules.first_frame == "drop":
        keep, total = keep[keep > 0], total - 1
    if len(keep) < len(truth):
        truth, boxes = truth[keep], boxes[keep]
    if rules.broken_prediction == "error" and np.isnan(boxes).any():
        line = keep[np.isnan(boxes).any(1).argmax()] + 1
        raise UserError(
            f"{path}, line {line}: a box that is NaN; the benchmark's own toolkit gives NaN for all"
        )
    return _Frames(truth, boxes, total if rules.denominator == "all" else len(keep), size)


def _load(sequence: Sequence, folder: Path, protocol: Protocol, notes: list[str]) -> _Frames:
    """All stored repetitions of a sequence, one after the other."""
    if withheld(sequence):
        raise UserError(f"{sequence.name}: only the first box is known, unlike in the others")
    if len(sequence.boxes) < len(sequence.frames):
        raise UserError(f"{sequence.name}: {len(sequence.boxes)} boxes for {len(sequence)} frames")
    rules, layout = protocol.onepass, protocol.layout
    assert rules is not None
    size = image_size(sequence) if rules.clipped else None
    numbers = store.repetitions(folder, sequence.name, layout)
    if not numbers and rules.lacking == 1:
        path = store.track_path(folder, sequence.name, layout)
        notes.append(f"{path}: not found; its boxes count as empty")
        return _select(sequence, np.zeros((len(sequence.boxes), 4)), path, rules, size)
    runs = []
    for number in numbers or [1]:
        path = store.track_path(folder, sequence.name, layout, number)
        boxes = store.read_boxes(folder, sequence.name, layout, number)
        boxes = _matched(boxes, path, sequence, rules, notes)
        runs.append(_select(sequence, boxes, path, rules, size))
    truth = np.concatenate([run.truth for run in runs])
    boxes = np.concatenate([run.boxes for run in runs])
    return _Frames(truth, boxes, sum(run.denominator for run in runs), size)


def _compare(frames: Many[_Frames], rules: OnePass, origin: int) -> _Compared:
    """Overlaps and distances of all frames in one pass, whether their truth is valid or not."""
    counts = np.array([len(part.truth) for part in frames])
    # By columns in memory: everything below works on one coordinate at a time.
    truth = np.asfortranarray(np.concatenate([part.truth for part in frames]))
    boxes = np.asfortranarray(np.concatenate([part.boxes for part in frames]))
    if rules.rounded:
        truth, boxes = np.round(truth), np.round(boxes)
    if rules.clipped:
        limits = np.repeat([part.size or (np.inf, np.inf) for part in frames], counts, axis=0)
        truth, boxes = clip_to_image(truth, limits), clip_to_image(boxes, limits)
    values = {name: frame_values(name, truth, boxes, rules, origin) for name in rules.curves()}
    return _Compared(truth, values, counts, np.array([part.denominator for part in frames]))


def _measure(compared: _Compared, rules: OnePass, origin: int) -> Measured:
    """Every sequence by the protocol's rules; `origin`: first pixel of the layout's files."""
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


def _reported(measured: Measured, protocol: Protocol, rules: OnePass) -> dict[str, Array]:
    """The metrics of a protocol, of each sequence or of their average."""
    numbers = {rules.overlap: measured[0]} if rules.overlap else {}
    for name, curve in rules.curves().items():
        numbers |= summarise(measured[1][name], curve)
    return {metric: numbers[metric] for metric in protocol.metrics}


def _average(
    measured: Measured, compared: _Compared, chosen: NDArray[np.bool_], rules: OnePass
) -> Measured:
    """Mean overlap and curves of the chosen sequences together."""
    pooled = rules.pooled == "frames"
    ones = np.ones(chosen.sum())
    weights = ones * (compared.denominators[chosen] if pooled else 1)
    kept = ones * (compared.counts[chosen] if pooled else 1)
    curves = {}
    for name, rows in measured[1].items():
        counted = rows[chosen].sum(1) > 0 if rules.zero_curves == "drop" else 1
        curves[name] = _mean(rows[chosen], weights * counted)
    return _mean(measured[0][chosen], kept), curves


def _weights(
    sequences: Many[Sequence], compared: _Compared, protocol: Protocol, rules: OnePass
) -> dict[str, dict[str, float]]:
    """What `_average` weights each sequence by, as in Scores."""
    weights = {}
    for metric in protocol.metrics if rules.pooled == "frames" else ():
        each = compared.counts if metric == rules.overlap else compared.denominators
        named = zip(sequences, each, strict=True)
        weights[metric] = {sequence.name: float(count) for sequence, count in named}
    return weights


def _mean(rows: Array, weights: Array) -> Array:
    """Weighted mean over the first axis; 0 where all weights are 0."""
    return np.tensordot(weights, rows, 1) / max(float(weights.sum()), 1e-300)


def _score_onepass(sequences: Many[Sequence], folder: Path, protocol: Protocol) -> Scores:
    rules = protocol.onepass
    assert rules is not None
    notes: list[str] = []
    frames = [_load(sequence, folder, protocol, notes) for sequence in sequences]
    store.warn(notes)
    origin = LAYOUTS[protocol.layout].ORIGIN
    compared = _compare(frames, rules, origin)
    thresholds = {name: curve.thresholds().tolist() for name, curve in rules.curves().items()}

    def together(
        chosen: NDArray[np.bool_], measured: Measured, by: OnePass
    ) -> tuple[dict[str, float], Curves]:
        average = _average(measured, compared, chosen, by)
        numbers = {key: float(value) for key, value in _reported(average, protocol, by).items()}
        drawn = average[1].items()
        return numbers, {name: {"x": thresholds[name], "y": y.tolist()} for name, y in drawn}

    everything, measured = np.ones(len(sequences), bool), _measure(compared, rules, origin)
    overall, curves = together(everything, measured, rules)
    beside, beside_curves = {}, {}
    for name, convention in protocol.beside.items():
        other = convention.over(rules)
        by_other = _measure(compared, other, origin)
        beside[name], beside_curves[name] = together(everything, by_other, other)
    columns = _reported(measured, protocol, rules)
    rows = {
        sequence.name: {"frames": len(sequence.boxes)}
        | {metric: float(column[index]) for metric, column in columns.items()}
        for index, sequence in enumerate(sequences)
    }
    attributes = {}
    for attribute in sorted({label for sequence in sequences for label in sequence.attributes}):
        chosen = np.array([attribute in sequence.attributes for sequence in sequences])
        values, _ = together(chosen, measured, rules)
        attributes[attribute] = {"sequences": float(chosen.sum())} | values
    labels, weights = attributes_of(sequences), _weights(sequences, compared, protocol, rules)
    return Scores(overall, rows, attributes, curves, labels, weights, beside, beside_curves)


def attributes_of(sequences: Many[Sequence]) -> dict[str, list[str]]:
    """Sequence → its labels, those of single frames included."""
    labels = {}
    for sequence in sequences:
        tags = [tag for tag, frames in sequence.frame_attributes.items() if frames.any()]
        labels[sequence.name] = sorted({*sequence.attributes, *tags})
    return labels


def score(sequences: Many[Sequence], folder: Path, protocol: Protocol) -> Scores:
    """Score the predictions in `folder` against the sequences' truth; withheld truth gives empty
    scores. UserError for what lacks, wrong counts, or numbers that the protocol has no rule for.
    """
    if not sequences:
        raise UserError(f"{protocol.title}: no sequences to score")
    if all(withheld(sequence) for sequence in sequences):
        print(
            f"warning: {protocol.title}: the truth of all {len(sequences)} sequences is withheld;"
            " write a zip for the server with `siamla results submit`",
            file=sys.stderr,
        )
        return Scores({}, {}, {})
    if protocol.supervised is None:
        return _score_onepass(sequences, folder, protocol)
    scores = vot.score_supervised(sequences, folder, protocol, list(map(image_size, sequences)))
    return Scores(**scores, attributes_of=attributes_of(sequences))
