"""Frames of score maps, made up."""

import numpy as np

from siamla.benchmark.maps import FrameMaps


def map_frame(
    sequence: str,
    number: int,
    size: tuple[float, float],
    c: np.ndarray,
    q: np.ndarray,
    picked: tuple[int, int] = (12, 12),
) -> FrameMaps:
    """A frame whose boxes are of one size (w, h) around the cells, the truth that of cell (12, 12).

    c, q: (25, 25) score and quality. picked: the cell of the tracker's box.
    """
    row, column = np.mgrid[:25, :25] * 8 + 31.5
    sizes = np.broadcast_to(size, (25, 25, 2))
    boxes = np.concatenate([np.stack([column, row], -1) - sizes / 2, sizes], -1)
    crop = np.full((255, 255, 3), 120, np.uint8)
    crop[::2] = 200  # a target that can be seen
    return FrameMaps(
        sequence=sequence,
        frame=number,
        image=f"{number}.jpg",
        crop=crop,
        centre=np.array([100.0, 100.0]),
        side=255.0,
        c=c.astype(np.float32),
        q=q.astype(np.float32),
        crop_boxes=boxes.astype(np.float32),
        truth=boxes[12, 12] + [100 - 127.5, 100 - 127.5, 0, 0],
        chosen=boxes[picked],
    )
