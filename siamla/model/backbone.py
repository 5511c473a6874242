"""The backbones by name; a new one is a module and a line here, and its name in ModelSettings."""

from torch import Tensor

from siamla.errors import UserError
from siamla.model.efficientnet import EfficientNetLite0
from siamla.model.levels import Backbone
from siamla.model.resnet import ResNet50
from siamla.model.settings import ModelSettings, Weights
from siamla.model.weights import locate, read_state

BACKBONES: dict[str, type[Backbone]] = {
    "resnet50": ResNet50,
    "efficientnet_lite0": EfficientNetLite0,
}


def build_backbone(settings: ModelSettings) -> Backbone:
    """The backbone named by the settings with its weights loaded; UserError when these do not fit."""
    backbone = BACKBONES[settings.backbone]()
    if settings.weights == "random":
        return backbone
    path = (
        locate(settings.weights)
        if isinstance(settings.weights, Weights)
        else backbone.package_weights()
    )
    if path is None:
        raise UserError(
            f"weights: no package ships {settings.backbone}; give weights: {{path or url, sha256}}"
            " or 'random'"
        )
    backbone.load_imagenet(read_state(path), str(path))
    return backbone


def check_images(images: Tensor, size: int, name: str) -> None:
    """UserError unless `images` is (B, 3, size, size)."""
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, size, size):
        raise UserError(
            f"{name}: images of shape {tuple(images.shape)}, expected (batch, 3, {size}, {size})"
        )
