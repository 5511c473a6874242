"""The page's parts as plain data, and the page from them. Cells of a grid are text or a link."""

import base64
import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from PIL import Image, ImageDraw

from siamla.data.images import read_image
from siamla.errors import UserError
from siamla.report.differences import OVERALL, Difference, by_sequence, difference, interval, signed
from siamla.report.drawing.data import Array, Data, overall
from siamla.report.drawing.style import sequences
from siamla.report.render import Table, shown
from siamla.report.view import filled, resource
from siamla.sequence import Sequence as Video

MOST = 10 * 2**20  # bytes of a page
SCREEN = 2.0  # pixels for a point of the printed figure
INLINE = 350_000  # bytes of an SVG; a larger one is shown as PNG
CLIP = {"duration": 160, "loop": 0, "quality": 50, "method": 4}
FRAMES, WIDTH = 14, 300  # of a clip
ABSENT = "–"
Grid = dict[str, Any]


def anchor(benchmark: str, tracker: str) -> str:
    """Where the provenance of a tracker's scores on a benchmark stands."""
    words = re.split(r"([^A-Za-z0-9]+)", f"{benchmark}.{tracker}")
    words[1::2] = [f"-{word.encode().hex()}-" for word in words[1::2]]
    return "from-" + "".join(words)


def _linked(benchmark: str, tracker: str, text: str) -> Markup:
    """A number that leads to where it comes from."""
    link = Markup('<a href="#{}-all">{}</a>')
    return link.format(anchor(benchmark, tracker), text)


def row(cells: list[Any], tracker: str = "", ours: bool = False) -> dict[str, Any]:
    """A row of a grid; `tracker` is what the pointer highlights."""
    return {"cells": cells, "tracker": tracker, "ours": ours}


def table_grid(table: Table, ours: str) -> Grid:
    """A table of the paper with a column Δ where measured and published stand side by side."""
    pairs = [index for index, key in enumerate(table.keys) if key.startswith("paper.")]
    heads: list[str] = []
    for index, head in enumerate(table.heads):
        heads += [head, "Δ"] if index in pairs else [head]
    variants = [""] * (len(table.rows) - len(table.variants)) + table.variants
    rows: list[dict[str, Any]] = []
    for number, (tracker, cells) in enumerate(zip(variants, table.rows, strict=True)):
        if number in table.sections:
            rows.append({"section": table.sections[number]})
        texts: list[str] = []
        for index, cell in enumerate(cells):
            benchmark = table.keys[index].partition(".")[0]
            text = shown(cell)
            texts.append(_linked(benchmark, tracker, text) if cell.seeds and tracker else text)
            if index in pairs:
                before, after = cells[index - 1], cell
                gap = math.nan
                if before.value is not None and after.value is not None:
                    gap = before.value - after.value
                texts.append(signed(gap, max(before.digits, after.digits)))
        rows.append(row(texts, tracker, tracker == ours))
    return {
        "title": f"{table.name}. {table.title}",
        "heads": heads,
        "rows": rows,
        "notes": table.notes,
        "sortable": not table.sections,
    }


def _sentence(data: Data, benchmark: str, gap: Difference, seeds: int) -> str:
    """What came out on a benchmark."""
    _, described = data.headline(benchmark)
    info = data.benchmarks[benchmark]
    verdict = "no difference can be called"
    if gap.told:
        verdict = "a difference"
        verdict += " between these two trainings, one seed each" if seeds == 1 else ""
    elif math.isfinite(gap.low):
        verdict = "within noise"
    return (
        f"On {info['label']} ({sequences(info, data.count(benchmark))}) the {described['label']} of"
        f" {data.label(data.role('ours'))} differs from that of"
        f" {data.label(data.role('baseline'))} by {signed(gap.value, described['digits'])}, 95 %"
        f" interval {interval(gap, described['digits'])}: {verdict}."
    )


