"""SiamCAR's head: two conv towers, classification, regression, centre-ness."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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


def narrow(x: Tensor, *convs: nn.Conv2d) -> tuple[Tensor, ...]:
    """The outputs of 3×3 convolutions of the same features to a few channels each.

    Trained on a CPU, they are one 1×1 convolution to nine shifted channels for each output, which
    are then added: with so few outputs a 3×3 convolution spends itself on moving its input, and
    takes twice the time.
    """
    if x.is_cuda or not torch.is_grad_enabled():
        return tuple(conv(x) for conv in convs)
    weight = torch.cat([conv.weight for conv in convs])
    taps = weight.flip(2, 3).permute(0, 2, 3, 1).flatten(0, 2)
    shifted = torch.bmm(taps.expand(len(x), -1, -1), x.flatten(2))
    shifted = shifted.to(torch.promote_types(shifted.dtype, torch.float32))
    bias = torch.cat([conv.bias for conv in convs if conv.bias is not None])
    out = F.fold(shifted, (x.shape[2], x.shape[3]), 3, padding=1) + bias.view(1, -1, 1, 1)
    return out.split([conv.out_channels for conv in convs], dim=1)


class Head(nn.Module):
    """Classification logits, box offsets and, for the baseline, centre-ness from the classification
    tower.

    SiamCAR starts both classification biases at -log 99, which cancels in the softmax; ours start
    at 0. With `settings.prior` π the target's starts at log(π / (1 - π)), so that every score c
    starts at π (RetinaNet's prior, on the difference of the two logits, which alone counts).
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
        logits or None.

        The exponential is taken in fp32: bf16 has steps of half a pixel at 64 px.
        """
        cls_features = self.cls_tower(fused)
        (logits,) = narrow(self.reg_tower(fused), self.reg)
        offsets = torch.exp(logits.float())
        if self.centerness is None:
            (cls,) = narrow(cls_features, self.cls)
            return cls, offsets, None
        cls, quality = narrow(cls_features, self.cls, self.centerness)
        return cls, offsets, quality
