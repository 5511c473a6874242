"""The paper's claims, params/claims.yaml, and the rule that gives their verdicts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from siamla.settings import Chosen, Settings, read_yaml, validate
from siamla.statistics import LEVEL, Effect

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
"""Of what: of scores; of the losses from a sweep's best value to its largest (drop); of the
correlations of confidence and IoU, over all cells or inside the target.
"""


class Part(Settings):
    """One thing that a claim says, put so that a value above 0 is in its favour.

    Attributes:
        weights: variant → its weight in the difference.
        decides: false where it stands beside the verdict.
    """

    words: str
    weights: dict[str, float]
    kind: Kind = "scores"
    decides: bool = True


class Claim(Settings):
    """What is claimed; all parts that decide must hold.

    Attributes:
        paper: where the paper says it, with its numbers.
        gains: the paper's differences of the first part.
        benchmarks, metric: default all of the profile, each by its headline.
    """

    claim: str
    paper: str
    gains: str | None = None
    benchmarks: Chosen | None = None
    metric: str | None = None
    parts: list[Part] = Field(min_length=1)


class Paper(Settings):
    """The paper's own experiments; `profile` is the one whose cost is reckoned."""

    profile: str
    epochs: int
    data: str
    backbone: str
    benchmarks: str


class Claims(Settings):
    """params/claims.yaml; `swept` is the tracker setting whose sweeps parts of kind drop read."""

    swept: str
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
