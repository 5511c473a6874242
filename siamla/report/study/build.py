"""The study: its numbers and verdicts as plain data, and the page from them, page.md filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from siamla.report.differences import interval, signed
from siamla.report.drawing.data import Info, Rows
from siamla.report.measured import markdown_text
from siamla.report.study.doses import LARGEST, ON_CROPS, curves, response
from siamla.report.study.grids import CROPS, Grid, Measured, effect_of, pooled
from siamla.report.study.job import Claim, Claims, Part
from siamla.report.study.readings import compared
from siamla.report.study.switches import level_text
from siamla.report.view import filled
from siamla.statistics import LEVEL, Effect, holm

Scopes = dict[str, list[str]]
"""Label → benchmarks that are looked at together, each weighing by its number of sequences."""
GENERATED = "<!-- Made by `siamla report study`; what is changed by hand is lost. -->"
Plain = Mapping[str, Any]
NAMED = 6  # sequences that a note lists
SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "not resolved"
RULE = (
    "A part is supported where its difference is above 0 with p below .05, contradicted where it"
    " is below 0 with p below .05, and not resolved otherwise, which includes that it was not"
    " measured or has no interval. A claim is supported where each of its parts is, contradicted"
    " where one of them is, and not resolved otherwise. The verdict is that of the most sequences"
    " on which the claim was measured; p is there Holm's, corrected for the number of all parts"
    " that decide."
)


def part_verdict(effect: Effect | None, p: float | None = None) -> str:
    """What an effect says of a part; None where it was not measured. p: by default its own."""
    if effect is None or not (effect.p if p is None else p) < LEVEL:
        return OPEN
    return SUPPORTED if effect.value > 0 else CONTRADICTED


def claim_verdict(parts: Sequence[str]) -> str:
    """What the verdicts of all deciding parts say of a claim."""
    if CONTRADICTED in parts:
        return CONTRADICTED
    return SUPPORTED if parts and set(parts) == {SUPPORTED} else OPEN


def scopes(grids: Mapping[str, Grid], benchmarks: Info) -> Scopes:
    """Each benchmark; all rendered and all real ones where there are both; and all."""
    chosen = {str(benchmarks[name]["label"]): [name] for name in grids}
    rendered = [name for name in grids if benchmarks[name]["synthetic"]]
    real = [name for name in grids if name not in rendered]
    if rendered and real:
        chosen |= {"all rendered": rendered} if len(rendered) > 1 else {}
        chosen |= {"all real": real} if len(real) > 1 else {}
    return chosen | ({"all": list(grids)} if len(grids) > 1 else {})


def _plain(value: Any) -> Any:
    """Effects as data, NaN and infinity as null, names as text: for JSON."""
    if isinstance(value, Effect):
        value = asdict(value)
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _part(part: Part, effect: Effect | None) -> dict[str, Any]:
    p = effect.p if effect and isfinite(effect.p) else None
    about = {"words": part.words, "kind": part.kind, "decides": part.decides}
    return {**about, "effect": effect, "p": p}


def _dosed(measured: Measured, claim: Claim) -> dict[str, Any]:
    """What was measured of a claim about doses."""
    parts = [
        _part(part, response(measured, part.kind, part.weights, part.dose or LARGEST))
        for part in claim.parts
    ]
    steps = ", ".join(f"{dose.steps:,}" for dose in measured.doses)
    return {"scope": f"all, {steps} steps", "parts": parts}


def _scoped(measured: Measured, claim: Claim, every: Scopes) -> Rows:
    """Scope by scope what was measured of a claim, where that is more than in a narrower one."""
    if claim.dosed:
        return [_dosed(measured, claim)]
    grids = [measured.grids(part.kind) for part in claim.parts]
    before: list[list[list[str]]] = [[[] for _ in grids]]
    scoped = []
    for label, benchmarks in every.items():
        used = []
        for part, own in zip(claim.parts, grids, strict=True):
            fits = (name for name in benchmarks if name in own)
            used.append([name for name in fits if part.weights.keys() <= own[name].variants])
        if used in before:
            continue
        before.append(used)
        parts = [
            _part(part, effect_of([own[name] for name in names], part.weights))
            for part, own, names in zip(claim.parts, grids, used, strict=True)
        ]
        scoped.append({"scope": label, "parts": parts})
    return scoped


def _claims(measured: Measured, claims: Claims, every: Scopes) -> Rows:
    """The claims with their parts in each scope. A claim's verdict is that of its widest scope, in
    which p is corrected for the number of all parts that decide.
    """
    entries: Rows = []
    tested = []
    for claim in claims.claims:
        scoped = _scoped(measured, claim, every)
        words = {"words": claim.claim, "paper": claim.paper, "gains": claim.gains}
        entries.append({**words, "verdict": OPEN, "scopes": scoped})
        widest = scoped[-1]["parts"] if scoped else []
        tested += [part for part in widest if part["decides"] and part["p"] is not None]
    for part, p in zip(tested, holm([part["p"] for part in tested]), strict=True):
        part["p"] = p
    for entry in entries:
        for scope in entry["scopes"]:
            for part in scope["parts"]:
                part["verdict"] = part_verdict(part["effect"], part["p"])
            verdicts = [part["verdict"] for part in scope["parts"] if part["decides"]]
            entry["verdict"] = scope["verdict"] = claim_verdict(verdicts)
    return entries


def _rows(grids: Sequence[Grid], variants: Info, baseline: str) -> Rows:
    """Each variant's mean and its difference to the baseline."""
    rows: Rows = []
    for name, info in variants.items():
        tables = pooled(grids, [name])
        if tables is None:
            continue
        means = tables[name].mean(1)
        effect = effect_of(grids, {name: 1.0, baseline: -1.0}) if name != baseline else None
        sd = float(means.std(ddof=1)) if len(means) > 1 else None
        row = {"variant": name, "label": info["label"], "mean": float(means.mean()), "sd": sd}
        row |= {"seeds": len(means), "sequences": tables[name].shape[1], "effect": effect}
        rows.append(row)
    return rows


