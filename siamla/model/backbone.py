"""What a backbone is: images in, feature levels out; and one by its name."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from torch import Tensor, nn

from siamla.errors import UserError
from siamla.model.settings import BackboneName, ModelSettings, Weights
from siamla.model.weights import locate, read_state


class Backbone(nn.Module, ABC):
    """A network whose forward takes (B, 3, H, W) BGR images, 0..255, uint8 or float, and returns
    feature levels, described by `out_channels` and `strides`. The first is what `lower` gives.

    A stride is a multiple of 8. Every level is centred: its middle cell looks at the middle pixel
    of an image of 127 or 255 px. Batch norm keeps ImageNet's statistics; SiamCAR's learns them when
    layers 2-4 unfreeze. Thawed, all layers learn (section IV-A); SiamCAR keeps conv1 and layer1.
    """

    out_channels: tuple[int, ...]
    strides: tuple[int, ...]

    @abstractmethod
    def lower(self, images: Tensor) -> Tensor:
        """The first level of images."""

    @abstractmethod
    def upper(self, first: Tensor) -> tuple[Tensor, ...]:
        """The other levels, of the first."""

    @abstractmethod
    def upper_parameters(self) -> Iterator[nn.Parameter]:
        """The weights that `upper` reads."""

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """All levels of images."""
        first = self.lower(images)
        return first, *self.upper(first)

    @classmethod
    def package_weights(cls) -> Path | None:
        """The file of ImageNet weights that an installed package ships; None where none does."""
        return None

    @abstractmethod
    def load_imagenet(self, state: dict[str, Tensor], name: str) -> None:
        """Load a published state dict; UserError naming the file `name` when it does not fit."""


def backbone_class(name: BackboneName) -> type[Backbone]:
    """The backbone of this name."""
    backbone: type[Backbone] = import_module(f"siamla.model.backbones.{name}").BACKBONE
    return backbone


def build_backbone(settings: ModelSettings) -> Backbone:
    """The settings' backbone with its weights loaded; UserError when these do not fit."""
    backbone = backbone_class(settings.backbone)()
    if settings.weights == "random":
        return backbone
    weights = settings.weights
    path = locate(weights) if isinstance(weights, Weights) else backbone.package_weights()
    if path is None:
        raise UserError(
            f"weights: no package ships {settings.backbone}; give path or url, or 'random'"
        )
    backbone.load_imagenet(read_state(path), str(path))
    return backbone
