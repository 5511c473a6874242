"""The network: backbone, necks, depth-wise correlation per level, fusion, head and LAFA."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from siamla.grid import CELLS, KERNEL, SEARCH, TEMPLATE
from siamla.model.backbone import build_backbone, check_images
from siamla.model.correlation import depthwise_correlation
from siamla.model.head import Head
from siamla.model.lafa import Lafa
from siamla.model.settings import ModelSettings

TemplateState = tuple[Tensor, ...]
"""What a tracker keeps of its template: the correlation kernel (B, C, 7, 7) of each level."""


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


class Neck(nn.Module):
    """One level's 1×1 convolution and batch norm, as in SiamCAR's public code, then stride 16
    brought to stride 8.

    Upsampling n cells to 2n - 1 is exact: every second cell of stride 8 is a cell of stride 16, the
    others are means of their neighbours. Template and search features pass in one batch, so that
    the statistics of training are the running ones of tracking; SiamCAR normalises each by its own.
    """

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.upsample = stride == 16

    def forward(self, features: Tensor, side: int) -> Tensor:
        """Centre crop (B, C, side, side) of the projected features, in cells of stride 8."""
        part = self._crop(features, side)
        return self._finish(self._project(part.flatten(2)).unflatten(2, part.shape[2:]), side)

    def pair(self, template: Tensor, search: Tensor) -> tuple[Tensor, Tensor]:
        """`forward` of both, normalised together when training."""
        if not self.training:
            return self(template, KERNEL), self(search, CELLS)
        parts = [self._crop(template, KERNEL), self._crop(search, CELLS)]
        joint = self._project(torch.cat([part.flatten(2) for part in parts], dim=2))
        flat = joint.split([part.shape[-1] ** 2 for part in parts], dim=2)
        shaped = [x.unflatten(2, part.shape[2:]) for x, part in zip(flat, parts, strict=True)]
        return self._finish(shaped[0], KERNEL), self._finish(shaped[1], CELLS)

    def _crop(self, features: Tensor, side: int) -> Tensor:
        """The cells that the centre crop of `side` cells of stride 8 depends on."""
        return centre_crop(features, _coarse(side) if self.upsample else side)

    def _project(self, flat: Tensor) -> Tensor:
        """The normalised projection (B, channels, L) of cells (B, inputs, L)."""
        return self.norm(project(self.conv, flat).unsqueeze(2)).squeeze(2)

    def _finish(self, x: Tensor, side: int) -> Tensor:
        if not self.upsample:
            return centre_crop(x, side)
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(torch.promote_types(x.dtype, torch.float32))
            matrix = _between(x, side)
            return matrix @ x @ matrix.T


def project(conv: nn.Conv2d, flat: Tensor) -> Tensor:
    """A 1×1 convolution of cells (B, inputs, L), channels first in memory, where the correlation
    needs them.

    With channels last a convolution would copy before and after, and the gradient of the batch norm
    that follows would get two layouts at once, which is five times slower on a CPU.
    """
    weight = conv.weight.flatten(1).expand(len(flat), -1, -1)
    return (
        torch.bmm(weight, flat)
        if conv.bias is None
        else torch.baddbmm(conv.bias.view(1, -1, 1), weight, flat)
    )


def _between(x: Tensor, side: int) -> Tensor:
    """The matrix (side, n) that upsamples an axis of x (B, C, n, n) to 2n - 1 cells and keeps the
    central `side`.
    """
    fine = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device).repeat_interleave(2, dim=0)[:-1]
    fine[1::2] = (fine[:-1:2] + fine[2::2]) / 2
    start = (len(fine) - side) // 2
    return fine[start : start + side]


def _coarse(side: int) -> int:
    """Cells of stride 16 on which the central `side` cells of stride 8 depend."""
    return 2 * ((side // 2 + 1) // 2) + 1


def centre_crop(features: Tensor, side: int) -> Tensor:
    """The central side×side cells; both sides are odd, so the middle stays the middle."""
    start = (features.shape[-1] - side) // 2
    return features[..., start : start + side, start : start + side]


class SiamLA(nn.Module):
    """SiamCAR, or SiamLA when the settings choose the LAFA branch; one network, other labels and
    losses aside.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.settings = settings
        self.backbone = build_backbone(settings)
        levels = zip(self.backbone.out_channels, self.backbone.strides, strict=True)
        self.necks = nn.ModuleList(
            [Neck(inputs, settings.channels, stride) for inputs, stride in levels]
        )
        self.fusion = nn.Conv2d(len(self.necks) * settings.channels, settings.channels, 1)
        self.head = Head(settings)
        self.lafa = Lafa(settings) if settings.localization == "lafa" else None

    def train(self, mode: bool = True) -> "SiamLA":
        """As nn.Module.train, except that the backbone stays in evaluation mode (see Backbone)."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, template: Tensor, search: Tensor) -> Output:
        """Score maps of template images (B, 3, 127, 127) and search images (B, 3, 255, 255), BGR
        0..255.
        """
        check_images(template, TEMPLATE, "template")
        check_images(search, SEARCH, "search")
        return self.forward_features(self.backbone(template), self.backbone(search))

    def forward_features(self, template: tuple[Tensor, ...], search: tuple[Tensor, ...]) -> Output:
        """Score maps of the backbone's levels, which a frozen backbone computes once for all
        variants.

        Template levels may be cropped beforehand with `crop_template`.
        """
        pairs = [
            neck.pair(z, x) for neck, z, x in zip(self._necks(), template, search, strict=True)
        ]
        return self._predict([z for z, _ in pairs], [x for _, x in pairs])

    def embed_template(self, template: Tensor) -> TemplateState:
        """What `track` needs of template images (B, 3, 127, 127); computed once a sequence."""
        check_images(template, TEMPLATE, "template")
        levels = zip(self.necks, self.backbone(template), strict=True)
        return tuple(neck(features, KERNEL).contiguous() for neck, features in levels)

    def track(self, state: TemplateState, search: Tensor) -> Output:
        """Score maps of search images (B, 3, 255, 255) for a template embedded before."""
        check_images(search, SEARCH, "search")
        levels = zip(self.necks, self.backbone(search), strict=True)
        return self._predict(list(state), [neck(features, CELLS) for neck, features in levels])

    def _necks(self) -> list[Neck]:
        return [neck for neck in self.necks if isinstance(neck, Neck)]

    def _predict(self, kernels: list[Tensor], features: list[Tensor]) -> Output:
        maps = [depthwise_correlation(x, z) for z, x in zip(kernels, features, strict=True)]
        correlation = torch.cat(maps, dim=1)
        fused = project(self.fusion, correlation.flatten(2)).unflatten(2, correlation.shape[2:])
        cls, ltrb, loc = self.head(fused)
        if self.lafa is not None:
            shared = self.settings.lafa.shared_gradient
            seen, summed = (
                (fused, correlation) if shared else (fused.detach(), correlation.detach())
            )
            loc = self.lafa(seen, summed.mean(dim=1, keepdim=True) / KERNEL**2, ltrb)
        return Output(cls, ltrb, loc)


def crop_template(levels: tuple[Tensor, ...], strides: tuple[int, ...]) -> tuple[Tensor, ...]:
    """The part of uncropped template levels that the network reads: 7×7 cells of stride 8, 5×5 of
    stride 16.
    """
    return tuple(
        centre_crop(x, KERNEL if stride == 8 else _coarse(KERNEL))
        for x, stride in zip(levels, strides, strict=True)
    )


def build_model(settings: ModelSettings, seed: int) -> SiamLA:
    """The network with its initial weights drawn from `seed`; the global random state is left
    alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SiamLA(settings)
