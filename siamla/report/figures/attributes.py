"""Figures 7 and 10: scores by attribute, as the radar that readers expect, and as differences with
their intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field

from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.report.differences import OVERALL, Difference, difference, value
from siamla.report.drawing import needs as jobs
from siamla.report.drawing import style
from siamla.report.drawing.data import Array, Data, Drawn, count_sequences, legend_entry, ranked
from siamla.report.drawing.settings import TrackerFigure

ATTRIBUTE = ("attribute", "count", "unit", "tracker", "label", "metric", "score")
COLUMNS = (*ATTRIBUTE, "difference", "low", "high", "seeds")
FEWEST = 3  # axes of a radar


class Entry(TrackerFigure):
    """Scores by attribute: a radar of all trackers, and the differences between ours and the
    baseline.
    """

    kind: Literal["attributes"]
    benchmark: str
    metric: str | None = Field(None, description="default: the protocol's headline")
    order: list[str] = Field(
        default_factory=list, description="attributes in this order; others follow by name"
    )
    most: int = Field(8, ge=1, description="trackers in the radar, the best overall")


@dataclass(frozen=True)
class Measured:
    """The scores by attribute.

    Attributes:
        metric, described: its name; its label, direction and digits.
        contents: tracker → its score files by seed.
        attributes: in the order in which they are shown.
        unit, counts: "sequences" or "frames", and how many have each attribute, OVERALL included.
        values: tracker → its scores (attributes,), means over seeds.
        whole: tracker → its score over all sequences.
        order: the trackers that have one, the best first.
    """

    metric: str
    described: Mapping[str, Any]
    contents: Mapping[str, Sequence[Any]]
    attributes: list[str]
    unit: str
    counts: Mapping[str, int]
    values: Mapping[str, Array]
    whole: Mapping[str, float]
    order: list[str]


def needs(plan: Plan, entry: Entry) -> list[Job] | None:
    """The scores on its benchmark."""
    return jobs.scores(plan, entry, [entry.benchmark]) or None


def _counts(scores: Sequence[Mapping[str, Any]]) -> tuple[str, dict[str, int]]:
    """What an attribute is a label of, and how many have it."""
    labelled = {name: part for score in scores for name, part in score["per_attribute"].items()}
    unit = "frames" if any("frames" in part for part in labelled.values()) else "sequences"
    return unit, {name: int(part[unit]) for name, part in labelled.items()}


def _measured(entry: Entry, data: Data) -> Measured:
    metric, described = data.metric(entry.benchmark, entry.metric)
    groups = data.of(entry.benchmark)
    contents = {name: [score.content for score in scores] for name, scores in groups.items()}
    unit, counts = _counts(next(iter(contents.values()), []))
    named = [name for name in entry.order if name in counts]
    attributes = named + sorted(set(counts) - set(named))
    values = {
        name: np.array([value(scores, attribute, metric) for attribute in attributes])
        for name, scores in contents.items()
    }
    whole = {name: value(scores, OVERALL, metric) for name, scores in contents.items()}
    finite = {name: score for name, score in whole.items() if np.isfinite(score)}
    return Measured(
        metric,
        described,
        contents,
        attributes,
        unit,
        counts | {OVERALL: count_sequences(groups.values())},
        values,
        whole,
        ranked(finite, described["better"]),
    )


def _gaps(measured: Measured, ours: str, baseline: str) -> list[Difference]:
    """The differences of ours to the baseline, overall and then by attribute, the best first; none
    where either was not measured.
    """
    if ours not in measured.contents or baseline not in measured.contents:
        return []
    sign = 1 if measured.described["better"] == "higher" else -1
    pair = measured.contents[ours], measured.contents[baseline]
    gaps = [difference(*pair, name, measured.metric) for name in measured.attributes]
    gaps.sort(key=lambda gap: -sign * gap.value)
    return [difference(*pair, OVERALL, measured.metric), *gaps]


def _radar_axes(axes: Any, measured: Measured, highest: float) -> None:
    """Rings of the scores, and the attributes with their counts around them."""
    count = len(measured.attributes)
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    step = 0.1 if highest <= 0.45 else 0.2
    rings = np.arange(step, highest + step, step)
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set_ylim(0, rings[-1])
    axes.set_yticks(
        rings,
        [f"{ring:.1f}" for ring in rings],
        fontsize=5.5,
        color="0.3",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.8},
        zorder=6,
    )
    axes.set_rlabel_position(180 / count)
    names = [
        f"{name.replace('_', chr(10))}\n({measured.counts[name]})" for name in measured.attributes
    ]
    axes.set_xticks(angles, names)
    axes.tick_params(axis="x", pad=3)
    axes.grid(True, color="0.85")
    axes.spines["polar"].set_color("0.8")


def _radar(axes: Any, measured: Measured, data: Data, names: Sequence[str]) -> None:
    """A closed line for each of the trackers."""
    angles = np.linspace(0, 2 * np.pi, len(measured.attributes), endpoint=False)
    closed = [*range(len(angles)), 0]
    for name in reversed(names):
        how = style.look(data.trackers[name])
        how |= {"marker": style.marker(data.trackers[name]), "markersize": 2.5}
        points = {"x": angles[closed], "mean": measured.values[name][closed]}
        style.line(axes, name, points, how | {"markeredgecolor": how["color"]})
    every = [float(np.nanmax(measured.values[name], initial=0)) for name in names]
    _radar_axes(axes, measured, max(every))


def _differences(axes: Any, gaps: Sequence[Difference], measured: Measured) -> None:
    from matplotlib.ticker import MaxNLocator

    for row, gap in enumerate(gaps):
        colour = style.OURS if gap.value > 0 else style.BASELINE
        if np.isfinite(gap.low):
            axes.hlines(row, gap.low, gap.high, color=colour, linewidth=1.1)
        face = colour if gap.told else "white"
        axes.plot(gap.value, row, "o", color=colour, markerfacecolor=face, markersize=4)
    axes.axvline(0, color="0.3", linewidth=0.7)
    names = [f"{gap.attribute} ({measured.counts[gap.attribute]})" for gap in gaps]
    axes.set_yticks(range(len(gaps)), names)
    axes.get_yticklabels()[0].set_fontweight("bold")  # the whole benchmark
    axes.set_ylim(len(gaps) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(5, min_n_ticks=3))
    axes.grid(False, axis="y")
    better = measured.described["better"]
    axes.set_xlabel(f"Difference of {measured.described['label']}, {better} is better")


def _legend(figure: Any, axes: Any, measured: Measured, data: Data, names: Sequence[str]) -> None:
    digits = measured.described["digits"]
    lines = {line.get_gid(): line for line in axes.lines}
    handles = [lines[style.gid(name)] for name in names]
    labels = [legend_entry(measured.whole[name], data.label(name), digits) for name in names]
    room = int(14 * figure.get_figwidth())
    rows = style.legend_below(figure, handles, labels, min(room, 4 * (max(map(len, labels)) + 6)))
    figure.set_figheight(figure.get_figheight() + 0.13 * rows)


def draw(entry: Entry, data: Data) -> Drawn:
    """The radar, and beside it the differences where both ours and the baseline were measured."""
    info = data.benchmarks[entry.benchmark]
    measured = _measured(entry, data)
    ours = data.role("ours") or ""
    baseline = data.role("baseline") or ""
    gaps = _gaps(measured, ours, baseline)
    names = [
        name
        for rank, name in enumerate(measured.order)
        if rank < entry.most or data.trackers[name]["role"] != "other"
    ]
    radar = len(measured.attributes) >= FEWEST and bool(names)
    panels = ["polar"] * radar + [None] * bool(gaps and measured.attributes)
    height = max(3.3 if radar else 0.2 * len(gaps) + 1.2, 2.2)
    figure = style.new(style.PAGE if radar and gaps else style.COLUMN, height)
    second = style.sequences(info, measured.counts[OVERALL])
    if not panels:
        style.empty(figure.subplots(), f"no sequence of {info['label']} has attributes")
    for number, projection in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), number, projection=projection)
        if projection:
            _radar(axes, measured, data, names)
            _legend(figure, axes, measured, data, names)
            label = measured.described["label"]
            style.title(axes, f"{label} by attribute on {info['label']}", second)
        else:
            _differences(axes, gaps, measured)
            style.title(axes, f"{data.label(ours)} − {data.label(baseline)}", second)
    rows = _rows(measured, data, gaps, ours)
    notes = _notes(measured, gaps, ours, baseline)
    return Drawn(figure, COLUMNS, rows, _alt(info, gaps, measured.attributes), notes)


def _rows(
    measured: Measured, data: Data, gaps: Sequence[Difference], ours: str
) -> list[dict[str, Any]]:
    by_attribute = {gap.attribute: gap for gap in gaps}
    rows: list[dict[str, Any]] = []
    for name in measured.order:
        for attribute, score in zip(measured.attributes, measured.values[name], strict=True):
            row = {
                "attribute": attribute,
                "count": measured.counts[attribute],
                "unit": measured.unit,
                "tracker": name,
                "label": data.label(name),
                "metric": measured.metric,
                "score": score,
                "seeds": len(measured.contents[name]),
            }
            gap = by_attribute.get(attribute) if name == ours else None
            if gap:
                row |= {"difference": gap.value, "low": gap.low, "high": gap.high}
            rows.append(row)
    return rows


def _notes(measured: Measured, gaps: Sequence[Difference], ours: str, baseline: str) -> list[str]:
    if not measured.attributes:
        return ["The benchmark's sequences have no attribute labels."]
    notes = [f"In brackets the number of {measured.unit}; a sequence has several attributes."]
    if len(measured.attributes) >= FEWEST:
        notes.append(
            "Radar: rings are absolute scores; the legend's number is the score over all sequences."
        )
    if gaps:
        over = (
            "sequences alone, resampled in pairs: with one seed what another training would change"
            " is not known"
        )
        if min(len(measured.contents[ours]), len(measured.contents[baseline])) > 1:
            over = "sequences, in pairs, and seeds (a mixed model)"
        won = sum(gap.value > 0 for gap in gaps[1:])
        told = sum(gap.told for gap in gaps[1:])
        notes.append(
            f"Differences: {won} of {len(measured.attributes)} attributes are above 0, {told} with"
            " an interval without 0."
        )
        notes.append(
            f"Bars: 95 % intervals over {over}. Filled: 0 is outside. No bar: fewer than two"
            " sequences."
        )
    return notes


def _alt(info: Mapping[str, Any], gaps: Sequence[Difference], attributes: Sequence[str]) -> str:
    text = f"Scores by {len(attributes)} attributes on {style.on(info)}."
    if gaps and attributes:
        best, worst = gaps[1], gaps[-1]
        text += (
            f" The difference to the baseline is largest on {best.attribute} ({best.value:+.3f})"
            f" and smallest on {worst.attribute} ({worst.value:+.3f})."
        )
    return text