def _crop_rows(grids: Mapping[str, Sequence[Grid]], variants: Info, baseline: str) -> Rows:
    """Means of each variant and differences to the baseline. grids: metric → those of a scope."""
    rows: Rows = []
    for name, info in variants.items():
        tables = {metric: pooled(several, [name]) for metric, several in grids.items()}
        if tables["chosen"] is None:
            continue
        effects = {}
        for metric, sign in ON_CROPS.items() if name != baseline else ():
            effect = effect_of(grids[metric], {name: sign, baseline: -sign})
            effects[metric] = {"effect": effect, "verdict": part_verdict(effect)}
        means = {m: float(each[name].mean()) if each else None for m, each in tables.items()}
        seeds, sequences = tables["chosen"][name].shape
        row = {"variant": name, "label": info["label"], "seeds": seeds, "effects": effects}
        rows.append(row | {"sequences": sequences, "means": means})
    return rows


def _crops(measured: Measured, baseline: str) -> Rows:
    """Scope by scope the rows of numbers on crops."""
    grids = {metric: measured.grids(metric) for metric in CROPS}
    tables: Rows = []
    studied = {name: one for name, one in grids["chosen"].items() if name in measured.studied}
    for label, names in scopes(studied, measured.benchmarks).items():
        chosen = {m: [each[name] for name in names if name in each] for m, each in grids.items()}
        rows = _crop_rows(chosen, measured.variants, baseline)
        tables += [{"scope": label, "rows": rows}] if rows else []
    return tables


