"""What the figures show: params/figures.yaml. One entry is one figure; `kind` names the module that
draws it.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from siamla.errors import UserError
from siamla.settings import Mistakes, Name, Settings, nearest, read_yaml, validate

Names = Annotated[list[str], Field(min_length=1)]
Share = Annotated[float, Field(gt=0, le=1)]
CurveName = Literal["success", "precision", "norm_precision", "expected_overlap"]


class Entry(Settings):
    """What every kind has."""

    title: str = Field(min_length=1, description="the caption's first sentence")
    paper: str | None = Field(None, description="what of the paper it stands for, such as Fig. 9")


class Shown(Entry):
    """A figure of measured trackers."""

    variants: Names | None = Field(None, description="variants to show; null = all that were run")
    imported: bool = Field(True, description="imported trackers as well")


class Labels(Entry):
    """Classification labels over the IoU (eq. 7) for several λ."""

    kind: Literal["labels"]
    lambdas: list[Share] = Field(min_length=1)


class Curves(Shown):
    """Curves over thresholds: a row of panels for each benchmark."""

    kind: Literal["curves"]
    benchmarks: Names | None = Field(
        None, description="null = every benchmark of the profile that has such a curve"
    )
    curves: list[CurveName] = Field(min_length=1)
    most: int = Field(
        10, ge=1, description="ranks in a legend; trackers below are grey lines without an entry"
    )


class Attributes(Shown):
    """Scores by attribute: a radar of all trackers, and the differences between ours and the
    baseline.
    """

    kind: Literal["attributes"]
    benchmark: str
    metric: str | None = Field(None, description="default: the protocol's headline")
    order: list[str] = Field(
        default_factory=list, description="attributes in this order; others follow by name"
    )
    most: int = Field(8, ge=1, description="trackers in the radar, the best overall")


class Published(Settings):
    """Published scores of a metric: a column of a file in siamla/report/paper."""

    file: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    column: str
    where: dict[str, str] = Field(
        default_factory=dict, description="cells that choose the rows; none = all"
    )


class Ranking(Shown):
    """Trackers by rank, published scores hollow."""

    kind: Literal["ranking"]
    benchmark: str
    metric: str | None = Field(None, description="default: the protocol's headline")
    published: list[Published] = Field(default_factory=list)


class Sweep(Shown):
    """A score against a setting of the tracker: an entry of params/sweeps.yaml."""

    kind: Literal["sweep"]
    sweep: Name
    metric: str | None = Field(None, description="default: the protocol's headline")


class Confidence(Entry):
    """Target confidence against the IoU of its box."""

    kind: Literal["confidence"]
    benchmark: str
    variants: Names


class Maps(Entry):
    """Search regions with score maps. quality: the localization branches beside each other;
    misplaced: the box of the highest confidence beside the best box.
    """

    kind: Literal["maps"]
    benchmark: str
    variants: Names
    show: Literal["quality", "misplaced"]
    rows: int = Field(3, ge=1, le=8)


class Frames(Shown):
    """Frames of sequences with the boxes of several trackers."""

    kind: Literal["frames"]
    benchmark: str
    sequences: int = Field(4, ge=1, le=8)
    frames: int = Field(4, ge=1, le=8)


class Training(Entry):
    """Losses over the epochs."""

    kind: Literal["training"]
    variants: Names | None = Field(
        None, description="variants to show; null = all that were trained"
    )


Figure = Labels | Curves | Attributes | Ranking | Sweep | Confidence | Maps | Frames | Training
KINDS: dict[str, type[Figure]] = {
    "labels": Labels,
    "curves": Curves,
    "attributes": Attributes,
    "ranking": Ranking,
    "sweep": Sweep,
    "confidence": Confidence,
    "maps": Maps,
    "frames": Frames,
    "training": Training,
}


class Figures(Settings):
    """params/figures.yaml."""

    ours: str = Field(description="the variant whose lines are thick")
    baseline: str = Field(description="the variant that it is compared with")
    labels: dict[str, str] = Field(
        default_factory=dict, description="variant → a shorter name than its own"
    )
    figures: dict[Name, Annotated[Figure, Field(discriminator="kind")]]


def _check(raw: Any, where: str) -> None:
    kind = raw.get("kind") if isinstance(raw, dict) else None
    if kind not in KINDS:
        raise UserError(f"{where}.kind: {kind!r} is unknown; {nearest(str(kind), list(KINDS))}")
    validate(KINDS[kind], raw, where)


def load_figures(path: Path) -> Figures:
    """Read and check the figures; UserError with a line for every mistake."""
    raw, mistakes = read_yaml(path), Mistakes()
    entries = raw.get("figures")
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        with (
            mistakes.noted()
        ):  # by its own kind's model, so that the message names the key and not the union
            _check(entry, f"{path}: figures.{name}")
    mistakes.tell()
    return validate(Figures, raw, str(path))
