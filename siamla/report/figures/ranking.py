"""Figure 11: trackers by rank, the best at the right, measured scores filled and published ones
hollow.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from siamla.experiment.figures import Ranking
from siamla.report.figures import style
from siamla.report.figures.data import Data, Drawn, count_sequences, overall, ranked
from siamla.report.figures.data import entry as legend_entry

COLUMNS = ("rank", "group", "tracker", "label", "metric", "score", "lowest", "highest", "seeds")
HOLLOW = "ox*v^d+<p>sh"
MOST = 40  # entries of a legend

Row = dict[str, Any]


def rank(data: Data, benchmark: str, metric: str, apart: bool) -> list[Row]:
    """Measured and published trackers with their ranks; `apart`: ranked by themselves, since their
    data differ.
    """
    info = data.benchmarks[benchmark]["metrics"][metric]
    rows: list[Row] = []
    for name, scores in data.of(benchmark).items():
        values = overall(scores, metric)
        if len(values):
            spread = {"lowest": values.min(), "highest": values.max(), "seeds": len(values)}
            known = {"group": "measured", "tracker": name, "label": data.trackers[name]["label"]}
            rows.append(known | spread | {"score": float(values.mean())})
    rows += [
        {"group": "published", "tracker": n, "label": n, "score": v}
        for n, v in data.published.items()
    ]
    groups = (
        [[r for r in rows if r["group"] == g] for g in ("measured", "published")]
        if apart
        else [rows]
    )
    done = []
    for group in groups:
        order = ranked(
            {str(index): row["score"] for index, row in enumerate(group)}, info["better"]
        )
        done += [
            group[int(index)] | {"rank": place, "metric": metric}
            for place, index in enumerate(order, 1)
        ]
    return done


def _panel(
    axes: Axes, rows: Sequence[Row], data: Data, digits: int
) -> list[tuple[Line2D, str, str | None]]:
    """Draw ranked rows; the legend's entries."""
    entries: list[tuple[Line2D, str, str | None]] = []
    hollow = 0
    for row in rows:
        measured = row["group"] == "measured"
        if measured:
            how = style.look(data.trackers[row["tracker"]])
            shape, colour = style.marker(data.trackers[row["tracker"]]), how["color"]
            size, face = (7 if data.trackers[row["tracker"]]["role"] == "ours" else 5.5), colour
        else:
            shape, colour, size, face = HOLLOW[hollow % len(HOLLOW)], "0.35", 5, "none"
            hollow += 1
        axes.vlines(
            row["rank"],
            0,
            row["score"],
            color="0.8",
            linewidth=0.8,
            linestyle=style.DASHES[2],
            zorder=1,
        )
        if measured and row["seeds"] > 1:
            axes.vlines(
                row["rank"], row["lowest"], row["highest"], color=colour, linewidth=1.2, zorder=3
            )
        (point,) = axes.plot(
            row["rank"],
            row["score"],
            shape,
            color=colour,
            markerfacecolor=face,
            markersize=size,
            zorder=4,
        )
        if measured:
            point.set_gid(style.gid(row["tracker"]))
        name = row["tracker"] if measured else None
        entries.append((point, legend_entry(row["score"], row["label"], digits), name))
    count = len(rows)
    step = max(1, math.ceil(math.log(count))) if count > 1 else 1
    axes.set_xticks(range(1, count + 1, step))
    axes.set_xlim(count + 0.6, 0.4)  # the best at the right
    return entries


def _key(rows: Sequence[Row]) -> str:
    """What filled and hollow markers are."""
    words = {"measured": "filled: from raw results", "published": "hollow: as published"}
    return "; ".join(
        text for group, text in words.items() if any(row["group"] == group for row in rows)
    )


def draw(entry: Ranking, data: Data) -> Drawn:
    """One ranking; two where the measured trackers saw other data than the published."""
    info = data.benchmarks[entry.benchmark]
    metric = entry.metric or info["headline"]
    described: Mapping[str, Any] = info["metrics"][metric]
    rows = rank(data, entry.benchmark, metric, apart=info["synthetic"])
    groups: list[tuple[str, list[Row]]] = [("", rows)]
    if info["synthetic"]:
        named = {
            "measured": "measured here, on\nsynthetic miniatures",
            "published": f"published, on\n{info['label']}",
        }
        groups = [
            (text, [row for row in rows if row["group"] == name]) for name, text in named.items()
        ]
        groups = [(text, own) for text, own in groups if own]
    groups = groups or [("", [])]
    figure = style.new(style.PAGE if len(groups) > 1 or len(rows) > 8 else style.COLUMN, 2.7)
    widths = [max(6, len(own)) for _, own in groups]  # titles need a place, too
    panels = figure.subplots(1, len(groups), squeeze=False, sharey=True, width_ratios=widths)[0]
    top = max([0.1, *(float(row.get("highest") or row["score"]) for row in rows)])
    entries = []
    for axes, (text, own) in zip(panels, groups, strict=True):
        if not own:
            style.empty(axes, "nothing was scored")
            continue
        entries += _panel(axes, own, data, described["digits"])
        axes.set(xlabel="Order", ylim=(0, min(1.0, top * 1.12) if top <= 1 else top * 1.12))
        style.title(axes, text or f"{described['label']} on {info['label']}")
    panels[0].set_ylabel(described["label"])
    entries.sort(key=lambda one: one[1][0] != "[")
    shown = entries[:MOST]
    if shown:
        legend = figure.legend(
            [point for point, _, _ in shown],
            [text for _, text, _ in shown],
            loc="outside right upper",
            ncols=1 + (len(shown) > 20),
            handlelength=1.2,
            title=_key(rows),
            title_fontsize=6.3,
        )
        for line, (_, _, name) in zip(legend.get_texts(), shown, strict=True):
            if name:
                line.set_gid(style.gid(name))
                line.set_fontweight("bold" if data.trackers[name]["role"] == "ours" else "normal")
    count = count_sequences(data.of(entry.benchmark).values())
    notes = [
        f"Filled: computed here from raw results ({style.sequences(info, count)})." if count else ""
    ]
    notes += (
        ["Hollow: as published; of those there are no raw results here."] if data.published else []
    )
    if info["synthetic"] and data.published:
        notes.append(
            "The two panels are ranked apart: a score on miniatures says nothing about one on the"
            " benchmark."
        )
    best = ", ".join(f"{row['label']} {row['score']:.{described['digits']}f}" for row in rows[:3])
    alt = (
        f"{described['label']} ranking on {style.on(info)}: {best}."
        if rows
        else "No tracker was scored."
    )
    return Drawn(figure, COLUMNS, rows, alt, [note for note in notes if note])
