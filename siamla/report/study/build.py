"""The study as plain data: rows, claims with verdicts, numbers on crops, and what is to be told."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from siamla.report.figures.data import Info
from siamla.report.study.claims import RULE, Claim, Claims, claim_verdict, part_verdict
from siamla.report.study.grids import Grid, Measured, pooled
from siamla.report.study.notes import notes
from siamla.statistics.corrections import holm
from siamla.statistics.effects import Effect, mean_effect

Grids = Mapping[str, Grid]
CROPS = {"chosen": 1.0, "lost": -1.0}
"""What is compared on crops, and whether more of it is better."""
MEANS = ("chosen", "lost", "rest", "middle", "best")


@dataclass(frozen=True)
class Scope:
    """Benchmarks that are looked at together, every sequence counting alike."""

    label: str
    benchmarks: tuple[str, ...]


@dataclass
class Finding:
    """What was measured of one part of a claim in a scope. p: the effect's, corrected or not."""

    words: str
    kind: str
    decides: bool
    effect: Effect | None
    p: float | None

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        verdict = part_verdict(self.effect, self.p)
        return asdict(self) | {"effect": _plain(self.effect), "verdict": verdict}


def scopes(grids: Iterable[str], benchmarks: Info) -> list[Scope]:
    """Each benchmark; the rendered and the real ones together where there are both and several; and
    all.
    """
    names = list(grids)
    chosen = [Scope(str(benchmarks[name]["label"]), (name,)) for name in names]
    rendered = tuple(name for name in names if benchmarks[name]["synthetic"])
    real = tuple(name for name in names if name not in rendered)
    if rendered and real:
        chosen += [Scope("all rendered", rendered)] if len(rendered) > 1 else []
        chosen += [Scope("all real", real)] if len(real) > 1 else []
    return chosen + ([Scope("all", tuple(names))] if len(names) > 1 else [])


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


def _used(claim: Claim, grids: Sequence[Grids], scope: Scope) -> list[list[str]]:
    """The benchmarks of a scope on which each part was measured. grids: of each part."""
    chosen = [
        name for name in scope.benchmarks if claim.benchmarks is None or name in claim.benchmarks
    ]
    used = []
    for part, own in zip(claim.parts, grids, strict=True):
        there = [name for name in chosen if name in own]
        used.append([name for name in there if set(part.weights) <= set(own[name].values)])
    return used


def _findings(
    measured: Measured, claim: Claim, every: Sequence[Scope]
) -> list[tuple[str, list[Finding]]]:
    """Scope by scope what was measured of a claim; without scopes in which nothing was measured, or
    no more than in a narrower one.
    """
    grids = [measured.grids(part.kind, claim.metric) for part in claim.parts]
    before: list[list[list[str]]] = [[[] for _ in claim.parts]]
    findings = []
    for scope in every:
        used = _used(claim, grids, scope)
        if used in before:
            continue
        before.append(used)
        parts = []
        for part, own, names in zip(claim.parts, grids, used, strict=True):
            effect = _effect([own[name] for name in names], part.weights)
            p = effect.p if effect and isfinite(effect.p) else None
            parts.append(Finding(part.words, part.kind, part.decides, effect, p))
        findings.append((scope.label, parts))
    return findings


def _correct(claims: Iterable[Sequence[tuple[str, list[Finding]]]]) -> None:
    """Correct the p-values of all parts that decide, of each claim in its widest scope."""
    widest = [scopes[-1][1] for scopes in claims if scopes]
    tested = [one for parts in widest for one in parts if one.decides and one.p is not None]
    for one, p in zip(tested, holm([one.p or 0.0 for one in tested]), strict=True):
        one.p = p


def _claims(measured: Measured, claims: Claims, every: Sequence[Scope]) -> list[dict[str, Any]]:
    """The claims with their parts in each scope. A claim's verdict is that of its widest scope."""
    findings = [_findings(measured, claim, every) for claim in claims.claims]
    _correct(findings)
    told = []
    for claim, found in zip(claims.claims, findings, strict=True):
        scoped = []
        for label, parts in found:
            verdicts = [part_verdict(part.effect, part.p) for part in parts if part.decides]
            plain = [part.plain() for part in parts]
            scoped.append({"scope": label, "verdict": claim_verdict(verdicts), "parts": plain})
        verdict = scoped[-1]["verdict"] if scoped else claim_verdict([])
        words = {"words": claim.claim, "paper": claim.paper, "gains": claim.gains}
        told.append({**words, "verdict": verdict, "scopes": scoped})
    return told


def _rows(grids: Sequence[Grid], variants: Info, baseline: str) -> list[dict[str, Any]]:
    """Each variant's mean and its difference to the baseline."""
    rows = []
    for name, info in variants.items():
        tables = pooled(grids, [name])
        if tables is None:
            continue
        means = tables[name].mean(1)
        weights = {name: 1.0, baseline: -1.0}
        effect = _effect(grids, weights) if name != baseline else None
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


def _crop_rows(
    grids: Mapping[str, Sequence[Grid]], variants: Info, baseline: str
) -> list[dict[str, Any]]:
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


def _crops(measured: Measured, baseline: str) -> list[dict[str, Any]]:
    """Scope by scope the rows of numbers on crops."""
    grids = {metric: measured.on_crops(metric) for metric in MEANS}
    tables = []
    for scope in scopes(grids["chosen"], measured.benchmarks):
        chosen = {m: [own[b] for b in scope.benchmarks if b in own] for m, own in grids.items()}
        rows = _crop_rows(chosen, measured.variants, baseline)
        tables += [{"scope": scope.label, "rows": rows}] if rows else []
    return tables


def build(measured: Measured, claims: Claims, baseline: str) -> dict[str, Any]:
    """The study as JSON-ready data: benchmarks, scopes with rows, claims with their parts in each
    scope, notes. baseline: the variant that every other is compared with.
    """
    grids = measured.grids()
    every = scopes(grids, measured.benchmarks)
    benchmarks = {
        name: {
            "label": info["label"],
            "synthetic": info["synthetic"],
            "metric": info["metrics"][info["headline"]]["label"],
            "sequences": len(grids[name].names) if name in grids else 0,
        }
        for name, info in measured.benchmarks.items()
    }
    tables = []
    for scope in every:
        rows = _rows([grids[name] for name in scope.benchmarks], measured.variants, baseline)
        tables.append({"scope": scope.label, "benchmarks": list(scope.benchmarks), "rows": rows})
    return {
        "rule": RULE,
        "baseline": baseline,
        "benchmarks": benchmarks,
        "scopes": tables,
        "claims": _claims(measured, claims, every),
        "crops": _crops(measured, baseline),
        "notes": notes(measured, grids, claims),
    }
