"""The page's parts as plain data, and the page from them. Cells of a grid are text or a link."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from siamla.report.differences import OVERALL, by_sequence, difference, interval, signed
from siamla.report.drawing.data import Data, overall
from siamla.report.drawing.style import sequences
from siamla.report.measured import over_seeds
from siamla.report.render import Table, shown
from siamla.report.view import filled, resource

ABSENT = "–"
Grid = dict[str, Any]


def anchor(benchmark: str, tracker: str) -> str:
    """Where the provenance of a tracker's scores on a benchmark stands."""
    return "from-" + quote(f"{benchmark}.{tracker}", safe="")


def _linked(benchmark: str, tracker: str, text: str) -> Markup:
    """A number that leads to where it comes from."""
    link = Markup('<a href="#{}-all">{}</a>')
    return link.format(anchor(benchmark, tracker), text)


def table_grid(table: Table, ours: str) -> Grid:
    """A table of the paper; a row has `ours` where it is of that variant."""
    variants = [""] * (len(table.rows) - len(table.variants)) + table.variants
    rows: list[dict[str, Any]] = []
    for number, (tracker, cells) in enumerate(zip(variants, table.rows, strict=True)):
        if number in table.sections:
            rows.append({"section": table.sections[number]})
        texts: list[str] = []
        for key, cell in zip(table.keys, cells, strict=True):
            text = shown(cell)
            linked = cell.seeds and tracker
            texts.append(_linked(key.partition(".")[0], tracker, text) if linked else text)
        rows.append({"cells": texts, "ours": tracker == ours})
    return {
        "title": f"{table.name}. {table.title}",
        "heads": table.heads,
        "rows": rows,
        "notes": table.notes,
        "sortable": not table.sections,
    }


def overview(data: Data) -> Grid:
    """The headline of ours and the baseline on every benchmark."""
    pair = [data.role("ours"), data.role("baseline")]
    rows: list[dict[str, Any]] = []
    for name, info in data.benchmarks.items():
        groups, (metric, described) = data.of(name), data.headline(name)
        digits = described["digits"]
        cells = [info["label"], sequences(info, data.count(name)), described["label"]]
        for tracker in pair:
            values = overall(groups.get(tracker, []), metric)
            text = shown(over_seeds(values, digits))
            cells.append(_linked(name, tracker, text) if len(values) else text)
        words = [ABSENT, ABSENT, ABSENT]
        if set(pair) <= set(groups):
            contents = [[score.content for score in groups[tracker]] for tracker in pair]
            gap = difference(contents[0], contents[1], OVERALL, metric)
            seeds = str(min(map(len, contents)))
            words = [signed(gap.value, digits), interval(gap.low, gap.high, digits), seeds]
        rows.append({"cells": [*cells, *words]})
    labels = [data.label(tracker) if tracker else ABSENT for tracker in pair]
    heads = ["Benchmark", "Data", "Metric", *labels, "Difference", "95 % interval", "Seeds"]
    return {"title": "Overview", "heads": heads, "rows": rows, "sortable": True}


def sequence_grid(data: Data, benchmark: str) -> Grid | None:
    """Every sequence with each tracker's headline; None where nothing is known by sequence."""
    info, groups = data.benchmarks[benchmark], data.of(benchmark)
    if not groups:
        return None
    contents = {name: [score.content for score in scores] for name, scores in groups.items()}
    per = next(iter(contents.values()))[0]["per_sequence"]
    metrics = [info["headline"], *info["metrics"]]  # EAO is of a whole benchmark
    metric = next((m for m in metrics if any(m in values for values in per.values())), None)
    if metric is None:
        return None
    digits = info["metrics"][metric]["digits"]
    means = {name: by_sequence(each, list(per), metric).mean(0) for name, each in contents.items()}
    heads = ["Sequence", "Frames", *map(data.label, groups)]
    pair = [data.role("ours"), data.role("baseline")]
    both = set(pair) <= set(groups)
    heads += ["Difference"] if both else []
    rows = []
    for index, (name, values) in enumerate(per.items()):
        numbers = [column[index] for column in means.values()]
        texts = [f"{each:.{digits}f}" if np.isfinite(each) else ABSENT for each in numbers]
        if both:
            texts.append(signed(means[pair[0]][index] - means[pair[1]][index], digits))
        rows.append({"cells": [name, f"{values.get('frames', 0):.0f}", *texts]})
    label = info["metrics"][metric]["label"]
    return {"title": info["label"], "heads": heads, "rows": rows, "metric": label, "sortable": True}


def picture(path: Path, alt: str) -> Markup:
    """A figure for the page."""
    data = base64.b64encode(path.with_name(f"{path.name}.png").read_bytes()).decode()
    return Markup('<img loading="lazy" src="data:image/png;base64,{}" alt="{}">').format(data, alt)


def render(context: Mapping[str, Any]) -> str:
    """The page."""
    texts = {"css": Markup(resource("page", "style.css"))}
    texts["script"] = Markup(resource("page", "script.js"))
    return filled("page", "page.html", filters={}, html=True, **context, **texts)
