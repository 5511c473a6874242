"""The shape of the package: arrows point one way, lists of names agree, one validator."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import get_args

import pytest

from siamla import grid
from siamla.benchmark.protocols import Protocol
from siamla.data.formats import LAYOUTS, Layout
from siamla.data.layout import LayoutName
from siamla.data.sources import SOURCES as TRAINING_SETS
from siamla.data.sources import Source
from siamla.engine.settings import AUTO, EngineName
from siamla.experiment.profile import Benchmark
from siamla.miniatures import writers
from siamla.miniatures.dataset import WRITERS
from siamla.miniatures.settings import SetSettings
from siamla.model.settings import BackboneName

ROOT = Path(__file__).parents[1]
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "siamla").rglob("*.py"))
}

GROUND = {"errors", "files", "geometry", "grid", "parallel", "hardware", "progress", "sequence"}
GROUND |= {"settings", "statistics", "stopping", "system"}
# From the ground up. A module imports from its own layer and from those below it.
LAYERS = (
    GROUND,
    {"data"},
    {"model", "miniatures"},
    {"engine"},
    {"training", "tracker"},
    {"benchmark"},
    {"experiment", "provenance"},  # what a result is; provenance records it
    {"report", "mlflow_sink"},
    {"steps"},  # the work: it reads the plan, writes results, and shows them in the views
    {"cli"},
    {"__main__"},
)


def imports(path: Path) -> set[str]:
    """The modules of the package that a file imports, in functions and for type checkers too.

    A package's __init__ counts where a name is taken from it, not where it is passed on the way to
    a submodule: siamla.data.formats lists its readers, and they import its `text`.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # a submodule where there is one of that name, else a name of the module itself
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in SOURCES else str(node.module) for name in whole}
    return {name for name in found if name.split(".")[0] == "siamla"}


GRAPH = {name: imports(path) for name, path in SOURCES.items()}


def layer(module: str) -> int:
    part = module.split(".")[1]
    return next(number for number, parts in enumerate(LAYERS) if part in parts)


def test_every_part_of_the_package_has_a_layer() -> None:
    parts = {module.split(".")[1] for module in SOURCES if module != "siamla"}
    assert parts <= set().union(*LAYERS), "give the new part its layer"


def test_no_import_leads_back() -> None:
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(f"circle: {' → '.join(error.args[1])}")


def test_arrows_point_down() -> None:
    up = [
        f"{module} imports {other}"
        for module, others in GRAPH.items()
        for other in sorted(others)
        if "siamla" not in (module, other) and layer(other) > layer(module)
    ]
    assert not up, "\n".join(up)


def test_training_and_tracker_do_not_know_each_other() -> None:
    for one, other in (("training", "tracker"), ("tracker", "training")):
        for module in (name for name in GRAPH if name.split(".")[1:2] == [one]):
            assert not {name for name in GRAPH[module] if name.split(".")[1] == other}, module


def test_settings_have_one_validator() -> None:
    """No other module reads YAML settings, or catches pydantic's errors."""
    words = r"\b(ValidationError|safe_load|load_all|full_load|model_validate|TypeAdapter)\b"
    for module in SOURCES.keys() - {"siamla.settings.validation"}:
        assert not re.search(words, SOURCES[module].read_text()), module


def test_every_layout_has_its_reader() -> None:
    """Readers are modules of the layouts' names, which mypy does not see."""
    for protocol, readers in ((Layout, LAYOUTS), (Source, TRAINING_SETS)):
        offered = {name for name in vars(protocol) if not name.startswith("_")}
        for name, reader in readers.items():
            assert offered | set(protocol.__annotations__) <= set(vars(reader)), name
    assert {name: vars(writers)[name.upper()] for name in set(WRITERS) & set(LAYOUTS)} == WRITERS
    for settings in (Protocol, Benchmark, SetSettings):
        assert settings.model_fields["layout"].annotation == LayoutName


def test_a_name_of_a_layout_does_not_lead_to_its_reader() -> None:
    """Else the code of every step that knows a name would change with each layout's reader."""
    assert GRAPH["siamla.data.layout"] == set()


def test_backbones_and_engines_are_those_of_the_settings() -> None:
    """Each name has its module, and each module its name."""
    backbones = {name.rsplit(".")[-1] for name in SOURCES if ".model.backbones." in name}
    assert backbones == set(get_args(BackboneName))
    ends = {name for name in SOURCES if name.endswith("_engine")}
    named = {name for name in get_args(EngineName) if name != "auto"}
    assert ends == {f"siamla.engine.{name}_engine" for name in named}
    assert set(AUTO) <= named


def test_the_grid_holds_together() -> None:
    assert (grid.TEMPLATE, grid.SEARCH, grid.SCORE) == (127, 255, 25)
    assert (grid.STRIDE, grid.START) == (8, 31)
    assert grid.MIDDLE == (grid.SEARCH - 1) // 2 == grid.START + grid.STRIDE * (grid.SCORE - 1) // 2
    assert grid.CELLS - grid.KERNEL + 1 == grid.SCORE
    last = grid.START + grid.STRIDE * (grid.SCORE - 1)
    assert grid.SEARCH - 1 - last == grid.START  # the same margin on both sides


def test_every_script_is_named_where_its_numbers_or_pictures_stand() -> None:
    told = "".join(path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    for path in (ROOT / "benchmarks").glob("*.py"):
        assert f"benchmarks/{path.name}" in told, path.name
