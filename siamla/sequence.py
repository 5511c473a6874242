"""A video with boxes: what every reader yields and every runner takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sequence:
    """One target in one video.

    Attributes:
        name: unique in its data set ("Jogging.1" and "Jogging.2" are two sequences).
        frames: image files in order.
        boxes: (N, 4) float64 xywh, 0-based continuous (siamla.geometry); NaN where the truth is
            unknown. Rows stand as the file has them, `0,0,0,0` too. N is their number; a reader
            does not hide a difference to len(frames).
        visible: (N,) bool, False where the benchmark says that the target is absent.
        polygons: (N, 8) float64 corner points for VOT, else None. Same origin as boxes.
        attributes: the benchmark's attribute labels of the whole sequence.
        frame_attributes: per-frame labels, each (N,) bool (VOT's tags).
        numbers: (N,) the frames' numbers in the video where some are left out; 0 of a still image.
    """

    name: str
    frames: tuple[Path, ...]
    boxes: NDArray[np.float64]
    visible: NDArray[np.bool_]
    polygons: NDArray[np.float64] | None = None
    attributes: frozenset[str] = frozenset()
    frame_attributes: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    numbers: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(N,) bool, True where the row is a box: finite and with an area. Nothing is trained on
        the others; what they score is the protocol's affair (`valid_truth`).
        """
        with np.errstate(invalid="ignore"):
            return np.asarray(np.isfinite(self.boxes).all(1) & (self.boxes[:, 2:] > 0).all(1), bool)
