"""LAFA, the localization-aware feature aggregation module (paper, section III-D)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from siamla.grid import STRIDE
from siamla.model.head import initialise, tower
from siamla.model.settings import ModelSettings

POINTS = 5


class NonLocal(nn.Module):
    """Eq. 8–9: y = f(softmax(θ(x+p)·φ(x+p)ᵀ)·ϕ(x)) + x over all cells; p = e(h(φ(z), φ(x))).

    h, the naive one-channel cross-correlation, is the mean of the depth-wise one over channels and
    levels; e's weights absorb the constant. The logits are divided by √d when `scale` is set (off =
    as printed).
    """

    def __init__(self, channels: int, scale: bool) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, channels, 1)
        self.theta = nn.Conv2d(channels, channels, 1)
        self.phi = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        self.scale = None if scale else 1.0

    def forward(self, x: Tensor, naive: Tensor) -> Tensor:
        """Features (B, C, n, n) of features (B, C, n, n) and the naive correlation (B, 1, n, n)."""
        positioned = x + self.embed(naive)
        projected = self.theta(positioned), self.phi(positioned), self.value(x)
        query, key, value = (each.flatten(2).transpose(1, 2).unsqueeze(1) for each in projected)
        attended = F.scaled_dot_product_attention(query, key, value, scale=self.scale)
        return self.out(attended.squeeze(1).transpose(1, 2).reshape(x.shape)) + x


def box_points(ltrb: Tensor) -> Tensor:
    """Centre and corners, clockwise from the top left, of the box at each cell: (B, n, n, 5, 2), x
    and y in cells, from offsets (B, 4, n, n) in crop pixels. No gradient.
    """
    left, top, right, bottom = ltrb.detach().float().div(STRIDE).unbind(1)
    index = torch.arange(ltrb.shape[-1], device=ltrb.device, dtype=left.dtype)
    x1, x2 = index - left, index + right
    y1, y2 = index[:, None] - top, index[:, None] + bottom
    x = torch.stack([(x1 + x2) / 2, x1, x2, x2, x1], dim=-1)
    y = torch.stack([(y1 + y2) / 2, y1, y1, y2, y2], dim=-1)
    return torch.stack([x, y], dim=-1)


class Sampler(nn.Module):
    """Bilinear samples of features at points, which are clamped to the map."""

    def forward(self, features: Tensor, points: Tensor) -> Tensor:
        """Samples (B, K, C) of features (B, C, n, n) at points (B, K, 2), x and y in cells."""
        middle = (features.shape[-1] - 1) / 2
        samples = F.grid_sample(
            features.to(points.dtype),
            (points.detach() / middle - 1).unsqueeze(1),
            padding_mode="border",
            align_corners=True,
        )
        return samples.squeeze(2).transpose(1, 2)


class Aggregation(nn.Module):
    """Features at five points of a cell's box (its own alone in Table VI), fused by a 1×1 conv."""

    def __init__(self, channels: int, points: int) -> None:
        super().__init__()
        self.points = points
        self.sample = Sampler()
        self.fuse = nn.Conv2d(points * channels, channels, 1)

    def forward(self, x: Tensor, ltrb: Tensor) -> Tensor:
        """Fused features (B, C, n, n) of features (B, C, n, n) and offsets (B, 4, n, n)."""
        if self.points > 1:
            batch, _, height, width = x.shape
            points = box_points(ltrb).flatten(1, 3)
            x = self.sample(x, points).reshape(batch, height, width, -1).permute(0, 3, 1, 2)
        return F.relu(self.fuse(x), inplace=True)


class Lafa(nn.Module):
    """Own conv tower → non-local block → aggregation block → one-channel location quality. Open in
    the paper: the tower is like the head's; a ReLU follows the fusion; the quality is a 3×3
    convolution.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        channels, lafa = settings.channels, settings.lafa
        self.tower = tower(channels, settings.tower_depth, settings.groups)
        self.nonlocal_block = (
            NonLocal(channels, lafa.scale_attention) if lafa.nonlocal_block else None
        )
        self.aggregation = Aggregation(channels, POINTS if lafa.aggregation_block else 1)
        self.quality = nn.Conv2d(channels, 1, 3, padding=1)
        initialise(self)
        nn.init.kaiming_normal_(self.aggregation.fuse.weight, nonlinearity="relu")

    def forward(self, fused: Tensor, naive: Tensor, ltrb: Tensor) -> Tensor:
        """Quality logits (B, 1, n, n) of fused features, naive correlation and box offsets."""
        x = self.tower(fused)
        if self.nonlocal_block is not None:
            x = self.nonlocal_block(x, naive)
        quality: Tensor = self.quality(self.aggregation(x, ltrb))
        return quality
