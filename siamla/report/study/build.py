"""The study as plain data, from score files, sweeps and score maps: rows, claims with verdicts, and
what to be told.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamla.report.differences import by_sequence
from siamla.report.drawing.data import Info, Run, Score
from siamla.report.figures.confidence import Points, on_cells, scaled, sums
from siamla.report.mixed import Effect, mean_effect
from siamla.report.study.claims import BASELINE, CLAIMS, OURS, RULE, Part, part_verdict, verdict
from siamla.report.study.effects import correlation_effect

Array = NDArray[np.float64]
NAMED = 6  # sequences that a note lists


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


@dataclass(frozen=True)
class Scope:
    """Benchmarks that are looked at together, every sequence counting alike."""

    label: str
    benchmarks: tuple[str, ...]


def grid(scores: Iterable[Score], metric: str) -> Grid:
    """The grid of a metric, of score files of one benchmark."""
    groups: dict[str, list[Score]] = {}
    for score in sorted(scores, key=lambda score: score.seed):
        groups.setdefault(score.tracker, []).append(score)
    names = sorted(
        {name for own in groups.values() for score in own for name in score.content["per_sequence"]}
    )
    tables = {
        name: by_sequence([score.content for score in own], names, metric)
        for name, own in groups.items()
    }
    whole = np.ones(len(names), bool)
    for table in tables.values():
        whole &= np.isfinite(table).all(0)
    return Grid(
        [name for name, kept in zip(names, whole, strict=True) if kept],
        [name for name, kept in zip(names, whole, strict=True) if not kept],
        {name: [score.seed for score in own] for name, own in groups.items()},
        {name: table[:, whole] for name, table in tables.items()},
    )


def pooled(grids: Iterable[Grid], variants: Iterable[str]) -> dict[str, Array] | None:
    """Variant → (seeds, sequences of all grids), of the grids and the seeds that these variants
    have in common; None where there are none.
    """
    wanted = list(variants)
    used = [each for each in grids if each.names and all(name in each.values for name in wanted)]
    found = {}
    for name in wanted if used else ():
        seeds = sorted(set.intersection(*(set(each.seeds[name]) for each in used)))
        if not seeds:
            return None
        rows = [
            each.values[name][[list(each.seeds[name]).index(seed) for seed in seeds]]
            for each in used
        ]
        found[name] = np.concatenate(rows, 1)
    return found or None


def drops(scores: Sequence[Score], metric: str) -> Grid:
    """The grid of what each variant loses from the best value of a sweep to the largest, of one
    benchmark.

    Best is the value of the highest mean over seeds and sequences, each variant's own.
    """
    values = sorted({score.value for score in scores if score.value is not None})
    at = {
        value: grid((score for score in scores if score.value == value), metric) for value in values
    }
    names = sorted(set.intersection(*(set(each.names) for each in at.values())))
    every = sorted({name for each in at.values() for name in (*each.names, *each.dropped)})
    found: dict[str, Array] = {}
    seeds: dict[str, list[int]] = {}
    for variant in at[values[-1]].values:
        if not all(variant in each.values for each in at.values()):
            continue
        own = sorted(set.intersection(*(set(each.seeds[variant]) for each in at.values())))
        tables = [_chosen(each, variant, own, names) for each in at.values()]
        if own and names:
            seeds[variant] = own
            found[variant] = max(tables, key=lambda table: float(table.mean())) - tables[-1]
    return Grid(names, [name for name in every if name not in names], seeds, found)


def _chosen(each: Grid, variant: str, seeds: Sequence[int], names: Sequence[str]) -> Array:
    rows = [list(each.seeds[variant]).index(seed) for seed in seeds]
    columns = [list(each.names).index(name) for name in names]
    return each.values[variant][np.ix_(rows, columns)]


def correlation_sums(runs: Sequence[Run], ranks: bool, inside: bool) -> dict[str, Array] | None:
    """Variant → sums (seeds, sequences, 6) of the points of stored maps; None where they define no
    correlation.

    Runs are those of one or several benchmarks. Sequences are those of which every run of every
    variant has points; ranks are among all of a variant's.
    """
    points: dict[tuple[str, int], dict[tuple[str, str], Points]] = {}
    for run in runs:
        own = points.setdefault((run.tracker, run.seed), {})
        for name in {frame.sequence for frame in run.maps}:
            found = on_cells(
                [replace(run, maps=[frame for frame in run.maps if frame.sequence == name])], inside
            )
            if len(found.iou):
                own[run.benchmark, name] = found
    names = sorted(set.intersection(*(set(own) for own in points.values()))) if points else []
    if not names:
        return None
    made = {}
    for variant in dict.fromkeys(variant for variant, _ in points):
        mine = [
            [own[name] for name in names]
            for key, own in sorted(points.items())
            if key[0] == variant
        ]
        cells = [each for row in mine for each in row]
        groups = np.repeat(np.arange(len(cells)), [len(each.iou) for each in cells])
        whole = (
            np.concatenate([each.confidence for each in cells]),
            np.concatenate([each.iou for each in cells]),
        )
        both = scaled(Points(*whole, groups.astype(float)), ranks)
        if both is None:
            return None
        made[variant] = sums(*both, groups, len(cells)).reshape(len(mine), len(names), -1)
    return made


@dataclass(frozen=True)
class Measured:
    """Everything that was measured.

    Attributes:
        variants: name → {label}; benchmarks: name → {label, headline, metrics, synthetic}.
        scores: with each variant's own settings.
        swept: at every value of the window.
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

    def grids(self) -> dict[str, Grid]:
        """Benchmark → the headline's grid; without those whose headline has no values by sequence."""
        every = {
            name: grid(self._of(name, self.scores), str(info["headline"]))
            for name, info in self._read()
        }
        return {name: each for name, each in every.items() if each.names}

    def windows(self) -> dict[str, Grid]:
        """Benchmark of the sweep → the grid of losses."""
        found = {}
        for name, info in self._read():
            if own := self._of(name, self.swept):
                found[name] = drops(own, str(info["headline"]))
        return found

    def on_crops(self, metric: str) -> dict[str, Grid]:
        """Benchmark → the grid of a number of its crops; without those of which there are none."""
        every = {name: grid(self._of(name, self.crops), metric) for name in self.benchmarks}
        return {name: each for name, each in every.items() if each.names}

    def _read(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        return (
            (name, info)
            for name, info in self.benchmarks.items()
            if info["metrics"][info["headline"]]["better"] == "higher"
        )

    def _of(self, benchmark: str, scores: Sequence[Score]) -> list[Score]:
        return [
            score
            for score in scores
            if score.benchmark == benchmark and score.tracker in self.variants
        ]


def scopes(grids: Iterable[str], benchmarks: Info) -> list[Scope]:
    """Each benchmark; the rendered and the real ones together where there are both and several; and
    all.
    """
    names = list(grids)
    found = [Scope(str(benchmarks[name]["label"]), (name,)) for name in names]
    rendered = tuple(name for name in names if benchmarks[name]["synthetic"])
    real = tuple(name for name in names if name not in rendered)
    if rendered and real:
        found += [Scope("all rendered", rendered)] if len(rendered) > 1 else []
        found += [Scope("all real", real)] if len(real) > 1 else []
    return found + ([Scope("all", tuple(names))] if len(names) > 1 else [])


def _used(measured: Measured, grids: Mapping[str, Grid], part: Part, scope: Scope) -> list[str]:
    """The benchmarks of a scope on which a part of a claim was measured. grids: of its kind."""
    if part.kind in ("scores", "drop"):
        there = {name: set(each.values) for name, each in grids.items() if each.names}
    else:
        there = {
            name: {run.tracker for run in measured.runs if run.benchmark == name}
            for name in scope.benchmarks
        }
    return [name for name in scope.benchmarks if set(part.weights) <= there.get(name, set())]


def _effect(
    measured: Measured, grids: Mapping[str, Grid], part: Part, names: Sequence[str]
) -> Effect | None:
    """What a part of a claim comes to on benchmarks; None where that cannot be said."""
    if part.kind in ("scores", "drop"):
        values = pooled((grids[name] for name in names), part.weights)
        return mean_effect(values, part.weights) if values else None
    runs = [run for run in measured.runs if run.benchmark in names and run.tracker in part.weights]
    found = correlation_sums(runs, part.kind.startswith("spearman"), part.kind.endswith("inside"))
    if found is None:
        return None
    effect = correlation_effect(found[OURS], found[BASELINE], (OURS, BASELINE))
    return effect if isfinite(effect.value) else None


def _plain(effect: Effect | None) -> dict[str, Any] | None:
    """An effect for JSON, NaN and infinity as null."""
    if effect is None:
        return None
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in asdict(effect).items()
    }


