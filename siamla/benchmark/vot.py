"""Scores of VOT's supervised runs (siamla.benchmark.supervised): accuracy, robustness, EAO.

Two public toolkits differ in the details; the settings of `Supervised` name each of them.
"""

from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark import store
from siamla.benchmark.protocols import Protocol, Supervised
from siamla.benchmark.region import region_overlap
from siamla.benchmark.results import lacks, tell
from siamla.benchmark.store import FAILED, INITIALISED
from siamla.benchmark.supervised import truth_regions
from siamla.errors import UserError
from siamla.sequence import Sequence

Array = NDArray[np.float64]
EMPTY = "no_tag"


@dataclass(frozen=True)
class _Run:
    """One repetition: its codes, and overlaps (N,) for accuracy and for EAO, NaN where there is no
    region.

    N is the smaller of the file's rows and the truth's, `annotated` the truth's.
    """

    codes: NDArray[np.int8]
    accuracy: Array
    expected: Array
    annotated: int


def _read(
    sequence: Sequence, folder: Path, rules: Supervised, notes: list[str]
) -> list[tuple[NDArray[np.int8], Array]]:
    """Codes and regions of the stored repetitions, cut where the truth ends."""
    count, found = len(truth_regions(sequence)), []
    for number in store.repetitions(folder, sequence.name, "vot") or [1]:
        path = store.track_path(folder, sequence.name, "vot", number)
        if not path.is_file():
            raise UserError(f"{path}: no stored predictions for sequence {sequence.name!r}")
        codes, regions = store.read_regions(folder, sequence.name, number)
        if len(codes) < count:
            notes.append(
                f"{lacks(path, len(codes), count, rules.lacking)}; both are cut to the shorter"
            )
        elif len(codes) > count:
            notes.append(
                f"{path}: {len(codes)} rows, but the annotation has {count}; both are cut to the"
                " shorter"
            )
        found.append((codes[:count], regions[:count]))
    return found


def _reaches(regions: Array, sizes: Array) -> NDArray[np.bool_]:
    """True where the far edges of regions (N, 8) come near enough to the bound (N, 2) to be cut by
    it.
    """
    with np.errstate(invalid="ignore"):
        return (regions.reshape(-1, 4, 2).max(1) > sizes - 1).any(1)


def _load(
    sequences: Many[Sequence],
    folder: Path,
    rules: Supervised,
    size: Callable[[Sequence], tuple[int, int]],
) -> list[list[_Run]]:
    """All repetitions of all sequences; their overlaps are counted in one pass."""
    notes: list[str] = []
    stored = [_read(sequence, folder, rules, notes) for sequence in sequences]
    tell(notes)
    truths = [truth_regions(sequence) for sequence in sequences]
    truth = np.concatenate(
        [t[: len(codes)] for t, group in zip(truths, stored, strict=True) for codes, _ in group]
    )
    regions = np.concatenate([found for group in stored for _, found in group])
    lengths = [sum(len(codes) for codes, _ in group) for group in stored]
    sizes = np.repeat(
        np.array([size(sequence) for sequence in sequences], np.float64), lengths, axis=0
    )
    accuracy = region_overlap(regions, truth, sizes)
    expected, inner = accuracy.copy(), sizes - rules.bound_margin
    edge = np.flatnonzero(_reaches(regions, inner) | _reaches(truth, inner))
    expected[edge] = region_overlap(regions[edge], truth[edge], inner[edge])
    runs: list[list[_Run]] = []
    place = 0
    for group, annotation in zip(stored, truths, strict=True):
        runs.append([])
        for codes, _ in group:
            part = slice(place, place + len(codes))
            for start in np.flatnonzero(codes == INITIALISED):
                accuracy[part][start : start + rules.burn_in] = np.nan
            runs[-1].append(_Run(codes, accuracy[part], expected[part], len(annotation)))
            place = part.stop
    return runs


