"""A contact sheet: what a person looks at to judge a set."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from siamla.data.crop import Image
from siamla.data.images import read_image
from siamla.files import atomic
from siamla.sequence import Sequence

_GREEN, _RED, _WHITE = (60, 220, 60), (40, 40, 240), (255, 255, 255)
_LABEL = 16  # height of the line above a row


def _write(image: Image, text: str, corner: tuple[int, int]) -> None:
    cv2.putText(image, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _WHITE, 1, cv2.LINE_AA)


def _cell(sequence: Sequence, index: int, width: int, height: int) -> Image:
    """One frame with its box, its number below in the corner, fitted into (height, width)."""
    frame = read_image(sequence.frames[index])
    scale = min(width / frame.shape[1], height / frame.shape[0])
    frame = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if index < len(sequence.boxes) and sequence.valid[index]:
        box = np.rint(sequence.boxes[index] * scale).astype(int).tolist()
        cv2.rectangle(frame, box, _GREEN if sequence.visible[index] else _RED, 1)
    cell = np.zeros((height, width, 3), np.uint8)
    cell[: frame.shape[0], : frame.shape[1]] = frame[:height, :width]
    cell[height - 16 :, :32] //= 3  # the ground of the number
    _write(cell, str(index + 1), (3, height - 4))
    return cell


def contact_sheet(
    sequences: Iterable[Sequence], columns: int = 8, width: int = 200, height: int = 150
) -> Image:
    """A row of evenly spaced frames each; boxes are green, red where the target is absent."""
    rows = []
    for sequence in sequences:
        at = np.unique(np.linspace(0, len(sequence) - 1, columns).round().astype(int))
        row = np.zeros((_LABEL + height, columns * width, 3), np.uint8)
        _write(row, f"{sequence.name}  {' '.join(sorted(sequence.attributes))}", (3, 12))
        cells = [_cell(sequence, int(index), width, height) for index in at]
        row[_LABEL:, : len(cells) * width] = np.hstack(cells)
        rows.append(row)
    return np.vstack(rows)


def write_png(path: Path, image: Image) -> None:
    """Write an image as PNG, atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", image)[1].tobytes())
