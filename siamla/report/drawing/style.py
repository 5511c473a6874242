"""How every figure looks: sizes of a paper's page, one colour a tracker, and files whose bytes
repeat.

matplotlib and seaborn are imported where something is drawn, so that the plan loads without them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamla.files import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.5, 7.16  # inches: one column and both of the paper's page
OURS, BASELINE = "#D55E00", "#0072B2"
OTHERS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C564B")
"""Okabe and Ito's colours, which the colour-blind can tell apart, but for its yellow, which paper
swallows.
"""
DASHES: tuple[Any, ...] = ("solid", (0, (4, 1.2)), (0, (1, 1)), (0, (5, 1, 1, 1)))
DOTTED = DASHES[2]
MARKERS = "Dv^<>pPXh"
GREY = "0.75"
STYLE = "whitegrid"  # of seaborn
RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # matplotlib brings it
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "legend.fontsize": 6.3,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "axes.edgecolor": "0.15",
    "axes.linewidth": 0.6,
    "xtick.bottom": True,
    "xtick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.left": True,
    "ytick.major.width": 0.6,
    "ytick.major.size": 2.5,
    "grid.linestyle": ":",
    "grid.linewidth": 0.6,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "0.8",
    "legend.borderpad": 0.3,
    "legend.labelspacing": 0.25,
    "legend.handlelength": 2.2,
    "patch.linewidth": 0.5,
    "text.usetex": False,
    "text.parse_math": False,
    "svg.hashsalt": "siamla",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
    "figure.dpi": 100,
    "image.interpolation": "nearest",
}
METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


@contextmanager
def applied() -> Iterator[None]:
    """The style, whatever the user's own settings of matplotlib are; figures are drawn and saved
    inside.
    """
    import matplotlib
    import seaborn

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(seaborn.axes_style(STYLE))
        matplotlib.rcParams.update(RC)  # type: ignore[arg-type]
        yield


def new(width: float, height: float) -> "Figure":
    """A figure of so many inches that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def look(tracker: Mapping[str, Any]) -> dict[str, Any]:
    """Colour, dashes, width and order of a tracker's line: the same in every figure."""
    if tracker["role"] == "ours":
        return {"color": OURS, "linestyle": "solid", "linewidth": 1.9, "zorder": 5}
    if tracker["role"] == "baseline":
        return {"color": BASELINE, "linestyle": DASHES[1], "linewidth": 1.5, "zorder": 4}
    colours = len(OTHERS)
    return {
        "color": OTHERS[tracker["place"] % colours],
        "linestyle": DASHES[(tracker["place"] // colours) % len(DASHES)],
        "linewidth": 1.0,
        "zorder": 3,
    }


def marker(tracker: Mapping[str, Any]) -> str:
    """The shape of a tracker's points."""
    shapes = {"ours": "o", "baseline": "s"}
    return shapes.get(tracker["role"]) or MARKERS[tracker["place"] % len(MARKERS)]


def gid(name: str) -> str:
    """How an SVG marks what belongs to a tracker; the page highlights by it."""
    return f"tracker:{name}"


def line(
    axes: "Axes",
    name: str,
    points: Mapping[str, Any],
    how: Mapping[str, Any],
) -> Any:
    """Draw a tracker's line through `points` {x, mean}, and around it the band of their `low` and
    `high` where these are given; the line. how: as from `look`, and what else matplotlib takes.
    """
    import numpy as np
    import seaborn

    columns = {key: np.asarray(values) for key, values in points.items()}
    x, mean = columns["x"], columns["mean"]
    seaborn.lineplot(x=x, y=mean, ax=axes, estimator=None, sort=False, legend=False, **how)
    drawn = axes.lines[-1]
    drawn.set_gid(gid(name))
    if "low" in columns:
        look = {"color": how["color"], "alpha": 0.15, "linewidth": 0, "zorder": 1}
        band = axes.fill_between(x, columns["low"], columns["high"], **look)
        band.set_gid(gid(name))
    return drawn


def grid(
    count: int, wide: int, width: float, height: float, **how: Any
) -> "tuple[Figure, list[Axes]]":
    """A figure of `count` panels, `wide` beside each other and of so many inches in height, and the
    panels.
    """
    tall = max(1, -(-count // wide))
    figure = new(width, height * tall)
    panels = list(figure.subplots(tall, wide, squeeze=False, **how).flat)
    for axes in panels[max(1, count) :]:
        axes.set_axis_off()
    return figure, panels[: max(1, count)]


def legend_below(figure: "Figure", handles: Sequence[Any], labels: Sequence[str], room: int) -> int:
    """A legend below all panels, in as many columns as fit into `room` characters; its lines."""
    wide = max(1, min(len(labels), room // (max(map(len, labels)) + 6)))
    figure.legend(handles, labels, loc="outside lower center", ncols=wide)
    return -(-len(labels) // wide)


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


def empty(axes: "Axes", text: str) -> None:
    """Say in a panel why there is nothing in it."""
    axes.set_axis_on()
    axes.text(
        0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color="0.35", wrap=True
    )
    axes.set_xticks([])
    axes.set_yticks([])


def save(figure: "Figure", path: Path) -> None:
    """Write `path` with the suffixes .pdf, .svg and .png; the same figure gives the same bytes."""
    for kind, metadata in METADATA.items():
        with atomic(path.with_name(f"{path.name}.{kind}")) as temporary:
            figure.savefig(temporary, format=kind, metadata=metadata)
