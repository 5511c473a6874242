"""The network: backbone, necks, depth-wise correlation per level, fusion, head and LAFA."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from siamla.errors import UserError
from siamla.grid import CELLS, KERNEL, STRIDE
from siamla.model.backbone import build_backbone
from siamla.model.head import Head
from siamla.model.lafa import Lafa
from siamla.model.settings import ModelSettings


class Output(NamedTuple):
    """Score maps of a batch, n = 25 cells a side."""

    cls: Tensor
    """(B, 2, n, n) logits; channel 1 is the target, the score is c = softmax(cls)[:, 1]."""
    ltrb: Tensor
    """(B, 4, n, n) distances > 0, in crop pixels, from the cell to the box's left, top, right and
    bottom side.
    """
    loc: Tensor
    """(B, 1, n, n) logit of the centre-ness (baseline) or of the location quality q (LAFA)."""


def centre_crop(features: Tensor, side: int) -> Tensor:
    """The central cells (B, C, side, side) of features; UserError where that is not possible."""
    cells = int(features.shape[-1])
    if cells < side or (cells - side) % 2:
        raise UserError(f"backbone: {cells} cells a side; expected an odd number, at least {side}")
    start = (cells - side) // 2
    return features[..., start : start + side, start : start + side]


def coarse(side: int, factor: int) -> int:
    """Cells of stride 8·factor on which the central `side` cells of stride 8 depend."""
    return 2 * -(-(side // 2) // factor) + 1


def grouped(images: Tensor, kernels: Tensor) -> tuple[Tensor, Tensor, int]:
    """Image (1, B·C, H, W), kernels (B·C, 1, h, w) and groups of a depth-wise convolution."""
    groups = images.shape[0] * images.shape[1]
    image = images.reshape(1, groups, *images.shape[2:])
    return image, kernels.reshape(groups, 1, *kernels.shape[2:]), groups


class Correlation(nn.Module):
    """Σ_uv z[u, v]·x[i + u, j + v] of search x and template z, for each image and channel; in (at
    least) fp32 also under autocast: on a CPU bf16 is slower here.
    """

    def forward(self, search: Tensor, template: Tensor) -> Tensor:
        """Maps (B, C, H-h+1, W-w+1) of search (B, C, H, W) and square templates (B, C, h, h)."""
        with torch.autocast(search.device.type, enabled=False):
            if search.dtype != torch.float64:
                search, template = search.float(), template.float()
            return self.correlate(search, template)

    @staticmethod
    def correlate(search: Tensor, template: Tensor) -> Tensor:
        """The maps, in the type of the features."""
        image, kernels, groups = grouped(search, template)
        maps = F.conv2d(image, kernels, groups=groups)
        return maps.view(*search.shape[:2], *maps.shape[2:])


class Upsampling(nn.Module):
    """Cells of stride 8·factor brought to stride 8, those between by linear interpolation."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor, side: int) -> Tensor:
        """The central cells (B, C, side, side) of stride 8 of x (B, C, n, n)."""
        fine = self.factor * (x.shape[-1] - 1) + 1
        x = F.interpolate(x, size=(fine, fine), mode="bilinear", align_corners=True)
        return centre_crop(x, side)


