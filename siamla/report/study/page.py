"""The study as a Markdown page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from siamla.report.study.claims import BASELINE, CONTRADICTED, OPEN, SUPPORTED

GENERATED = "<!-- Made by `siamla report study`; what is changed by hand is lost. -->"
METHOD = (
    (
        "Differences are means over sequences and seeds, positive in favour of the first; every"
        " sequence counts alike, also where benchmarks are taken together."
    ),
    (
        "Intervals cover 95 % over other sequences *and* other trainings: a mixed model with random"
        " sequences (in pairs, since all variants track the same), random seeds (each variant's"
        " own, of one variance) and what both do together, the variances by moments, the quantiles"
        " by Student's t (Satterthwaite). Those of correlations resample sequences in pairs and"
        " seeds; they are rather too wide than too narrow."
    ),
    (
        "Smallest seen: the true difference that a study of these variances, seeds and sequences"
        " finds in 80 of 100 repetitions, two-sided at 5 %. Where an interval covers 0, a"
        " difference of less than that may well be there."
    ),
    (
        "Error from: shares of the squared standard error that more sequences, more seeds, or"
        " either would lower."
    ),
    (
        "The best window of a variant is the one of its highest mean on the same sequences, which"
        " flatters it a little; it does so for both."
    ),
    (
        "The intervals are not corrected for their number: of twenty equal pairs one is called"
        " different on average."
    ),
)

CROPS = {"chosen": "Chosen", "lost": "Lost", "rest": "Rest", "middle": "Middle", "best": "Best"}
ON_CROPS = (
    "The networks alone, without a tracker's window, penalty and smoothing: search crops cut around"
    " the truth, shifted by up to a quarter and scaled by up to 10 %, the template from the first"
    " frame. Chosen: IoU of the box of the highest confidence; lost: share of crops in which it is"
    " below .1; rest: mean of the others; middle: box of the cell nearest to the target's centre;"
    " best: of the best cell. Means over sequences and seeds; differences are above 0 where the row"
    " is better than the baseline: supported, contradicted or not resolved by their interval."
)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [
        " | ".join(["", *(cell.replace("|", "\\|") for cell in row), ""]).strip()
        for row in (heads, *rows)
    ]
    return [lines[0], "|:--|" + ":-:|" * (len(heads) - 1), *lines[1:], ""]


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _difference(effect: Mapping[str, Any]) -> str:
    if effect["low"] is None:
        return f"{_signed(effect['value'])}, no interval"
    return f"{_signed(effect['value'])} [{_signed(effect['low'])}, {_signed(effect['high'])}]"


def _seen(effect: Mapping[str, Any] | None) -> str:
    return f"{effect['seen']:.3f}" if effect and effect["seen"] is not None else "–"


def _seeds(effect: Mapping[str, Any]) -> str:
    """ "8", or "8, 7" where the variants differ."""
    return ", ".join(map(str, dict.fromkeys(effect["seeds"].values())))


def _part(scope: str, part: Mapping[str, Any]) -> list[str]:
    effect, words = (
        part["effect"],
        part["words"] if part["decides"] else f"*beside:* {part['words']}",
    )
    if effect is None:
        return [
            words,
            scope,
            "not measured",
            "–",
            "–",
            "–",
            part["verdict"] if part["decides"] else "–",
        ]
    told = part["verdict"] if part["decides"] else "–"
    return [
        words,
        scope,
        _difference(effect),
        _seen(effect),
        _seeds(effect),
        str(effect["sequences"]),
        told,
    ]


def _headline(claim: Mapping[str, Any]) -> list[str]:
    """A claim's verdict, those of single benchmarks, and what it rests on."""
    scopes = claim["scopes"]
    each = "; ".join(f"{scope['scope']}: {scope['verdict']}" for scope in scopes[:-1])
    parts = [part for part in scopes[-1]["parts"] if part["decides"]] if scopes else []
    told = [
        "not measured" if part["effect"] is None else _difference(part["effect"]) for part in parts
    ]
    return [claim["words"], f"**{claim['verdict']}**", each or "–", "; ".join(told) or "–"]


