"""The paper's claims, params/claims.yaml, and the rule that gives their verdicts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from siamla.settings import Chosen, Settings, read_yaml, validate
from siamla.statistics.effects import LEVEL, Effect

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "not resolved"
RULE = (
    "A part is supported where its difference is above 0 with p below .05, contradicted where it"
    " is below 0 with p below .05, and not resolved otherwise, which includes that it was not"
    " measured or has no interval. A claim is supported where each of its parts is, contradicted"
    " where one of them is, and not resolved otherwise. The verdict is that of the most sequences"
    " on which the claim was measured; p is there Holm's, corrected for the number of all parts"
    " that decide."
)
Kind = Literal["scores", "drop", "pearson", "spearman", "pearson inside", "spearman inside"]


class Part(Settings):
    """One thing that a claim says, put so that a value above 0 is in its favour."""

    words: str
    weights: dict[str, float] = Field(description="variant → its weight in the difference")
    kind: Kind = Field(
        "scores",
        description="of what: of scores; of the losses from a sweep's best value to its largest"
        " (drop); of the correlations of confidence and IoU, over all cells or inside the target",
    )
    decides: bool = Field(True, description="false: it stands beside the verdict")


class Claim(Settings):
    """What is claimed; all parts that decide must hold."""

    claim: str
    paper: str = Field(description="where the paper says it, with its numbers")
    gains: str | None = Field(None, description="the paper's differences of the first part")
    benchmarks: Chosen | None = Field(None, description="default: all of the profile")
    metric: str | None = Field(None, description="default: each benchmark's headline")
    parts: list[Part] = Field(min_length=1)


class Paper(Settings):
    """The paper's own experiments, beside which the study says what it did."""

    profile: str = Field(description="the profile of these experiments, whose cost is told")
    epochs: int
    data: str
    backbone: str
    benchmarks: str


class Claims(Settings):
    """params/claims.yaml."""

    swept: str = Field(description="the tracker setting whose sweeps parts of kind drop read")
    paper: Paper
    claims: list[Claim] = Field(min_length=1)


def load_claims(params: Path) -> Claims:
    """The claims; UserError with every wrong key."""
    path = params / "claims.yaml"
    return validate(Claims, read_yaml(path), str(path))


def part_verdict(effect: Effect | None, p: float | None = None) -> str:
    """What an effect says of a part; None where it was not measured. p: by default its own."""
    if effect is None or not (effect.p if p is None else p) < LEVEL:
        return OPEN
    return SUPPORTED if effect.value > 0 else CONTRADICTED


def claim_verdict(parts: Sequence[str]) -> str:
    """What the verdicts of all deciding parts say of a claim."""
    if CONTRADICTED in parts:
        return CONTRADICTED
    return SUPPORTED if parts and set(parts) == {SUPPORTED} else OPEN
