"""The page's parts as plain data, and the page from them."""

import base64
import math
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from siamla.errors import UserError
from siamla.report.differences import OVERALL, difference, numbers, value
from siamla.report.drawing.data import Data, Score
from siamla.report.drawing.style import sequences as sequences_told
from siamla.report.render import Table, shown

MOST = 10 * 2**20  # bytes of a page
SCREEN = 2.0  # pixels for a point of the printed figure
INLINE = 350_000  # bytes of an SVG; a larger one is shown as PNG
Grid = dict[str, Any]


def cell(text: Any, number: float | None = None, kind: str = "", link: str = "") -> dict[str, Any]:
    """A cell of a grid; `number` is what it sorts by."""
    known = number is not None and math.isfinite(number)
    return {"text": text, "value": f"{number:.6g}" if known else None, "kind": kind, "link": link}


def row(cells: list[dict[str, Any]], tracker: str = "", ours: bool = False) -> dict[str, Any]:
    """A row of a grid; `tracker` is what the pointer highlights."""
    return {"cells": cells, "tracker": tracker, "ours": ours, "section": ""}


def anchor(benchmark: str, tracker: str) -> str:
    """Where the provenance of a tracker's scores on a benchmark stands."""
    return "from-" + re.sub(
        r"[^A-Za-z0-9]+",
        lambda found: "-" + found[0].encode().hex() + "-",
        f"{benchmark}.{tracker}",
    )


def signed(number: float, digits: int) -> dict[str, Any]:
    """A difference, coloured by its sign."""
    if not math.isfinite(number):
        return cell("–")
    return cell(
        f"{number:+.{digits}f}".replace("-", "−"),
        number,
        "up" if number > 0 else "down" if number < 0 else "",
    )


def table_grid(table: Table, ours: str | None) -> Grid:
    """A table of the paper with a column Δ where measured and published stand side by side."""
    heads, rows = [], []
    pairs = [index for index, key in enumerate(table.keys) if key.startswith("paper.")]
    for index, head in enumerate(table.heads):
        heads += [head] + (["Δ"] if index in pairs else [])
    first = len(table.rows) - len(table.variants)  # published rows stand above
    for number, cells in enumerate(table.rows):
        if number in table.sections:
            rows.append({"section": table.sections[number]})
        tracker = table.variants[number - first] if number >= first else ""
        made = []
        for index, one in enumerate(cells):
            benchmark = table.keys[index].partition(".")[0]
            link = f"{anchor(benchmark, tracker)}-all" if one.seeds and tracker else ""
            kind = "paper" if index in pairs or number < first else ""
            made.append(cell(shown(one), one.value, kind, link))
            if index in pairs:
                before = cells[index - 1]
                gap = (
                    before.value - one.value
                    if before.value is not None and one.value is not None
                    else math.nan
                )
                made.append(signed(gap, max(one.digits, before.digits)))
        rows.append(row(made, tracker, tracker == ours))
    return {
        "title": f"{table.name}. {table.title}",
        "heads": heads,
        "rows": rows,
        "notes": table.notes,
        "sortable": not table.sections,
    }


def _interval(low: float, high: float, digits: int) -> str:
    if not math.isfinite(low):
        return "–"
    return f"[{low:+.{digits}f}, {high:+.{digits}f}]".replace("-", "−")


def _contents(scores: Sequence[Score]) -> list[Any]:
    return [score.content for score in scores]


def overview(data: Data) -> tuple[list[str], Grid]:
    """(the result in sentences, every tracker's headline on every benchmark with the difference of
    ours).
    """
    ours, baseline = data.role("ours"), data.role("baseline")
    rows: list[dict[str, Any]] = []
    told: list[str] = []
    for name, info in data.benchmarks.items():
        groups, metric = data.of(name), info["headline"]
        described = info["metrics"][metric]
        digits = described["digits"]
        count = len(
            {
                s
                for scores in groups.values()
                for score in scores
                for s in score.content["per_sequence"]
            }
        )
        cells = [cell(info["label"]), cell(sequences_told(info, count)), cell(described["label"])]
        for tracker in (ours, baseline):
            scores = groups.get(tracker or "", [])
            values = numbers(score.content["overall"].get(metric) for score in scores)
            if not len(values):
                cells.append(cell("not measured"))
                continue
            spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
            link = f"{anchor(name, str(tracker))}-all"
            cells.append(
                cell(f"{values.mean():.{digits}f}{spread}", float(values.mean()), link=link)
            )
        if ours in groups and baseline in groups:
            gap = difference(_contents(groups[ours]), _contents(groups[baseline]), OVERALL, metric)
            seeds = min(len(groups[ours]), len(groups[baseline]))
            cells += [
                signed(gap.value, digits),
                cell(_interval(gap.low, gap.high, digits)),
                cell(seeds, seeds),
            ]
            if not told:
                told.append(
                    _sentence(data, name, ours, baseline, gap.value, (gap.low, gap.high), seeds)
                )
        else:
            cells += [cell("–"), cell("–"), cell("–")]
        rows.append(row(cells))
    names = [
        data.trackers[t]["label"] if t else role
        for t, role in ((ours, "ours"), (baseline, "baseline"))
    ]
    heads = ["Benchmark", "Data", "Metric", *names, "Difference", "95 % interval", "Seeds"]
    note = (
        "Mean ± sample standard deviation over seeds. Intervals: a mixed model of sequences, in"
        " pairs, and seeds; with one seed over sequences alone, which is too narrow."
    )
    return told, {"title": "Overview", "heads": heads, "rows": rows, "note": note, "sortable": True}