def _claim(number: int, claim: Mapping[str, Any]) -> list[str]:
    lines = [
        f"### {number}. {claim['words']}: {claim['verdict']}",
        "",
        f"The paper: {claim['paper']}.",
        "",
    ]
    if not claim["scopes"]:
        return [*lines, "Nothing of it was measured.", ""]
    heads = [
        "What is in favour above 0",
        "On",
        "Difference [95 %]",
        "Smallest seen",
        "Seeds",
        "Sequences",
        "Verdict",
    ]
    return lines + _table(
        heads, [_part(s["scope"], part) for s in claim["scopes"] for part in s["parts"]]
    )


def _shares(effect: Mapping[str, Any] | None) -> str:
    if not effect or not effect["shares"]:
        return "–"
    return ", ".join(f"{name} {share:.0f} %" for name, share in effect["shares"].items())


def _rows(scope: Mapping[str, Any], benchmarks: Mapping[str, Any]) -> list[str]:
    """A scope's variants against the baseline."""
    base = next((row["label"] for row in scope["rows"] if row["variant"] == BASELINE), BASELINE)
    metrics = ", ".join(dict.fromkeys(benchmarks[name]["metric"] for name in scope["benchmarks"]))
    rows = []
    for row in scope["rows"]:
        effect, sd = row["effect"], row["sd"]
        mean = f"{row['mean']:.3f}" + (f" ± {sd:.3f}" if sd is not None else "")
        told = _difference(effect) if effect else "–"
        rows.append(
            [
                row["label"],
                mean,
                str(row["seeds"]),
                str(row["sequences"]),
                told,
                _seen(effect),
                _shares(effect),
            ]
        )
    heads = [
        "",
        f"{metrics}, mean ± sd of seeds",
        "Seeds",
        "Sequences",
        f"Difference to {base} [95 %]",
        "Smallest seen",
        "Error from",
    ]
    return [f"### {scope['scope']}", "", *_table(heads, rows)]


def _crops(scope: Mapping[str, Any]) -> list[str]:
    """A scope's variants on crops."""
    base = next((row["label"] for row in scope["rows"] if row["variant"] == BASELINE), BASELINE)
    rows = []
    for row in scope["rows"]:
        means = [
            "–" if row["means"][name] is None else f"{row['means'][name]:.3f}" for name in CROPS
        ]
        effects = [row["effects"].get(name) for name in ("chosen", "lost")]
        told = [
            "–" if not e or not e["effect"] else f"{_difference(e['effect'])}, {e['verdict']}"
            for e in effects
        ]
        rows.append([row["label"], *means, str(row["seeds"]), str(row["sequences"]), *told])
    heads = [
        "",
        *CROPS.values(),
        "Seeds",
        "Sequences",
        f"Chosen, less {base}'s [95 %]",
        f"Lost, {base}'s less its own",
    ]
    return [f"### {scope['scope']}", "", *_table(heads, rows)]


def _power(study: Mapping[str, Any]) -> str:
    """What the widest comparison of the first claim could have seen, in a sentence."""
    told = study["claims"][0]["scopes"]
    effect = told[-1]["parts"][0]["effect"] if told else None
    if not effect or effect["seen"] is None:
        return (
            "With these seeds and sequences no difference can be told from chance: there is no"
            " interval."
        )
    return (
        f"With {_seeds(effect)} seeds and {effect['sequences']} sequences the study sees a"
        f" difference of {effect['seen']:.3f} between SiamLA and SiamCAR (80 % power, two-sided 5"
        " %); the paper's are .052 (OTB100 AUC) and .038 (GOT-10k AO)."
    )


