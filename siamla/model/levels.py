"""What a backbone is: images in, feature levels out."""

from abc import ABC, abstractmethod
from pathlib import Path

from torch import Tensor, nn


class Backbone(nn.Module, ABC):
    """A network whose forward takes (B, 3, H, W) BGR images, 0..255, uint8 or float, and returns
    feature levels.

    `out_channels` and `strides` describe the levels (stride 8, or 16 on every second cell of stride
    8). Every level is centred: its middle cell looks at the middle pixel of an image of 127 or 255
    px. Each backbone does its own colour conversion and normalisation. Batch norm never updates its
    statistics here, `train()` or not: SiamCAR lets it when layers 2-4 unfreeze, with statistics of
    a few images a device; ours keeps ImageNet's, so that a step does not depend on how a batch is
    split. Thawed, all layers learn ("end-to-end", section IV-A); SiamCAR keeps conv1 and layer1.
    """

    out_channels: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def package_weights(cls) -> Path | None:
        """The file of ImageNet weights that an installed package ships; None where none does."""
        return None

    @abstractmethod
    def load_imagenet(self, state: dict[str, Tensor], name: str) -> None:
        """Load a published state dict; UserError naming the file `name` when it does not fit."""
