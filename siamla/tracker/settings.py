"""Hyper-parameters of tracking."""

from typing import Any, Literal

from pydantic import Field, model_validator

from siamla.engine.settings import EngineName
from siamla.grid import SCORE
from siamla.settings import Settings, neutral, without_neutral

BATCH = "sequences of a benchmark tracked in lock step, for GPUs; its frames have no times"
LOST = (
    "confidence below which the target is called lost, from `siamla model calibrate`;"
    " decides no box"
)
CALM = (
    "steps below this share of the target's padded side are damped, so that what stands still does"
)
RECOVER = (
    "share of its first scores below which the tracker is lost: it keeps the box's size and"
    " searches wider, until it is sure again; 0 = never"
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
    colours: bool = neutral(
        False, description="the score counts how like the target's colours the box's are"
    )
    recover: float = neutral(0.0, ge=0, le=0.8, description=RECOVER)
    calm: float = neutral(0.0, ge=0, le=0.5, description=CALM)

    @model_validator(mode="after")
    def _fit(self) -> "TrackerSettings":
        used = [name for name in ("colours", "recover", "calm") if getattr(self, name)]
        if used and self.postprocess == "release":
            raise ValueError(f"{used[0]} needs postprocess topn: release is the public code's")
        if self.recover and self.lost is not None:
            raise ValueError(
                "lost is of no use beside recover, which says when it is lost; set recover: 0"
            )
        return self


def stored(settings: TrackerSettings) -> dict[str, Any]:
    """All settings as JSON-ready data; a plain dump, as in an identity, is without `lost`."""
    return {**settings.model_dump(mode="json"), "lost": settings.lost}


RUNNING = ("precision", "engine", "batch")
"""Settings that say how a network is run; an exported folder runs as it can."""


def exported(settings: TrackerSettings) -> dict[str, Any]:
    """What an exported folder says of them: what decides a box, whatever runs the network, and the
    threshold `lost` where there is one.
    """
    plain = {key: value for key, value in without_neutral(settings).items() if key not in RUNNING}
    return plain if settings.lost is None else {**plain, "lost": settings.lost}