def overview(data: Data) -> tuple[list[str], Grid]:
    """(the result in a sentence, the headline of ours and the baseline on every benchmark)."""
    pair = [data.role("ours"), data.role("baseline")]
    rows: list[dict[str, Any]] = []
    results: list[str] = []
    for name, info in data.benchmarks.items():
        groups, (metric, described) = data.of(name), data.headline(name)
        digits = described["digits"]
        cells = [info["label"], sequences(info, data.count(name)), described["label"]]
        for tracker in pair:
            values = overall(groups.get(tracker, []), metric)
            spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
            text = f"{values.mean():.{digits}f}{spread}" if len(values) else "not measured"
            cells.append(_linked(name, tracker, text) if len(values) else text)
        words = [ABSENT, ABSENT, ABSENT]
        if set(pair) <= set(groups):
            contents = [[score.content for score in groups[tracker]] for tracker in pair]
            gap = difference(contents[0], contents[1], OVERALL, metric)
            seeds = min(map(len, contents))
            words = [signed(gap.value, digits), interval(gap, digits), str(seeds)]
            results.append(_sentence(data, name, gap, seeds))
        rows.append(row([*cells, *words]))
    labels = [data.label(tracker) if tracker else ABSENT for tracker in pair]
    heads = ["Benchmark", "Data", "Metric", *labels, "Difference", "95 % interval", "Seeds"]
    return results[:1], {"title": "Overview", "heads": heads, "rows": rows, "sortable": True}


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
        rows.append(row([name, f"{values.get('frames', 0):.0f}", *texts]))
    label = info["metrics"][metric]["label"]
    return {"title": info["label"], "heads": heads, "rows": rows, "metric": label, "sortable": True}


def _larger(match: re.Match[str]) -> str:
    """An SVG's head with the size that suits a screen, where a paper's is small."""
    width, height = (round(float(number) * SCREEN) for number in match.group(2, 3))
    return f'{match[1]}width="{width}" height="{height}"'


def picture(path: Path, name: str, alt: str) -> Markup:
    """A figure for the page: its SVG with names of its own, or its PNG where the SVG is large."""
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


def _frame(video: Video, index: int, boxes: Mapping[str, Array]) -> Image.Image:
    image = Image.fromarray(read_image(video.frames[index])[..., ::-1])
    scale = min(1.0, WIDTH / image.width)
    size = (round(image.width * scale), round(image.height * scale))
    image = image.resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    for colour, tracks in {"#FFFFFF": video.boxes, **boxes}.items():
        if index < len(tracks) and np.isfinite(tracks[index]).all():
            x, y, w, h = tracks[index] * scale
            draw.rectangle((x, y, x + max(w, 1), y + max(h, 1)), outline=colour, width=2)
    return image


def _url(images: list[Image.Image]) -> str:
    """Images as WebP, which any browser shows; several of them move."""
    held = io.BytesIO()
    images[0].save(held, "WEBP", save_all=True, append_images=images[1:], **CLIP)
    return f"data:image/webp;base64,{base64.b64encode(held.getvalue()).decode()}"


def clip(video: Video, boxes: Mapping[str, Array]) -> dict[str, Any]:
    """A sequence in a few frames, moving and still, with white truth and boxes (N, 4) by colour."""
    count = min([len(video.frames), *map(len, boxes.values())])
    chosen = np.unique(np.linspace(0, count - 1, FRAMES).round().astype(int))
    images = [_frame(video, int(index), boxes) for index in chosen]
    still = _url(images[len(images) // 2 :][:1])
    width, height = images[0].size
    return {"moving": _url(images), "still": still, "width": width, "height": height}


def render(context: Mapping[str, Any]) -> str:
    """The page; UserError where it is too large to be sent around."""
    texts = {"css": Markup(resource("page", "style.css"))}
    texts["script"] = Markup(resource("page", "script.js"))
    text = filled("page", "page.html", filters={}, html=True, **context, **texts)
    size = len(text.encode())
    if size > MOST:
        raise UserError(
            f"the page has {size / 2**20:.1f} MiB, at most {MOST // 2**20} are wanted; draw fewer"
            " figures"
        )
    return text
