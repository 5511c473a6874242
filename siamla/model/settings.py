"""What the network is made of."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from siamla.settings import Settings

BackboneName = Literal["resnet50", "efficientnet_lite0"]
"""The backbones: modules of siamla.model.backbones."""


class Weights(Settings):
    """Where ImageNet weights come from: a file or a URL, checked against its SHA-256."""

    path: Path | None = None
    url: str | None = None
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def one_source(self) -> "Weights":
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path or url")
        return self


class Lafa(Settings):
    """LAFA's two blocks (section III-D); Table VI switches each off."""

    nonlocal_block: bool = Field(
        True, description="eq. 8–9, the localization-aware non-local block"
    )
    aggregation_block: bool = Field(True, description="five sampled points of the predicted box")
    scale_attention: bool = Field(
        False, description="divide the attention logits by √d; off as printed"
    )
    shared_gradient: bool = Field(
        True, description="whether its gradient reaches the features that the head shares"
    )


class ModelSettings(Settings):
    """SiamCAR's network and the switch to SiamLA's separate localization branch."""

    backbone: BackboneName = Field("resnet50", description="network that makes the features")
    weights: Weights | Literal["package", "random"] = Field(
        "random", description="file or URL; 'package' (efficientnet_lite0) or 'random'"
    )
    channels: int = Field(
        256, ge=8, le=2048, multiple_of=8, description="of the features after the backbone"
    )
    tower_depth: int = Field(4, ge=1, le=8, description="convolutions of each tower of the head")
    groups: int = Field(32, ge=1, description="groups of GroupNorm; divides channels")
    regression_bias: float = Field(
        0.0, ge=0, le=6, description="initial bias of log(l, t, r, b) in crop pixels"
    )
    prior: float | None = Field(
        None,
        gt=0,
        lt=1,
        description=(
            "initial target score c of every cell; null: .5, from two logits without a bias"
        ),
    )
    localization: Literal["centerness", "lafa"] = Field(
        "centerness", description="branch beside the classification: SiamCAR's, or SiamLA's LAFA"
    )
    lafa: Lafa = Lafa()

    @model_validator(mode="after")
    def groups_divide(self) -> "ModelSettings":
        if self.channels % self.groups:
            raise ValueError(f"groups ({self.groups}) does not divide channels ({self.channels})")
        return self
