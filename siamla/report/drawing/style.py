"""How every figure looks, and writing it: pictures whose bytes repeat, its numbers, its caption.

matplotlib and seaborn are imported where something is drawn, so that the plan loads without them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from siamla.files import atomic, write_csv, write_text
from siamla.report.drawing.data import Course, Data, Drawn, Nothing
from siamla.report.drawing.settings import Figure as Entry
from siamla.report.drawing.settings import kind_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.5, 7.16  # inches: one column and both of the paper's page
OURS, BASELINE = "#D55E00", "#0072B2"
OTHERS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C564B")
"""Okabe and Ito's colours, which the colour-blind can tell apart, without their pale yellow."""
DASHES: tuple[Any, ...] = ("solid", (0, (4, 1.2)), (0, (1, 1)), (0, (5, 1, 1, 1)))
DOTTED = DASHES[2]
MARKERS = "Dv^<>pPXh"
LONGEST = 48  # characters of a name in a legend
RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # matplotlib brings it
    "axes.edgecolor": "0.15",
    "axes.linewidth": 0.6,
    "axes.titlesize": 7.5,
    "xtick.bottom": True,
    "ytick.left": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "grid.linestyle": ":",
    "legend.framealpha": 0.85,
    "legend.borderpad": 0.3,
    "legend.labelspacing": 0.25,
    "legend.handlelength": 2.2,
    "text.parse_math": False,
    "svg.hashsalt": "siamla",
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
    "image.interpolation": "nearest",
}
METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


@contextmanager
def applied() -> Iterator[None]:
    """The style, in which figures are drawn and saved, whatever the user's settings are."""
    import matplotlib
    import seaborn

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        seaborn.set_theme("paper", "whitegrid", font_scale=0.72, rc=RC)
        yield


def new(width: float, height: float) -> "Figure":
    """A figure of so many inches that needs no display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def grid(count: int, wide: int, height: float) -> "tuple[Figure, list[Axes]]":
    """A figure of `count` panels, `wide` beside each other and of so many inches in height."""
    tall = -(-count // wide)
    figure = new(COLUMN if wide == 1 else PAGE, height * tall)
    panels = list(figure.subplots(tall, wide, squeeze=False).flat)
    for axes in panels[count:]:
        axes.set_axis_off()
    return figure, panels[:count]


def bare(axes: Iterable["Axes"]) -> None:
    """Leave pictures without ticks; what nothing is drawn into stays white."""
    for each in axes:
        each.set(xticks=[], yticks=[])
        each.set_axis_off()


def said(text: str) -> "Figure":
    """A figure that says why nothing is in it."""
    figure = new(COLUMN, 2.4)
    axes = figure.subplots()
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, text, ha="center", va="center", color="0.35", wrap=True)
    return figure


def look(tracker: Mapping[str, Any]) -> dict[str, Any]:
    """Colour, dashes, width and order of a tracker's line: the same in every figure."""
    if tracker["role"] == "ours":
        return {"color": OURS, "linestyle": "solid", "linewidth": 1.9, "zorder": 5}
    if tracker["role"] == "baseline":
        return {"color": BASELINE, "linestyle": DASHES[1], "linewidth": 1.5, "zorder": 4}
    row, column = divmod(tracker["place"], len(OTHERS))
    dashes = DASHES[row % len(DASHES)]
    return {"color": OTHERS[column], "linestyle": dashes, "linewidth": 1.0, "zorder": 3}


def marker(tracker: Mapping[str, Any]) -> str:
    """The shape of a tracker's points."""
    shapes = {"ours": "o", "baseline": "s"}
    return shapes.get(tracker["role"]) or MARKERS[tracker["place"] % len(MARKERS)]


def line(axes: "Axes", course: Course, how: Mapping[str, Any]) -> Any:
    """Draw a line and the band of its seeds' range; the line. how: for matplotlib."""
    import seaborn

    drawing = {"estimator": None, "sort": False, "legend": False, **how}
    seaborn.lineplot(x=course.x, y=course.mean, ax=axes, **drawing)
    drawn = axes.lines[-1]
    if np.max(course.seeds) > 1:
        light = {"color": how["color"], "alpha": 0.15, "linewidth": 0, "zorder": 1}
        axes.fill_between(course.x, course.low, course.high, **light)
    return drawn


