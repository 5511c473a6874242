"""One-pass evaluation: start a tracker on the first box and follow it to the last frame."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.sequence import Sequence


class Tracker(Protocol):
    """What the runners drive. Boxes are (4,) float64 xywh, 0-based continuous; images (H, W, 3)
    uint8 BGR.

    One that knows how sure it is of its last box says so in an attribute `score`, which is stored
    with the box.
    """

    deterministic: bool

    def init(self, image: NDArray[np.uint8], box: NDArray[np.float64]) -> None:
        """Start on a new target; everything remembered of the last one is forgotten."""

    def update(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The target's box in the next frame."""


@dataclass(frozen=True)
class Track:
    """What a tracker gave.

    Attributes:
        boxes: (N, 4) xywh 0-based, the first row the given box.
        seconds: (N,) without decoding; NaN where they are not known.
        confidence: (N,) of each box, NaN in the first row and where a tracker has none; None where
            nothing is known.
    """

    boxes: NDArray[np.float64]
    seconds: NDArray[np.float64]
    confidence: NDArray[np.float64] | None = None


class FrameError(Exception):
    """Tracking failed at a frame (index from 0)."""

    def __init__(self, frame: int, message: str) -> None:
        super().__init__(
            frame, message
        )  # both as arguments, so that the error survives a process boundary
        self.frame, self.message = frame, message


def read_image(path: Path) -> NDArray[np.uint8]:
    """The image as (H, W, 3) BGR; ValueError if it cannot be read."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path}: not a readable image")
    return np.asarray(image, np.uint8)


def step(
    tracker: Tracker, image: NDArray[np.uint8], box: NDArray[np.float64] | None
) -> tuple[NDArray, float, float]:
    """Initialise on `box`, or update where it is None: the box (4,), the seconds it took, and the
    confidence.

    The confidence is NaN after an initialisation, whose box was given, and where the tracker has
    none.
    """
    start = time.perf_counter()
    if box is None:
        found = tracker.update(image)
    else:
        tracker.init(image, box)
        found = box
    seconds = time.perf_counter() - start
    found = np.asarray(found, np.float64)
    if found.shape != (4,) or not np.isfinite(found).all():
        raise ValueError(
            f"the tracker returned {found.tolist()}, expected four finite numbers x, y, w, h"
        )
    return found, seconds, float(getattr(tracker, "score", np.nan)) if box is None else np.nan


def track_sequence(tracker: Tracker, sequence: Sequence) -> Track:
    """Follow the sequence's first box through all its frames; FrameError names the frame at which
    anything raised.
    """
    boxes, seconds, confidence = (
        np.empty((len(sequence), 4)),
        np.empty(len(sequence)),
        np.empty(len(sequence)),
    )
    for index, path in enumerate(sequence.frames):
        try:
            first = sequence.boxes[0] if index == 0 else None
            boxes[index], seconds[index], confidence[index] = step(tracker, read_image(path), first)
        except Exception as error:
            raise FrameError(index, f"{type(error).__name__}: {error}") from error
    return Track(boxes, seconds, confidence)
