"""Two variants beside each other as text: scores with intervals, attributes, sequences, settings
that differ.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from siamla.report.differences import OVERALL, Difference, difference, sequence_gaps, value

SHOWN = 5  # sequences and attributes either way
Content = Mapping[str, Any]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        f"{text:<{width}}" if not index else f"{text:>{width}}"
        for index, (text, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *rest]).rstrip()


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text as columns, the first to the left and the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [_line(row, widths) for row in rows]


def _interval(one: Difference, digits: int) -> str:
    if not math.isfinite(one.low):
        return "no interval"
    return f"[{one.low:+.{digits}f}, {one.high:+.{digits}f}]" + ("" if one.told else "  ~")


def _number(number: float, digits: int) -> str:
    return f"{number:.{digits}f}" if math.isfinite(number) else "–"


def benchmark_lines(
    info: Mapping[str, Any],
    names: tuple[str, str],
    before: Sequence[Content],
    after: Sequence[Content],
) -> list[str]:
    """What two variants reached on a benchmark, of the contents of their score files by seed."""
    count = len(before[0]["per_sequence"])
    kind = "synthetic miniatures" if info["synthetic"] else "sequences"
    lines = [f"{info['label']}: {count} {kind}; seeds {len(before)} and {len(after)}"]
    rows = [["", *names, "difference", "95 % interval"]]
    for metric, told in info["metrics"].items():
        gap, digits = difference(after, before, OVERALL, metric), told["digits"]
        arrow = "↑" if told["better"] == "higher" else "↓"
        both = [_number(value(scores, OVERALL, metric), digits) for scores in (before, after)]
        rows.append(
            [f"{told['label']} {arrow}", *both, f"{gap.value:+.{digits}f}", _interval(gap, digits)]
        )
    lines += aligned(rows)
    headline = info["headline"]
    digits = info["metrics"][headline]["digits"]
    attributes = [difference(after, before, name, headline) for name in before[0]["per_attribute"]]
    attributes = sorted(
        (one for one in attributes if math.isfinite(one.value)), key=lambda one: -one.value
    )
    if attributes:
        counts = {
            name: part.get("sequences", part.get("frames"))
            for name, part in before[0]["per_attribute"].items()
        }
        rows = [
            [
                f"{one.attribute} ({counts[one.attribute]:.0f})",
                f"{one.value:+.{digits}f}",
                _interval(one, digits),
            ]
            for one in attributes
        ]
        lines += ["", f"by attribute, {info['metrics'][headline]['label']}", *aligned(rows)]
    gaps = list(sequence_gaps(after, before, headline).items())
    if gaps:
        ends = gaps if len(gaps) <= 2 * SHOWN else [*gaps[:SHOWN], ("…", math.nan), *gaps[-SHOWN:]]
        lines += ["", f"by sequence, {info['metrics'][headline]['label']}, the largest changes"]
        lines += aligned(
            [[name, "" if math.isnan(gap) else f"{gap:+.{digits}f}"] for name, gap in ends]
        )
    return lines


def settings_lines(
    names: tuple[str, str], before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[str]:
    """The settings, by dotted key, in which two variants differ."""
    keys = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    if not keys:
        return ["no setting differs"]
    return aligned(
        [
            ["settings that differ", *names],
            *([k, str(before.get(k, "–")), str(after.get(k, "–"))] for k in keys),
        ]
    )
