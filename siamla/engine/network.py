"""A network as a tracker uses it, whatever runs it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Crops = NDArray[np.uint8]
"""(B, side, side, 3) uint8, BGR."""
State = Any
"""Templates as what embedded them keeps them, with a row for each."""


class Maps(NamedTuple):
    """Score maps of B search crops, fp32."""

    cls: NDArray[np.float32]
    """(B, 25, 25) classification score c in [0, 1]."""
    ltrb: NDArray[np.float32]
    """(B, 4, 25, 25) distances to the box's sides, crop pixels."""
    loc: NDArray[np.float32]
    """(B, 25, 25) logit of q."""


class Network(NamedTuple):
    """A network made ready to run."""

    embed: Callable[[Crops], State]
    """Template crops (B, 127, 127, 3) → their state, for `search`."""
    search: Callable[[State, Crops], Maps]
    """Maps of search crops (B, 255, 255, 3) with a template for each, or one for all."""
