"""The network as an engine runs it: two graphs from uint8 crops to numbers that post-processing
needs.

The model's weights in forms that compilers like: batch norms folded into their convolutions, LAFA's
sampling as rows gathered and weighted instead of an embedding bag, its attention as two matrix
products, softmax and exponential inside. Crops are (B, side, side, 3) uint8, BGR, as they are cut;
the batch is fixed when a graph is traced.
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from siamla.grid import CELLS, KERNEL, SCORE
from siamla.model.lafa import Aggregation, NonLocal, box_points
from siamla.model.siamla import SiamLA


def fold(model: SiamLA) -> None:
    """Make every batch norm a part of the convolution before it."""
    for module in list(model.modules()):
        before: tuple[str, nn.Conv2d] | None = None
        for name, child in list(module.named_children()):
            if isinstance(
                child, nn.BatchNorm2d
            ):  # registered right after its convolution, everywhere in the model
                assert before is not None
                assert before[1].out_channels == child.num_features
                setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
                setattr(module, name, nn.Identity())
            before = (name, child) if isinstance(child, nn.Conv2d) else None


class Attention(nn.Module):
    """NonLocal's numbers as logits, softmax and one matrix product, channels first throughout."""

    def __init__(self, block: NonLocal) -> None:
        super().__init__()
        self.block = block
        self.factor = (
            1 / math.sqrt(block.theta.out_channels) if block.scale is None else block.scale
        )

    def forward(self, x: Tensor, naive: Tensor) -> Tensor:
        """As NonLocal's."""
        block = self.block
        positioned = x + block.embed(naive)
        query, key = (
            block.theta(positioned).flatten(2) * self.factor,
            block.phi(positioned).flatten(2),
        )
        weights = torch.softmax((query.transpose(1, 2) @ key).float(), dim=2).to(x.dtype)
        attended = block.value(x).flatten(2) @ weights.transpose(1, 2)
        return block.out(attended.view(x.shape)) + x


class Sampling(nn.Module):
    """Aggregation's numbers from plain gathers."""

    def __init__(self, block: Aggregation) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, ltrb: Tensor) -> Tensor:
        """As Aggregation's."""
        if self.block.points > 1:
            x = (
                gather(x, box_points(ltrb).flatten(1, 3))
                .view(len(x), SCORE, SCORE, -1)
                .permute(0, 3, 1, 2)
            )
        return F.relu(self.block.fuse(x))


def gather(features: Tensor, points: Tensor) -> Tensor:
    """siamla.model.lafa.sample for features (B, C, 25, 25): rows of the four neighbours times
    bilinear weights.
    """
    batch, channels = features.shape[:2]
    points = points.clamp(0, SCORE - 1)
    low = points.floor().clamp(max=SCORE - 2)
    right, down = (points - low).unbind(-1)
    column, row = low.unbind(-1)
    image = torch.arange(batch, device=points.device, dtype=points.dtype)[:, None] * SCORE**2
    first = (image + row * SCORE + column).to(torch.int32).flatten()
    table = features.permute(0, 2, 3, 1).reshape(-1, channels)
    left, up = 1 - right, 1 - down
    corners = ((0, left * up), (1, right * up), (SCORE, left * down), (SCORE + 1, right * down))
    rows = [
        table.index_select(0, first + step) * weight.to(table.dtype).view(-1, 1)
        for step, weight in corners
    ]
    return (rows[0] + rows[1] + rows[2] + rows[3]).view(batch, -1, channels)