def _sentence(
    data: Data,
    benchmark: str,
    ours: str,
    baseline: str,
    gap: float,
    interval: tuple[float, float],
    seeds: int,
) -> str:
    info = data.benchmarks[benchmark]
    metric = info["metrics"][info["headline"]]
    digits, (low, high) = metric["digits"], interval
    groups = data.of(benchmark)
    one, two = (
        value(_contents(groups[name]), OVERALL, info["headline"]) for name in (ours, baseline)
    )
    count = len(groups[ours][0].content["per_sequence"])
    verdict = "no difference can be called"
    if low > 0 or high < 0:
        verdict = (
            "a difference"
            if seeds > 1
            else "a difference between these two trainings, one seed each"
        )
    elif math.isfinite(low):
        verdict = "within noise"
    return (
        f"On {info['label']} ({sequences_told(info, count)}) {data.trackers[ours]['label']} reaches"
        f" {metric['label']} {one:.{digits}f} and {data.trackers[baseline]['label']}"
        f" {two:.{digits}f}: a difference of {f'{gap:+.{digits}f}'.replace('-', '−')}, 95 %"
        f" interval {_interval(low, high, digits)}: {verdict}."
    )


def sequence_grid(data: Data, benchmark: str) -> Grid | None:
    """Every sequence with each tracker's headline, means over seeds; None where nothing is known by
    sequence.
    """
    info, groups = data.benchmarks[benchmark], data.of(benchmark)
    known = next(iter(groups.values()), [])
    per = known[0].content["per_sequence"] if known else {}
    metric = info["headline"]
    if not any(metric in values for values in per.values()):  # EAO is of a whole benchmark
        metric = next(
            (m for m in info["metrics"] if any(m in values for values in per.values())), ""
        )
    if not metric:
        return None
    digits = info["metrics"][metric]["digits"]
    ours, baseline = data.role("ours"), data.role("baseline")
    rows = []
    for name in per:
        cells, means = (
            [cell(name), cell(per[name].get("frames", ""), numbers([per[name].get("frames")])[0])],
            {},
        )
        for tracker, scores in groups.items():
            values = numbers(
                score.content["per_sequence"].get(name, {}).get(metric) for score in scores
            )
            means[tracker] = float(values.mean()) if len(values) else math.nan
            text = f"{means[tracker]:.{digits}f}" if math.isfinite(means[tracker]) else "–"
            cells.append(cell(text, means[tracker]))
        if ours in means and baseline in means:
            cells.append(signed(means[ours] - means[baseline], digits))
        rows.append(row(cells))
    heads = ["Sequence", "Frames", *(data.trackers[tracker]["label"] for tracker in groups)]
    heads += ["Difference"] if ours in groups and baseline in groups else []
    return {
        "title": info["label"],
        "heads": heads,
        "rows": rows,
        "metric": info["metrics"][metric]["label"],
        "sortable": True,
        "clips": [],
    }


def _larger(found: re.Match[str]) -> str:
    """An SVG's head with the size that suits a screen, where a paper's is small."""
    width, height = (round(float(number) * SCREEN) for number in found.group(2, 3))
    return f'{found[1]}width="{width}" height="{height}"'


def picture(path: Path, name: str, alt: str) -> Markup:
    """A figure for the page: its SVG in the text with names of its own, or its PNG where the SVG is
    large.
    """
    svg = path.with_name(f"{path.name}.svg").read_text(encoding="utf-8")
    if len(svg) > INLINE or "<image" in svg:
        data = base64.b64encode(path.with_name(f"{path.name}.png").read_bytes()).decode()
        return Markup('<img loading="lazy" src="data:image/png;base64,{}" alt="{}">').format(
            data, alt
        )
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="tracker:([^"]*)"', r' class="t" data-t="\1"', svg)
    svg = re.sub(r'(<svg [^>]*?)width="([\d.]+)pt" height="([\d.]+)pt"', _larger, svg, count=1)
    svg = re.sub(r' id="([^"]+)"', rf' id="{name}.\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}.\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}.\1)", svg)
    return Markup(svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1))


def render(context: Mapping[str, Any]) -> str:
    """The page; UserError where it is too large to be sent around."""
    here = files("siamla.report.page")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((here / "page.html").read_text(encoding="utf-8"))
    own = {
        name: Markup((here / file).read_text(encoding="utf-8"))
        for name, file in (("css", "style.css"), ("script", "script.js"))
    }
    text = template.render({**context, **own})
    if len(text.encode()) > MOST:
        raise UserError(
            f"the page has {len(text.encode()) / 2**20:.1f} MiB, at most {MOST // 2**20} are"
            " wanted; draw fewer figures"
        )
    return text
