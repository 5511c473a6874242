"""How crops are cut and how training pairs are drawn."""

from fractions import Fraction
from math import ceil
from typing import Literal

from pydantic import Field, model_validator

from siamla.grid import SEARCH, TEMPLATE
from siamla.settings import Name, Settings


class CropSettings(Settings):
    """A cached training crop: a square around the target, as large as the augmentation reaches."""

    size: int = Field(431, ge=TEMPLATE, le=1023, description="pixels; a template has 127")
    form: Literal["jpeg", "raw"] = Field("jpeg", description="raw: pixels, 16 times the disk")
    quality: int = Field(95, ge=50, le=100, description="JPEG quality of the packed crops")
    max_frames: int | None = Field(None, ge=1, description="frames kept of a sequence; null = all")

    @model_validator(mode="after")
    def odd(self) -> "CropSettings":
        if self.size % 2 == 0:
            what = f"{self.size} pixels have no middle one, as the views have"
            raise ValueError(f"size: {what}; expected {self.size - 1} or {self.size + 1}")
        return self


class Jitter(Settings):
    """Random shift (± px), scale (± share), blur and colour, as in SiamCAR's public code."""

    shift: float = Field(0, ge=0, le=128, description="pixels of the view, at most, each way")
    scale: float = Field(0, ge=0, lt=1, description="share of the size, at most, each way")
    blur: float = Field(0, ge=0, le=1, description="probability of a motion blur")
    flip: float = Field(0, ge=0, le=1, description="probability; one draw for both crops of a pair")
    gray: float = Field(0, ge=0, le=1, description="probability; one draw for both crops of a pair")
    colour: float = Field(0, ge=0, le=1, description="probability of a colour offset")
    degrade: float = Field(0, ge=0, le=1, description="probability: fewer pixels, JPEG or noise")

    def reach(self, size: int) -> float:
        """Side of the square around the target that views of `size` pixels can show."""
        return 2 * self.shift + size * (1 + self.scale)


class Part(Settings):
    """What a training takes of one of several sets."""

    share: float = Field(gt=0, le=1, description="of the pairs; the shares of all sets sum to 1")
    reach: int | None = Field(None, ge=1, description="frames between the crops; null for stills")

    @property
    def exact(self) -> Fraction:
        """The share as it is written."""
        return Fraction(repr(self.share))


class PairSettings(Settings):
    """Template and search are two frames of one sequence, at most frame_range apart. `views` is for
    a frozen backbone: its features of every view of every crop are computed once, and any two views
    of a sequence make a pair.
    """

    dataset: str | dict[Name, Part] = Field(description="a training set, or several with shares")
    views: int | None = Field(None, ge=1, le=64, description="draws a crop; null: each pair's own")
    negatives: float = Field(0, ge=0, lt=1, description="share of pairs without the target")
    seed: int = Field(0, ge=0, description="of the draw of the pairs")
    frame_range: int = Field(100, ge=0, description="frames between template and search at most")
    template: Jitter = Jitter(shift=4, scale=0.05, colour=1)
    search: Jitter = Jitter(shift=64, scale=0.18, blur=0.2, colour=1)

    @property
    def parts(self) -> dict[str, Part]:
        """The sets by name, a single one with all pairs."""
        if isinstance(self.dataset, str):
            return {self.dataset: Part(share=1, reach=self.frame_range or None)}
        return self.dataset

    @property
    def reach(self) -> int:
        """The least size of crops that hold every view, template's and search's; odd."""
        return ceil(max(self.template.reach(TEMPLATE), self.search.reach(SEARCH))) // 2 * 2 + 1

    @model_validator(mode="after")
    def whole(self) -> "PairSettings":
        if isinstance(self.dataset, str):
            return self
        total = sum(part.exact for part in self.dataset.values())
        if total != 1:
            fitting = [
                f"{name} {float(part.exact / total):.4g}" for name, part in self.dataset.items()
            ]
            what = f"the shares sum to {float(total):g}, expected 1; in their proportions"
            raise ValueError(f"dataset: {what} {', '.join(fitting) or 'no set is named'}")
        if self.views is not None:
            what = "only a single data set has a finite number of views"
            raise ValueError(f"views: {what}, found several")
        return self
