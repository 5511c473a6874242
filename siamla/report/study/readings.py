"""Readings of the paper: what each switch does to rows and to differences between them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from siamla.report.study.doses import ON_CROPS
from siamla.report.study.grids import Array, Measured
from siamla.report.study.job import Claims
from siamla.report.study.switches import columns, design_matrix
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


def _effects(gaps: pd.DataFrame | None, measured: Measured) -> list[Effect | None]:
    """What each column of the design after its first adds."""
    switches = measured.switches
    if gaps is None:
        return [None] * len(columns(switches))
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
) -> dict[str, Any] | None:
    """What a weighted sum of variants is in each reading, on average, and by each switch."""
    scores = _gaps(tables["scores"], weights)
    if scores is None:
        return None
    effects = {}
    for name, sign in MEASURES.items():
        signed = {variant: sign * weight for variant, weight in weights.items()}
        effects[name] = _effects(_gaps(tables[name], signed), measured)
    adjusted = holm([effect.p for effect in effects["scores"] if effect is not None])
    rows = []
    for place, (key, level) in enumerate(columns(measured.switches)):
        named = {"key": key, "level": level, "own": measured.switches[key][0]}
        row = {name: each[place] for name, each in effects.items()}
        rows.append({**named, **row, "p": adjusted[place]})
    means = scores.mean(axis="columns").groupby(level="reading").mean()
    values = {reading.name: float(means[at]) for at, reading in enumerate(measured.readings)}
    mean = _mean(scores.to_numpy())
    return {"words": words, "mean": mean, "p": mean.p, "values": values, "effects": rows}


def compared(measured: Measured, claims: Claims) -> dict[str, Any]:
    """The readings as data: `rows`, each reading's settings and scores; `contrasts`, the mean of
    all rows and every part of a claim about scores, on average and by each switch.
    """
    tables = {name: _table(measured, name) for name in MEASURES}
    labels = {name: info["label"] for name, info in measured.variants.items()}
    wanted: dict[str, Mapping[str, float]] = {}
    wanted["mean of all rows"] = dict.fromkeys(labels, 1 / len(labels))
    for claim in claims.claims:
        wanted |= {part.words: part.weights for part in claim.parts if part.kind == "scores"}
    made = [_contrast(*each, tables, measured) for each in wanted.items()]
    scores = tables["scores"].mean(axis="columns").groupby(level=["reading", "variant"]).mean()
    rows = []
    for place, reading in enumerate(measured.readings):
        means = {name: float(scores.loc[place, name]) for name in labels}
        rows.append({"reading": reading.name, "settings": reading.settings, "means": means})
    return {
        "labels": labels,
        "switches": measured.switches,
        "contrasts": [each for each in made if each],
        "rows": rows,
        "sequences": tables["scores"].shape[1],
    }
