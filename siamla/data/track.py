"""A target of a training set over the frames that it is trained on."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from siamla.sequence import Sequence


@dataclass(frozen=True)
class Track(Sequence):
    """A sequence of which some frames are left out.

    Attributes:
        numbers: (N,) the frames' numbers in the video; 0 of a still image.
    """

    numbers: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
