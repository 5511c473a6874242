"""SiamCAR's ResNet-50: stride 8 throughout, layers 2 to 4 as levels, as its public code has it."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from siamla.model.backbone import Backbone
from siamla.model.weights import check_shapes

EXPANSION = 4


class Bottleneck(nn.Module):
    """1×1 → 3×3 → 1×1 with batch norms and a shortcut.

    A stage with stride has no padding in its strided 3×3 and shortcut. The first block of a dilated
    stage uses half the stage's dilation in its 3×3 and in its shortcut, which is 3×3 in layers 2 to
    4 (torchvision's is 1×1).
    """

    def __init__(
        self, inputs: int, width: int, stride: int, dilation: int, shortcut: nn.Module | None
    ) -> None:
        super().__init__()
        outputs = width * EXPANSION
        padding = 0 if stride > 1 else dilation
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def _stage(
    inputs: int, width: int, blocks: int, stride: int, dilation: int, plain_shortcut: bool
) -> nn.Sequential:
    outputs = width * EXPANSION
    first = dilation // 2 if dilation > 1 else 1
    if plain_shortcut:
        conv = nn.Conv2d(inputs, outputs, 1, bias=False)
    else:
        conv = nn.Conv2d(inputs, outputs, 3, stride, 0 if stride > 1 else first, first, bias=False)
    shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))
    layers = [Bottleneck(inputs, width, stride, first, shortcut)]
    layers += [Bottleneck(outputs, width, 1, dilation, None) for _ in range(blocks - 1)]
    return nn.Sequential(*layers)


class ResNet50(Backbone):
    """Layers 2, 3 and 4 at stride 8: 127 px give 15×15 cells, 255 px 31×31. Input BGR 0..255, not
    normalised. Names of parameters are the public ones.
    """

    out_channels = (512, 1024, 2048)
    strides = (8, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=0, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(64, 64, 3, 1, 1, plain_shortcut=True)
        self.layer2 = _stage(256, 128, 4, 2, 1, plain_shortcut=False)
        self.layer3 = _stage(512, 256, 6, 1, 2, plain_shortcut=False)
        self.layer4 = _stage(1024, 512, 3, 1, 4, plain_shortcut=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def lower(self, images: Tensor) -> Tensor:
        """Level (B, 512, n, n) of images (B, 3, H, W)."""
        x = images.float().contiguous(memory_format=torch.channels_last)
        x = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
        return self.layer2(x)

    def upper(self, first: Tensor) -> tuple[Tensor, ...]:
        """Levels (B, 1024, n, n), (B, 2048, n, n) of the first."""
        third = self.layer3(first)
        return third, self.layer4(third)

    def upper_parameters(self) -> Iterator[nn.Parameter]:
        yield from self.layer3.parameters()
        yield from self.layer4.parameters()

    @torch.no_grad()
    def load_imagenet(self, state: dict[str, Tensor], name: str) -> None:
        """Load a published state dict with pysot's names and shapes, whatever else it holds."""
        weights = {
            key: value
            for key, value in self.state_dict().items()
            if not key.endswith("num_batches_tracked")
        }
        hint = "use pysot's resnet50.model, whose shortcuts in layers 2-4 are 3×3"
        check_shapes(name, state, weights, hint)
        for key, value in weights.items():
            value.copy_(state[key])


BACKBONE = ResNet50
