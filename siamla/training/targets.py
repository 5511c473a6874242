"""Which cells of the score map are positive, and what they regress to (paper, section III-C)."""

from typing import NamedTuple

import torch
from torch import Tensor

from siamla.grid import SCORE, START, STRIDE
from siamla.training.settings import Labels


class Targets(NamedTuple):
    """Labels of a batch of B images over n×n cells, rows first."""

    centre: Tensor
    """(B, n, n) bool: cells in the central rectangle of the box."""
    boundary: Tensor
    """(B, n, n) bool: cells inside the box and outside that rectangle; all False without LALS."""
    ltrb: Tensor
    """(B, 4, n, n): distances in crop pixels to the box's sides; negative outside the box."""
    centerness: Tensor
    """(B, n, n): √(min(l,r)/max(l,r) · min(t,b)/max(t,b)); 0 outside the box."""

    @property
    def positive(self) -> Tensor:
        """(B, n, n) bool: centre or boundary; every other cell is negative."""
        return self.centre | self.boundary


def grid(device: torch.device | str = "cpu") -> Tensor:
    """Positions (25,) in crop pixels of the cells along an axis: 31, 39, …, 223; SiamCAR's public
    code trains on 32 + 8·i and decodes with 31 + 8·i.
    """
    return torch.arange(SCORE, device=device, dtype=torch.float32) * STRIDE + START


def assign(boxes: Tensor, labels: Labels) -> Targets:
    """Targets of boxes (B, 4), xywh in pixels of the 255-px search crop whose middle is 127.

    A cell is centre when |x - cx| < f·w/2 and |y - cy| < f·h/2, f = centre_fraction (0.4: SiamCAR's
    l, r > 0.6·w/2), and with LALS boundary when it is strictly inside the box otherwise. With
    `nearest_if_none` the cell nearest to the box's centre is centre where no cell of the image is;
    the first one in reading order when several are nearest. A box without area says that the target
    is not in the crop: all cells are negative.
    """
    boxes = boxes.float()
    position = grid(boxes.device)
    low, size = boxes[:, :2, None], boxes[:, 2:, None]
    offset = position - (low + size / 2)  # (B, 2, n): x along columns, y along rows
    central = offset.abs() < labels.centre_fraction * size / 2
    inside = offset.abs() < size / 2
    centre = central[:, 1, :, None] & central[:, 0, None, :]
    if labels.nearest_if_none:
        lacking = ~centre.flatten(1).any(1) & (size.flatten(1) > 0).all(1)
        centre = centre | (_nearest(offset) & lacking[:, None, None])
    boundary = inside[:, 1, :, None] & inside[:, 0, None, :] & ~centre
    before, after = position - low, low + size - position
    left, right = (side[:, 0, None, :].expand_as(centre) for side in (before, after))
    top, bottom = (side[:, 1, :, None].expand_as(centre) for side in (before, after))
    ratio = torch.minimum(before, after).clamp_min(0) / torch.maximum(before, after)
    centerness = (ratio[:, 1, :, None] * ratio[:, 0, None, :]).sqrt()
    if not labels.lals:
        boundary = torch.zeros_like(boundary)
    return Targets(centre, boundary, torch.stack([left, top, right, bottom], dim=1), centerness)


def _nearest(offset: Tensor) -> Tensor:
    """(B, n, n) bool, True in the cell at the least distance, from offsets (B, 2, n)."""
    column, row = offset.abs().argmin(2).unbind(1)
    cells = torch.arange(offset.shape[2], device=offset.device)
    return (cells == row[:, None])[:, :, None] & (cells == column[:, None])[:, None, :]
