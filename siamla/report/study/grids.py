"""What was measured as tables of seeds and sequences, of which the study's means are taken."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siamla.report.differences import by_sequence
from siamla.report.drawing.data import Info, Run, Score
from siamla.report.figures.confidence import on_cells
from siamla.statistics.correlation import Points, correlation_values

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """The values of variants on the sequences of a benchmark that every seed of every variant has.

    Attributes:
        names: these sequences.
        dropped: those that one lacks.
        seeds: variant → its seeds.
        values: variant → (seeds, sequences).
    """

    names: Sequence[str]
    dropped: Sequence[str]
    seeds: Mapping[str, Sequence[int]]
    values: Mapping[str, Array]

    def chosen(self, variant: str, seeds: Sequence[int], names: Sequence[str]) -> Array:
        """A variant's values of some seeds and sequences."""
        rows = [list(self.seeds[variant]).index(seed) for seed in seeds]
        columns = [list(self.names).index(name) for name in names]
        return self.values[variant][np.ix_(rows, columns)]


def grid(scores: Iterable[Score], metric: str) -> Grid:
    """The grid of a metric, of score files of one benchmark."""
    groups: dict[str, list[Score]] = {}
    every: set[str] = set()
    for score in sorted(scores, key=lambda score: score.seed):
        groups.setdefault(score.tracker, []).append(score)
        every.update(score.content["per_sequence"])
    names = np.array(sorted(every), object)
    tables = {}
    whole = np.ones(len(names), bool)
    for name, group in groups.items():
        tables[name] = by_sequence([score.content for score in group], list(names), metric)
        whole &= np.isfinite(tables[name]).all(0)
    seeds = {name: [score.seed for score in group] for name, group in groups.items()}
    values = {name: table[:, whole] for name, table in tables.items()}
    return Grid(list(names[whole]), list(names[~whole]), seeds, values)


def drops(scores: Sequence[Score], metric: str) -> Grid:
    """The grid of what each variant loses from the best value of a sweep to the largest, of score
    files of one benchmark.

    Best is the value of the highest mean over seeds and sequences, each variant's own.
    """
    points = sorted({score.value for score in scores if score.value is not None})
    grids = [grid((s for s in scores if s.value == point), metric) for point in points]
    if not grids:
        return Grid([], [], {}, {})
    names = sorted(set.intersection(*(set(one.names) for one in grids)))
    every = {name for one in grids for name in (*one.names, *one.dropped)}
    values: dict[str, Array] = {}
    seeds: dict[str, list[int]] = {}
    for variant in grids[-1].values:
        if not names or not all(variant in one.values for one in grids):
            continue
        common = sorted(set.intersection(*(set(one.seeds[variant]) for one in grids)))
        if common:
            tables = [one.chosen(variant, common, names) for one in grids]
            seeds[variant] = common
            values[variant] = max(tables, key=lambda table: float(table.mean())) - tables[-1]
    return Grid(names, sorted(every - set(names)), seeds, values)


def correlations(runs: Sequence[Run], ranks: bool, inside: bool) -> Grid:
    """The grid of the correlation of confidence and IoU, of the stored maps of one benchmark.

    Sequences are those of which every run of every variant has points. Ranks are among all points
    of a variant. Variants whose points define no correlation are left out.
    """
    cells: dict[str, list[dict[str, Points]]] = {}
    seeds: dict[str, list[int]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        cells.setdefault(run.tracker, []).append(on_cells(run, inside))
        seeds.setdefault(run.tracker, []).append(run.seed)
    sets = [set(points) for rows in cells.values() for points in rows]
    names = sorted(set.intersection(*sets)) if sets else []
    values = {}
    for variant, rows in cells.items():
        table = correlation_values([[row[name] for name in names] for row in rows], ranks)
        if table is not None:
            values[variant] = table
    return Grid(names, sorted(set().union(*sets) - set(names)), seeds, values)


def pooled(grids: Iterable[Grid], variants: Iterable[str]) -> dict[str, Array] | None:
    """Variant → (seeds, sequences of all grids), of the grids and the seeds that these variants
    have in common; None where there are none.
    """
    wanted = list(variants)
    used = [one for one in grids if one.names and set(wanted) <= set(one.values)]
    tables = {}
    for name in wanted if used else ():
        seeds = sorted(set.intersection(*(set(one.seeds[name]) for one in used)))
        if not seeds:
            return None
        tables[name] = np.concatenate([one.chosen(name, seeds, one.names) for one in used], 1)
    return tables or None


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
    """

    variants: Info
    benchmarks: Info
    scores: Sequence[Score]
    swept: Sequence[Score] = ()
    runs: Sequence[Run] = ()
    crops: Sequence[Score] = ()

    def grids(self, kind: str = "scores", metric: str | None = None) -> dict[str, Grid]:
        """Benchmark → the grid of a kind of claims; without those that have no values by sequence
        of the metric (default: the headline), or of which a lower one is better.
        """
        grids = {}
        for name, info in self.benchmarks.items():
            chosen = metric or info["headline"]
            if info["metrics"].get(chosen, {}).get("better") == "higher":
                grids[name] = self._grid(kind, name, chosen)
        return {name: one for name, one in grids.items() if one.names}

    def _grid(self, kind: str, benchmark: str, metric: str) -> Grid:
        if kind == "scores":
            return grid(self._of(benchmark, self.scores), metric)
        if kind == "drop":
            return drops(self._of(benchmark, self.swept), metric)
        runs = [run for run in self.runs if run.benchmark == benchmark]
        return correlations(runs, kind.startswith("spearman"), kind.endswith("inside"))

    def on_crops(self, metric: str) -> dict[str, Grid]:
        """Benchmark → the grid of a number of its crops; without those of which there are none."""
        grids = {name: grid(self._of(name, self.crops), metric) for name in self.benchmarks}
        return {name: one for name, one in grids.items() if one.names}

    def _of(self, benchmark: str, scores: Sequence[Score]) -> list[Score]:
        return [s for s in scores if s.benchmark == benchmark and s.tracker in self.variants]
