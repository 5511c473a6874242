"""What was measured as tables of seeds and sequences, of which the study's means are taken."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from siamla.report.differences import parts
from siamla.report.drawing.data import Info, Run, Score
from siamla.report.figures.confidence import on_cells
from siamla.report.study.switches import Switches
from siamla.statistics import Effect, correlation_values, mean_effect

Array = NDArray[np.float64]
CROPS = ("chosen", "lost", "rest", "middle", "best")  # what is told of a model on crops


class Grid(NamedTuple):
    """The values of variants on the sequences of a benchmark that every seed of all of them has.

    Attributes:
        values: rows are (variant, seed), columns sequences.
        dropped: the sequences that one lacks.
    """

    values: pd.DataFrame
    dropped: list[str]

    @property
    def variants(self) -> set[str]:
        """Those that it has values of."""
        return set(self.values.index.unique("variant"))


def _grid(rows: Mapping[tuple[str, int], Mapping[str, Any]]) -> Grid:
    """The grid of sequence → value, by variant and seed."""
    index = pd.MultiIndex.from_tuples(sorted(rows), names=["variant", "seed"])
    frame = pd.DataFrame([rows[key] for key in sorted(rows)], index, dtype=float)
    frame = frame.sort_index(axis="columns")
    whole = frame.notna().all()
    return Grid(frame.loc[:, whole], list(frame.columns[~whole]))


def grid(scores: Iterable[Score], metric: str) -> Grid:
    """The grid of a metric, of score files of one benchmark; its means are the benchmark's own."""
    rows = {}
    for score in scores:
        names = list(score.content["per_sequence"])
        values = parts([score.content], names, metric)[0]
        rows[score.tracker, score.seed] = dict(zip(names, values, strict=True))
    return _grid(rows)


def drops(scores: Sequence[Score], metric: str) -> Grid:
    """What each variant loses from its best value of a sweep (by the mean over seeds and
    sequences) to the largest, of score files of one benchmark.
    """
    points = sorted({score.value for score in scores if score.value is not None})
    tables = [grid((s for s in scores if s.value == point), metric).values for point in points]
    names = sorted(set.intersection(*(set(table.columns) for table in tables))) if tables else []
    if not names:
        return _grid({})
    tables = [table[names] for table in tables]
    both = pd.concat(tables, axis="columns", join="inner", keys=range(len(points))).sort_index()
    lost = []
    for _, part in both.groupby(level="variant"):
        tables = [pd.DataFrame(part[point]) for point in range(len(points))]
        best = max(tables, key=lambda table: float(table.to_numpy().mean()))
        lost.append(best - tables[-1])
    return Grid(pd.concat(lost) if lost else _grid({}).values, [])


def correlations(runs: Sequence[Run], ranks: bool, inside: bool) -> Grid:
    """The correlation of confidence and IoU, of the stored maps of one benchmark. Sequences are
    those of which every run has points; variants without a coefficient are left out.
    """
    cells = {(run.tracker, run.seed): on_cells(run, inside) for run in runs}
    names = sorted(set.intersection(*map(set, cells.values()))) if cells else []
    rows: dict[tuple[str, int], dict[str, float]] = {}
    for variant in {run.tracker for run in runs}:
        keys = sorted(key for key in cells if key[0] == variant)
        table = correlation_values([[cells[key][name] for name in names] for key in keys], ranks)
        if table is not None:
            rows |= {
                key: dict(zip(names, row, strict=True))
                for key, row in zip(keys, table, strict=True)
            }
    return _grid(rows)


def pooled(grids: Iterable[Grid], variants: Iterable[str]) -> dict[str, Array] | None:
    """Variant → (seeds, sequences of all grids), of what these variants have in common; None where
    that is nothing.
    """
    wanted = list(variants)
    frames = [one.values for one in grids if not one.values.empty and set(wanted) <= one.variants]
    if not frames:
        return None
    both = pd.concat(frames, axis="columns", join="inner").sort_index()
    if not set(wanted) <= set(both.index.unique("variant")):
        return None
    return {name: np.ascontiguousarray(both.loc[name].to_numpy()) for name in wanted}


def effect_of(grids: Iterable[Grid], weights: Mapping[str, float]) -> Effect | None:
    """A difference on benchmarks together; None where nothing of it was measured."""
    values = pooled(grids, weights)
    return mean_effect(values, weights) if values else None


class Dose(NamedTuple):
    """A length of training: its steps, and the benchmark of its models by that of the shortest."""

    steps: int
    benchmarks: Mapping[str, str]


class Reading(NamedTuple):
    """A training that reads the paper in its own way.

    Attributes:
        settings: switch → its level, of the baseline's spec.
        benchmarks: the benchmark of its models, by that of the first reading.
    """

    name: str
    settings: Mapping[str, Any]
    benchmarks: Mapping[str, str]


@dataclass(frozen=True)
class Measured:
    """Everything that was measured.

    Attributes:
        variants: name → {label}; benchmarks: name → {label, headline, metrics, synthetic}.
        scores: with each variant's own settings.
        swept: at every value of a sweep.
        runs: the score maps of tracked runs.
        crops: what each model does on crops around the truth, by sequence
            (siamla.benchmark.alignment.summary).
        doses: the lengths of training that are compared, the shortest first; that one is studied.
        beside: label → benchmarks that show the sequences of others with another tracker.
        readings, switches: the readings of the paper that are compared, and in what they differ.
    """

    variants: Info
    benchmarks: Info
    scores: Sequence[Score]
    swept: Sequence[Score] = ()
    runs: Sequence[Run] = ()
    crops: Sequence[Score] = ()
    doses: Sequence[Dose] = ()
    beside: Mapping[str, Sequence[str]] = field(default_factory=dict)
    readings: Sequence[Reading] = ()
    switches: Switches = field(default_factory=dict)

    @property
    def studied(self) -> Info:
        """The benchmarks whose sequences count, each set of sequences once."""
        others = {name for dose in self.doses[1:] for name in dose.benchmarks.values()}
        others.update(name for names in self.beside.values() for name in names)
        return {name: info for name, info in self.benchmarks.items() if name not in others}

    def grids(self, kind: str = "scores") -> dict[str, Grid]:
        """Benchmark → the grid of a kind of claims, or of a number of its crops; without those of
        which there are no values by sequence, or of whose headline a lower one is better.
        """
        found = {name: self._grid(kind, name) for name in self.benchmarks}
        return {name: one for name, one in found.items() if one and not one.values.empty}

    def _grid(self, kind: str, benchmark: str) -> Grid | None:
        if kind in CROPS:
            return grid(self._of(benchmark, self.crops), kind)
        info = self.benchmarks[benchmark]
        metric = info["headline"]
        if info["metrics"].get(metric, {}).get("better") != "higher":
            return None
        if kind == "scores":
            return grid(self._of(benchmark, self.scores), metric)
        if kind == "drop":
            return drops(self._of(benchmark, self.swept), metric)
        runs = [run for run in self.runs if run.benchmark == benchmark]
        return correlations(runs, kind.startswith("spearman"), kind.endswith("inside"))

    def _of(self, benchmark: str, scores: Sequence[Score]) -> list[Score]:
        return [s for s in scores if s.benchmark == benchmark and s.tracker in self.variants]
