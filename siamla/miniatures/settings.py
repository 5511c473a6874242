"""What a rendered set is made of: params/synthetic.yaml holds one entry per set."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from siamla.data.layout import LayoutName
from siamla.settings import Name, Settings, read_yaml, validate

Split = Literal["train", "test", "validation"]


class Challenges(Settings):
    """The share of sequences that get each challenge; spread evenly, so that 0.25 of 12 are exactly
    three.
    """

    occlusion: float = Field(0.4, ge=0, le=1, description="something passes in front of the target")
    leave: float = Field(0.2, ge=0, le=1, description="the target crosses the border of the frame")
    deform: float = Field(0.4, ge=0, le=1, description="the outline and the texture wobble")
    light: float = Field(0.4, ge=0, le=1, description="brightness, colour and a shadow change")
    blur: float = Field(0.4, ge=0, le=1, description="motion blur of target and camera")
    lookalike: float = Field(
        0.4, ge=0, le=1, description="a distractor with nearly the target's looks"
    )
    fast: float = Field(0.3, ge=0, le=1, description="steps are 2.5 times as long")
    zoom: float = Field(
        0.4, ge=0, le=1, description="the size changes by `zoom`, else by its cube root"
    )
    rotate: float = Field(
        0.4, ge=0, le=1, description="turns by `rotation`, else by a quarter of it"
    )
    turn: float = Field(
        0.3, ge=0, le=1, description="out of the image plane: aspect and visible side change"
    )
    tiny: float = Field(0.15, ge=0, le=1, description="the target is a third of its usual side")
    switch: float = Field(
        0, ge=0, le=1, description="the video turns to a thermal-like grey halfway"
    )


class Motion(Settings):
    """How targets and camera move. Every path is a smooth curve through random knots."""

    knot_frames: int = Field(
        10, ge=1, le=200, description="frames between knots; 1 = a very low frame rate"
    )
    travel: float = Field(
        0.3, ge=0, le=1, description="target's step between knots, share of the short side"
    )
    camera: float = Field(
        0.1, ge=0, le=1, description="camera's step between knots, share of the short side"
    )
    zoom: float = Field(
        1.8, ge=1, le=4, description="largest factor of the target's size, both ways"
    )
    rotation: float = Field(60, ge=0, le=180, description="largest turn of the target, degrees")
    target: tuple[float, float] = Field(
        (0.14, 0.3), description="√(w h) of the target, share of the short side"
    )
    camouflage: tuple[float, float] = Field(
        (0.0, 0.6), description="target's colour is moved towards the scene's"
    )
    distractors: tuple[int, int] = Field((1, 4), description="other moving objects")
    absence: bool = Field(
        True, description="false: some of the target stays in view (OTB has no absence label)"
    )

    @model_validator(mode="after")
    def ranges(self) -> "Motion":
        for name, low, high in (
            ("target", 0.02, 0.6),
            ("camouflage", 0, 1),
            ("distractors", 0, 20),
        ):
            first, last = getattr(self, name)
            if not low <= first <= last <= high:
                raise ValueError(
                    f"{name} is [{first}, {last}], expected {low} ≤ min ≤ max ≤ {high}"
                )
        return self


class Looks(Settings):
    """How near the frames come to video; 0 everywhere: drawn objects with sharp edges before a
    clean camera.
    """

    segments: float = Field(
        0,
        ge=0,
        le=1,
        description=(
            "share of objects cut from photos along the photos' own edges; above 0 a region target"
            " is such a segment where one fits"
        ),
    )
    feather: float = Field(
        0, ge=0, le=4, description="widest soft edge of an object, standard deviation in pixels"
    )
    degrade: float = Field(
        0, ge=0, le=1, description="share of clips that are defocused, shrunk, noisy or compressed"
    )


@dataclass(frozen=True)
class ClipSettings:
    """What one clip is to show. `region`: the target is a part of the photo `scene`; else an object
    in front of it.
    """

    frames: int
    size: tuple[int, int]
    split: Split
    region: bool
    scene: str
    motion: Motion
    challenges: frozenset[str]
    looks: Looks = field(default_factory=Looks)


class SetSettings(Settings):
    """One generated data set in the folder layout of a benchmark."""

    layout: LayoutName
    split: Split = Field(description="which photos it is rendered from")
    sequences: int = Field(ge=1, le=100_000)
    frames: tuple[int, int] = Field(description="shortest and longest sequence")
    size: tuple[int, int] = Field((360, 270), description="width and height in pixels")
    seed: int = Field(ge=0)
    region: float = Field(
        0.35, ge=0, le=1, description="share of clips whose target is a part of the photo itself"
    )
    quality: int = Field(90, ge=30, le=100, description="JPEG quality")
    name: str = Field("{:04d}", description="pattern of sequence names, counted from 1")
    first_frame_only: bool = Field(
        False, description="official annotation of frame 1 alone, the whole in anno_full/"
    )
    motion: Motion = Motion()
    challenges: Challenges = Challenges()
    looks: Looks = Looks()

    @model_validator(mode="after")
    def ranges(self) -> "SetSettings":
        if not 2 <= self.frames[0] <= self.frames[1] <= 10_000:
            raise ValueError(f"frames is {list(self.frames)}, expected 2 ≤ min ≤ max ≤ 10000")
        if not 64 <= min(self.size) <= max(self.size) <= 4096:
            raise ValueError(f"size is {list(self.size)}, expected 64 to 4096 pixels")
        try:
            names = {self.name.format(1), self.name.format(2)}
        except (IndexError, KeyError, ValueError):
            names = set()
        if len(names) < 2 or any("/" in name for name in names):
            raise ValueError(
                f"name is {self.name!r}, expected one field such as 'clip{{:03d}}' and no '/'"
            )
        return self


def load_sets(path: Path) -> dict[str, SetSettings]:
    """Every set of a params/synthetic.yaml by name; UserError names the file, the key and what is
    allowed.
    """
    return validate(dict[Name, SetSettings], read_yaml(path), str(path))
