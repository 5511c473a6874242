"""Hyper-parameters of tracking."""

from typing import Any, Literal

from pydantic import Field

from siamla.engine.settings import EngineName
from siamla.grid import SCORE
from siamla.settings import Settings

BATCH = "sequences of a benchmark tracked in lock step, for GPUs; its frames have no times"
LOST = (
    "confidence below which the target is called lost, from `siamla model calibrate`;"
    " decides no box"
)


class TrackerSettings(Settings):
    """Post-processing: `topn` is the paper's (eq. 12–13), `release` the public SiamCAR code's."""

    postprocess: Literal["topn", "release"] = Field(
        "topn", description="the paper's, or the public SiamCAR code's"
    )
    top_n: int = Field(3, ge=1, le=SCORE**2, description="best cells whose boxes are averaged")
    penalty_k: float = Field(0.04, ge=0, description="k of eq. 13")
    window: float = Field(0.4, ge=0, le=1, description="w of eq. 12, the window influence")
    size_lr: float = Field(0.33, gt=0, le=1, description="rate of the size smoothing")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="bf16 for GPUs and CPUs that compute in it"
    )
    engine: EngineName = Field(
        "auto", description="auto: torch on a GPU; openvino on a CPU where it is installed"
    )
    batch: int = Field(1, ge=1, le=256, description=BATCH)
    lost: float | None = Field(None, ge=0, le=1, exclude=True, description=LOST)


def stored(settings: TrackerSettings) -> dict[str, Any]:
    """All settings as JSON-ready data; a plain dump, as in an identity, is without `lost`."""
    return {**settings.model_dump(mode="json"), "lost": settings.lost}
