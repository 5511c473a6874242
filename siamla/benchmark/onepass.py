"""One-pass evaluation: start a tracker on the first box and follow it to the last frame."""

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from siamla.data.images import read_image
from siamla.errors import UserError
from siamla.sequence import Sequence

Array = NDArray[np.float64]
Image = NDArray[np.uint8]


class Tracker(Protocol):
    """What the runners drive. Boxes are (4,) float64 xywh, 0-based continuous; images (H, W, 3)
    uint8 BGR. One that knows how sure it is of its last box says so in an attribute `score`.
    """

    def init(self, image: Image, box: Array) -> None:
        """Start on a new target; everything remembered of the last one is forgotten."""

    def update(self, image: Image) -> Array:
        """The target's box in the next frame."""


@dataclass(frozen=True)
class Track:
    """What a tracker gave. Confidence (N,) is NaN where it has none; None: nothing is known."""

    boxes: Array  # (N, 4) xywh 0-based, the first row the given box
    seconds: Array  # (N,) without decoding; NaN where they are not known
    confidence: Array | None = None


class FrameError(UserError):
    """Tracking failed at a frame, which the message names."""


def step(
    tracker: Tracker, sequence: Sequence, index: int, start: Array | None
) -> tuple[Array, float, float, tuple[int, int]]:
    """Initialise on the box `start` in a frame, or update where it is None: the box (4,), the
    seconds it took, the confidence (NaN for a given box), and the image's (width, height).
    FrameError for anything that is raised.
    """
    try:
        image = read_image(sequence.frames[index])
        before = time.perf_counter()
        if start is None:
            box = tracker.update(image)
        else:
            tracker.init(image, start)
            box = start
        seconds = time.perf_counter() - before
        box = np.asarray(box, np.float64)
        if box.shape != (4,) or not np.isfinite(box).all():
            raise ValueError(f"the tracker returned {box.tolist()}, expected four finite numbers")
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise FrameError(f"{sequence.name}, frame {index + 1}: {reason}") from error
    confidence = float(getattr(tracker, "score", np.nan)) if start is None else np.nan
    return box, seconds, confidence, (image.shape[1], image.shape[0])


def track_sequence(tracker: Tracker, sequence: Sequence) -> Track:
    """Follow the sequence's first box through all its frames; FrameError as `step`."""
    count = len(sequence)
    boxes, seconds, confidence = np.empty((count, 4)), np.empty(count), np.empty(count)
    for index in range(count):
        start = sequence.boxes[0] if index == 0 else None
        boxes[index], seconds[index], confidence[index], _ = step(tracker, sequence, index, start)
    return Track(boxes, seconds, confidence)
