"""What an engine is, and what a tracker knows of it: two functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamla.model.siamla import SiamLA
from siamla.place import Place, Precision

Crops = NDArray[np.uint8]
"""(B, side, side, 3) uint8, BGR."""
State = Any
"""Templates as the engine that embedded them keeps them: a tensor with a row for each."""


class Maps(NamedTuple):
    """Score maps of B search crops, fp32."""

    cls: NDArray[np.float32]
    """(B, 25, 25) classification score c in [0, 1]."""
    ltrb: NDArray[np.float32]
    """(B, 4, 25, 25) distances to the box's sides, crop pixels."""
    loc: NDArray[np.float32]
    """(B, 25, 25) logit of q."""


class Network(NamedTuple):
    """A network made ready by an engine."""

    embed: Callable[[Crops], State]
    """Template crops (B, 127, 127, 3) → their state, for `search`."""
    search: Callable[[State, Crops], Maps]
    """Score maps of search crops (B, 255, 255, 3) for templates embedded before: a template for
    each crop, or one for all.
    """


class Engine(NamedTuple):
    """An engine: what runs a network, and what that needs."""

    prepare: Callable[[SiamLA, Place, int], Network]
    """Makes a network ready at a place, to search so many crops at a time and never another
    number.
    """
    package: str
    """The package that must be installed; its version is the engine's."""
    extra: str | None = None
    """The extra of siamla that installs the package; None where siamla needs it anyway."""
    devices: tuple[str, ...] = ("cpu",)
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
