"""Labels, losses and the course of training."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from siamla.settings import Settings, neutral


class Labels(Settings):
    """Which cells are positive and what their classification label is (sections III-A to III-C)."""

    ladl: bool = Field(False, description="localization-aware dynamic label loss, eq. 3–6")
    mapping: Literal["nonlinear", "linear"] = Field(
        "nonlinear", description="eq. 5, or the IoU itself (Table IV)"
    )
    alpha: float = Field(0.5, gt=0, lt=1, description="α of eq. 5, the IoU whose label is ½")
    beta: float = Field(10.0, gt=0, description="β of eq. 5, how steeply the label rises")
    normalize: Literal["minmax", "max", "none"] = Field(
        "minmax",
        description=(
            "minmax: eq. 6 over an image's positives; max: scaled alone, the largest to the"
            " largest IoU"
        ),
    )
    normalize_epochs: int | None = Field(
        None, ge=0, description="stop it after this many epochs; null = never"
    )
    reweight: bool = neutral(
        True, description="with LADL, negatives are weighted by (1+c), as eq. 4 has it"
    )
    lals: bool = Field(
        False, description="localization-aware label smoothing: boundary cells are positives"
    )
    lambda_: float = Field(
        0.2, gt=0, le=1, alias="lambda", description="eq. 7's λ of boundary cells"
    )
    centre_fraction: float = Field(
        0.4, gt=0, le=1, description="centre cells: the central share of the box per axis"
    )
    nearest_if_none: bool = Field(
        False, description="the cell nearest to the centre is positive when no other is"
    )


class LossWeights(Settings):
    """Weights of the summed losses: 1, 3, 1 for the baseline, 1, 1, 1 (eq. 11) with LAFA."""

    classification: float = Field(1.0, ge=0, description="weight of the classification loss")
    regression: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        "auto", description="auto: 3, and 1 where LAFA has replaced centre-ness"
    )
    localization: float = Field(1.0, ge=0, description="weight of the loss of centre-ness or LAFA")
    boxes: Literal["auto", "centerness", "uniform"] = Field(
        "auto",
        description=(
            "weights of the positives in the regression loss; auto: uniform with LAFA, else"
            " centerness"
        ),
    )
    boundary: float = Field(
        1.0, gt=0, le=1, description="factor on those weights at boundary cells"
    )
    negatives: Literal["random", "confident"] = Field(
        "random",
        description="negative cells of eq. 10: drawn evenly, or those with the highest score c",
    )

    def of_regression(self, localization: str) -> float:
        """The weight of the regression loss, of a network with this branch."""
        if self.regression == "auto":
            return 1.0 if localization == "lafa" else 3.0
        return self.regression


class TrainingSettings(Settings):
    """Optimisation; the backbone is frozen for the first frozen_epochs."""

    init: Path | None = neutral(
        None, description="a model file whose weights the training starts from; null = fresh ones"
    )
    epochs: int = Field(50, ge=1, le=100_000, description="passes, of pairs_per_epoch pairs each")
    frozen_epochs: int = Field(
        5, ge=0, description="the first, in which the backbone stays as it is"
    )
    thaw: Literal["all", "upper"] = neutral(
        "all",
        description=(
            "what of the backbone learns then; upper: the blocks above its first level, from"
            " cached features"
        ),
    )
    pairs_per_epoch: int = Field(600_000, ge=1, le=10**9, description="pairs drawn an epoch")
    batch: int = Field(128, ge=1, le=8192, description="pairs a step, on all GPUs together")
    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="how weights are moved")
    schedule: Literal["exponential", "cosine"] = Field(
        "exponential", description="course of the learning rate from lr_start to lr_end"
    )
    lr_start: float = Field(5e-3, gt=0, description="learning rate at the start")
    lr_end: float = Field(1e-5, gt=0, description="learning rate at the end")
    warmup_steps: int = Field(0, ge=0, description="steps in which the rate rises from 0")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(1e-4, ge=0, description="pull of the weights towards 0")
    clip_norm: float = Field(10.0, gt=0, description="largest norm of a step's gradient")
    backbone_lr_scale: float = Field(0.1, ge=0, description="the backbone's share of the rate")
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="bf16 for GPUs; fp16, with scaled losses, for GPUs without bf16"
    )

    @model_validator(mode="after")
    def whole_epochs(self) -> "TrainingSettings":
        if self.frozen_epochs > self.epochs:
            raise ValueError(f"frozen_epochs ({self.frozen_epochs}) exceeds epochs ({self.epochs})")
        if self.pairs_per_epoch < self.batch:
            raise ValueError(
                f"pairs_per_epoch ({self.pairs_per_epoch}) is less than one batch ({self.batch})"
            )
        return self

    @property
    def steps_per_epoch(self) -> int:
        """Pairs that do not fill a batch wait for the next epoch."""
        return self.pairs_per_epoch // self.batch

    @property
    def cached_epochs(self) -> int:
        """The first epochs, in which cached features can be read."""
        return self.frozen_epochs if self.thaw == "all" else self.epochs
