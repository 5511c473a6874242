"""A contact sheet: what a person looks at to judge a set."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from siamla.data.crop import Image
from siamla.errors import UserError
from siamla.files import atomic
from siamla.sequence import Sequence

_GREEN, _RED = (60, 220, 60), (40, 40, 240)


def _cell(sequence: Sequence, index: int, width: int, height: int) -> Image:
    """One frame with its box, its number below in the corner, fitted into (height, width)."""
    frame = cv2.imread(str(sequence.frames[index]), cv2.IMREAD_COLOR)
    if frame is None:
        raise UserError(f"{sequence.frames[index]}: not a readable image")
    scale = min(width / frame.shape[1], height / frame.shape[0])
    frame = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if index < len(sequence.boxes) and np.isfinite(sequence.boxes[index]).all():
        x, y, w, h = sequence.boxes[index] * scale
        colour = _GREEN if sequence.visible[index] else _RED
        low, high = (
            (round(x), round(y)),
            (max(round(x + w) - 1, round(x)), max(round(y + h) - 1, round(y))),
        )
        cv2.rectangle(frame, low, high, colour, 1)
    cell = np.zeros((height, width, 3), np.uint8)
    cell[: frame.shape[0], : frame.shape[1]] = frame[:height, :width]
    for thick, colour in ((3, (0, 0, 0)), (1, (255, 255, 255))):
        cv2.putText(
            cell,
            str(index + 1),
            (3, height - 5),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.4,
            colour,
            thick,
            cv2.LINE_AA,
        )
    return cell


def contact_sheet(
    sequences: Iterable[Sequence], columns: int = 8, width: int = 200, height: int = 150
) -> Image:
    """(rows, columns) of evenly spaced frames; the box is green where the target is visible and red
    elsewhere.
    """
    rows = []
    for sequence in sequences:
        at = np.unique(np.linspace(0, len(sequence) - 1, columns).round().astype(int))
        row = np.zeros((height + 16, columns * width, 3), np.uint8)
        label = f"{sequence.name}  {' '.join(sorted(sequence.attributes))}"
        cv2.putText(
            row, label, (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA
        )
        for column, index in enumerate(at):
            row[16:, column * width : (column + 1) * width] = _cell(
                sequence, int(index), width, height
            )
        rows.append(row)
    return np.vstack(rows)


def write_png(path: Path, image: Image) -> None:
    """Write an image as PNG, atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", image)[1].tobytes())
