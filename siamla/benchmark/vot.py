"""Scores of VOT's supervised runs (siamla.benchmark.tracking): accuracy, robustness, EAO.

Two public toolkits differ in the details; the settings of `Supervised` name each of them.
"""

from collections.abc import Sequence as Many
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark import store
from siamla.benchmark.protocols import Protocol, Supervised
from siamla.benchmark.region import region_overlap
from siamla.benchmark.store import FAILED, INITIALISED, truth_regions
from siamla.sequence import Sequence

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
EMPTY = "no_tag"


class _Run(NamedTuple):
    """One repetition: codes and overlaps (N,), NaN without a region; annotated: rows of truth."""

    codes: NDArray[np.int8]
    accuracy: Array
    expected: Array
    annotated: int


def _read(
    sequence: Sequence, folder: Path, rules: Supervised, notes: list[str]
) -> list[tuple[NDArray[np.int8], Array]]:
    """Codes and regions of the stored repetitions, cut where the truth ends."""
    count, runs = len(truth_regions(sequence)), []
    for number in store.repetitions(folder, sequence.name, "vot") or [1]:
        codes, regions = store.read_regions(folder, sequence.name, number)
        if len(codes) != count:
            path = store.track_path(folder, sequence.name, "vot", number)
            note = store.lacks(path, len(codes), count, rules.lacking)
            notes.append(f"{note}; both are cut to the shorter")
        runs.append((codes[:count], regions[:count]))
    return runs


def _load(
    sequences: Many[Sequence],
    folder: Path,
    rules: Supervised,
    sizes: Many[tuple[int, int]],
) -> list[list[_Run]]:
    """All repetitions of all sequences; their overlaps are counted in one pass."""
    notes: list[str] = []
    stored = [_read(sequence, folder, rules, notes) for sequence in sequences]
    store.warn(notes)
    owners = [index for index, group in enumerate(stored) for _ in group]
    codes, parts = zip(*(run for group in stored for run in group), strict=True)
    lengths = [len(part) for part in codes]
    truths = [truth_regions(sequences[index]) for index in owners]
    truth = np.concatenate([t[:n] for t, n in zip(truths, lengths, strict=True)])
    regions = np.concatenate(parts)
    bound = np.repeat(np.array(sizes, np.float64)[owners], lengths, axis=0)
    accuracy = region_overlap(regions, truth, bound)
    expected, inner = accuracy.copy(), bound - rules.bound_margin
    # where far edges come so near to the bound that it may cut them
    far = np.maximum(*(points.reshape(-1, 4, 2).max(1) for points in (regions, truth)))
    with np.errstate(invalid="ignore"):
        edge = np.flatnonzero((far > inner - 1).any(1))
    expected[edge] = region_overlap(regions[edge], truth[edge], inner[edge])
    ends = np.cumsum(lengths)[:-1]
    columns = (codes, np.split(accuracy, ends), np.split(expected, ends), map(len, truths))
    runs = [_Run(*values) for values in zip(*columns, strict=True)]
    for run in runs:
        for start in np.flatnonzero(run.codes == INITIALISED):
            run.accuracy[start : start + rules.burn_in] = np.nan
    each = iter(runs)
    return [[next(each) for _ in group] for group in stored]


def _fragments(run: _Run, rules: Supervised) -> list[tuple[Array, bool, slice, int]]:
    """Tracking from one initialisation to the next: overlaps, whether a restart followed, the
    frames whose labels weigh it, the restart's among them, and what their number is divided by. An
    overlap that is not known is 0 in a run that failed anywhere, and stays NaN in others.
    """
    count, failures = len(run.codes), np.flatnonzero(run.codes == FAILED)
    restarts = [int(index) + rules.gap for index in failures if index + rules.gap <= count]
    overlaps, parts = np.nan_to_num(run.expected) if len(failures) else run.expected, []
    for start, end in zip([0, *restarts], restarts, strict=False):
        parts.append((overlaps[start:end], True, slice(start, end + 1), end - start + 1))
    start = restarts[-1] if restarts else 0
    if start < count:  # a failure whose restart would be just past the end leaves nothing to add
        span = run.annotated - start if len(failures) else count
        parts.append((overlaps[start:], False, slice(start, count), span))
    return parts


def expected_overlap(
    fragments: Many[Array], failed: Many[bool], weights: Many[float], length: int
) -> Array:
    """The expected average overlap curve (length,): entry i is the mean over a fragment's frames
    1..i.

    A failed fragment counts as zero after its end, another as far as it goes. Entry 0 is 1 by
    convention; NaN where no fragment reaches, and where one that does has a NaN before.
    """
    values, reached = np.zeros((len(fragments), length)), np.zeros((len(fragments), length), bool)
    for index, overlaps in enumerate(fragments):
        values[index, : len(overlaps)] = overlaps
        reached[index, : length if failed[index] else len(overlaps)] = True
    values[:, 0] = 0
    reached &= np.isfinite(values)
    means = np.cumsum(values, axis=1) / np.maximum(np.arange(length), 1)
    weight = reached * np.asarray(weights, np.float64)[:, None]
    total = weight.sum(0)
    sums = np.where(reached, weight * means, 0).sum(0)
    curve = np.where(total > 0, sums / np.where(total > 0, total, 1), np.nan)
    curve[0] = 1
    return np.asarray(curve)