def box(axes: "Axes", rectangle: Any, colour: str, width: float = 1.3, dashes: Any = "-") -> None:
    """Draw a box (x, y, w, h) with a dark seam; none where it is not finite."""
    from matplotlib.patches import Rectangle

    x, y, w, h = rectangle
    for edge, thick, alpha in (("black", width + 0.9, 0.6), (colour, width, 1.0)):
        how = {"edgecolor": edge, "linewidth": thick, "alpha": alpha, "linestyle": dashes}
        if np.isfinite(rectangle).all():
            axes.add_patch(Rectangle((x, y), w, h, fill=False, **how))


def box_handle(colour: str, width: float = 1.3, dashes: Any = "-") -> Any:
    """A legend's handle of a box, which looks as `box` draws it: with a dark seam."""
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    line = Line2D([], [], color=colour, linewidth=width, linestyle=dashes)
    line.set_path_effects([withStroke(linewidth=width + 0.9, foreground="0.4")])
    return line


def legend_below(figure: "Figure", handles: Sequence[Any], labels: Sequence[str]) -> None:
    """A legend below all panels, in as many columns as fit, for which the figure grows."""
    room = 14 * figure.get_figwidth()
    wide = max(1, min(len(labels), int(room // (max(map(len, labels)) + 6))))
    figure.legend(handles, labels, loc="outside lower center", ncols=wide)
    figure.set_figheight(figure.get_figheight() + 0.13 * -(-len(labels) // wide))


def entry(value: float, label: str, digits: int) -> str:
    """A legend's entry as the toolkits write it, "[0.560] Name"; a long name is cut."""
    return f"[{value:.{digits}f}] {label if len(label) <= LONGEST else label[: LONGEST - 1] + '…'}"


def span(counts: Iterable[int]) -> str:
    """The lowest and the highest of some counts: "2 to 3", or "2" where all are equal."""
    ordered = sorted(counts)
    return " to ".join(map(str, dict.fromkeys((ordered[0], ordered[-1]))))


def seeds(counts: Iterable[int]) -> str:
    """How many seeds: "1 seed", "2 to 3 seeds"."""
    text = span(counts)
    return f"{text} seed{'' if text == '1' else 's'}"


def title(axes: "Axes", text: str, second: str = "") -> None:
    """A panel's title, its second line being what the data were."""
    axes.set_title(f"{text}\n{second}" if second else text, linespacing=1.25)


def sequences(benchmark: Mapping[str, Any], count: int) -> str:
    """What was tracked: "14 synthetic miniatures", "100 sequences"."""
    word = "synthetic miniature" if benchmark["synthetic"] else "sequence"
    return f"{count} {word}{'' if count == 1 else 's'}"


def on(benchmark: Mapping[str, Any]) -> str:
    """A benchmark's name as a figure must give it: "OTB100, synthetic miniatures"."""
    return f"{benchmark['label']}{', synthetic miniatures' if benchmark['synthetic'] else ''}"


def _plain(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """A row with every digit and no NaN."""
    values = {name: row.get(name) for name in columns}
    for name, value in values.items():
        value = value.item() if isinstance(value, np.generic) else value
        values[name] = None if value != value else value
    return values


def save(figure: "Figure", path: Path) -> None:
    """Write a picture, drawn in the style that is applied."""
    suffix = path.suffix[1:]
    with atomic(path) as temporary:
        figure.savefig(temporary, format=suffix, metadata=METADATA[suffix])


def write(path: Path, entry: Entry, data: Data, sources: Sequence[str]) -> Drawn:
    """Draw an entry and write its .csv, .pdf, .svg, .png and .md. sources: of the caption."""
    title = f"{entry.paper}: {entry.title}" if entry.paper else entry.title
    kind = kind_of(entry.kind)
    with applied():
        try:
            drawn: Drawn = kind.draw(entry, data)
        except Nothing as reason:
            drawn = Drawn(said(str(reason)), [], f"Nothing: {reason}.")
        lines = [f"**{title.rstrip('.')}.** {' '.join(drawn.notes)}", ""]
        lines += [f"- {line}" for line in [*sources, f"In words: {drawn.alt}"]]
        rows = [_plain(row, kind.COLUMNS) for row in drawn.rows]
        write_csv(path.with_name(f"{path.name}.csv"), kind.COLUMNS, rows)
        for suffix in METADATA:
            save(drawn.figure, path.with_name(f"{path.name}.{suffix}"))
        write_text(path.with_name(f"{path.name}.md"), "\n".join(lines) + "\n")
    return drawn
