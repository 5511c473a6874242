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
    """Values by reading, variant and seed, of the sequences of all benchmarks; empty where a
    benchmark lacks a reading.
    """
    found = measured.grids(measure)
    bases = []
    for base in measured.readings[0].benchmarks:
        names = [reading.benchmarks[base] for reading in measured.readings]
        if not found.keys() >= {*names}:
            return pd.DataFrame()
        frames = [found[name].values for name in names]
        bases.append(pd.concat(frames, join="inner", keys=range(len(names)), names=["reading"]))
    return pd.concat(bases, axis="columns", join="inner", keys=range(len(bases))).sort_index()


def _gaps(table: pd.DataFrame, weights: Mapping[str, float]) -> pd.DataFrame | None:
    """A weighted sum of variants by reading and seed; None where one was not measured."""
    if table.empty or not weights.keys() <= {*table.index.unique("variant")}:
        return None
    own = {name: pd.DataFrame(table.xs(name, level="variant")) for name in weights}
    weighted = [weight * own[name] for name, weight in weights.items()]
    return sum(weighted[1:], weighted[0])


def _mean(gaps: Array) -> Effect:
    """The mean of trainings, whose readings are taken as drawn from all that there could be."""
    return fitted_effect(gaps, np.ones((len(gaps), 1)), np.ones(1), {"trainings": len(gaps)})


def _effects(
    gaps: pd.DataFrame | None, measured: Measured, switches: Switches
) -> list[Effect | None]:
    """What each column of the design after its first adds."""
    chosen = columns(switches)
    if gaps is None:
        return [None] * len(chosen)
    places = gaps.index.get_level_values("reading")
    design = design_matrix([measured.readings[at].settings for at in places], switches)
    picks = np.eye(design.shape[1])[1:]
    seeds = {"trainings": len(gaps)}
    return [fitted_effect(gaps.to_numpy(), design, pick, seeds) for pick in picks]


def _contrast(
    words: str,
    weights: Mapping[str, float],
    tables: Mapping[str, pd.DataFrame],
    measured: Measured,
    switches: Switches,
) -> dict[str, Any] | None:
    """What a weighted sum of variants is in each reading, on average, and by each switch."""
    scores = _gaps(tables["scores"], weights)
    if scores is None:
        return None
    effects = {}
    for name, sign in MEASURES.items():
        signed = {variant: sign * weight for variant, weight in weights.items()}
        effects[name] = _effects(_gaps(tables[name], signed), measured, switches)
    found = [effect.p for effect in effects["scores"] if effect is not None]
    rows = []
    for place, ((key, level), p) in enumerate(zip(columns(switches), holm(found), strict=True)):
        named = {"key": key, "level": level, "own": switches[key][0], "p": p}
        rows.append(named | {name: one[place] for name, one in effects.items()})
    means = scores.mean(axis="columns").groupby(level="reading").mean()
    values = {reading.name: float(means[at]) for at, reading in enumerate(measured.readings)}
    return {"words": words, "mean": _mean(scores.to_numpy()), "values": values, "effects": rows}


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
    scores = tables["scores"].mean(axis="columns").groupby(level=["reading", "variant"]).mean()
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