def _rows(grids: Mapping[str, Grid], scope: Scope, variants: Info) -> list[dict[str, Any]]:
    """Each variant's mean and its difference to the baseline."""
    found = []
    for name, info in variants.items():
        own = pooled((grids[benchmark] for benchmark in scope.benchmarks), [name])
        if own is None:
            continue
        means = own[name].mean(1)
        pair = {name: 1.0, BASELINE: -1.0}
        both = (
            pooled((grids[benchmark] for benchmark in scope.benchmarks), pair)
            if name != BASELINE
            else None
        )
        found.append(
            {
                "variant": name,
                "label": info["label"],
                "mean": float(means.mean()),
                "seeds": len(means),
                "sd": float(means.std(ddof=1)) if len(means) > 1 else None,
                "sequences": own[name].shape[1],
                "effect": _plain(mean_effect(both, pair) if both else None),
            }
        )
    return found


def _notes(measured: Measured, grids: Mapping[str, Grid]) -> list[str]:
    """What a reader has to know of seeds, sequences and what is missing."""
    labels = {name: str(info["label"]) for name, info in measured.variants.items()}
    seeds: dict[str, set[int]] = {}
    for score in measured.scores:
        if score.tracker in labels:
            seeds.setdefault(score.tracker, set()).add(score.seed)
    counts = {name: len(own) for name, own in seeds.items()}
    notes = []
    if single := [labels[name] for name, count in counts.items() if count == 1]:
        notes.append(
            f"One seed alone of {', '.join(single)}: another training would give another number,"
            " and how far it would lie away is not known; nothing about it is resolved."
        )
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{labels[name]} {count}" for name, count in counts.items())
        notes.append(
            f"The variants have different numbers of seeds ({told}); each counts with its own."
        )
    for name, each in grids.items():
        label = measured.benchmarks[name]["label"]
        if each.dropped:
            more = f" and {len(each.dropped) - NAMED} more" if len(each.dropped) > NAMED else ""
            notes.append(
                f"{label}: {', '.join(each.dropped[:NAMED])}{more} left out of every row, since a"
                " variant or seed has no score of it."
            )
        for variant, own in each.seeds.items():
            if lacking := sorted(seeds[variant] - set(own)):
                notes.append(
                    f"{label}: {labels[variant]} has no seed {', '.join(map(str, lacking))} there;"
                    " where benchmarks are taken together, it counts with the seeds that it has in"
                    " all."
                )
    for name, info in measured.benchmarks.items():
        if name not in grids:
            notes.append(
                f"{info['label']}: no values by sequence of {info['headline']} in which higher is"
                " better; left out."
            )
    needed = dict.fromkeys(
        name for claim in CLAIMS for part in claim.parts for name in part.weights
    )
    if lacking_variants := [name for name in needed if name not in seeds]:
        notes.append(
            f"Not measured, and claims about them not resolved: {', '.join(lacking_variants)}."
        )
    if not measured.runs:
        notes.append(
            "No score maps are stored (`maps:` of the profile): nothing is said of confidence and"
            " IoU."
        )
    if not measured.swept:
        notes.append(
            "No sweep of the window was run (`sweeps:` of the profile): nothing is said of it."
        )
    if not measured.crops:
        notes.append(
            "Nothing was measured on crops (`alignment:` of the profile): nothing is said of them."
        )
    return notes


