"""What was measured: cells over seeds, and which differences can be told from noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from siamla.report.collect import PLACE
from siamla.statistics.effects import mean_effect

WITHHELD = "submit to the server"  # of a test set whose truth is not public
MISSING = "not measured"
NOISE, UNTOLD, BUSY = "~", "†", "‡"
LOADED = 0.2  # cores busy with other work, above which a speed was measured under load
Info = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Cell:
    """One cell of a table: a number, or a text in its place.

    Attributes:
        value: mean over seeds; None where `text` is shown.
        sd: sample standard deviation over seeds; None for one seed.
        seeds: the seeds that were measured.
        mark: NOISE where the difference to the table's baseline is within noise, UNTOLD where that
            cannot be told; BUSY where a speed was measured beside other work.
        rank: 1, 2 or 3 for the best three of a column; 0 otherwise.
    """

    text: str = ""
    value: float | None = None
    digits: int = 3
    sd: float | None = None
    seeds: tuple[int, ...] = ()
    mark: str = ""
    rank: int = 0


class Measured:
    """The scores of a profile, restricted to the variants, seeds and benchmarks that it expects.

    Attributes:
        scores, sequences: the frames of siamla.report.collect.frames.
        variants: name → {label, ladl, lals, lafa, seeds}; of imported trackers {label, imported:
            true}.
        benchmarks: name → {label, headline, metrics: name → {label, better, digits}}.
    """

    def __init__(
        self, scores: pd.DataFrame, sequences: pd.DataFrame, variants: Info, benchmarks: Info
    ) -> None:
        self.variants, self.benchmarks = variants, benchmarks
        self.scores, self.sequences = self._expected(scores), self._expected(sequences)

    def seeds(self, variant: str) -> list[int]:
        """The seeds that a variant is expected to have; of imported results, those that are
        here.
        """
        expected = self.variants.get(variant, {}).get("seeds")
        if expected is None:
            return sorted(
                self.scores.loc[self.scores["variant"] == variant, "seed"].unique().tolist()
            )
        return list(expected)

    def _expected(self, frame: pd.DataFrame) -> pd.DataFrame:
        known = frame["variant"].isin(self.variants) & frame["benchmark"].isin(self.benchmarks)
        wanted = [
            seed in (self.variants[variant].get("seeds") or [seed])
            for variant, seed in zip(frame["variant"][known], frame["seed"][known], strict=True)
        ]
        return frame[known].loc[np.array(wanted, bool)]

    def cell(self, variant: str, benchmark: str, metric: str, digits: int = 3) -> Cell:
        """Mean and sample standard deviation over seeds, or a text where there is none.

        MISSING where nothing was tracked, WITHHELD where it was tracked and no sequence has a
        score.
        """
        frame = self.scores
        chosen = frame[(frame["variant"] == variant) & (frame["benchmark"] == benchmark)]
        if metric == "device":
            return Cell(text="; ".join(sorted(set(places(chosen)) - {""})) or MISSING)
        tracked = not chosen.empty
        chosen = chosen[chosen["metric"] == metric].sort_values("seed")
        if chosen.empty:
            scored = (
                (self.sequences["variant"] == variant) & (self.sequences["benchmark"] == benchmark)
            ).any()
            return Cell(text=WITHHELD if tracked and not scored else MISSING)
        values = chosen["value"].to_numpy(float)
        sd = float(values.std(ddof=1)) if len(values) > 1 else None
        seeds = tuple(int(seed) for seed in chosen["seed"])
        return Cell(value=float(values.mean()), digits=digits, sd=sd, seeds=seeds)

    def load(self, variant: str, benchmark: str) -> list[float]:
        """How many cores other work kept busy while each seed was tracked; NaN where that is not
        known.
        """
        chosen = self.scores[
            (self.scores["variant"] == variant) & (self.scores["benchmark"] == benchmark)
        ]
        return chosen.drop_duplicates("seed")["other_cores"].tolist()

    def mark(self, variant: str, baseline: str, benchmark: str, metric: str) -> str:
        """What to say of the difference to the baseline: NOISE, UNTOLD, or "" for a difference.

        NOISE where the interval of the mixed model covers 0. UNTOLD with fewer than two seeds
        on either side, and where there are no values by sequence, as for EAO. For a metric that
        pools frames (AO) it is the mean over sequences that is tested.
        """
        frame = self.sequences
        chosen = frame[(frame["benchmark"] == benchmark) & (frame["metric"] == metric)]
        values = {
            name: (
                chosen[chosen["variant"] == name].pivot(
                    index="seed", columns="sequence", values="value"
                )
            )
            for name in (variant, baseline)
        }
        both = pd.concat(values, join="inner").dropna(axis="columns")
        if both.shape[1] < 2 or min(len(part) for part in values.values()) < 2:
            return UNTOLD
        tables = {name: both.loc[name].to_numpy(float) for name in values}
        effect = mean_effect(tables, {variant: 1.0, baseline: -1.0})
        return NOISE if effect.low <= 0 <= effect.high else ""

    def sequence_count(self, benchmark: str) -> int:
        """Number of sequences that were scored."""
        return int(
            self.sequences.loc[self.sequences["benchmark"] == benchmark, "sequence"].nunique()
        )


def place_told(place: Mapping[str, Any]) -> str:
    """A record's place in words: "cpu, fp32, 1 thread", of tracking with the engine: "…, openvino
    2026.4.1".

    On a GPU the threads do not change sums and are left out. "" where nothing is known.
    """
    known = {name: value for name, value in place.items() if not pd.isna(value)}
    parts = [str(known[name]) for name in ("device", "precision") if name in known]
    if "threads" in known and str(known.get("device")).startswith("cpu"):
        parts.append(f"{int(known['threads'])} thread{'s' if known['threads'] != 1 else ''}")
    return ", ".join([*parts, *([str(known["engine"])] if "engine" in known else [])])


def places(rows: pd.DataFrame, prefix: str = "") -> list[str]:
    """Where each row's tracking took place, or with the prefix "train_" its training, in words
    (`place_told`).
    """
    columns = {prefix + name: name for name in (*PLACE, *(() if prefix else ("engine",)))}
    told = rows[list(columns)].rename(columns=columns)
    return [place_told({str(k): v for k, v in row.items()}) for row in told.to_dict("records")]
