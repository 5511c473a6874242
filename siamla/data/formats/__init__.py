"""Readers of the benchmarks' official folder layouts and of folders of one's own.

A layout is the module of its name, which siamla.data.layout lists.
"""

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast, get_args

from siamla.data.layout import LayoutName
from siamla.sequence import Sequence


class Layout(Protocol):
    """What each module of this package offers."""

    ORIGIN: int  # coordinate of the first pixel in the layout's files
    EMPTY_TRUTH: bool  # whether the benchmark has a rule for frames whose row is no box

    def names(self, root: Path) -> list[str]: ...

    def read(self, root: Path, name: str) -> Sequence: ...


LAYOUTS: dict[str, Layout] = {
    name: cast(Layout, import_module(f"{__name__}.{name}")) for name in get_args(LayoutName)
}
