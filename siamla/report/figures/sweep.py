"""Figure 14: a score against a setting of the tracker, on models that are there already."""

from typing import Any

from siamla.experiment.figures import Sweep
from siamla.report.figures import style
from siamla.report.figures.data import Data, Drawn, Score, count_sequences, overall

COLUMNS = (
    "benchmark",
    "tracker",
    "label",
    "key",
    "value",
    "metric",
    "mean",
    "low",
    "high",
    "seeds",
)
WORDS = {"window": "Window influence"}


def _points(scores: list[Score], metric: str) -> list[dict[str, Any]]:
    """Mean and range over seeds at each value of the setting."""
    found = []
    for value in sorted({score.value for score in scores if score.value is not None}):
        reached = overall([score for score in scores if score.value == value], metric)
        if len(reached):
            spread = {"mean": float(reached.mean()), "low": reached.min(), "high": reached.max()}
            found.append({"value": value, **spread, "seeds": len(reached)})
    return found


def draw(entry: Sweep, data: Data) -> Drawn:
    """A panel for each benchmark of the sweep, a line for each variant."""
    names = [
        name for name in data.benchmarks if any(score.benchmark == name for score in data.scores)
    ]
    wide = min(2, max(1, len(names)))
    tall = max(1, -(-len(names) // wide))
    figure = style.new(style.COLUMN if wide == 1 else style.PAGE, 2.4 * tall)
    grid = figure.subplots(tall, wide, squeeze=False)
    if not names:
        style.empty(grid.flat[0], "nothing of this sweep was scored")
    for axes in grid.flat[len(names) or 1 :]:
        axes.set_axis_off()
    rows: list[dict[str, Any]] = []
    told = []
    key = str(data.sweep["key"])
    for axes, name in zip(grid.flat, names, strict=False):
        info = data.benchmarks[name]
        metric = entry.metric or info["headline"]
        described = info["metrics"][metric]
        groups = data.of(name)
        for tracker, scores in groups.items():
            points = _points(scores, metric)
            if not points:
                continue
            how, label = style.look(data.trackers[tracker]), data.trackers[tracker]["label"]
            x, y = [point["value"] for point in points], [point["mean"] for point in points]
            shape = style.marker(data.trackers[tracker])
            (line,) = axes.plot(x, y, marker=shape, markersize=3.5, label=label, **how)
            line.set_gid(style.gid(tracker))
            if max(point["seeds"] for point in points) > 1:
                low, high = [point["low"] for point in points], [point["high"] for point in points]
                axes.fill_between(
                    x, low, high, color=how["color"], alpha=0.15, linewidth=0, zorder=1
                )
            fixed = {
                "benchmark": name,
                "tracker": tracker,
                "label": label,
                "key": key,
                "metric": metric,
            }
            rows += [fixed | point for point in points]
            best = max(
                points,
                key=lambda point: point["mean"] * (1 if described["better"] == "higher" else -1),
            )
            told.append(
                f"{label} on {style.on(info)}: best {best['mean']:.{described['digits']}f} at"
                f" {best['value']:g}"
            )
        used = {
            value
            for tracker, value in data.sweep["used"].get(name, {}).items()
            if tracker in groups
        }
        for value in sorted(used):
            axes.axvline(value, color="0.45", linewidth=0.7, linestyle=style.DASHES[2], zorder=1)
        axes.set(
            xlabel=WORDS.get(key, key.replace("_", " ").capitalize()), ylabel=described["label"]
        )
        axes.grid(True)
        axes.legend(loc="best")
        style.title(axes, info["label"], style.sequences(info, count_sequences(groups.values())))
    counts = sorted({row["seeds"] for row in rows})
    over = (
        f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seed(s)"
        if counts
        else "no seed"
    )
    notes = [
        (
            f"Each point is a run of the same trained models with another {key}; means over {over},"
            " bands their range."
        ),
        "Dotted line: the value that the tables are made with.",
    ]
    return Drawn(
        figure,
        COLUMNS,
        rows,
        "; ".join(told) + "." if told else "Nothing of this sweep was scored.",
        notes,
    )