CROPS = {"chosen": 1.0, "lost": -1.0}
"""What is compared on crops, and whether more of it is better."""
SHOWN = ("chosen", "lost", "rest", "middle", "best")


def _crops(measured: Measured) -> list[dict[str, Any]]:
    """Scope by scope each variant's means on crops, and its differences to the baseline, above 0
    where it is better.
    """
    grids = {metric: measured.on_crops(metric) for metric in SHOWN}
    found = []
    for scope in scopes(grids["chosen"], measured.benchmarks):
        tables = {
            m: [own[name] for name in scope.benchmarks if name in own] for m, own in grids.items()
        }
        rows = []
        for name, info in measured.variants.items():
            own = {metric: pooled(tables[metric], [name]) for metric in SHOWN}
            if own["chosen"] is None:
                continue
            effects = {}
            for metric, sign in CROPS.items() if name != BASELINE else ():
                weights = {name: sign, BASELINE: -sign}
                both = pooled(tables[metric], weights)
                effect = mean_effect(both, weights) if both else None
                effects[metric] = {"effect": _plain(effect), "verdict": part_verdict(effect)}
            rows.append(
                {
                    "variant": name,
                    "label": info["label"],
                    "seeds": len(own["chosen"][name]),
                    "effects": effects,
                    "sequences": own["chosen"][name].shape[1],
                    "means": {
                        m: None if table is None else float(table[name].mean())
                        for m, table in own.items()
                    },
                }
            )
        if rows:
            found.append({"scope": scope.label, "rows": rows})
    return found


