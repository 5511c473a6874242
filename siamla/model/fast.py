"""Other forms of the network's modules, faster to train or easier for a compiler: the same numbers
but for rounding, and the parameters' names. `for_training` is called where a training starts,
`for_inference` where an engine gets a network; nothing else knows of forms.
"""

import copy
import math
import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input
from torch.nn.utils.fusion import fuse_conv_bn_eval

from siamla.model.head import Head
from siamla.model.lafa import NonLocal, Sampler
from siamla.model.siamla import Correlation, SiamLA, Upsampling, grouped

Forms = dict[str, type[nn.Module]]
"""Pattern of a module's name → the class that it takes."""


class Pointwise(nn.Conv2d):
    """A 1×1 convolution as a matrix product, channels first in memory, as the correlation is."""

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        weight = self.weight.flatten(1).expand(len(flat), -1, -1)
        if self.bias is None:
            out = torch.bmm(weight, flat)
        else:
            out = torch.baddbmm(self.bias.view(1, -1, 1), weight, flat)
        return out.unflatten(2, x.shape[2:])


class ChannelsLastConv(nn.Conv2d):
    """A convolution that brings its input to channels last, for an engine's layers after it."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.contiguous(memory_format=torch.channels_last))


class MatrixUpsampling(Upsampling):
    """Two matrix products in at least fp32: twice as fast, and deterministic on a GPU."""

    def forward(self, x: Tensor, side: int) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(torch.promote_types(x.dtype, torch.float32))
            coarse = torch.arange(x.shape[-1], dtype=x.dtype, device=x.device)
            fine = torch.arange(side, dtype=x.dtype, device=x.device)
            start = (self.factor * (x.shape[-1] - 1) + 1 - side) // 2
            distance = (fine[:, None] + start) / self.factor - coarse
            matrix = (1 - distance.abs()).clamp_min(0)
            return matrix @ x @ matrix.T


class _Depthwise(torch.autograd.Function):
    """The correlation, each gradient by the kernel that is fast for it: autograd computes the
    template's ten times more slowly, as the gradient of the weights of B·C convolutions.
    """

    @staticmethod
    def forward(ctx: Any, search: Tensor, template: Tensor) -> Tensor:
        ctx.save_for_backward(search, template)
        return Correlation.correlate(search, template)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        search, template = ctx.saved_tensors
        (grad,) = grads
        to_search = to_template = None
        if ctx.needs_input_grad[0]:
            image, kernels, groups = grouped(search, template)
            map_grad = grad.reshape(1, groups, *grad.shape[2:])
            to_search = conv2d_input(image.shape, kernels, map_grad, groups=groups)
            to_search = to_search.view_as(search)
        if ctx.needs_input_grad[1]:
            to_template = Correlation.correlate(search, grad)
        return to_search, to_template


class LearningCorrelation(Correlation):
    """Correlation with its own gradients."""

    @staticmethod
    def correlate(search: Tensor, template: Tensor) -> Tensor:
        maps: Tensor = _Depthwise.apply(search, template)
        return maps


def narrow(x: Tensor, *convs: nn.Conv2d) -> tuple[Tensor, ...]:
    """The outputs of 3×3 convolutions of the same features to a few channels each. On a CPU one 1×1
    convolution to nine shifted channels an output, which are added: half the time to train.
    """
    if x.device.type != "cpu":
        return tuple(F.conv2d(x, conv.weight, conv.bias, padding=1) for conv in convs)
    weight = torch.cat([conv.weight for conv in convs])
    taps = weight.flip(2, 3).permute(0, 2, 3, 1).flatten(0, 2)
    shifted = torch.bmm(taps.expand(len(x), -1, -1), x.flatten(2))
    shifted = shifted.to(torch.promote_types(shifted.dtype, torch.float32))
    bias = torch.cat([conv.bias for conv in convs if conv.bias is not None])
    out = F.fold(shifted, (x.shape[2], x.shape[3]), 3, padding=1) + bias.view(1, -1, 1, 1)
    return out.split([conv.out_channels for conv in convs], dim=1)


class NarrowConv(nn.Conv2d):
    """A 3×3 convolution to a few channels, by `narrow`."""

    def forward(self, x: Tensor) -> Tensor:
        return narrow(x, self)[0]


class NarrowHead(Head):
    """The head with its outputs by `narrow`, those of one tower together."""

    def forward(self, fused: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        classified = self.cls_tower(fused)
        (logits,) = narrow(self.reg_tower(fused), self.reg)
        offsets = torch.exp(logits.float())
        if self.centerness is None:
            return narrow(classified, self.cls)[0], offsets, None
        cls, quality = narrow(classified, self.cls, self.centerness)
        return cls, offsets, quality


class RowsNonLocal(NonLocal):
    """NonLocal on channels last: its attention takes rows."""

    def forward(self, x: Tensor, naive: Tensor) -> Tensor:
        return super().forward(x.contiguous(memory_format=torch.channels_last), naive)


class ProductsNonLocal(NonLocal):
    """NonLocal as two matrix products and a softmax, channels first, which compilers know."""

    def forward(self, x: Tensor, naive: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        positioned = x + self.embed(naive)
        scale = 1 / math.sqrt(self.theta.out_channels) if self.scale is None else self.scale
        query = self.theta(positioned).flatten(2) * scale
        key = self.phi(positioned).flatten(2)
        weights = torch.softmax((query.transpose(1, 2) @ key).float(), dim=2).to(x.dtype)
        attended = self.value(x).flatten(2) @ weights.transpose(1, 2)
        return self.out(attended.view(x.shape)) + x


def _corners(points: Tensor, side: int) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Column, row of the cell up and left of points (B, K, 2); weights (B, K) of the four cells."""
    points = points.detach().clamp(0, side - 1)
    low = points.floor().clamp(max=side - 2)
    right, down = (points - low).unbind(-1)
    column, row = low.unbind(-1)
    left, up = 1 - right, 1 - down
    return column, row, (left * up, right * up, left * down, right * down)