def sentence(study: Mapping[str, Any]) -> str:
    """What came out, in one sentence for README's first screen; of the content of study.json."""
    first, *others = study["claims"]
    effect = first["scopes"][-1]["parts"][0]["effect"] if first["scopes"] else None
    kinds = {info["synthetic"] for info in study["benchmarks"].values() if info["sequences"]}
    clips = {(True,): "rendered clips", (False,): "real sequences"}.get(
        tuple(kinds), "rendered and real sequences"
    )
    if effect is None:
        told = "SiamLA was not compared with SiamCAR"
    else:
        seeds = f"{_seeds(effect)} seed{'s' if set(effect['seeds'].values()) != {1} else ''}"
        where = f"on {effect['sequences']} {clips} with {seeds} each"
        words = {
            SUPPORTED: "is better than SiamCAR",
            CONTRADICTED: "is worse than SiamCAR, not better",
        }
        said = words.get(first["verdict"], "cannot be told from SiamCAR")
        power = (
            f"; a difference of {_seen(effect)} would have been seen"
            if effect["seen"] is not None
            else ""
        )
        power = power if first["verdict"] == OPEN else ""
        told = f"{where[0].upper()}{where[1:]} SiamLA {said} ({_difference(effect)}{power})"
    groups = {
        verdict: [c["words"] for c in others if c["verdict"] == verdict]
        for verdict in (SUPPORTED, CONTRADICTED, OPEN)
    }
    rest = "; ".join(
        f"{verdict}: {', '.join(f'“{w}”' for w in own)}" for verdict, own in groups.items() if own
    )
    return f"{told}; of the paper's other claims {rest}."


def _commits(study: Mapping[str, Any]) -> str:
    commits = ", ".join(commit[:12] for commit in study["commits"])
    return f"commit {commits}{' with uncommitted changes' if study['dirty'] else ''}"


def markdown(study: Mapping[str, Any]) -> str:
    """The page, of the content of study.json."""
    benchmarks = study["benchmarks"]
    rendered = [info["label"] for info in benchmarks.values() if info["synthetic"]]
    real = [info["label"] for info in benchmarks.values() if not info["synthetic"]]
    kinds = f"**Rendered clips, no real video: {', '.join(rendered)}.**" if rendered else ""
    kinds += f" Real video: {', '.join(real)}." if real else ""
    lines = [
        GENERATED,
        "# The paper's claims, measured",
        "",
        f"{study['caption'].strip()} {kinds}".strip(),
        "",
    ]
    lines += _table(
        ["Claim", "Verdict", "On each", "Differences [95 %] that decide"],
        map(_headline, study["claims"]),
    )
    lines += [sentence(study), "", study["rule"], "", _power(study), ""]
    lines += [f"- {note}" for note in study["notes"]] + ([""] if study["notes"] else [])
    lines += ["## Claim by claim", ""]
    for number, claim in enumerate(study["claims"], 1):
        lines += _claim(number, claim)
    if study["crops"]:
        lines += ["## On crops around the truth", "", ON_CROPS, ""]
    for scope in study["crops"]:
        lines += _crops(scope)
    lines += ["## Every row", ""]
    for scope in study["scopes"]:
        lines += _rows(scope, benchmarks)
    lines += ["## How it is computed", "", *[f"- {text}" for text in METHOD], ""]
    lines += ["## What remains different from the paper", ""]
    heads = ["", "Here", "In the paper", "What it would cost to test"]
    lines += _table(
        heads, [[d["what"], d["here"], d["paper"], d["cost"]] for d in study["differences"]]
    )
    lines += ["## What it is made from", ""]
    places = ", ".join(
        f"{done} on {'; '.join(found)}" for done, found in study["places"].items() if found
    )
    lines.append(
        f"`siamla report study --profile {study['profile']}`, identity {study['key']}, from"
        f" {len(study['sources'])} score files, {len(study['maps'])} sets of score maps and"
        f" {len(study['alignment'])} of numbers on crops, whose identity is the plan's;"
        f" {f'{places}; ' if places else ''}{_commits(study)}."
        f" reports/{study['profile']}/study.json lists them and holds every number with all its"
        " digits."
    )
    return "\n".join(lines) + "\n"
