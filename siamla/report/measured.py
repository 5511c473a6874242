"""What was measured: cells over seeds, their noise, and whether the scores belong to the current settings."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from siamla.benchmark.metrics import bootstrap_interval
from siamla.errors import UserError
from siamla.report.collect import COLUMNS, SEQUENCE_COLUMNS

WITHHELD = "submit to the server"  # of a test set whose truth is not public
Info = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Cell:
    """One cell of a table: a number, or a text in its place.

    Attributes:
        value: mean over seeds; None where `text` is shown.
        sd: sample standard deviation over seeds; None for one seed.
        seeds: the seeds that were measured.
        noise: the difference to the table's baseline is within noise.
        rank: 1, 2 or 3 for the best three of a column; 0 otherwise.
    """

    text: str = ""
    value: float | None = None
    digits: int = 3
    sd: float | None = None
    seeds: tuple[int, ...] = ()
    noise: bool = False
    rank: int = 0


def read_scores(path: Path, columns: Collection[str]) -> pd.DataFrame:
    """scores.csv or sequences.csv as `collect` wrote it; UserError when it is missing or has other columns."""
    text = {name: str for name in columns if name not in ("seed", "threads", "git_dirty")}
    try:
        frame = pd.read_csv(path, dtype=text)
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path}: not a score table ({error})") from None
    if list(frame.columns) != list(columns):
        raise UserError(f"{path}: columns {', '.join(frame.columns)}; expected {', '.join(columns)}")
    frame["value"] = [float(value) for value in frame["value"]]  # pandas' own reader is off in the last digit
    return frame


class Measured:
    """The scores of a profile, restricted to the variants and benchmarks that it expects, and checked."""

    def __init__(self, scores_csv: Path, sequences_csv: Path, variants: Info, benchmarks: Info) -> None:
        """variants: name → {spec_digest, train_spec_digest, seeds, ...}; benchmarks: name → {data_digest, ...}.

        A digest that is null or absent is not checked (imported results). spec_digest may be a mapping by benchmark,
        where benchmarks have tracker settings of their own. UserError when a score does not belong to the settings.
        """
        self.variants, self.benchmarks = variants, benchmarks
        self.scores = self._expected(read_scores(scores_csv, COLUMNS))
        self.sequences = self._expected(read_scores(sequences_csv, SEQUENCE_COLUMNS))
        for row in self.scores.drop_duplicates(["benchmark", "variant", "seed"]).to_dict("records"):
            self._check(row)
        for (variant, seed), part in self.scores.groupby(["variant", "seed"]):
            models = part.dropna(subset=["model_sha256"]).drop_duplicates("model_sha256")
            if len(models) > 1:
                (a, b), (first, second) = models["benchmark"][:2], models["model_sha256"].str[:12][:2]
                raise UserError(
                    f"scores of {variant}, seed {seed}, are of two models: {first} on {a}, {second} on {b}; score again"
                )

    def seeds(self, variant: str) -> list[int]:
        """The seeds that a variant is expected to have; for imported results, those that there are."""
        expected = self.variants.get(variant, {}).get("seeds")
        if expected is None:
            return sorted(self.scores.loc[self.scores["variant"] == variant, "seed"].unique().tolist())
        return list(expected)

    def _expected(self, frame: pd.DataFrame) -> pd.DataFrame:
        known = frame["variant"].isin(self.variants) & frame["benchmark"].isin(self.benchmarks)
        wanted = [
            seed in (self.variants[variant].get("seeds") or [seed])
            for variant, seed in zip(frame["variant"][known], frame["seed"][known], strict=True)
        ]
        return frame[known].loc[np.array(wanted, bool)]

    def _check(self, row: Mapping[Any, Any]) -> None:
        variant, benchmark = row["variant"], row["benchmark"]
        spec = self.variants[variant].get("spec_digest")
        expected = {
            "spec_digest": spec.get(benchmark) if isinstance(spec, Mapping) else spec,
            "train_spec_digest": self.variants[variant].get("train_spec_digest"),
            "data_digest": self.benchmarks[benchmark].get("data_digest"),
        }
        for name, wanted in expected.items():
            if wanted is not None and row[name] != wanted:
                what = "the data" if name == "data_digest" else "the settings"
                raise UserError(
                    f"score of {variant}, seed {row['seed']}, on {benchmark}: {name} is {row[name]}, but {what} now "
                    f"have {wanted}; run the pipeline again"
                )

    def cell(self, variant: str, benchmark: str, metric: str, digits: int = 3) -> Cell:
        """Mean and sample standard deviation over seeds, or a text where there is none.

        "not measured" where nothing was tracked, WITHHELD where it was tracked and no sequence has a score.
        """
        frame = self.scores
        chosen = frame[(frame["variant"] == variant) & (frame["benchmark"] == benchmark)]
        if metric == "device":
            return Cell(text=machine(chosen) or "not measured")
        tracked = not chosen.empty
        chosen = chosen[chosen["metric"] == metric].sort_values("seed")
        if chosen.empty:
            scored = ((self.sequences["variant"] == variant) & (self.sequences["benchmark"] == benchmark)).any()
            return Cell(text=WITHHELD if tracked and not scored else "not measured")
        values = chosen["value"].to_numpy(float)
        sd = float(values.std(ddof=1)) if len(values) > 1 else None
        seeds = tuple(int(seed) for seed in chosen["seed"])
        return Cell(value=float(values.mean()), digits=digits, sd=sd, seeds=seeds)

    def within_noise(self, variant: str, baseline: str, benchmark: str, metric: str) -> bool:
        """Whether the 95 % interval of the difference to the baseline covers 0.

        The difference is taken sequence by sequence, each value the mean over the seeds that both have (over all where
        they share none), and its mean is bootstrapped over sequences. False where there are no values by sequence, as
        for EAO. For a metric that pools frames (AO) it is the mean over sequences that is tested.
        """
        frame = self.sequences
        chosen = frame[(frame["benchmark"] == benchmark) & (frame["metric"] == metric)]
        seeds = chosen.groupby("variant")["seed"].agg(set)
        if not {variant, baseline} <= set(seeds.index):
            return False
        both = seeds[variant] & seeds[baseline]
        if both:
            chosen = chosen[chosen["seed"].isin(both)]
        means = chosen.groupby(["variant", "sequence"])["value"].mean()
        differences = (means[variant] - means[baseline]).dropna().to_numpy(float)
        if len(differences) == 0:
            return False
        low, high = bootstrap_interval(differences)
        return low <= 0 <= high

    def sequence_count(self, benchmark: str) -> int:
        """Number of sequences that were scored."""
        return int(self.sequences.loc[self.sequences["benchmark"] == benchmark, "sequence"].nunique())


def machine(rows: pd.DataFrame) -> str:
    """What scores were computed on: "cpu, 1 thread"; several machines joined by "; "."""
    found = []
    for device, threads in rows[["device", "threads"]].drop_duplicates().itertuples(index=False):
        parts = [] if pd.isna(device) else [str(device)]
        if not pd.isna(threads):
            parts.append(f"{int(threads)} thread{'s' if threads != 1 else ''}")
        found.append(", ".join(parts))
    return "; ".join(sorted(filter(None, found)))
