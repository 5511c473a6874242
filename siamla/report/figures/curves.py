"""Figure 9 and its kin: success, precision and expected overlap with ranked legends, as the
toolkits draw them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from siamla.experiment.figures import CurveName, Curves
from siamla.report.differences import numbers
from siamla.report.figures import style
from siamla.report.figures.data import (
    Array,
    Data,
    Drawn,
    Info,
    Score,
    count_sequences,
    overall,
    ranked,
    seeds_note,
)
from siamla.report.figures.data import (
    entry as legend_entry,
)

WORDS = {
    "success": ("Success plots of OPE", "Overlap threshold", "Success rate", "lower left"),
    "precision": (
        "Precision plots of OPE",
        "Location error threshold (px)",
        "Precision",
        "lower right",
    ),
    "norm_precision": (
        "Normalized precision plots of OPE",
        "Normalized error threshold",
        "Precision",
        "lower right",
    ),
    "expected_overlap": ("Expected overlap", "Sequence length", "Expected overlap", "upper right"),
}
INSIDE = 7  # longer legends stand below their panel
Panels = Mapping[tuple[str, CurveName], "list[Line]"]
COLUMNS = (
    "benchmark",
    "curve",
    "tracker",
    "label",
    "rank",
    "metric",
    "score",
    "seeds",
    "x",
    "y",
    "low",
    "high",
)


class Line(NamedTuple):
    """A tracker in a panel: x, mean, lowest and highest of the seeds (T,), and the score that ranks
    it.
    """

    tracker: str
    score: float
    seeds: int
    x: Array
    mean: Array
    low: Array
    high: Array


def _line(name: str, scores: Sequence[Score], curve: str, metric: str) -> Line | None:
    values = overall(scores, metric)
    having = [
        score.content["curves"][curve]
        for score in scores
        if curve in score.content.get("curves", {})
    ]
    if not having or not len(values):
        return None
    y = np.array([numbers(one["y"]) for one in having])
    return Line(
        name,
        float(values.mean()),
        len(having),
        numbers(having[0]["x"]),
        y.mean(0),
        y.min(0),
        y.max(0),
    )


def lines(data: Data, benchmark: str, curve: str) -> list[Line]:
    """The lines of a panel, the best first; none where the benchmark has no such curve or its truth
    is withheld.
    """
    info = data.benchmarks[benchmark]
    if curve not in info["curves"]:
        return []
    metric = info["curves"][curve]["metric"]
    found = [_line(name, scores, curve, metric) for name, scores in data.of(benchmark).items()]
    known = {line.tracker: line for line in found if line}
    order = ranked(
        {name: line.score for name, line in known.items()}, info["metrics"][metric]["better"]
    )
    return [known[name] for name in order]


def _panel(
    axes: Axes,
    panel: list[Line],
    trackers: Info,
    info: Mapping[str, Any],
    curve: str,
    most: int,
    small: bool,
) -> None:
    told = {line.tracker for line in panel[:most]} | {
        line.tracker for line in panel if _has_role(trackers, line)
    }
    read, digits = info["curves"][curve], info["metrics"][info["curves"][curve]["metric"]]["digits"]
    handles, labels = [], []
    for line in panel:
        tracker = trackers[line.tracker]
        how = (
            style.look(tracker)
            if line.tracker in told
            else {"color": style.GREY, "linewidth": 0.6, "zorder": 2}
        )
        (drawn,) = axes.plot(line.x, line.mean, **how)
        drawn.set_gid(style.gid(line.tracker))
        if line.seeds > 1:
            band = axes.fill_between(
                line.x, line.low, line.high, color=how["color"], alpha=0.15, linewidth=0, zorder=1
            )
            band.set_gid(style.gid(line.tracker))
        if line.tracker in told:
            handles.append(drawn)
            labels.append(legend_entry(line.score, tracker["label"], digits))
    if len(panel) > len(told):
        handles.append(Line2D([], [], color=style.GREY, linewidth=0.6))
        labels.append(f"{len(panel) - len(told)} more")
    for at in read["at"]:
        axes.axvline(at, color="0.55", linewidth=0.6, linestyle=style.DASHES[2], zorder=1)
    x, end = panel[0].x, float(panel[0].x[-1])
    if curve == "expected_overlap" and max(read["at"]) < end:
        end = min(end, 1.5 * max(read["at"]))  # beyond its window a few long videos alone are left
    axes.set(xlim=(x[0], end), ylim=(0, 1))
    axes.grid(True)
    size: dict[str, Any] = {"fontsize": 5.6, "handlelength": 1.6} if small else {}
    low = any(np.interp(0.45 * end, line.x, line.mean) < 0.35 for line in panel)
    place = "upper right" if curve == "success" and low else WORDS[curve][3]  # where no line is
    if len(handles) > INSIDE:
        legend = axes.legend(
            handles, labels, **size | {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2)}
        )
    else:
        legend = axes.legend(handles, labels, **size | {"loc": place})
        legend.set_in_layout(False)  # however wide it is, the panel keeps its size
    for text, line in zip(
        legend.get_texts(), [line for line in panel if line.tracker in told], strict=False
    ):
        text.set_gid(style.gid(line.tracker))
        if trackers[line.tracker]["role"] == "ours":
            text.set_fontweight("bold")


def _has_role(trackers: Info, line: Line) -> bool:
    return trackers[line.tracker]["role"] != "other"


def draw(entry: Curves, data: Data) -> Drawn:
    """A panel for each benchmark and curve that was measured."""
    names = [
        name for name in data.benchmarks if entry.benchmarks is None or name in entry.benchmarks
    ]
    panels = {(name, curve): lines(data, name, curve) for name in names for curve in entry.curves}
    panels = {key: panel for key, panel in panels.items() if panel}
    shown = list(dict.fromkeys(name for name, _ in panels))
    curves = [curve for curve in entry.curves if any(key[1] == curve for key in panels)]
    wide = len(curves) if len(curves) > 1 else min(2, max(1, len(shown)))
    places = [(n, c) for n in shown for c in curves] if len(curves) > 1 else list(panels)
    tall = max(1, -(-len(places) // wide))
    most = max((min(len(panel), entry.most + 3) for panel in panels.values()), default=0)
    below = 0.12 * most if most > INSIDE else 0
    figure = style.new(style.COLUMN if wide == 1 else style.PAGE, (2.55 + below) * tall)
    grid = figure.subplots(tall, wide, squeeze=False)
    for axes in grid.flat[len(places) :]:
        axes.set_axis_off()
    if not panels:
        grid.flat[0].set_axis_on()
        style.empty(
            grid.flat[0], "nothing was scored: the truth is withheld or nothing was tracked"
        )
    rows: list[dict[str, Any]] = []
    for axes, key in zip(grid.flat, places, strict=False):
        if key not in panels:
            axes.set_axis_off()
            continue
        (name, curve), panel, info = key, panels[key], data.benchmarks[key[0]]
        _panel(axes, panel, data.trackers, info, curve, entry.most, small=wide > 2)
        words = WORDS[curve]
        count = count_sequences([data.of(name)[line.tracker] for line in panel])
        style.title(axes, words[0], f"{info['label']}, {style.sequences(info, count)}")
        axes.set(xlabel=words[1], ylabel=words[2])
        for rank, line in enumerate(panel, 1):
            fixed = {
                "benchmark": name,
                "curve": curve,
                "tracker": line.tracker,
                "rank": rank,
                "score": line.score,
                "label": data.trackers[line.tracker]["label"],
                "metric": info["curves"][curve]["metric"],
                "seeds": line.seeds,
            }
            columns = zip(line.x, line.mean, line.low, line.high, strict=True)
            rows += [
                fixed | dict(zip(("x", "y", "low", "high"), values, strict=True))
                for values in columns
            ]
    notes = [
        seeds_note(scores for name in shown for scores in data.of(name).values()),
        *_read(data, panels),
    ]
    return Drawn(figure, COLUMNS, rows, _alt(data, panels), notes)


def _read(data: Data, panels: Panels) -> list[str]:
    """What the numbers in the legends are, by each protocol."""
    told: dict[str, None] = {}
    for name, curve in panels:
        read = data.benchmarks[name]["curves"][curve]
        label = data.benchmarks[name]["metrics"][read["metric"]]["label"]
        short = max(
            s.content["overall"].get("eao_short_frames") or 0
            for own in data.of(name).values()
            for s in own
        )
        if short:  # what a table's note says as well
            told[
                f"No sequence reaches EAO's window, so {label} is the mean over the whole curve, to"
                f" {short - 1:.0f}."
            ] = None
            continue
        told[
            f"Legend of {curve.replace('_', ' ')} on {data.benchmarks[name]['label']}: {label},"
            f" {read['how']}."
        ] = None
    return list(told)


def _alt(data: Data, panels: Panels) -> str:
    told = []
    for (name, curve), panel in panels.items():
        info = data.benchmarks[name]
        digits = info["metrics"][info["curves"][curve]["metric"]]["digits"]
        best = ", ".join(
            f"{data.trackers[x.tracker]['label']} {x.score:.{digits}f}" for x in panel[:3]
        )
        told.append(f"{WORDS[curve][0]} on {style.on(info)}: {best}")
    return "; ".join(told) + "." if told else "No curves: nothing was scored."
