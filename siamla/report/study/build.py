"""The study as plain data: rows, claims with verdicts, numbers on crops, and what is to be told."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from siamla.report.drawing.data import Info
from siamla.report.study.claims import (
    OPEN,
    RULE,
    Claim,
    Claims,
    Part,
    claim_verdict,
    part_verdict,
)
from siamla.report.study.grids import Grid, Measured, pooled
from siamla.report.study.notes import notes
from siamla.statistics.corrections import holm
from siamla.statistics.effects import Effect, mean_effect

Grids = Mapping[str, Grid]
Scopes = dict[str, list[str]]
"""Label → benchmarks that are looked at together, every sequence counting alike."""
Rows = list[dict[str, Any]]
CROPS = {"chosen": 1.0, "lost": -1.0}
"""What is compared on crops, and whether more of it is better."""
MEANS = ("chosen", "lost", "rest", "middle", "best")


def scopes(grids: Grids, benchmarks: Info) -> Scopes:
    """Each benchmark; the rendered and the real ones together where there are both and several; and
    all.
    """
    chosen = {str(benchmarks[name]["label"]): [name] for name in grids}
    rendered = [name for name in grids if benchmarks[name]["synthetic"]]
    real = [name for name in grids if name not in rendered]
    if rendered and real:
        chosen |= {"all rendered": rendered} if len(rendered) > 1 else {}
        chosen |= {"all real": real} if len(real) > 1 else {}
    return chosen | ({"all": list(grids)} if len(grids) > 1 else {})


def _effect(grids: Iterable[Grid], weights: Mapping[str, float]) -> Effect | None:
    """A difference on benchmarks together; None where nothing of it was measured."""
    values = pooled(grids, weights)
    return mean_effect(values, weights) if values else None


def _plain(effect: Effect | None) -> dict[str, Any] | None:
    """An effect for JSON, NaN and infinity as null."""
    if effect is None:
        return None
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in asdict(effect).items()
    }


def _used(part: Part, grids: Grids, names: Iterable[str]) -> list[str]:
    """The benchmarks on which a part of a claim was measured."""
    wanted = set(part.weights)
    return [name for name in names if name in grids and wanted <= set(grids[name].seeds)]


def _scoped(measured: Measured, claim: Claim, every: Scopes) -> list[dict[str, Any]]:
    """Scope by scope what was measured of a claim; without scopes in which nothing was measured, or
    no more than in a narrower one.
    """
    pairs = [(part, measured.grids(part.kind, claim.metric)) for part in claim.parts]
    before: list[list[list[str]]] = [[[] for _ in pairs]]
    scoped: list[dict[str, Any]] = []
    for label, benchmarks in every.items():
        names = [name for name in benchmarks if name in (claim.benchmarks or benchmarks)]
        used = [_used(part, grids, names) for part, grids in pairs]
        if used in before:
            continue
        before.append(used)
        parts = []
        for (part, grids), chosen in zip(pairs, used, strict=True):
            effect = _effect([grids[name] for name in chosen], part.weights)
            p = effect.p if effect and isfinite(effect.p) else None
            told = {"words": part.words, "kind": part.kind, "decides": part.decides}
            parts.append({**told, "effect": effect, "p": p})
        scoped.append({"scope": label, "parts": parts})
    return scoped


def _claims(measured: Measured, claims: Claims, every: Scopes) -> list[dict[str, Any]]:
    """The claims with their parts in each scope. A claim's verdict is that of its widest scope, in
    which p is corrected for the number of all parts that decide.
    """
    told: list[dict[str, Any]] = []
    for claim in claims.claims:
        words = {"words": claim.claim, "paper": claim.paper, "gains": claim.gains}
        told.append({**words, "verdict": OPEN, "scopes": _scoped(measured, claim, every)})
    widest = [entry["scopes"][-1]["parts"] for entry in told if entry["scopes"]]
    tested = [
        part for parts in widest for part in parts if part["decides"] and part["p"] is not None
    ]
    for part, p in zip(tested, holm([part["p"] for part in tested]), strict=True):
        part["p"] = p
    for entry in told:
        for scope in entry["scopes"]:
            for part in scope["parts"]:
                part["verdict"] = part_verdict(part["effect"], part["p"])
                part["effect"] = _plain(part["effect"])
            verdicts = [part["verdict"] for part in scope["parts"] if part["decides"]]
            scope["verdict"] = claim_verdict(verdicts)
            entry["verdict"] = scope["verdict"]
    return told


def _rows(grids: Sequence[Grid], variants: Info, baseline: str) -> Rows:
    """Each variant's mean and its difference to the baseline."""
    rows = []
    for name, info in variants.items():
        tables = pooled(grids, [name])
        if tables is None:
            continue
        means = tables[name].mean(1)
        effect = _effect(grids, {name: 1.0, baseline: -1.0}) if name != baseline else None
        rows.append(
            {
                "variant": name,
                "label": info["label"],
                "mean": float(means.mean()),
                "seeds": len(means),
                "sd": float(means.std(ddof=1)) if len(means) > 1 else None,
                "sequences": tables[name].shape[1],
                "effect": _plain(effect),
            }
        )
    return rows