@dataclass(frozen=True)
class _Fragment:
    """Tracking from one initialisation to the next: overlaps, whether it ended in a failure, the
    frames [start, end) whose labels weigh it, and what their number is divided by.
    """

    overlaps: Array
    failed: bool
    start: int
    end: int
    span: int


def _fragments(run: _Run, rules: Supervised) -> list[_Fragment]:
    count, extra = len(run.codes), int(rules.restart_frame == "counted")
    failures = np.flatnonzero(run.codes == FAILED)
    restarts = [int(index) + rules.gap for index in failures if index + rules.gap <= count]
    late = len(restarts) < len(failures) and rules.late_failure == "failure"
    overlaps, found = np.nan_to_num(run.expected), []
    for start, end in zip([0, *restarts], restarts, strict=False):
        found.append(_Fragment(overlaps[start:end], True, start, end + extra, end - start + extra))
    start = restarts[-1] if restarts else 0
    if start < count:  # a failure whose restart would be just past the end leaves nothing to add
        span = run.annotated - start if len(failures) else count
        found.append(_Fragment(overlaps[start:], late, start, count, span))
    return found


def expected_overlap(
    fragments: Many[Array], failed: Many[bool], weights: Many[float], length: int
) -> Array:
    """The expected average overlap curve (length,): entry i is the mean overlap over a fragment's
    frames 1..i.

    A fragment that ended in a failure counts as zero from there on; one that reached the end of its
    video counts as far as it goes. Entry 0, the initialisation, is 1 by convention; NaN where no
    fragment reaches.
    """
    values, known = np.zeros((len(fragments), length)), np.zeros((len(fragments), length), bool)
    for index, overlaps in enumerate(fragments):
        values[index, : len(overlaps)] = overlaps
        known[index, : length if failed[index] else len(overlaps)] = True
    values[:, 0] = 0
    means = np.cumsum(values, axis=1) / np.maximum(np.arange(length), 1)
    weight = known * np.asarray(weights, np.float64)[:, None]
    total = weight.sum(0)
    curve = np.where(total > 0, (weight * means).sum(0) / np.where(total > 0, total, 1), np.nan)
    curve[0] = 1
    return np.asarray(curve)


def _reaches_window(length: int, rules: Supervised) -> bool:
    """Whether a curve of so many frames reaches the window that EAO is read from."""
    return length > rules.eao_interval[0] + rules.eao_offset


def _window_mean(curve: Array, rules: Supervised, title: str) -> float | None:
    """EAO: the curve's mean over the protocol's window; None where the curve is unknown all over
    it.
    """
    low, high = (edge + rules.eao_offset for edge in rules.eao_interval)
    if not _reaches_window(len(curve), rules):
        low, high = 1, len(curve) - 1
        if rules.short_data == "error" or high < low:
            raise UserError(
                f"{title}: the EAO window starts at frame {rules.eao_interval[0]}, the longest"
                f" sequence has {len(curve)} frames; set eao_interval or short_data"
            )
    window = curve[low : high + 1]
    return float(np.nanmean(window)) if np.isfinite(window).any() else None


def _curve(runs: Many[Many[_Run]], labels: Many[NDArray[np.bool_]], rules: Supervised) -> Array:
    """The curve over all sequences; a fragment weighs by its share of labelled frames, over the
    repetitions.
    """
    parts = [
        (fragment, label, len(group))
        for group, label in zip(runs, labels, strict=True)
        for run in group
        for fragment in _fragments(run, rules)
    ]
    weights = [float(label[f.start : f.end].sum()) / f.span / n for f, label, n in parts]
    longest = max(map(len, labels))
    return expected_overlap(
        [f.overlaps for f, _, _ in parts], [f.failed for f, _, _ in parts], weights, longest
    )


def _filled(values: Array, length: int) -> Array:
    """The values with NaN up to the length."""
    return np.concatenate([values, np.full(length - len(values), np.nan)])


