"""SiamCAR's head: two conv towers, classification, regression, centre-ness."""

import math

import torch
from torch import Tensor, nn

from siamla.model.settings import ModelSettings


def tower(channels: int, depth: int, groups: int) -> nn.Sequential:
    """`depth` times [3×3 conv, GroupNorm, ReLU], as in SiamCAR's public code (car_head.py)."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(groups, channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def initialise(module: nn.Module) -> None:
    """Weights of every convolution from N(0, 0.01²), biases 0, as in SiamCAR's public code."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class Head(nn.Module):
    """The outputs of two towers: class, box offsets and, for the baseline, centre-ness.

    SiamCAR starts both classification biases at -log 99, which cancels in the softmax; ours start
    at 0. With `settings.prior` π the target's starts at log(π / (1 - π)), so that every score c
    starts at π.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        channels = settings.channels
        self.cls_tower = tower(channels, settings.tower_depth, settings.groups)
        self.reg_tower = tower(channels, settings.tower_depth, settings.groups)
        self.cls = nn.Conv2d(channels, 2, 3, padding=1)
        self.reg = nn.Conv2d(channels, 4, 3, padding=1)
        self.centerness = (
            nn.Conv2d(channels, 1, 3, padding=1) if settings.localization == "centerness" else None
        )
        initialise(self)
        assert self.reg.bias is not None
        nn.init.constant_(self.reg.bias, settings.regression_bias)
        if settings.prior is not None:
            assert self.cls.bias is not None
            with torch.no_grad():
                self.cls.bias[1] = math.log(settings.prior / (1 - settings.prior))

    def forward(self, fused: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Logits (B, 2, n, n), offsets l, t, r, b > 0 in crop pixels (B, 4, n, n), centre-ness
        logits (B, 1, n, n) or None. The exponential is in fp32: bf16 has steps of half a pixel at
        64 px.
        """
        classified = self.cls_tower(fused)
        offsets = torch.exp(self.reg(self.reg_tower(fused)).float())
        quality = None if self.centerness is None else self.centerness(classified)
        return self.cls(classified), offsets, quality
