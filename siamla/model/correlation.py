"""Depth-wise cross-correlation of search features with template features."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv2d_input


class _Depthwise(torch.autograd.Function):
    """Σ_uv z[u, v]·x[i + u, j + v] per image and channel, each gradient by the kernel that is fast
    for it.

    The search's gradient is a convolution's. The template's is a correlation of the search with the
    output's gradient, which autograd would compute as the gradient of the weights of B·C
    convolutions, ten times more slowly.
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
            groups, images, kernel = _grouped(search, template)
            to_search = conv2d_input(
                images.shape, kernel, grad.reshape(1, groups, *grad.shape[2:]), groups=groups
            )
            to_search = to_search.view_as(search)
        if ctx.needs_input_grad[1]:
            to_template = _correlate(search, grad)
        return to_search, to_template


def _grouped(images: Tensor, kernel: Tensor) -> tuple[int, Tensor, Tensor]:
    """B·C, one image (1, B·C, H, W) and the kernels (B·C, 1, h, w) of a convolution with as many
    groups.
    """
    groups = images.shape[0] * images.shape[1]
    return (
        groups,
        images.reshape(1, groups, *images.shape[2:]),
        kernel.reshape(groups, 1, *kernel.shape[2:]),
    )


def _correlate(images: Tensor, kernel: Tensor) -> Tensor:
    groups, flat, weight = _grouped(images, kernel)
    out = F.conv2d(flat, weight, groups=groups)
    return out.view(*images.shape[:2], *out.shape[2:])


def depthwise_correlation(search: Tensor, template: Tensor) -> Tensor:
    """Correlation (B, C, H-h+1, W-w+1) of search (B, C, H, W) with square templates (B, C, h, h),
    channel by channel.

    Computed in (at least) fp32, also under autocast: on a CPU bf16 is slower here, and sums of 49
    products gain.
    """
    with torch.autocast(search.device.type, enabled=False):
        if search.dtype != torch.float64:
            search, template = search.float(), template.float()
        out: Tensor = _Depthwise.apply(search, template)
    return out
