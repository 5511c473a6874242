"""A video with boxes: what every reader yields and every runner takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sequence:
    """One target in one video. N is the number of rows of its file, perhaps not len(frames)."""

    name: str  # unique in its data set: "Jogging.1" and "Jogging.2" are two sequences
    frames: tuple[Path, ...]  # image files in order
    # (N, 4) xywh, 0-based continuous (siamla.geometry); NaN where the truth is unknown
    boxes: NDArray[np.float64]
    visible: NDArray[np.bool_]  # (N,) False where the benchmark says that the target is absent
    polygons: NDArray[np.float64] | None = None  # (N, 8) corner points for VOT, as the boxes
    attributes: frozenset[str] = frozenset()  # labels of the whole sequence
    # labels of frames, each (N,) bool: VOT's tags
    frame_attributes: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    # (N,) of the frames in the video where some are left out; 0 of a still image
    numbers: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(N,) bool, True where the row is a box, finite and with an area: what is trained on."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.isfinite(self.boxes).all(1) & (self.boxes[:, 2:] > 0).all(1), bool)


def first_frames(video: Sequence, limit: int | None) -> Sequence:
    """The sequence's first `limit` frames; None: all."""
    tags = {label: values[:limit] for label, values in video.frame_attributes.items()}
    return replace(
        video,
        frames=video.frames[:limit],
        boxes=video.boxes[:limit],
        visible=video.visible[:limit],
        polygons=None if video.polygons is None else video.polygons[:limit],
        frame_attributes=tags,
    )
