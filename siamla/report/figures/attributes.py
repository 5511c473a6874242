"""Figures 7 and 10: scores by attribute as a radar, with the differences in its numbers."""

from collections.abc import Mapping, Sequence
from textwrap import fill, wrap
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from siamla.report.differences import OVERALL, difference, value
from siamla.report.drawing import jobs, style
from siamla.report.drawing.data import Course, Data, Drawn, Nothing, Rows, ranked
from siamla.report.drawing.settings import TrackerFigure
from siamla.statistics import Effect

ATTRIBUTE = ("attribute", "count", "unit", "tracker", "label", "metric", "score")
COLUMNS = (*ATTRIBUTE, "difference", "low", "high", "seeds")
MOST = 8  # trackers in it, the best overall
LEAST = 2  # sequences of an attribute that has an axis: of one there is no mean
WORDS = {
    "ARC": "aspect ratio change",
    "AS": "adversarial samples",
    "BC": "background clutter",
    "CM": "camera motion",
    "DEF": "deformation",
    "FM": "fast motion",
    "FOC": "full occlusion",
    "IPR": "in-plane rotation",
    "IV": "illumination variation",
    "LR": "low resolution",
    "MB": "motion blur",
    "MS": "modality switch",
    "OCC": "occlusion",
    "OPR": "out-of-plane rotation",
    "OV": "out of view",
    "POC": "partial occlusion",
    "ROT": "rotation",
    "SV": "scale variation",
    "TC": "thermal crossover",
    "VC": "viewpoint change",
}
"""The benchmarks' codes in words; VOT's tags are words."""


class Entry(TrackerFigure):
    """Scores by attribute as a radar."""

    kind: Literal["attributes"]
    benchmark: str
    order: list[str] = Field(
        default_factory=list, description="attributes in this order; others follow by name"
    )


class Radar(NamedTuple):
    """The metric; tracker → contents of its score files, the best first; attribute → how many
    sequences or frames (`unit`) have it.
    """

    metric: str
    described: Mapping[str, Any]
    contents: Mapping[str, Sequence[Any]]
    unit: str
    every: Mapping[str, int]

    @property
    def counts(self) -> dict[str, int]:
        """Those that have an axis."""
        return {name: count for name, count in self.every.items() if count >= LEAST}

    def score(self, tracker: str, attribute: str = OVERALL) -> float:
        """A tracker's mean over seeds."""
        return value(self.contents[tracker], attribute, self.metric)


needs = jobs.benchmark_scores


def words_of(attribute: str) -> str:
    """An attribute for people; its own name where it is no known code."""
    return WORDS.get(attribute) or attribute.replace("_", " ")


def _left_out(radar: Radar) -> str:
    """Which attributes have no axis; "" for none."""
    few = {name: count for name, count in radar.every.items() if count < LEAST}
    parts = [f"{words_of(name)} ({count or 'none'})" for name, count in few.items()]
    rule = f"No axis for attributes of fewer than {LEAST} {radar.unit}"
    return f"{rule}: {', '.join(parts)}." if parts else ""


def _radar_of(entry: Entry, data: Data) -> Radar:
    metric, described = data.headline(entry.benchmark)
    groups = data.of(entry.benchmark)
    contents = {name: [score.content for score in scores] for name, scores in groups.items()}
    first = next(iter(contents.values()), [])
    labelled = {name: part for score in first for name, part in score["per_attribute"].items()}
    unit = "frames" if any("frames" in part for part in labelled.values()) else "sequences"
    every = dict.fromkeys(entry.order, 0)
    every |= {name: int(labelled[name][unit]) for name in sorted(labelled)}
    whole = {name: value(scores, OVERALL, metric) for name, scores in contents.items()}
    finite = {name: score for name, score in whole.items() if np.isfinite(score)}
    best = {name: contents[name] for name in ranked(finite, described["better"])}
    return Radar(metric, described, best, unit, every)


def _gaps(radar: Radar, ours: str, baseline: str) -> dict[str, Effect]:
    """Ours less the baseline, overall and then by attribute, the best first; none without both."""
    if not {ours, baseline} <= set(radar.contents):
        return {}
    sign = 1 if radar.described["better"] == "higher" else -1
    pair = radar.contents[ours], radar.contents[baseline]
    gaps = {name: difference(*pair, name, radar.metric) for name in radar.counts}
    order = sorted(gaps, key=lambda name: -sign * gaps[name].value)
    whole = {OVERALL: difference(*pair, OVERALL, radar.metric)}
    return whole | {name: gaps[name] for name in order}