def _crop_rows(grids: Mapping[str, Sequence[Grid]], variants: Info, baseline: str) -> Rows:
    """Each variant's means on crops, and its differences to the baseline, above 0 where it is
    better. grids: metric → those of a scope.
    """
    rows = []
    for name, info in variants.items():
        tables = {metric: pooled(own, [name]) for metric, own in grids.items()}
        if tables["chosen"] is None:
            continue
        effects = {}
        for metric, sign in CROPS.items() if name != baseline else ():
            effect = _effect(grids[metric], {name: sign, baseline: -sign})
            effects[metric] = {"effect": _plain(effect), "verdict": part_verdict(effect)}
        means = {m: float(own[name].mean()) if own else None for m, own in tables.items()}
        seeds, sequences = tables["chosen"][name].shape
        row = {"variant": name, "label": info["label"], "seeds": seeds, "effects": effects}
        rows.append(row | {"sequences": sequences, "means": means})
    return rows


def _crops(measured: Measured, baseline: str) -> Rows:
    """Scope by scope the rows of numbers on crops."""
    grids = {metric: measured.on_crops(metric) for metric in MEANS}
    tables = []
    for label, names in scopes(grids["chosen"], measured.benchmarks).items():
        chosen = {m: [own[name] for name in names if name in own] for m, own in grids.items()}
        rows = _crop_rows(chosen, measured.variants, baseline)
        tables += [{"scope": label, "rows": rows}] if rows else []
    return tables


def build(measured: Measured, claims: Claims, baseline: str) -> dict[str, Any]:
    """The study as JSON-ready data: benchmarks, scopes with rows, claims with their parts in each
    scope, notes. baseline: the variant that every other is compared with.
    """
    grids = measured.grids()
    every = scopes(grids, measured.benchmarks)
    metrics = {n: info["metrics"][info["headline"]] for n, info in measured.benchmarks.items()}
    benchmarks = {}
    for name, info in measured.benchmarks.items():
        told = {key: info[key] for key in ("label", "synthetic")}
        sequences = grids[name].values.shape[1] if name in grids else 0
        benchmarks[name] = told | {"metric": metrics[name]["label"], "sequences": sequences}
    tables = []
    for label, names in every.items():
        rows = _rows([grids[name] for name in names], measured.variants, baseline)
        labels = list(dict.fromkeys(metrics[name]["label"] for name in names))
        tables.append({"scope": label, "benchmarks": names, "metrics": labels, "rows": rows})
    return {
        "rule": RULE,
        "baseline": baseline,
        "benchmarks": benchmarks,
        "scopes": tables,
        "claims": _claims(measured, claims, every),
        "crops": _crops(measured, baseline),
        "notes": notes(measured, grids, claims),
    }
