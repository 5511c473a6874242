"""The backbones behind one interface; colour order, value range and normalisation are part of it."""

from torch import Tensor

from siamla.errors import UserError
from siamla.model.efficientnet import EfficientNetLite0
from siamla.model.resnet import ResNet50
from siamla.model.settings import ModelSettings, Weights
from siamla.model.weights import locate, read_state

Backbone = EfficientNetLite0 | ResNet50
"""An nn.Module whose forward takes (B, 3, H, W) BGR images, 0..255, uint8 or float, and returns feature levels.

`out_channels` and `strides` describe the levels (stride 8, or 16 on every second cell of stride 8). Every level
is centred: its middle cell looks at the middle pixel of an image of 127 or 255 px. Each backbone does its own
colour conversion and normalisation. Batch norm never updates its statistics here, `train()` or not: SiamCAR lets
it when layers 2-4 unfreeze, with statistics of a few images a device; ours keeps ImageNet's, so that a step does not
depend on how a batch is split. Thawed, all layers learn ("end-to-end", section IV-A); SiamCAR keeps conv1 and layer1.
"""


def build_backbone(settings: ModelSettings) -> Backbone:
    """The backbone named by the settings with its weights loaded; UserError when these do not fit."""
    backbone: Backbone = EfficientNetLite0() if settings.backbone == "efficientnet_lite0" else ResNet50()
    if isinstance(settings.weights, Weights):
        path = locate(settings.weights)
        backbone.load_imagenet(read_state(path), str(path))
    elif settings.weights == "package":
        if not isinstance(backbone, EfficientNetLite0):
            raise UserError(
                f"weights: no package ships {settings.backbone}; give weights: {{path or url, sha256}} or 'random'"
            )
        backbone.load_package()
    return backbone


def check_images(images: Tensor, size: int, name: str) -> None:
    """UserError unless `images` is (B, 3, size, size)."""
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, size, size):
        raise UserError(f"{name}: images of shape {tuple(images.shape)}, expected (batch, 3, {size}, {size})")
