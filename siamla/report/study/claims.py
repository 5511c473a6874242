"""The paper's claims as effects, each with the rule that gives its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from siamla.report.mixed import Effect

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "not resolved"
BASELINE, OURS = "siamcar", "siamla"
RULE = (
    "A part is supported where its 95 % interval lies above 0, contradicted where it lies below 0,"
    " and not resolved otherwise, which includes that it was not measured or has no interval. A"
    " claim is supported where each of its parts is, contradicted where one of them is, and not"
    " resolved otherwise. The verdict is that of the most sequences on which the claim was"
    " measured."
)


@dataclass(frozen=True)
class Part:
    """One thing that a claim says, put so that a value above 0 is in its favour.

    Attributes:
        kind: scores: the weighted sum of variants' headline scores; drop: of their losses from the
            best window to the largest; pearson, spearman: the correlation of confidence and IoU
            over all cells, or inside the target, of the variant with weight 1 less that with weight
            −1.
        decides: whether the verdict rests on it; else it stands beside it.
    """

    words: str
    weights: Mapping[str, float]
    kind: Literal["scores", "drop", "pearson", "spearman", "pearson inside", "spearman inside"] = (
        "scores"
    )
    decides: bool = True


@dataclass(frozen=True)
class Claim:
    """words: what is claimed; paper: where, with its numbers; parts: all that decide must hold."""

    words: str
    paper: str
    parts: tuple[Part, ...]


AGAINST = {OURS: 1.0, BASELINE: -1.0}
CLAIMS = (
    Claim(
        "SiamLA is better than SiamCAR",
        "Table III: OTB100 AUC .649 against .597, GOT-10k AO .619 against .581",
        (Part("SiamLA − SiamCAR", AGAINST),),
    ),
    Claim(
        "LALS alone hurts, and helps with LADL",
        "Table III: LALS .573 against .597 and .571 against .581; LADL + LALS .632 against LADL's"
        " .621 and .602 against .594",
        (
            Part("SiamCAR − LALS", {BASELINE: 1.0, "lals": -1.0}),
            Part("(LADL + LALS) − LADL", {"ladl_lals": 1.0, "ladl": -1.0}),
        ),
    ),
    Claim(
        "LAFA helps",
        "Table III: LAFA .626 against .597 and .599 against .581; SiamLA .649 against LADL + LALS"
        " .632 and .619 against .602",
        (
            Part(
                "with LAFA − without, mean of the two pairs below",
                {"lafa": 0.5, BASELINE: -0.5, OURS: 0.5, "ladl_lals": -0.5},
            ),
            Part("LAFA − SiamCAR", {"lafa": 1.0, BASELINE: -1.0}, decides=False),
            Part("SiamLA − (LADL + LALS)", {OURS: 1.0, "ladl_lals": -1.0}, decides=False),
        ),
    ),
    Claim(
        "Confidence follows IoU better, and the window matters less",
        "Figs. 12 and 14, without numbers but for SiamLA's .687 AUC on OTB100 with window 0",
        (
            Part(
                "Pearson's r of confidence and IoU, all cells: SiamLA − SiamCAR", AGAINST, "pearson"
            ),
            Part("Spearman's ρ, all cells: SiamLA − SiamCAR", AGAINST, "spearman"),
            Part("Pearson's r, cells inside the target", AGAINST, "pearson inside", decides=False),
            Part(
                "Spearman's ρ, cells inside the target", AGAINST, "spearman inside", decides=False
            ),
            Part(
                "loss from the best window to the largest: SiamCAR's − SiamLA's",
                {BASELINE: 1.0, OURS: -1.0},
                "drop",
            ),
        ),
    ),
)


def part_verdict(effect: Effect | None) -> str:
    """What an effect says of a part; None where it was not measured."""
    if effect is not None and effect.low > 0:
        return SUPPORTED
    return CONTRADICTED if effect is not None and effect.high < 0 else OPEN


def verdict(effects: Sequence[Effect | None]) -> str:
    """What the effects of all deciding parts say of a claim."""
    found = [part_verdict(effect) for effect in effects]
    if CONTRADICTED in found:
        return CONTRADICTED
    return SUPPORTED if found and set(found) == {SUPPORTED} else OPEN
