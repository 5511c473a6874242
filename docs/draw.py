"""The pictures of architecture.md, drawn from the code when the site is built: which part of the
package imports which, and which step of the pipeline reads which.
"""

import ast
from collections import defaultdict
from collections.abc import Mapping
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "siamla"
GROUND = "ground floor"  # modules of the package's own folder, and the settings' validator
WIDTH, HEIGHT, GAP, ROW = 138, 30, 16, 78  # of a box and the space beside and below it, in pixels
STYLE = 'font-family="sans-serif" font-size="14" text-anchor="middle" fill="#1a1a1a"'

Graph = Mapping[str, set[str]]


def part(module: str) -> str:
    """The part of the package that a module belongs to."""
    name = module.split(".")[1]
    return name if (PACKAGE / name).is_dir() and name != "settings" else GROUND


def imports() -> Graph:
    """For each part those that it imports, in functions and for type checkers too."""
    graph: dict[str, set[str]] = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        own = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.parent == PACKAGE and path.stem.startswith("__"):
            continue  # siamla/__init__.py and __main__.py lead into the package
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("siamla."):
                graph[part(own)].add(part(str(node.module)))
    return {name: others - {name} for name, others in graph.items()}


def steps() -> Graph:
    """For each step of the mini profile those that read its results."""
    from siamla.experiment.plan import Plan

    graph: dict[str, set[str]] = defaultdict(set)
    for job in Plan.load("mini", ROOT / "params").jobs():
        for parent in job.parents.values():
            graph[parent.step].add(job.step)
    return graph


def levels(graph: Graph) -> list[list[str]]:
    """Names by the longest way down, from the ground up."""
    names = sorted(set(graph).union(*graph.values()))
    level = dict.fromkeys(names, 0)
    for _ in names:
        for name in names:
            below = [level[other] + 1 for other in graph.get(name, ())]
            level[name] = max([level[name], *below])
    rows: list[list[str]] = [[] for _ in range(max(level.values()) + 1)]
    for name in names:
        rows[level[name]].append(name)
    return rows


def direct(graph: Graph) -> set[tuple[str, str]]:
    """The arrows without those that a longer way shows, too."""
    reach: dict[str, set[str]] = {}
    for name in (name for row in levels(graph) for name in row):
        reach[name] = set(graph[name]).union(*(reach.get(other, set()) for other in graph[name]))
    arrows = set()
    for name, others in graph.items():
        hidden = set().union(*(reach[other] for other in others)) if others else set()
        arrows |= {(name, other) for other in others - hidden}
    return arrows


def picture(graph: Graph, title: str) -> str:
    """The graph as SVG: what is imported, or reads a result, stands below."""
    graph = defaultdict(set, graph)
    rows = levels(graph)
    wide = max(len(row) for row in rows) * (WIDTH + GAP) + GAP
    high = len(rows) * ROW
    place = {}
    for number, row in enumerate(rows):
        first = (wide - len(row) * (WIDTH + GAP) + GAP) / 2
        for index, name in enumerate(row):
            place[name] = first + index * (WIDTH + GAP) + WIDTH / 2, high - (number + 0.5) * ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}"'
        f' viewBox="0 0 {wide} {high}" role="img">',
        f"<title>{escape(title)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7"'
        ' markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#666"/></marker></defs>',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for name, other in sorted(direct(graph)):
        (x, y), (to, below) = place[name], place[other]
        start, end = y + HEIGHT / 2, below - HEIGHT / 2
        bend = (end - start) / 2
        lines.append(
            f'<path d="M{x:.0f} {start:.0f}C{x:.0f} {start + bend:.0f} {to:.0f}'
            f' {end - bend:.0f} {to:.0f} {end:.0f}" fill="none" stroke="#666"'
            ' marker-end="url(#tip)"/>'
        )
    for name, (x, y) in place.items():
        lines.append(
            f'<rect x="{x - WIDTH / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{WIDTH}"'
            f' height="{HEIGHT}" rx="5" fill="#e8eff7" stroke="#35608f"/>'
            f'<text x="{x:.0f}" y="{y + 5:.0f}" {STYLE}>{escape(name)}</text>'
        )
    return "\n".join([*lines, "</svg>", ""])


def draw(folder: Path) -> None:
    """Write packages.svg and pipeline.svg into a folder."""
    folder.mkdir(exist_ok=True)
    packages = picture(imports(), "Parts of the package; an arrow leads to what is imported")
    pipeline = picture(steps(), "Steps of the pipeline; an arrow leads to what reads it")
    (folder / "packages.svg").write_text(packages, encoding="utf-8")
    (folder / "pipeline.svg").write_text(pipeline, encoding="utf-8")


if __name__ == "__main__":
    draw(Path(__file__).with_name("_made"))