def _reaches_window(length: int, rules: Supervised) -> bool:
    """Whether a curve of so many frames reaches the window that EAO is read from."""
    return length > rules.eao_interval[0] + rules.eao_offset


def _window_mean(curve: Array, rules: Supervised) -> float | None:
    """EAO: the curve's mean over the window, of all of it where no sequence reaches it."""
    low, high = (edge + rules.eao_offset for edge in rules.eao_interval)
    if not _reaches_window(len(curve), rules):
        low, high = 1, len(curve) - 1
    window = curve[low : high + 1]
    return float(np.nanmean(window)) if np.isfinite(window).any() else None


def _curve(runs: Many[Many[_Run]], labels: Many[Mask], rules: Supervised) -> Array:
    """The curve over all sequences; a fragment weighs by its share of labelled frames."""
    parts = [
        (overlaps, failed, label[frames].sum() / span / len(group))
        for group, label in zip(runs, labels, strict=True)
        for run in group
        for overlaps, failed, frames, span in _fragments(run, rules)
    ]
    overlaps, failed, weights = zip(*parts, strict=True)
    return expected_overlap(overlaps, failed, weights, max(map(len, labels)))


def _nanmean(values: Array, axis: int | None = None) -> Any:
    count = np.isfinite(values).sum(axis)
    return np.where(count > 0, np.nansum(values, axis) / np.maximum(count, 1), np.nan)


def _overlaps(group: Many[_Run], label: Mask) -> Array:
    """The overlaps of the labelled frames for accuracy, means over repetitions."""
    overlaps = np.full((len(group), len(label)), np.nan)
    for row, run in zip(overlaps, group, strict=True):
        row[: len(run.accuracy)] = run.accuracy
    return np.asarray(_nanmean(overlaps, 0)[label])


def _measure(
    runs: Many[Many[_Run]], labels: Many[Mask], rules: Supervised
) -> dict[str, float | None]:
    """Accuracy (None where no frame counts), robustness and failures on the labelled frames."""
    frames, failed = [], []
    for group, label in zip(runs, labels, strict=True):
        frames.append(_overlaps(group, label))
        failed.append(
            np.mean([(run.codes[label[: len(run.codes)]] == FAILED).sum() for run in group])
        )
    failures, lengths = np.array(failed), np.array([label.sum() for label in labels], np.float64)
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
    sizes: Many[tuple[int, int]],
) -> dict[str, Any]:
    """Scores of stored supervised runs, as the fields of siamla.benchmark.score.Scores; `sizes` are
    (width, height) of the images. There is no EAO of a sequence. "eao_short_frames": the longest
    sequence, if it does not reach the window.
    """
    rules = protocol.supervised
    assert rules is not None
    runs = _load(sequences, folder, rules, sizes)
    # A frame that all repetitions lack is no frame of the sequence.
    every = [np.arange(group[0].annotated) < max(len(run.codes) for run in group) for group in runs]
    curve = _curve(runs, every, rules)
    overall = _measure(runs, every, rules) | {"eao": _window_mean(curve, rules)}
    if not _reaches_window(len(curve), rules):
        overall["eao_short_frames"] = len(curve)  # what the tables' note is made from
    rows: dict[str, dict[str, Any]] = {}
    weights: dict[str, dict[str, float]] = {"accuracy": {}, "robustness": {}}
    for sequence, group, label in zip(sequences, runs, every, strict=True):
        length, measured = float(label.sum()), _measure([group], [label], rules)
        rows[sequence.name] = {"frames": len(sequence.boxes)} | measured
        known = float(np.isfinite(_overlaps(group, label)).sum())
        weights["accuracy"][sequence.name] = known if rules.accuracy == "frames" else length
        weights["robustness"][sequence.name] = length
    tags = sorted({tag for sequence in sequences for tag in sequence.frame_attributes})
    attributes = {}
    for tag in [*tags, EMPTY] if tags else []:
        labels = [_label(sequence, tag) & e for sequence, e in zip(sequences, every, strict=True)]
        count = float(sum(label.sum() for label in labels))
        if count:
            eao = _window_mean(_curve(runs, labels, rules), rules)
            attributes[tag] = {"frames": count} | _measure(runs, labels, rules) | {"eao": eao}
    frames = list(map(float, range(len(curve))))
    return {
        "overall": overall,
        "per_sequence": rows,
        "per_attribute": attributes,
        "weights": weights,
        "curves": {"expected_overlap": {"x": frames, "y": curve.tolist()}},
    }


def _label(sequence: Sequence, tag: str) -> Mask:
    """Frames with the tag; EMPTY: frames with none."""
    absent = np.zeros(len(sequence.boxes), bool)
    if tag == EMPTY:
        return ~np.logical_or.reduce([absent, *sequence.frame_attributes.values()])
    return sequence.frame_attributes.get(tag, absent)
