"""Figures 7 and 10: scores by attribute as a radar, and as differences with their intervals."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from siamla.report.differences import OVERALL, Difference, difference, value
from siamla.report.drawing import jobs, style
from siamla.report.drawing.data import Array, Course, Data, Drawn, Nothing, Rows, ranked
from siamla.report.drawing.settings import TrackerFigure

ATTRIBUTE = ("attribute", "count", "unit", "tracker", "label", "metric", "score")
COLUMNS = (*ATTRIBUTE, "difference", "low", "high", "seeds")
FEWEST = 3  # axes of a radar
MOST = 8  # trackers in it, the best overall


class Entry(TrackerFigure):
    """Scores by attribute: a radar, and the differences between ours and the baseline."""

    kind: Literal["attributes"]
    benchmark: str
    order: list[str] = Field(
        default_factory=list, description="attributes in this order; others follow by name"
    )


class Measured(NamedTuple):
    """The metric; tracker → its score files, the best first; attribute → how many sequences or
    frames have it; tracker → its scores by attribute, and over all sequences, means over seeds.
    """

    metric: str
    described: Mapping[str, Any]
    contents: Mapping[str, Sequence[Any]]
    unit: str
    counts: Mapping[str, int]
    values: Mapping[str, Array]
    whole: Mapping[str, float]


needs = jobs.benchmark_scores


def _measured(entry: Entry, data: Data) -> Measured:
    metric, described = data.headline(entry.benchmark)
    groups = data.of(entry.benchmark)
    contents = {name: [score.content for score in scores] for name, scores in groups.items()}
    first = next(iter(contents.values()), [])
    labelled = {name: part for score in first for name, part in score["per_attribute"].items()}
    unit = "frames" if any("frames" in part for part in labelled.values()) else "sequences"
    names = [name for name in entry.order if name in labelled]
    names += sorted(set(labelled) - set(names))
    whole = {name: value(scores, OVERALL, metric) for name, scores in contents.items()}
    finite = {name: score for name, score in whole.items() if np.isfinite(score)}
    order = ranked(finite, described["better"])
    return Measured(
        metric,
        described,
        {name: contents[name] for name in order},
        unit,
        {name: int(labelled[name][unit]) for name in names},
        {name: np.array([value(contents[name], each, metric) for each in names]) for name in order},
        whole,
    )


def _gaps(measured: Measured, ours: str, baseline: str) -> list[Difference]:
    """Ours less the baseline, overall and then by attribute, the best first; none without both."""
    if not {ours, baseline} <= set(measured.contents):
        return []
    sign = 1 if measured.described["better"] == "higher" else -1
    pair = measured.contents[ours], measured.contents[baseline]
    gaps = [difference(*pair, name, measured.metric) for name in measured.counts]
    gaps.sort(key=lambda gap: -sign * gap.value)
    return [difference(*pair, OVERALL, measured.metric), *gaps]


def _radar_axes(axes: Any, counts: Mapping[str, int], highest: float) -> None:
    """Rings of the scores, and the attributes with their counts around them."""
    step = 0.1 if highest <= 0.45 else 0.2
    rings = np.arange(step, highest + step, step)
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set_ylim(0, rings[-1])
    seam = {"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.8}
    how = {"fontsize": 5.5, "color": "0.3", "bbox": seam, "zorder": 6}
    axes.set_yticks(rings, [f"{ring:.1f}" for ring in rings], **how)
    axes.set_rlabel_position(180 / len(counts))
    names = [f"{name.replace('_', chr(10))}\n({count})" for name, count in counts.items()]
    axes.set_xticks(np.linspace(0, 2 * np.pi, len(counts), endpoint=False), names)
    axes.tick_params(axis="x", pad=3)
    axes.grid(True, color="0.85")
    axes.spines["polar"].set_color("0.8")


def _radar(axes: Any, measured: Measured, data: Data) -> None:
    """A closed line for each tracker, and the legend below."""
    names = [
        name
        for rank, name in enumerate(measured.contents)
        if rank < MOST or data.trackers[name]["role"] != "other"
    ]
    digits = measured.described["digits"]
    angles = np.linspace(0, 2 * np.pi, len(measured.counts) + 1)
    lines = {}
    for name in reversed(names):
        how = style.look(data.trackers[name]) | {"markersize": 2.5}
        how |= {"marker": style.marker(data.trackers[name]), "markeredgecolor": how["color"]}
        values = np.append(measured.values[name], measured.values[name][0])
        lines[name] = style.line(axes, Course(angles, values, values, values, 1), how)
    highest = max(float(np.nanmax(measured.values[name], initial=0)) for name in names)
    _radar_axes(axes, measured.counts, highest)
    labels = [style.entry(measured.whole[name], data.label(name), digits) for name in names]
    style.legend_below(axes.figure, [lines[name] for name in names], labels)


def _differences(axes: Any, gaps: Sequence[Difference], measured: Measured, count: int) -> None:
    from matplotlib.ticker import MaxNLocator

    for row, gap in enumerate(gaps):
        colour = style.OURS if gap.value > 0 else style.BASELINE
        if np.isfinite(gap.low):
            axes.hlines(row, gap.low, gap.high, color=colour, linewidth=1.1)
        face = colour if gap.told else "white"
        axes.plot(gap.value, row, "o", color=colour, markerfacecolor=face, markersize=4)
    axes.axvline(0, color="0.3", linewidth=0.7)
    counts = {**measured.counts, OVERALL: count}
    names = [f"{gap.attribute} ({counts[gap.attribute]})" for gap in gaps]
    axes.set_yticks(range(len(gaps)), names)
    axes.get_yticklabels()[0].set_fontweight("bold")  # the whole benchmark
    axes.set_ylim(len(gaps) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(5, min_n_ticks=3))
    axes.grid(False, axis="y")
    described = measured.described
    axes.set_xlabel(f"Difference of {described['label']}, {described['better']} is better")


def draw(entry: Entry, data: Data) -> Drawn:
    """The radar, and beside it the differences where both ours and the baseline were measured."""
    info = data.benchmarks[entry.benchmark]
    measured = _measured(entry, data)
    ours, baseline = data.role("ours"), data.role("baseline")
    gaps = _gaps(measured, ours, baseline)
    radar = len(measured.counts) >= FEWEST
    panels = ["polar"] * radar + [None] * bool(gaps)
    if not measured.counts or not panels:
        raise Nothing(f"no sequence of {info['label']} has attributes")
    height = max(3.3 if radar else 0.2 * len(gaps) + 1.2, 2.2)
    figure = style.new(style.PAGE if len(panels) > 1 else style.COLUMN, height)
    count = data.count(entry.benchmark)
    second = style.sequences(info, count)
    for number, projection in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), number, projection=projection)
        if projection:
            _radar(axes, measured, data)
            label = measured.described["label"]
            style.title(axes, f"{label} by attribute on {info['label']}", second)
        else:
            _differences(axes, gaps, measured, count)
            style.title(axes, f"{data.label(ours)} − {data.label(baseline)}", second)
    rows = _rows(measured, data, {gap.attribute: gap for gap in gaps}, ours)
    alt = f"Scores by {len(measured.counts)} attributes on {style.on(info)}."
    if gaps:
        alt += (
            f" The difference to the baseline is largest on {gaps[1].attribute}"
            f" ({gaps[1].value:+.3f}) and smallest on {gaps[-1].attribute} ({gaps[-1].value:+.3f})."
        )
    return Drawn(figure, COLUMNS, rows, alt, _notes(measured, gaps, ours, baseline))


def _rows(measured: Measured, data: Data, gaps: Mapping[str, Difference], ours: str) -> Rows:
    rows: Rows = []
    for name, scores in measured.contents.items():
        fixed: dict[str, Any] = {"tracker": name, "label": data.label(name)}
        fixed |= {"metric": measured.metric, "unit": measured.unit, "seeds": len(scores)}
        for (attribute, count), score in zip(
            measured.counts.items(), measured.values[name], strict=True
        ):
            row = fixed | {"attribute": attribute, "count": count, "score": score}
            if name == ours and attribute in gaps:
                gap = gaps[attribute]
                row |= {"difference": gap.value, "low": gap.low, "high": gap.high}
            rows.append(row)
    return rows


def _notes(measured: Measured, gaps: Sequence[Difference], ours: str, baseline: str) -> list[str]:
    notes = [f"In brackets the number of {measured.unit}; a sequence has several attributes."]
    if len(measured.counts) >= FEWEST:
        notes.append(
            "Radar: rings are absolute scores; the legend's number is the score over all sequences."
        )
    if gaps:
        over = "sequences, in pairs, and seeds (a mixed model)"
        if min(len(measured.contents[name]) for name in (ours, baseline)) < 2:
            over = (
                "sequences alone, resampled in pairs: with one seed what another training would"
                " change is not known"
            )
        above = sum(gap.value > 0 for gap in gaps[1:])
        sure = sum(gap.told for gap in gaps[1:])
        notes += [
            f"Differences: {above} of {len(measured.counts)} attributes are above 0, {sure} with an"
            " interval without 0.",
            f"Bars: 95 % intervals over {over}. Filled: 0 is outside. No bar: fewer than two"
            " sequences.",
        ]
    return notes