class _Bags(torch.autograd.Function):
    """Weighted sums of the rows of a table (N, C), four to a sum; no gradient into the weights. The
    table's gradient is such sums again, three times as fast and to the same bits.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weights)
        ctx.count = len(table)
        return F.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        rows, weights = ctx.saved_tensors
        ordered, places = rows.flatten().sort(stable=True)
        every = torch.arange(ctx.count, dtype=rows.dtype, device=rows.device)
        starts = torch.searchsorted(ordered, every)
        sums = places.div(rows.shape[1], rounding_mode="floor")
        weights = weights.flatten()[places]
        gradient = F.embedding_bag(sums, grads[0], starts, mode="sum", per_sample_weights=weights)
        return gradient, None, None


class BagSampler(Sampler):
    """Weighted sums of four rows of the features: five times as fast as grid_sample on a CPU."""

    def forward(self, features: Tensor, points: Tensor) -> Tensor:
        batch, channels, side, _ = features.shape
        column, row, corners = _corners(points, side)
        weights = torch.stack(corners, dim=-1).view(-1, 4)
        image = torch.arange(batch, device=points.device, dtype=torch.int32)[:, None]
        first = image * side**2 + row.int() * side + column.int()
        rows = torch.stack([first, first + 1, first + side, first + side + 1], dim=-1).view(-1, 4)
        table = features.permute(0, 2, 3, 1).reshape(-1, channels).to(weights.dtype)
        sums: Tensor = _Bags.apply(table, rows, weights)
        return sums.view(batch, -1, channels)


class GatherSampler(Sampler):
    """Samples from plain gathers; as an embedding bag, ONNX has a loop over all points."""

    def forward(self, features: Tensor, points: Tensor) -> Tensor:
        batch, channels, side, _ = (int(length) for length in features.shape)
        column, row, corners = _corners(points, side)
        image = torch.arange(batch, device=points.device, dtype=points.dtype)[:, None] * side**2
        first = (image + row * side + column).to(torch.int32).flatten()
        table = features.permute(0, 2, 3, 1).reshape(-1, channels)
        parts = [
            table.index_select(0, first + step) * weight.to(table.dtype).view(-1, 1)
            for step, weight in zip((0, 1, side, side + 1), corners, strict=True)
        ]
        return (parts[0] + parts[1] + parts[2] + parts[3]).view(batch, -1, channels)


def fold(model: SiamLA) -> None:
    """Make every batch norm a part of the convolution before it."""
    for module in list(model.modules()):
        before: tuple[str, nn.Conv2d] | None = None
        for name, child in list(module.named_children()):
            # a batch norm is registered right after its convolution, everywhere in the model
            if isinstance(child, nn.BatchNorm2d):
                assert before is not None
                assert before[1].out_channels == child.num_features
                setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
                setattr(module, name, nn.Identity())
            before = (name, child) if isinstance(child, nn.Conv2d) else None


COMMON: Forms = {r"necks\.\d+\.conv": Pointwise, r"necks\.\d+\.upsample": MatrixUpsampling}
TRAINING: Forms = COMMON | {
    r"correlation": LearningCorrelation,
    r"fusion": Pointwise,
    r"head": NarrowHead,
    r"lafa\.nonlocal_block": RowsNonLocal,
    r"lafa\.aggregation\.sample": BagSampler,
    r"lafa\.quality": NarrowConv,
}
INFERENCE: Forms = COMMON | {
    r"correlation": Correlation,
    r"fusion": ChannelsLastConv,
    r"head": Head,
    r"lafa\.nonlocal_block": ProductsNonLocal,
    r"lafa\.aggregation\.sample": GatherSampler,
    r"lafa\.quality": nn.Conv2d,
}


def _take(model: SiamLA, forms: Forms) -> SiamLA:
    for name, module in model.named_modules():
        for pattern, form in forms.items():
            if re.fullmatch(pattern, name):
                module.__class__ = form
    return model


def for_training(model: SiamLA) -> SiamLA:
    """The network itself, in the forms that train fast, and on a GPU to the same bits."""
    return _take(model, TRAINING)


def for_inference(model: SiamLA) -> SiamLA:
    """A copy for inference: batch norms folded, modules in the forms that compilers like."""
    model = copy.deepcopy(model).eval().requires_grad_(False)
    fold(model)
    return _take(model, INFERENCE)
