"""What the figures show: params/figures.yaml. One entry is one figure; `kind` names the module of
siamla.report.figures that has its settings and draws it.
"""

from collections.abc import Mapping
from functools import lru_cache, reduce
from importlib import import_module
from operator import or_
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated, Any

from pydantic import AfterValidator, Field, create_model

from siamla.benchmark.metrics import CURVES
from siamla.errors import UserError
from siamla.report import figures
from siamla.settings import Mistakes, Name, Settings, nearest, read_yaml, validate


def _curve(name: str) -> str:
    if name not in CURVES:
        raise ValueError(f"no such curve; {nearest(name, list(CURVES))}")
    return name


Names = Annotated[list[str], Field(min_length=1)]
CurveName = Annotated[str, Field(json_schema_extra={"enum": list(CURVES)}), AfterValidator(_curve)]


class Figure(Settings):
    """What every kind has."""

    kind: str
    title: str = Field(min_length=1, description="the caption's first sentence")
    paper: str | None = Field(None, description="what of the paper it stands for, such as Fig. 9")


class TrackerFigure(Figure):
    """A figure of measured trackers."""

    variants: Names | None = Field(None, description="variants to show; null = all that were run")


class Figures(Settings):
    """params/figures.yaml."""

    ours: str = Field(description="the variant whose lines are thick")
    baseline: str = Field(description="the variant that it is compared with")
    labels: dict[str, str] = Field(
        default_factory=dict, description="variant → a shorter name than its own"
    )
    figures: Mapping[Name, Figure]


def kinds() -> list[str]:
    """The kinds of figures."""
    return sorted(module.name for module in iter_modules(figures.__path__))


def kind_of(name: str) -> Any:
    """The module of a kind. It has

    - `Entry`, a Figure: the settings;
    - `needs(plan, entry)`: the jobs whose results are drawn; None where the profile runs none;
    - `draw(entry, data)`: a siamla.report.drawing.data.Drawn; or it raises Nothing;
    - `COLUMNS`: the heads of its numbers;
    - where it shows more of the plan, `facts(plan, entry)`: plain data, a part of the identity.
    """
    try:
        return import_module(f"{figures.__name__}.{name}")
    except SyntaxError as error:
        where = f"{error.filename}: line {error.lineno}"
        raise UserError(f"{where}: not valid Python ({error.msg})") from None


@lru_cache(maxsize=1)
def figures_model() -> type[Figures]:
    """Figures with the settings of every kind."""
    every = reduce(or_, (kind_of(name).Entry for name in kinds()))
    entry: Any = Annotated[every, Field(discriminator="kind")]
    return create_model("Figures", __base__=Figures, figures=(Mapping[Name, entry], ...))


def load_figures(path: Path) -> Figures:
    """Read and check the figures; UserError with a line for every mistake."""
    raw = read_yaml(path)
    mistakes = Mistakes()
    entries = raw.get("figures")
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        kind = entry.get("kind") if isinstance(entry, dict) else None
        where = f"{path}: figures.{name}"
        if kind not in kinds():
            mistakes.add(f"{where}.kind: {kind!r} is unknown; {nearest(str(kind), kinds())}")
            continue
        with mistakes.noted():  # by its own kind, so that the message names the key
            validate(kind_of(kind).Entry, entry, where)
    mistakes.tell()
    return validate(figures_model(), raw, str(path))
