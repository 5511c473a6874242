"""One module per official folder layout, and one for folders of one's own; class Layout says what
each offers.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from siamla.data.formats import got10k, lasot, otb, plain, tnl2k, trackingnet, vot
from siamla.sequence import Sequence


class Layout(Protocol):
    """What each module of this package offers."""

    ORIGIN: int  # coordinate of the first pixel in the layout's files
    official_count: int  # sequences in the full benchmark
    EMPTY_TRUTH: bool  # whether the benchmark has a rule for frames whose row is no box

    def names(self, root: Path) -> list[str]: ...

    def read(self, root: Path, name: str) -> Sequence: ...

    def write(self, root: Path, sequence: Sequence, images: Iterable[bytes]) -> None: ...

    def finish(self, root: Path, names: Iterable[str]) -> None: ...


LAYOUTS: dict[str, Layout] = {
    "otb": otb,
    "got10k": got10k,
    "lasot": lasot,
    "trackingnet": trackingnet,
    "tnl2k": tnl2k,
    "vot": vot,
    "plain": plain,
}
