"""Dose and response: how differences to the baseline change as trainings get longer."""

from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import Any

import pandas as pd

from siamla.report.study.grids import Dose, Grid, Measured, effect_of
from siamla.statistics import Effect

ON_CROPS = {"chosen": 1.0, "lost": -1.0}
"""What is compared on crops, and whether more of it is better."""
MEASURES = {"scores": 1.0, **ON_CROPS, "spearman": 1.0}
"""What is followed over the doses, and whether more of it is better."""
FACTOR = 3.0  # a slope is the change of a difference as the training gets so many times longer
LARGEST, SLOPE = "largest", "slope"


def _at(variant: str, steps: int) -> str:
    return f"{variant}@{steps}"


def _grids(measured: Measured, measure: str) -> list[Grid]:
    """For each benchmark the values of every variant at every dose, on the same sequences."""
    found = measured.grids(measure)
    joined = []
    for base in measured.doses[0].benchmarks if measured.doses else ():
        frames = []
        for dose in measured.doses:
            if (one := found.get(dose.benchmarks[base])) is not None:
                frame = one.values.copy()
                names = [(_at(name, dose.steps), seed) for name, seed in frame.index]
                frame.index = pd.MultiIndex.from_tuples(names, names=frame.index.names)
                frames.append(frame)
        if frames:
            joined.append(Grid(pd.concat(frames, join="inner").sort_index(), []))
    return joined


def _shared(grids: Sequence[Grid], doses: Sequence[Dose], variants: Iterable[str]) -> list[int]:
    """The doses' steps at which all of these were measured on every benchmark."""
    names = [*variants]
    return [
        dose.steps
        for dose in doses
        if grids and all({_at(n, dose.steps) for n in names} <= one.variants for one in grids)
    ]


def _weights(weights: Mapping[str, float], at: Mapping[int, float]) -> dict[str, float]:
    """Those of a sum over variants, at each dose times a factor."""
    return {
        _at(name, steps): weight * factor
        for name, weight in weights.items()
        for steps, factor in at.items()
    }


def _slope(steps: Sequence[int]) -> dict[int, float]:
    """Factors whose sum with values at the doses is the values' slope, by least squares, for a
    training FACTOR times as long.
    """
    places = [log(n, FACTOR) for n in steps]
    middle = sum(places) / len(places)
    square = sum((place - middle) ** 2 for place in places)
    return {n: (place - middle) / square for n, place in zip(steps, places, strict=True)}


def response(
    measured: Measured, measure: str, weights: Mapping[str, float], of: str
) -> Effect | None:
    """A weighted sum of variants at the largest dose that all of them have, or its slope over the
    doses that they have; None where that is not measured, or there is one dose alone.
    """
    grids = _grids(measured, measure)
    shared = _shared(grids, measured.doses, weights)
    if not shared or (of == SLOPE and len(shared) < 2):
        return None
    at = {shared[-1]: 1.0} if of == LARGEST else _slope(shared)
    return effect_of(grids, _weights(weights, at))


def curves(measured: Measured, baseline: str) -> list[dict[str, Any]]:
    """Measure by measure the rows of the variants: their differences to the baseline, above 0 where
    they are better, at each dose that both have (`points`: steps → effect), and the slope.
    """
    tables: list[dict[str, Any]] = []
    for measure, sign in MEASURES.items():
        grids = _grids(measured, measure)
        rows = []
        for name, info in measured.variants.items():
            weights = {name: sign, baseline: -sign}
            has = _shared(grids, measured.doses, weights) if name != baseline else []
            points = {n: effect_of(grids, _weights(weights, {n: 1.0})) for n in has}
            if points:
                slope = response(measured, measure, weights, SLOPE)
                about = {"variant": name, "label": info["label"]}
                rows.append({**about, "points": points, "slope": slope})
        if rows:
            tables.append({"measure": measure, "rows": rows})
    return tables
