"""A video with boxes: what every reader yields and every runner takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sequence:
    """One target in one video of N rows, which a reader does not bring to len(frames)."""

    name: str  # unique in its data set: "Jogging.1" and "Jogging.2" are two sequences
    frames: tuple[Path, ...]  # image files in order
    boxes: NDArray[np.float64]  # (N, 4) xywh as in the file; NaN where the truth is unknown
    visible: NDArray[np.bool_]  # (N,) False where the benchmark says that the target is absent
    polygons: NDArray[np.float64] | None = None  # (N, 8) corner points for VOT
    attributes: frozenset[str] = frozenset()  # labels of the whole sequence
    # labels of frames, each (N,) bool: VOT's tags
    frame_attributes: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(N,) bool, True where the row is a box, finite and with an area: what is trained on."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.isfinite(self.boxes).all(1) & (self.boxes[:, 2:] > 0).all(1), bool)
