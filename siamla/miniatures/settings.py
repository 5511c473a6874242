"""What a rendered set is made of: params/synthetic.yaml holds one entry per set."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from siamla.data.layout import LayoutName
from siamla.settings import Name, Settings, neutral, read_yaml, validate

Split = Literal["train", "test", "validation"]
Share = Annotated[float, Field(ge=0, le=1)]


class Challenges(Settings):
    """The share of sequences that get each challenge, exactly: 0.25 of 12 are three."""

    occlusion: Share = 0.4  # something passes in front of the target
    leave: Share = 0.2  # the target crosses the border of the frame
    deform: Share = 0.4  # the outline and the texture wobble
    light: Share = 0.4  # brightness, colour and a shadow change
    blur: Share = 0.4  # motion blur of target and camera
    lookalike: Share = 0.4  # a distractor with nearly the target's looks
    fast: Share = 0.3  # steps are 2.5 times as long
    zoom: Share = 0.4  # the size changes by `zoom`, else by its cube root
    rotate: Share = 0.4  # turns by `rotation`, else by a quarter of it
    turn: Share = 0.3  # out of the image plane: aspect and visible side change
    tiny: Share = 0.15  # the target is a third of its usual side
    switch: Share = 0  # the video turns to a thermal-like grey halfway


class Motion(Settings):
    """Smooth curves through random knots; lengths are shares of the frame's short side."""

    knot_frames: int = Field(10, ge=1, le=200)  # between knots; 1 = a very low frame rate
    travel: Share = 0.3  # target's step between knots
    camera: Share = 0.1  # camera's step between knots
    shake: Share = neutral(0.0)  # of the camera from frame to frame, standard deviation
    zoom: float = Field(1.8, ge=1, le=4)  # largest factor of the target's size, both ways
    rotation: float = Field(60, ge=0, le=180)  # largest turn of the target, degrees
    target: tuple[float, float] = (0.14, 0.3)  # √(w h) of the target, least and most
    camouflage: tuple[float, float] = (0.0, 0.6)  # target's colour is moved towards the scene's
    distractors: tuple[int, int] = (1, 4)  # other moving objects
    absence: bool = True  # false: some of the target stays in view (OTB has no absence label)

    @model_validator(mode="after")
    def ranges(self) -> "Motion":
        bounds = {"target": (0.02, 0.6), "camouflage": (0, 1), "distractors": (0, 20)}
        for name, (low, high) in bounds.items():
            first, last = getattr(self, name)
            if not low <= first <= last <= high:
                expected = f"expected {low} ≤ min ≤ max ≤ {high}"
                raise ValueError(f"{name} is [{first}, {last}], {expected}")
        return self


class Looks(Settings):
    """How near the frames come to video; 0: drawn, sharp objects before a clean camera."""

    segments: Share = 0
    """Share of objects cut from photos along the photos' own edges."""
    feather: float = Field(0, ge=0, le=4)  # widest soft edge, standard deviation in pixels
    degrade: Share = 0  # of clips that are defocused, shrunk, noisy or compressed


@dataclass(frozen=True)
class ClipSettings:
    """What a clip shows. `region`: the target is a part of the photo `scene`, not an object.

    others: scenes in whose place the clip may be set, where no target can be found in its own.
    film: a video's frames that are the background, one a frame, in place of a photo.
    """

    frames: int
    size: tuple[int, int]
    split: Split
    region: bool
    scene: str
    others: tuple[str, ...]
    motion: Motion
    challenges: frozenset[str]
    looks: Looks = field(default_factory=Looks)
    film: tuple[Path, ...] = ()


class SetSettings(Settings):
    """One generated data set in the folder layout of a benchmark."""

    layout: LayoutName
    split: Split  # which photos it is rendered from
    sequences: int = Field(ge=1, le=100_000)
    frames: tuple[int, int]  # shortest and longest sequence
    size: tuple[int, int] = (360, 270)  # width and height in pixels
    seed: int = Field(ge=0)
    region: Share = 0.35  # of clips whose target is a part of the photo itself
    film: Path | None = neutral(None)
    """A folder of real clips in the plain layout: their frames are the backgrounds."""
    quality: int = Field(90, ge=30, le=100)  # of the JPEGs
    name: str = "{:04d}"  # pattern of sequence names, counted from 1
    first_frame_only: bool = False  # annotation of frame 1 alone, the whole in anno_full/
    motion: Motion = Motion()
    challenges: Challenges = Challenges()
    looks: Looks = Looks()

    @model_validator(mode="after")
    def ranges(self) -> "SetSettings":
        if not 2 <= self.frames[0] <= self.frames[1] <= 10_000:
            raise ValueError(f"frames is {list(self.frames)}, expected 2 ≤ min ≤ max ≤ 10000")
        if not 64 <= min(self.size) <= max(self.size) <= 4096:
            raise ValueError(f"size is {list(self.size)}, expected 64 to 4096 pixels")
        if self.film is not None and self.region:
            raise ValueError(f"region is {self.region}, expected 0 with film: targets are objects")
        try:
            names = {self.name.format(1), self.name.format(2)}
        except (IndexError, KeyError, ValueError):
            names = set()
        if len(names) < 2 or any("/" in name for name in names):
            expected = "expected one field such as 'clip{:03d}' and no '/'"
            raise ValueError(f"name is {self.name!r}, {expected}")
        return self


def load_sets(path: Path) -> dict[str, SetSettings]:
    """The sets of a params/synthetic.yaml by name; UserError names file, key and mistake."""
    return validate(dict[Name, SetSettings], read_yaml(path), str(path))