def build(measured: Measured) -> dict[str, Any]:
    """The study as JSON-ready data: benchmarks, scopes with rows, claims with their parts in each
    scope, notes.

    A claim's verdict is that of the last scope in which it was measured, the widest.
    """
    grids, windows = measured.grids(), measured.windows()
    every = scopes(grids, measured.benchmarks)
    claims = []
    for claim in CLAIMS:
        told: list[dict[str, Any]] = []
        before: list[list[list[str]]] = [[[] for _ in claim.parts]]
        own = [windows if part.kind == "drop" else grids for part in claim.parts]
        for scope in every:
            used = [
                _used(measured, each, part, scope)
                for part, each in zip(claim.parts, own, strict=True)
            ]
            if used in before:  # nothing was measured there, or no more than in a narrower scope
                continue
            before.append(used)
            effects = [
                _effect(measured, *each) for each in zip(own, claim.parts, used, strict=True)
            ]
            pairs = list(zip(claim.parts, effects, strict=True))
            parts = [
                {
                    "words": part.words,
                    "kind": part.kind,
                    "decides": part.decides,
                    "effect": _plain(effect),
                    "verdict": part_verdict(effect),
                }
                for part, effect in pairs
            ]
            found = verdict([effect for part, effect in pairs if part.decides])
            told.append({"scope": scope.label, "verdict": found, "parts": parts})
        last = told[-1]["verdict"] if told else verdict([])
        claims.append({"words": claim.words, "paper": claim.paper, "verdict": last, "scopes": told})
    benchmarks = {
        name: {
            "label": info["label"],
            "synthetic": info["synthetic"],
            "metric": info["metrics"][info["headline"]]["label"],
            "sequences": len(grids[name].names) if name in grids else 0,
        }
        for name, info in measured.benchmarks.items()
    }
    tables = [
        {
            "scope": scope.label,
            "benchmarks": list(scope.benchmarks),
            "rows": _rows(grids, scope, measured.variants),
        }
        for scope in every
    ]
    return {
        "rule": RULE,
        "benchmarks": benchmarks,
        "scopes": tables,
        "claims": claims,
        "crops": _crops(measured),
        "notes": _notes(measured, grids),
    }
