"""How crops are cut and how training pairs are drawn."""

from pydantic import Field

from siamla.grid import TEMPLATE
from siamla.settings import Settings


class CropSettings(Settings):
    """A cached training crop: a square around the target, large enough for every augmentation (siamcar.md §2.7)."""

    size: int = Field(
        511, ge=TEMPLATE, le=1023, description="side in pixels; the target is scaled as in a 127 px template"
    )
    context: float = Field(0.5, ge=0, le=2)
    quality: int = Field(95, ge=50, le=100, description="JPEG quality of the packed crops")
    max_frames: int | None = Field(None, ge=1, description="evenly spaced frames kept of a sequence; null = all")


class Jitter(Settings):
    """Random shift (± px), scale (± share, drawn for x and y apart), blur and colour (siamcar.md §2.6)."""

    shift: float = Field(0, ge=0, le=128)
    scale: float = Field(0, ge=0, lt=1)
    blur: float = Field(0, ge=0, le=1, description="probability of a motion blur")
    flip: float = Field(0, ge=0, le=1, description="probability; one draw for both crops of a pair")
    gray: float = Field(0, ge=0, le=1, description="probability; one draw for both crops of a pair")
    colour: float = Field(0, ge=0, le=1, description="probability of a colour offset")


class PairSettings(Settings):
    """Template and search are two frames of one sequence at most frame_range apart, each with its jitter."""

    dataset: str
    count: int | None = Field(None, ge=1, description="distinct pairs; null = every epoch draws new ones")
    seed: int = Field(0, ge=0)
    frame_range: int = Field(100, ge=0)
    template: Jitter = Jitter(shift=4, scale=0.05, colour=1)
    search: Jitter = Jitter(shift=64, scale=0.18, blur=0.2, colour=1)