class Neck(nn.Module):
    """One level's 1×1 convolution and batch norm, as in SiamCAR's public code, brought to stride 8.

    Template and search features pass in one batch, so that the statistics of training are the
    running ones of tracking; SiamCAR normalises each by its own.
    """

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        if stride <= 0 or stride % STRIDE:
            raise UserError(
                f"backbone: a level has stride {stride}; possible are {STRIDE} and its multiples"
            )
        self.factor = stride // STRIDE
        self.conv = nn.Conv2d(inputs, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.upsample = Upsampling(self.factor)

    def forward(self, features: Tensor, side: int) -> Tensor:
        """Centre crop (B, C, side, side) of the projected features, in cells of stride 8."""
        part = centre_crop(features, coarse(side, self.factor))
        return self._to_stride_8(self.norm(self.conv(part)), side)

    def pair(self, template: Tensor, search: Tensor) -> tuple[Tensor, Tensor]:
        """`forward` of both, normalised together when training."""
        if not self.training:
            return self(template, KERNEL), self(search, CELLS)
        kernel = centre_crop(template, coarse(KERNEL, self.factor))
        cells = centre_crop(search, coarse(CELLS, self.factor))
        joint = torch.cat([kernel.flatten(2), cells.flatten(2)], dim=2).unsqueeze(2)
        normed = self.norm(self.conv(joint)).squeeze(2)
        z, x = normed.split([kernel.shape[-1] ** 2, cells.shape[-1] ** 2], dim=2)
        return (
            self._to_stride_8(z.unflatten(2, kernel.shape[2:]), KERNEL),
            self._to_stride_8(x.unflatten(2, cells.shape[2:]), CELLS),
        )

    def _to_stride_8(self, x: Tensor, side: int) -> Tensor:
        return x if self.factor == 1 else self.upsample(x, side)


class SiamLA(nn.Module):
    """SiamCAR, or SiamLA when the settings choose the LAFA branch."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.settings = settings
        self.backbone = build_backbone(settings)
        levels = zip(self.backbone.out_channels, self.backbone.strides, strict=True)
        self.necks = nn.ModuleList(
            [Neck(inputs, settings.channels, stride) for inputs, stride in levels]
        )
        self.correlation = Correlation()
        self.fusion = nn.Conv2d(len(self.necks) * settings.channels, settings.channels, 1)
        self.head = Head(settings)
        self.lafa = Lafa(settings) if settings.localization == "lafa" else None

    def train(self, mode: bool = True) -> "SiamLA":
        """As nn.Module.train, except that the backbone stays in evaluation mode (see Backbone)."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, template: Tensor, search: Tensor) -> Output:
        """Score maps of templates (B, 3, 127, 127) and searches (B, 3, 255, 255), BGR 0..255."""
        return self.forward_features(self.backbone(template), self.backbone(search))

    def forward_features(self, template: tuple[Tensor, ...], search: tuple[Tensor, ...]) -> Output:
        """Score maps of the backbone's levels; the template's may be cropped by `crop_template`."""
        levels = zip(self.each_neck(), template, search, strict=True)
        kernels, features = zip(*(neck.pair(z, x) for neck, z, x in levels), strict=True)
        return self._predict(torch.cat(kernels, dim=1), torch.cat(features, dim=1))

    def embed_template(self, template: Tensor) -> Tensor:
        """The kernels (B, L·C, 7, 7) of templates (B, 3, 127, 127) that `track` needs."""
        return self._project(self.backbone(template), KERNEL)

    def track(self, kernels: Tensor, search: Tensor) -> Output:
        """Score maps of search images (B, 3, 255, 255) for templates embedded before."""
        return self._predict(kernels, self._project(self.backbone(search), CELLS))

    def each_neck(self) -> list[Neck]:
        """The necks, one a level."""
        return [neck for neck in self.necks if isinstance(neck, Neck)]

    def _project(self, levels: tuple[Tensor, ...], side: int) -> Tensor:
        """The central cells (B, L·C, side, side) of all levels, projected."""
        parts = [neck(level, side) for neck, level in zip(self.necks, levels, strict=True)]
        return torch.cat(parts, dim=1)

    def _predict(self, kernels: Tensor, features: Tensor) -> Output:
        """Score maps of kernels (B, L·C, 7, 7) and search features (B, L·C, 31, 31)."""
        correlation = self.correlation(features, kernels)
        fused = self.fusion(correlation)
        cls, ltrb, loc = self.head(fused)
        if self.lafa is not None:
            if not self.settings.lafa.shared_gradient:
                fused, correlation = fused.detach(), correlation.detach()
            naive = correlation.mean(dim=1, keepdim=True) / KERNEL**2
            loc = self.lafa(fused, naive, ltrb)
        return Output(cls, ltrb, loc)


def crop_template(levels: tuple[Tensor, ...], strides: tuple[int, ...]) -> tuple[Tensor, ...]:
    """The central part of template levels that the network reads: 7×7 cells of stride 8."""
    return tuple(
        centre_crop(x, coarse(KERNEL, stride // STRIDE))
        for x, stride in zip(levels, strides, strict=True)
    )


def build_model(settings: ModelSettings, seed: int) -> SiamLA:
    """The network with weights drawn from `seed`; the global random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SiamLA(settings)
