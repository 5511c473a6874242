"""Figures 7 and 10: scores by attribute, as the radar that readers expect, and as differences with
their intervals.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from siamla.experiment.figures import Attributes
from siamla.report.differences import OVERALL, Difference, difference, value
from siamla.report.figures import style
from siamla.report.figures.data import (
    Array,
    Data,
    Drawn,
    count_sequences,
    ranked,
)
from siamla.report.figures.data import (
    entry as legend_entry,
)

COLUMNS = (
    "attribute",
    "count",
    "unit",
    "tracker",
    "label",
    "metric",
    "score",
    "difference",
    "low",
    "high",
    "seeds",
)
FEWEST = 3  # axes of a radar


def _order(names: set[str], wanted: Sequence[str]) -> list[str]:
    return [name for name in wanted if name in names] + sorted(names - set(wanted))


def _radar(
    axes: Axes,
    attributes: list[str],
    counts: Mapping[str, int],
    values: Mapping[str, Array],
    data: Data,
    entries: Mapping[str, str],
) -> None:
    angles = np.linspace(0, 2 * np.pi, len(attributes), endpoint=False)
    closed = [*range(len(attributes)), 0]
    for name, label in reversed(list(entries.items())):
        how = style.look(data.trackers[name])
        (line,) = axes.plot(
            angles[closed],
            values[name][closed],
            marker=style.marker(data.trackers[name]),
            markersize=2.5,
            **how,
            label=label,
        )
        line.set_gid(style.gid(name))
    highest = max(float(np.nanmax(values[name], initial=0)) for name in entries)
    step = 0.1 if highest <= 0.45 else 0.2
    rings = np.arange(step, highest + step, step)
    axes.set_theta_zero_location("N")  # type: ignore[attr-defined]
    axes.set_theta_direction(-1)  # type: ignore[attr-defined]
    axes.set_ylim(0, rings[-1])
    axes.set_yticks(
        rings,
        [f"{ring:.1f}" for ring in rings],
        fontsize=5.5,
        color="0.3",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.8},
        zorder=6,
    )
    axes.set_rlabel_position(180 / len(attributes))  # type: ignore[attr-defined]
    axes.set_xticks(
        angles, [f"{name.replace('_', chr(10))}\n({counts[name]})" for name in attributes]
    )
    axes.tick_params(axis="x", pad=3)
    axes.grid(True, color="0.85")
    axes.spines["polar"].set_color("0.8")


def _differences(axes: Axes, found: list[Difference], counts: Mapping[str, int], unit: str) -> None:
    for row, one in enumerate(found):
        colour = style.OURS if one.value > 0 else style.BASELINE
        if np.isfinite(one.low):
            axes.hlines(row, one.low, one.high, color=colour, linewidth=1.1)
        face = colour if one.told else "white"
        axes.plot(one.value, row, "o", color=colour, markerfacecolor=face, markersize=4)
    axes.axvline(0, color="0.3", linewidth=0.7)
    axes.set_yticks(
        range(len(found)), [f"{one.attribute} ({counts[one.attribute]})" for one in found]
    )
    for label, one in zip(axes.get_yticklabels(), found, strict=True):
        label.set_fontweight("bold" if one.attribute == OVERALL else "normal")
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(5, min_n_ticks=3))
    axes.grid(True, axis="x")


def draw(entry: Attributes, data: Data) -> Drawn:
    """The radar, and beside it the differences where both ours and the baseline were measured."""
    info = data.benchmarks[entry.benchmark]
    metric = entry.metric or info["headline"]
    described = info["metrics"][metric]
    groups = data.of(entry.benchmark)
    every = {name for scores in groups.values() for name in scores[0].content["per_attribute"]}
    attributes = _order(every, entry.order)
    contents = {name: [score.content for score in scores] for name, scores in groups.items()}
    any_scores = next(iter(groups.values()), [])
    per = {name: part for s in any_scores for name, part in s.content["per_attribute"].items()}
    unit = "frames" if any("frames" in part for part in per.values()) else "sequences"
    counts = {name: int(per[name][unit]) for name in attributes if name in per}
    counts[OVERALL] = count_sequences(groups.values())
    attributes = [name for name in attributes if name in counts]
    values = {
        name: np.array([value(contents[name], a, metric) for a in attributes]) for name in groups
    }
    whole = {name: value(contents[name], OVERALL, metric) for name in groups}
    order = ranked(
        {name: one for name, one in whole.items() if np.isfinite(one)}, described["better"]
    )
    shown = [
        name
        for i, name in enumerate(order)
        if i < entry.most or data.trackers[name]["role"] != "other"
    ]
    ours, baseline = data.role("ours"), data.role("baseline")
    found = []
    if ours in groups and baseline in groups:
        found = [
            difference(contents[ours], contents[baseline], name, metric) for name in attributes
        ]
        sign = 1 if described["better"] == "higher" else -1
        found = sorted(found, key=lambda one: -sign * one.value)
        found.insert(0, difference(contents[ours], contents[baseline], OVERALL, metric))
    radar = len(attributes) >= FEWEST and bool(shown)
    width = style.PAGE if radar and found else style.COLUMN
    told = {
        n: legend_entry(whole[n], data.trackers[n]["label"], described["digits"]) for n in shown
    }
    wide = max(
        1, min(4, len(told), int(14 * width) // (max(map(len, told.values()), default=0) + 6))
    )
    tall = max(3.3 if radar else 0.2 * len(found) + 1.2, 2.2) + 0.13 * radar * -(-len(told) // wide)
    figure = style.new(width, tall)
    panels: list[Any] = ["radar"] * radar + ["differences"] * bool(found and attributes)
    if not panels:
        style.empty(figure.subplots(), f"no sequence of {info['label']} has attributes")
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(
            1, len(panels), place, projection="polar" if panel == "radar" else None
        )
        second = style.sequences(info, counts[OVERALL])
        if panel == "radar":
            _radar(axes, attributes, counts, values, data, told)
            handles, labels = axes.get_legend_handles_labels()
            figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=wide)
            style.title(axes, f"{described['label']} by attribute on {info['label']}", second)
        else:
            _differences(axes, found, counts, unit)
            pair = f"{data.trackers[ours]['label']} − {data.trackers[baseline]['label']}"  # type: ignore[index]
            axes.set_xlabel(f"Difference of {described['label']}, {described['better']} is better")
            style.title(axes, pair, second)
    rows: list[dict[str, Any]] = []
    gaps = {one.attribute: one for one in found}
    for name in order:
        for place, attribute in enumerate(attributes):
            row = {
                "attribute": attribute,
                "count": counts[attribute],
                "unit": unit,
                "tracker": name,
                "metric": metric,
                "label": data.trackers[name]["label"],
                "score": values[name][place],
                "seeds": len(groups[name]),
            }
            gap = gaps.get(attribute) if name == ours else None
            rows.append(
                row | ({"difference": gap.value, "low": gap.low, "high": gap.high} if gap else {})
            )
    return Drawn(
        figure,
        COLUMNS,
        rows,
        _alt(info, found, attributes),
        _notes(groups, found, attributes, unit, ours, baseline),
    )


def _notes(
    groups: Mapping[str, Any],
    found: list[Difference],
    attributes: list[str],
    unit: str,
    ours: str | None,
    baseline: str | None,
) -> list[str]:
    if not attributes:
        return ["The benchmark's sequences have no attribute labels."]
    notes = [f"In brackets the number of {unit}; a sequence has several attributes."]
    if len(attributes) >= FEWEST:
        notes.append(
            "Radar: rings are absolute scores; the legend's number is the score over all sequences."
        )
    if found and ours and baseline:
        seeds = min(len(groups[ours]), len(groups[baseline]))
        over = (
            "sequences, in pairs, and seeds (a mixed model)"
            if seeds > 1
            else (
                "sequences alone, resampled in pairs: with one seed what another training would"
                " change is not known"
            )
        )
        won = sum(one.value > 0 for one in found if one.attribute != OVERALL)
        told = sum(one.told for one in found if one.attribute != OVERALL)
        notes.append(
            f"Differences: {won} of {len(attributes)} attributes are above 0, {told} with an"
            " interval without 0."
        )
        notes.append(
            f"Bars: 95 % intervals over {over}. Filled: 0 is outside. No bar: fewer than two"
            " sequences."
        )
    return notes


def _alt(info: Mapping[str, Any], found: list[Difference], attributes: list[str]) -> str:
    text = f"Scores by {len(attributes)} attributes on {style.on(info)}."
    if found and attributes:
        best, worst = found[1], found[-1]
        text += (
            f" The difference to the baseline is largest on {best.attribute} ({best.value:+.3f})"
        )
        text += f" and smallest on {worst.attribute} ({worst.value:+.3f})."
    return text
