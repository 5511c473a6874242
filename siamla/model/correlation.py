"""Depth-wise cross-correlation of search features with template features."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class _Depthwise(torch.autograd.Function):
    """Σ_uv z[u, v]·x[i + u, j + v] per image and channel, with both gradients as plain grouped correlations.

    Autograd's gradient of a grouped convolution with B·C groups of one channel is several times slower.
    """

    @staticmethod
    def forward(ctx: Any, search: Tensor, template: Tensor) -> Tensor:
        ctx.save_for_backward(search, template)
        return _correlate(search, template)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        search, template = ctx.saved_tensors
        (grad,) = grads
        to_search = to_template = None
        if ctx.needs_input_grad[0]:
            to_search = _correlate(grad, template.flip(-2, -1), padding=template.shape[-1] - 1)
        if ctx.needs_input_grad[1]:
            to_template = _correlate(search, grad)
        return to_search, to_template


def _correlate(images: Tensor, kernel: Tensor, padding: int = 0) -> Tensor:
    batch, channels = images.shape[:2]
    flat = images.reshape(1, batch * channels, *images.shape[2:])
    weight = kernel.reshape(batch * channels, 1, *kernel.shape[2:])
    out = F.conv2d(flat, weight, padding=padding, groups=batch * channels)
    return out.view(batch, channels, *out.shape[2:])


def depthwise_correlation(search: Tensor, template: Tensor) -> Tensor:
    """Correlation (B, C, H-h+1, W-w+1) of search (B, C, H, W) with square templates (B, C, h, h), channel by channel.

    Computed in (at least) fp32, also under autocast: on a CPU bf16 is slower here, and sums of 49 products gain.
    """
    with torch.autocast(search.device.type, enabled=False):
        if search.dtype != torch.float64:
            search, template = search.float(), template.float()
        out: Tensor = _Depthwise.apply(search, template)
    return out
