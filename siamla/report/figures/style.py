"""How every figure looks: sizes of a paper's page, one colour a tracker, and files whose bytes
repeat.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from siamla.files import atomic

COLUMN, PAGE = 3.5, 7.16  # inches: one column and both of the paper's page
OURS, BASELINE = "#D55E00", "#0072B2"
OTHERS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C564B")
"""Okabe and Ito's colours, which the colour-blind can tell apart, but for its yellow, which paper
swallows.
"""
DASHES: tuple[Any, ...] = ("solid", (0, (4, 1.2)), (0, (1, 1)), (0, (5, 1, 1, 1)))
MARKERS = "Dv^<>pPXh"
GREY = "0.75"
RC = {
    "font.family": "DejaVu Sans",  # matplotlib brings it
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "legend.fontsize": 6.3,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.axisbelow": True,
    "grid.linestyle": ":",
    "grid.linewidth": 0.6,
    "grid.color": "0.8",
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
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)  # type: ignore[arg-type]
        yield


def new(width: float, height: float) -> Figure:
    """A figure of so many inches that needs no display."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def look(tracker: Mapping[str, Any]) -> dict[str, Any]:
    """Colour, dashes, width and order of a tracker's line: the same in every figure."""
    if tracker["role"] == "ours":
        return {"color": OURS, "linestyle": "solid", "linewidth": 1.9, "zorder": 5}
    if tracker["role"] == "baseline":
        return {"color": BASELINE, "linestyle": DASHES[1], "linewidth": 1.5, "zorder": 4}
    place = tracker["place"]
    dashes = DASHES[(place // len(OTHERS)) % len(DASHES)]
    return {
        "color": OTHERS[place % len(OTHERS)],
        "linestyle": dashes,
        "linewidth": 1.0,
        "zorder": 3,
    }


def marker(tracker: Mapping[str, Any]) -> str:
    """The shape of a tracker's points."""
    return {"ours": "o", "baseline": "s"}.get(tracker["role"]) or MARKERS[
        tracker["place"] % len(MARKERS)
    ]


def gid(name: str) -> str:
    """How an SVG marks what belongs to a tracker; the page highlights by it."""
    return f"tracker:{name}"


def title(axes: Axes, text: str, second: str = "") -> None:
    """A panel's title, its second line being what the data were."""
    axes.set_title(f"{text}\n{second}" if second else text, linespacing=1.25)


def sequences(benchmark: Mapping[str, Any], count: int) -> str:
    """What was tracked: "14 synthetic miniatures", "100 sequences"."""
    word = "synthetic miniature" if benchmark["synthetic"] else "sequence"
    return f"{count} {word}{'' if count == 1 else 's'}"


def on(benchmark: Mapping[str, Any]) -> str:
    """A benchmark's name as a figure must give it: "OTB100, synthetic miniatures"."""
    return f"{benchmark['label']}{', synthetic miniatures' if benchmark['synthetic'] else ''}"


def empty(axes: Axes, text: str) -> None:
    """Say in a panel why there is nothing in it."""
    axes.text(
        0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color="0.35", wrap=True
    )
    axes.set_xticks([])
    axes.set_yticks([])


def save(figure: Figure, path: Path) -> None:
    """Write `path` with the suffixes .pdf, .svg and .png; the same figure gives the same bytes."""
    for kind, metadata in METADATA.items():
        with atomic(path.with_name(f"{path.name}.{kind}")) as temporary:
            figure.savefig(temporary, format=kind, metadata=metadata)