class Banded(nn.Module):
    """Depth-wise correlation without a convolution whose weights are an input: a banded Toeplitz
    matrix a channel.

    Row i of the map is Σ_u search[i + u] · T_u with T_u[j + v, j] = kernel[u, v]; the seven T_u
    below each other make the template's state (B, C, 7·31, 25), and the search's rows i … i + 6
    beside each other one matrix product.
    """

    basis: Tensor

    def __init__(self) -> None:
        super().__init__()
        basis = torch.zeros(KERNEL, CELLS, SCORE)
        for v in range(KERNEL):
            basis[v, torch.arange(SCORE) + v, torch.arange(SCORE)] = 1
        self.register_buffer("basis", basis.flatten(1), persistent=False)

    def matrix(self, kernel: Tensor) -> Tensor:
        """State (B, C, 217, 25) of kernels (B, C, 7, 7)."""
        return (kernel @ self.basis).view(*kernel.shape[:2], KERNEL * CELLS, SCORE)

    def forward(self, search: Tensor, state: Tensor) -> Tensor:
        """Correlation (B, C, 25, 25) of search features (B, C, 31, 31)."""
        rows = [search[:, :, start : start + SCORE] for start in range(KERNEL)]
        return torch.cat(rows, dim=3) @ state


def correlate(search: Tensor, kernel: Tensor) -> Tensor:
    """Correlation (B, C, 25, 25) of search (B, C, 31, 31) and kernels (B, C, 7, 7) as one grouped
    convolution.
    """
    batch, channels = search.shape[:2]
    flat = search.reshape(1, batch * channels, CELLS, CELLS)
    out = F.conv2d(
        flat, kernel.reshape(batch * channels, 1, KERNEL, KERNEL), groups=batch * channels
    )
    return out.view(batch, channels, SCORE, SCORE)


def for_inference(model: SiamLA) -> SiamLA:
    """A copy of the network in evaluation mode, without gradients, folded and in the forms above;
    equal to 1e-5.
    """
    model = copy.deepcopy(model).eval().requires_grad_(False)
    fold(model)
    if model.lafa is not None:
        if isinstance(model.lafa.nonlocal_block, NonLocal):
            model.lafa.nonlocal_block = Attention(model.lafa.nonlocal_block)  # type: ignore[assignment]
        model.lafa.aggregation = Sampling(model.lafa.aggregation)  # type: ignore[assignment]
    return model


class TemplateGraph(nn.Module):
    """Template crops → the state that the search graph takes: one kernel for all levels, channels
    one after another.
    """

    def __init__(self, model: SiamLA, portable: bool = False) -> None:
        super().__init__()
        self.backbone, self.necks = model.backbone, model.necks
        self.banded = Banded() if portable else None

    def forward(self, template: Tensor) -> Tensor:
        """State (B, L·C, 7, 7), or (B, L·C, 217, 25) in the portable form, of crops (B, 127, 127,
        3).
        """
        levels = self.backbone(template.permute(0, 3, 1, 2))
        kernels = [neck(level, KERNEL) for neck, level in zip(self.necks, levels, strict=True)]
        kernel = torch.cat(kernels, dim=1).float()
        return kernel if self.banded is None else self.banded.matrix(kernel)


class SearchGraph(nn.Module):
    """Search crops and a template's state → score maps in fp32.

    `cls` (B, 25, 25) is the classification score c in [0, 1], `ltrb` (B, 4, 25, 25) the offsets in
    crop pixels, `loc` (B, 25, 25) the logit of q.
    """

    def __init__(self, model: SiamLA, portable: bool = False) -> None:
        super().__init__()
        self.backbone, self.necks, self.fusion, self.head = (
            model.backbone,
            model.necks,
            model.fusion,
            model.head,
        )
        self.lafa = model.lafa
        self.banded = Banded() if portable else None

    def forward(self, search: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(cls, ltrb, loc) of crops (B, 255, 255, 3)."""
        levels = self.backbone(search.permute(0, 3, 1, 2))
        parts = [neck(level, CELLS) for neck, level in zip(self.necks, levels, strict=True)]
        features = torch.cat(parts, dim=1).float()
        correlation = (
            correlate(features, state) if self.banded is None else self.banded(features, state)
        )
        correlation = correlation.to(self.fusion.weight.dtype)
        fused = self.fusion(correlation.contiguous(memory_format=torch.channels_last))
        cls, ltrb, loc = self.head(fused)
        if self.lafa is not None:
            naive = correlation.mean(dim=1, keepdim=True) / KERNEL**2
            loc = self.lafa(fused, naive, ltrb)
        return torch.softmax(cls.float(), dim=1)[:, 1], ltrb.float(), loc[:, 0].float()
