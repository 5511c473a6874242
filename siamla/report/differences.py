"""Two trackers beside each other, of their score files by seed; `siamla compare`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamla.statistics import Effect, mean_effect, weighted_values

NOISE, UNTOLD = "~", "†"  # marks of tables: within noise, and no interval
Array = NDArray[np.float64]
Content = Mapping[str, Any]
OVERALL = "Overall"
MOST = 5  # sequences either way that a comparison lists


def signed(number: float, digits: int) -> str:
    """A difference in words: "−0.012"; what is rounded to 0 has a plus."""
    whole = round(float(number), digits) + 0.0  # of −0.0 this is 0.0
    return f"{whole:+.{digits}f}".replace("-", "−") if np.isfinite(number) else "–"


def interval(low: float, high: float, digits: int) -> str:
    """Its interval in words: "[−0.025, +0.001]"."""
    return f"[{signed(low, digits)}, {signed(high, digits)}]" if np.isfinite(low) else "–"


def numbers(values: Any) -> Array:
    """Values of a score file as an array, null as NaN."""
    return np.array([np.nan if value is None else value for value in values], np.float64)


def value(scores: Sequence[Content], attribute: str, metric: str) -> float:
    """The mean over seeds of an attribute's score, or of all sequences'; NaN for none."""
    parts = [score["per_attribute"] | {OVERALL: score["overall"]} for score in scores]
    values = numbers(part.get(attribute, {}).get(metric) for part in parts)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def by_sequence(scores: Sequence[Content], names: Sequence[str], metric: str) -> Array:
    """A metric (seeds, sequences), NaN where it is missing."""
    parts = [score["per_sequence"] for score in scores]
    rows = [numbers(part.get(name, {}).get(metric) for name in names) for part in parts]
    return np.array(rows).reshape(len(scores), len(names))


def parts(scores: Sequence[Content], names: Sequence[str], metric: str) -> Array:
    """Values (seeds, sequences) whose mean over the sequences is the metric of all of them: where
    the protocol pools frames, no plain mean of the metric by sequence. NaN where one is missing.
    """
    values = by_sequence(scores, names, metric)
    weights = [score.get("weights", {}).get(metric) for score in scores]
    if None in weights:
        return values
    return weighted_values(values, numbers([[own.get(n, 0) for n in names] for own in weights]))


def members(scores: Sequence[Content], attribute: str) -> list[str]:
    """The sequences of an attribute, or all."""
    names = scores[0]["per_sequence"]
    if attribute != OVERALL:
        labels = scores[0]["attributes_of"]
        names = [name for name in labels if attribute in labels[name]]
    return sorted(names)


def difference(
    ours: Sequence[Content], theirs: Sequence[Content], attribute: str, metric: str
) -> Effect:
    """Ours minus theirs, with an interval over sequences and seeds; with one seed over sequences
    alone. There is none for fewer than two sequences that both have, and for attributes of frames.
    """
    gap = value(ours, attribute, metric) - value(theirs, attribute, metric)
    if "frames" in ours[0]["per_attribute"].get(attribute, {}):
        return Effect(gap)
    names = members(ours, attribute)
    pair = {"ours": parts(ours, names, metric), "theirs": parts(theirs, names, metric)}
    both = np.isfinite(np.concatenate(list(pair.values()))).all(0)
    tables = {name: table[:, both] for name, table in pair.items()}
    effect = mean_effect(tables, {"ours": 1.0, "theirs": -1.0}, one_seed=True)
    return replace(effect, value=gap)


def sequence_gaps(
    ours: Sequence[Content], theirs: Sequence[Content], metric: str
) -> dict[str, float]:
    """Sequence → ours minus theirs, means over seeds; the largest gain first."""
    names = members(ours, OVERALL)
    gaps = by_sequence(ours, names, metric).mean(0) - by_sequence(theirs, names, metric).mean(0)
    finite = [(name, float(gap)) for name, gap in zip(names, gaps, strict=True) if gap == gap]
    return dict(sorted(finite, key=lambda pair: -pair[1]))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text as columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return lines


def mark_of(one: Effect) -> str:
    """NOISE where the interval covers 0; UNTOLD where no difference can be called, for fewer than
    two seeds or no values by sequence.
    """
    if min(one.seeds.values(), default=0) < 2 or not np.isfinite(one.low):
        return UNTOLD
    return "" if one.told else NOISE


def _gap(one: Effect, digits: int) -> list[str]:
    """A difference, and its interval with its mark, or the mark alone."""
    mark = mark_of(one)
    text = mark if mark == UNTOLD else f"{interval(one.low, one.high, digits)}  {mark}".rstrip()
    return [signed(one.value, digits), text]


def _number(number: float, digits: int) -> str:
    return f"{number:.{digits}f}" if np.isfinite(number) else "–"


def benchmark_lines(
    info: Mapping[str, Any],
    names: tuple[str, str],
    before: Sequence[Content],
    after: Sequence[Content],
) -> list[str]:
    """What two variants reached on a benchmark, of the contents of their score files by seed."""
    kind = "synthetic miniatures" if info["synthetic"] else "sequences"
    count = len(before[0]["per_sequence"])
    lines = [f"{info['label']}: {count} {kind}; seeds {len(before)} and {len(after)}"]
    rows = [["", *names, "difference", "95 % interval"]]
    for metric, described in info["metrics"].items():
        digits = described["digits"]
        head = f"{described['label']} {'↑' if described['better'] == 'higher' else '↓'}"
        both = [_number(value(scores, OVERALL, metric), digits) for scores in (before, after)]
        rows.append([head, *both, *_gap(difference(after, before, OVERALL, metric), digits)])
    lines += aligned(rows)
    headline = info["headline"]
    digits, label = info["metrics"][headline]["digits"], info["metrics"][headline]["label"]
    labelled = before[0]["per_attribute"]
    gaps = {name: difference(after, before, name, headline) for name in labelled}
    rows = []
    for name, one in sorted(gaps.items(), key=lambda pair: -pair[1].value):
        part = labelled[name]
        head = f"{name} ({part.get('sequences', part.get('frames')):.0f})"
        rows += [[head, *_gap(one, digits)]] if np.isfinite(one.value) else []
    lines += ["", f"by attribute, {label}", *aligned(rows)] if rows else []
    changes = sequence_gaps(after, before, headline)
    rows = [[name, signed(gap, digits)] for name, gap in changes.items()]
    if len(rows) > 2 * MOST:
        rows = [*rows[:MOST], ["…", ""], *rows[-MOST:]]
    lines += ["", f"by sequence, {label}, the largest changes", *aligned(rows)] if rows else []
    return lines


def settings_lines(
    names: tuple[str, str], before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[str]:
    """The settings, by dotted key, in which two variants differ."""
    keys = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    rows = [[key, str(before.get(key, "–")), str(after.get(key, "–"))] for key in keys]
    return aligned([["settings that differ", *names], *rows]) if rows else ["no setting differs"]
