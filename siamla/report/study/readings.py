"""Readings of the paper: what each switch does to rows and to differences between them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from siamla.report.study.doses import ON_CROPS
from siamla.report.study.grids import Array, Measured
from siamla.report.study.switches import Switches, columns, design_matrix, switches_of
from siamla.statistics import Effect, fitted_effect, holm

MEASURES = {"scores": 1.0, **ON_CROPS}
"""What is followed over the readings, and whether more of it is better."""


def _table(measured: Measured, measure: str) -> pd.DataFrame:
    """Means over seeds, by variant and reading, of the sequences of all benchmarks; empty where a
    benchmark lacks a reading.
    """
    found = measured.grids(measure)
    bases = []
    for base in measured.readings[0].benchmarks:
        names = [reading.benchmarks[base] for reading in measured.readings]
        if not found.keys() >= {*names}:
            return pd.DataFrame()
        frames = [found[name].values.groupby(level="variant").mean() for name in names]
        bases.append(pd.concat(frames, join="inner", keys=range(len(names)), names=["reading"]))
    return pd.concat(bases, axis="columns", join="inner", keys=range(len(bases)))


def _gaps(table: pd.DataFrame, weights: Mapping[str, float]) -> Array | None:
    """A weighted sum of variants, (readings, sequences); None where one was not measured."""
    if table.empty or not weights.keys() <= {*table.index.unique("variant")}:
        return None
    by_variant = {name: table.xs(name, level="variant").sort_index() for name in weights}
    return np.sum([weights[name] * own.to_numpy() for name, own in by_variant.items()], axis=0)


def _mean(gaps: Array) -> Effect:
    """The mean over readings, which are taken as drawn from all that there could be."""
    return fitted_effect(gaps, np.ones((len(gaps), 1)), np.ones(1), {"readings": len(gaps)})


def _effects(gaps: Array | None, design: Array) -> list[Effect | None]:
    """What each column of the design after its first adds."""
    picks = np.eye(design.shape[1])[1:]
    if gaps is None:
        return [None] * len(picks)
    return [fitted_effect(gaps, design, pick, {"readings": len(gaps)}) for pick in picks]


def _contrast(
    words: str,
    weights: Mapping[str, float],
    tables: Mapping[str, pd.DataFrame],
    measured: Measured,
    switches: Switches,
) -> dict[str, Any] | None:
    """What a weighted sum of variants is in each reading, on average, and by each switch."""
    gaps = {name: _gaps(tables[name], weights) for name in MEASURES}
    scores = gaps["scores"]
    if scores is None:
        return None
    signed = {n: None if one is None else MEASURES[n] * one for n, one in gaps.items()}
    design = design_matrix([reading.settings for reading in measured.readings], switches)
    effects = {name: _effects(one, design) for name, one in signed.items()}
    found = [effect.p for effect in effects["scores"] if effect is not None]
    rows = []
    for place, ((key, level), p) in enumerate(zip(columns(switches), holm(found), strict=True)):
        named = {"key": key, "level": level, "own": switches[key][0], "p": p}
        rows.append(named | {name: one[place] for name, one in effects.items()})
    names = [reading.name for reading in measured.readings]
    values = dict(zip(names, map(float, scores.mean(1)), strict=True))
    return {"words": words, "mean": _mean(scores), "values": values, "effects": rows}


def compared(
    measured: Measured, parts: Mapping[str, Mapping[str, float]], own: Mapping[str, Any]
) -> dict[str, Any]:
    """The readings as data: `rows`, each reading's settings and scores; `contrasts`, the mean of
    all rows and each of `parts` (words → weighted sum of variants), on average and by each switch.

    own: the settings of the profile's `spec`, by dotted key.
    """
    readings = measured.readings
    switches = switches_of({reading.name: reading.settings for reading in readings}, own)
    tables = {name: _table(measured, name) for name in MEASURES}
    every = {name: 1 / len(measured.variants) for name in measured.variants}
    wanted = {"mean of all rows": every, **parts}
    made = [_contrast(*each, tables, measured, switches) for each in wanted.items()]
    scores = tables["scores"].mean(axis="columns")
    rows = []
    for place, reading in enumerate(readings):
        settings = {key: reading.settings[key] for key in switches}
        means = {name: float(scores.loc[place, name]) for name in measured.variants}
        rows.append({"reading": reading.name, "settings": settings, "means": means})
    return {
        "switches": switches,
        "contrasts": [each for each in made if each],
        "rows": rows,
        "sequences": tables["scores"].shape[1],
    }
