"""What the network said of single frames, chosen by a rule: score maps, the box of every cell and
the search crop, packed in one file.
"""

from collections.abc import Sequence as Many
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.benchmark.settings import MapRule
from siamla.data.crop import to_continuous, to_image
from siamla.data.images import read_image
from siamla.errors import UserError
from siamla.files import atomic, parsed_by
from siamla.geometry import Array
from siamla.grid import SCORE, SEARCH, START, STRIDE
from siamla.sequence import Sequence

if TYPE_CHECKING:
    from siamla.tracker.tracker import SiamTracker

Map = NDArray[np.float32]


@dataclass(frozen=True)
class FrameMaps:
    """One frame. Boxes are xywh, 0-based continuous (siamla.geometry)."""

    sequence: str
    frame: int  # index from 0
    image: str  # its file, relative to the data set's root
    crop: NDArray[np.uint8]  # (255, 255, 3) RGB, the search crop
    centre: Array  # (2,) the crop's middle in image pixels
    side: float  # of the crop in image pixels
    c: Map  # (25, 25) classification score in [0, 1], rows first
    q: Map  # (25, 25) location quality or centre-ness in [0, 1]
    crop_boxes: Map  # (25, 25, 4) the box of every cell in the crop's pixels, [0, 255)
    truth: Array  # (4,) in image pixels, NaN where it is not known
    chosen: Array  # (4,) the tracker's box in image pixels

    @property
    def confidence(self) -> Map:
        """(25, 25) target confidence c·q."""
        return np.asarray(self.c * self.q, np.float32)

    @property
    def boxes(self) -> Array:
        """(25, 25, 4), the box of every cell in image pixels."""
        return to_image(self.crop_boxes, self.centre, self.side, SEARCH)


COLUMNS = [field.name for field in fields(FrameMaps)]


def _evenly(count: int, wanted: int | None) -> list[int]:
    """`wanted` of `count` indices, both ends among them; all where there are no more."""
    if wanted is None or wanted >= count:
        return list(range(count))
    if wanted == 1:
        return [count // 2]
    return np.linspace(0, count - 1, wanted).round().astype(int).tolist()


def choose(sequences: Many[Sequence], rule: MapRule) -> list[tuple[Sequence, list[int]]]:
    """The sequences of more than one frame and the frames (from 0) that a rule chooses."""
    long = [sequence for sequence in sequences if len(sequence) > 1]
    chosen = [long[index] for index in _evenly(len(long), rule.sequences)]
    frames = [_evenly(len(sequence) - 1, rule.frames) for sequence in chosen]
    return [(seq, [1 + index for index in own]) for seq, own in zip(chosen, frames, strict=True)]


def cell_boxes(ltrb: ArrayLike) -> Array:
    """The boxes (25, 25, 4) in crop pixels, continuous, of offsets (4, 25, 25)."""
    row, column = np.mgrid[:SCORE, :SCORE] * STRIDE + START
    left, top, right, bottom = np.asarray(ltrb, np.float64)
    return to_continuous(np.stack([column - left, row - top, left + right, top + bottom], axis=-1))


def follow(
    tracker: "SiamTracker", sequence: Sequence, frames: Many[int], root: Path
) -> list[FrameMaps]:
    """Track a sequence up to the last of these frames; what the network said of each."""
    tracker.init(read_image(sequence.frames[0]), sequence.boxes[0])
    kept = []
    for index in range(1, max(frames) + 1):
        path = sequence.frames[index]
        box = tracker.update(read_image(path))
        if index not in frames:
            continue
        seen = tracker.search
        assert seen is not None
        quality = 1 / (1 + np.exp(-np.clip(seen.loc.astype(np.float64), -60, 60)))
        frame = FrameMaps(
            sequence=sequence.name,
            frame=index,
            image=path.relative_to(root).as_posix(),
            crop=np.ascontiguousarray(seen.pixels[..., ::-1]),
            centre=np.asarray(seen.centre, np.float64),
            side=seen.side,
            c=seen.cls.astype(np.float32),
            q=quality.astype(np.float32),
            crop_boxes=cell_boxes(seen.ltrb).astype(np.float32),
            truth=sequence.boxes[index] if index < len(sequence.boxes) else np.full(4, np.nan),
            chosen=np.asarray(box),
        )
        kept.append(frame)
    return kept


def write_maps(path: Path, frames: Many[FrameMaps]) -> None:
    """Pack frames into one .npz, atomically; equal bytes of equal frames. UserError for none."""
    if not frames:
        raise UserError(f"{path}: no frame to store; every sequence has one image")
    columns: dict[str, Any] = {
        name: np.stack([np.asarray(getattr(frame, name)) for frame in frames]) for name in COLUMNS
    }
    with atomic(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, **columns)


def read_maps(path: Path) -> list[FrameMaps]:
    """The frames of a file of `write_maps`; UserError where it is none."""
    with parsed_by("numpy", path, "a file of score maps"), np.load(path) as packed:
        arrays = [packed[name] for name in COLUMNS]
    # names and numbers come back as Python's
    columns = [array if array.ndim > 1 else array.tolist() for array in arrays]
    return [FrameMaps(*values) for values in zip(*columns, strict=True)]
