"""Depth-wise cross-correlation of search features with template features."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def grouped(images: Tensor, kernels: Tensor) -> tuple[Tensor, Tensor, int]:
    """Image (1, B·C, H, W), kernels (B·C, 1, h, w) and groups of a depth-wise convolution."""
    groups = images.shape[0] * images.shape[1]
    image = images.reshape(1, groups, *images.shape[2:])
    return image, kernels.reshape(groups, 1, *kernels.shape[2:]), groups


class Correlation(nn.Module):
    """Σ_uv z[u, v]·x[i + u, j + v] of search x and template z, for each image and channel.

    Computed in (at least) fp32, also under autocast: on a CPU bf16 is slower here, and sums of 49
    products gain.
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