def _draw_radar(axes: Any, radar: Radar, data: Data) -> None:
    """A closed line for each tracker, and the legend below."""
    names = [
        name
        for rank, name in enumerate(radar.contents)
        if rank < MOST or data.trackers[name]["role"] != "other"
    ]
    digits = radar.described["digits"]
    counts = radar.counts
    angles = np.linspace(0, 2 * np.pi, len(counts) + 1)
    lines = {}
    for name in reversed(names):
        how = style.look(data.trackers[name]) | {"markersize": 2.5}
        how |= {"marker": style.marker(data.trackers[name]), "markeredgecolor": how["color"]}
        values = np.array([radar.score(name, each) for each in (*counts, next(iter(counts)))])
        lines[name] = style.line(axes, Course(angles, values, values, values, 1), how)
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set_rlabel_position(180 / len(counts))
    axes.set_ylim(0)
    heads = ["\n".join([*wrap(words_of(name), 13), f"({counts[name]})"]) for name in counts]
    axes.set_xticks(angles[:-1], heads, fontsize=6)
    axes.tick_params(axis="x", pad=3)
    for text, angle in zip(axes.get_xticklabels(), angles, strict=False):  # beside the circle
        side = round(float(np.sin(angle)), 3)
        text.set_horizontalalignment(("center", "left", "right")[int(np.sign(side))])
    labels = [style.entry(radar.score(name), data.label(name), digits) for name in names]
    style.legend_below(axes.figure, [lines[name] for name in names], labels)


def draw(entry: Entry, data: Data) -> Drawn:
    """The radar; its numbers hold the differences where ours and the baseline were measured."""
    info = data.benchmarks[entry.benchmark]
    radar = _radar_of(entry, data)
    ours, baseline = data.role("ours"), data.role("baseline")
    gaps = _gaps(radar, ours, baseline)
    if not any(radar.every.values()):
        raise Nothing(f"no sequence of {info['label']} has attributes")
    if not radar.counts:
        raise Nothing(f"no attribute of {info['label']} has {LEAST} {radar.unit}")
    figure = style.new(style.COLUMN, 3.6)
    axes = figure.add_subplot(projection="polar")
    _draw_radar(axes, radar, data)
    label = radar.described["label"]
    second = style.sequences(info, data.count(entry.benchmark))
    style.title(axes, f"{label} by attribute on {info['label']}", second)
    left_out = _left_out(radar)
    axes.set_xlabel(fill(left_out, 66), fontsize=5.8, color="0.35", labelpad=8)
    rows = _rows(radar, data, gaps, ours)
    alt = f"Scores by {len(radar.counts)} attributes on {style.on(info)}."
    if gaps:
        words = [f"{words_of(name)} ({gap.value:+.3f})" for name, gap in gaps.items()]
        alt += f" The difference to the baseline is largest on {words[1]} and smallest on"
        alt += f" {words[-1]}."
    notes = _notes(radar, gaps, ours, baseline) + [left_out] * bool(left_out)
    return Drawn(figure, rows, alt, notes)


def _rows(radar: Radar, data: Data, gaps: Mapping[str, Effect], ours: str) -> Rows:
    rows: Rows = []
    for name, scores in radar.contents.items():
        fixed: dict[str, Any] = {"tracker": name, "label": data.label(name)}
        fixed |= {"metric": radar.metric, "unit": radar.unit, "seeds": len(scores)}
        for attribute, count in radar.counts.items():
            score = radar.score(name, attribute)
            row = fixed | {"attribute": attribute, "count": count, "score": score}
            if name == ours and attribute in gaps:
                gap = gaps[attribute]
                row |= {"difference": gap.value, "low": gap.low, "high": gap.high}
            rows.append(row)
    return rows


def _notes(radar: Radar, gaps: Mapping[str, Effect], ours: str, baseline: str) -> list[str]:
    notes = [
        f"In brackets the number of {radar.unit}; a sequence has several attributes. Rings are"
        " absolute scores; the legend's number is the score over all sequences."
    ]
    if gaps:
        over = "sequences, in pairs, and seeds (a mixed model)"
        if min(len(radar.contents[name]) for name in (ours, baseline)) < 2:
            over = (
                "sequences alone, in pairs: with one seed what another training would"
                " change is not known"
            )
        each = [gaps[name] for name in radar.counts]
        above = sum(gap.value > 0 for gap in each)
        sure = sum(gap.told for gap in each)
        notes.append(
            f"Differences to the baseline, in the CSV file: {above} of {len(each)} are above 0,"
            f" {sure} with a 95 % interval without 0, over {over}."
        )
    return notes