def _notes(measured: Measured, grids: Mapping[str, Grid], claims: Claims) -> list[str]:
    """Sentences. grids: benchmark → that of the headline."""
    seeds: dict[str, set[int]] = {}
    for score in measured.scores:
        seeds.setdefault(score.tracker, set()).add(score.seed)
    lines = []
    single = [name for name, each in seeds.items() if len(each) == 1]
    if single := [str(measured.variants[n]["label"]) for n in single if n in measured.variants]:
        lines.append(
            f"One seed alone of {', '.join(single)}: another training would give another number,"
            " and how far it would lie away is not known; nothing about it is resolved."
        )
    for name, info in measured.studied.items():
        if name not in grids:
            text = (
                f"no values by sequence of {info['headline']} in which higher is better; left out."
            )
            lines.append(f"{info['label']}: {text}")
        elif dropped := grids[name].dropped:
            more = f" and {len(dropped) - NAMED} more" if len(dropped) > NAMED else ""
            lines.append(
                f"{info['label']}: {', '.join(dropped[:NAMED])}{more} left out of every row, since"
                " a variant or seed has no score of it."
            )
    weights = [part.weights for claim in claims.claims for part in claim.parts]
    needed = dict.fromkeys(name for each in weights for name in each)
    if lacking := [name for name in needed if name not in seeds]:
        lines.append(f"Not measured, and claims about them not resolved: {', '.join(lacking)}.")
    for results, missing, what in (
        (measured.runs, "No score maps are stored (`maps:`", "confidence and IoU"),
        (measured.swept, f"No sweep of the {claims.swept} was run (`sweeps:`", "it"),
        (measured.crops, "Nothing was measured on crops (`alignment:`", "them"),
    ):
        if not results:
            lines.append(f"{missing} of the profile): nothing is said of {what}.")
    return lines


def build(measured: Measured, claims: Claims, baseline: str) -> dict[str, Any]:
    """The study as JSON-ready data: benchmarks, scopes with rows, claims with their parts in each
    scope, notes; or its readings alone (siamla.report.study.readings). baseline: the variant that
    every other is compared with.
    """
    if measured.readings:
        return {name: _plain(part) for name, part in compared(measured, claims).items()}
    found = measured.grids()
    grids = {name: one for name, one in found.items() if name in measured.studied}
    every = scopes(grids, measured.benchmarks)
    benchmarks = {
        name: {"label": info["label"], "synthetic": info["synthetic"]}
        for name, info in measured.studied.items()
    }
    tables = []
    for label, names in {**every, **measured.beside}.items():
        rows = _rows([found[name] for name in names if name in found], measured.variants, baseline)
        infos = [measured.benchmarks[name] for name in names]
        metrics = dict.fromkeys(info["metrics"][info["headline"]]["label"] for info in infos)
        about = {"scope": label, "benchmarks": names, "metrics": [*metrics]}
        tables.append({**about, "rows": rows})
    study = {
        "rule": RULE,
        "baseline": baseline,
        "benchmarks": benchmarks,
        "scopes": tables,
        "claims": _claims(measured, claims, every),
        "crops": _crops(measured, baseline),
        "doses": {
            "steps": [dose.steps for dose in measured.doses],
            "tables": curves(measured, baseline),
        },
        "notes": _notes(measured, grids, claims),
    }
    return {name: _plain(part) for name, part in study.items()}


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _difference(effect: Plain | None) -> str:
    if effect is None:
        return "not measured"
    if effect["low"] is None:
        return f"{signed(effect['value'], 3)}, no interval"
    return f"{signed(effect['value'], 3)} {interval(effect['low'], effect['high'], 3)}"


def _seeds(effect: Plain) -> str:
    """ "8", or "8, 7" where the variants differ."""
    return ", ".join(map(str, dict.fromkeys(effect["seeds"].values())))


def _deciding(claim: Plain) -> list[Plain]:
    """The parts that decide a claim, in its widest scope."""
    widest = claim["scopes"][-1]["parts"] if claim["scopes"] else []
    return [part for part in widest if part["decides"]]


def _p(value: float | None) -> str:
    return "< 0.001" if value is not None and value < 0.001 else _number(value)


def _signed(value: float) -> str:
    return signed(value, 3)


def markdown(study: Plain) -> str:
    """The page, of the content of study.json."""
    functions = (_number, _difference, _seeds, _deciding, _p, _signed)
    filters: dict[str, Any] = {function.__name__[1:]: function for function in functions}
    filters |= {"cell": markdown_text, "level": level_text}
    pages = ("readings.md" if "contrasts" in study else "page.md", "made.md")
    return "".join(filled("study", page, filters=filters, study=study) for page in pages)