def _nanmean(values: Array, axis: int | None = None) -> Any:
    count = np.isfinite(values).sum(axis)
    return np.where(count > 0, np.nansum(values, axis) / np.maximum(count, 1), np.nan)


def _measure(
    runs: Many[Many[_Run]], labels: Many[NDArray[np.bool_]], rules: Supervised
) -> dict[str, Any]:
    """Accuracy (None where no frame counts), robustness and failures on the labelled frames."""
    frames = [
        _nanmean(np.stack([_filled(run.accuracy, len(label)) for run in group]), 0)[label]
        for group, label in zip(runs, labels, strict=True)
    ]
    lengths = np.array([label.sum() for label in labels], np.float64)
    failures = np.array(
        [
            np.mean([(run.codes[label[: len(run.codes)]] == FAILED).sum() for run in group])
            for group, label in zip(runs, labels, strict=True)
        ]
    )
    if rules.accuracy == "frames":
        accuracy = float(_nanmean(np.concatenate(frames)))
    else:
        means = np.nan_to_num(np.array([float(_nanmean(values)) for values in frames]))
        accuracy = float((means * lengths).sum() / lengths.sum())
    if rules.robustness == "percent":
        robustness = float(100 * failures.sum() / lengths.sum())
    else:
        robustness = float((failures * lengths).sum() / lengths.sum())
    return {
        "accuracy": accuracy if np.isfinite(accuracy) else None,
        "robustness": robustness,
        "failures": float(failures.sum()),
    }


def score_supervised(
    sequences: Many[Sequence],
    folder: Path,
    protocol: Protocol,
    size: Callable[[Sequence], tuple[int, int]],
) -> tuple[
    dict[str, Any], list[dict[str, Any]], dict[str, dict[str, Any]], dict[str, tuple[Array, Array]]
]:
    """Overall, per sequence, per frame tag and the expected-overlap curve of stored supervised
    runs.

    Robustness counts failures, so less is better. Per sequence there is no EAO: its window needs
    many fragments. "eao_short_frames" is there, the longest sequence's length, if that does not
    reach the window.
    """
    rules = protocol.supervised
    assert rules is not None
    runs = _load(sequences, folder, rules, size)
    # A frame that all repetitions lack is no frame of the sequence.
    every = [np.arange(group[0].annotated) < max(len(run.codes) for run in group) for group in runs]
    curve = _curve(runs, every, rules)
    overall = _measure(runs, every, rules) | {"eao": _window_mean(curve, rules, protocol.title)}
    if not _reaches_window(len(curve), rules):
        overall["eao_short_frames"] = len(curve)  # what the tables' note is made from
    rows = [
        {"sequence": sequence.name, "frames": len(sequence.boxes)}
        | _measure([group], [label], rules)
        for sequence, group, label in zip(sequences, runs, every, strict=True)
    ]
    tags = sorted({tag for sequence in sequences for tag in sequence.frame_attributes})
    attributes = {}
    for tag in [*tags, EMPTY] if tags else []:
        labels = [
            _label(sequence, tag) & there for sequence, there in zip(sequences, every, strict=True)
        ]
        if not any(label.any() for label in labels):
            continue
        eao = _window_mean(_curve(runs, labels, rules), rules, f"{protocol.title}, {tag}")
        frames = {"frames": float(sum(label.sum() for label in labels))}
        attributes[tag] = frames | _measure(runs, labels, rules) | {"eao": eao}
    return (
        overall,
        rows,
        attributes,
        {"expected_overlap": (np.arange(len(curve), dtype=np.float64), curve)},
    )


def _label(sequence: Sequence, tag: str) -> NDArray[np.bool_]:
    """Frames with the tag; EMPTY: frames with none."""
    absent = np.zeros(len(sequence.boxes), bool)
    if tag == EMPTY:
        return ~np.logical_or.reduce([absent, *sequence.frame_attributes.values()])
    return sequence.frame_attributes.get(tag, absent)
