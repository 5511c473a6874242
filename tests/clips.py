"""A small video for tests."""

from pathlib import Path

import cv2
import numpy as np

from siamla.sequence import Sequence


def moving_square(
    folder: Path, name: str, count: int, width: int = 160, height: int = 120, seed: int = 0
) -> Sequence:
    """A bright, textured square of 30×24 pixels that moves over noise from the middle."""
    rng = np.random.default_rng(seed)
    boxes = np.array([[width // 2 + 4.0 * i, height // 2 + 2 * i, 30, 24] for i in range(count)])
    frames = tuple(folder / name / f"{index:04d}.png" for index in range(count))
    frames[0].parent.mkdir(parents=True)
    for path, (x, y) in zip(frames, boxes[:, :2].astype(int).tolist(), strict=True):
        image = rng.integers(0, 80, (height, width, 3)).astype(np.uint8)
        image[y : y + 24, x : x + 30] = rng.integers(150, 255, (24, 30, 3))
        cv2.imwrite(str(path), image)
    return Sequence(name, frames, boxes, np.ones(count, bool))
