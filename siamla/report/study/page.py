"""The study as a Markdown page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from siamla.report.study.claims import CONTRADICTED, OPEN, SUPPORTED

GENERATED = "<!-- Made by `siamla report study`; what is changed by hand is lost. -->"
METHOD = """\
- Differences are means over sequences and seeds, positive in favour of the first; every sequence
  counts alike, also where benchmarks are taken together.
- Intervals cover 95 % over other sequences *and* other trainings: a mixed model with random
  sequences (in pairs, since all variants track the same), random seeds (each variant's own, of one
  variance) and what both do together, the variances by moments, the quantiles by Student's t
  (Satterthwaite). A correlation is taken as a mean, too: of what each seed and sequence adds to it.
- Smallest seen: the true difference that a study of these variances, seeds and sequences finds in
  80 of 100 repetitions, two-sided at 5 %. Where an interval covers 0, a difference of less than that
  may well be there.
- Error from: shares of the squared standard error that more sequences, more seeds, or either would
  lower.
- p is the two-sided p-value of no difference; that of a claim's widest scope is corrected by Holm's
  method for the number of all parts that decide. Intervals, and verdicts of rows, of single
  benchmarks and on crops, are not corrected: of twenty equal pairs one is called different on
  average.
- The best value of a sweep is that of a variant's highest mean on the same sequences, which flatters
  it a little; it does so for all.
"""
ON_CROPS = """\
The networks alone, without a tracker's window, penalty and smoothing: search crops cut around the
truth, shifted by up to a quarter and scaled by up to 10 %, the template from the first frame.
Chosen: IoU of the box of the highest confidence; lost: share of crops in which it is below .1; rest:
mean of the others; middle: box of the cell nearest to the target's centre; best: of the best cell.
Means over sequences and seeds; differences are above 0 where the row is better than the baseline:
supported, contradicted or not resolved by their interval.
"""
MEANS = {"chosen": "Chosen", "lost": "Lost", "rest": "Rest", "middle": "Middle", "best": "Best"}


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = []
    for row in (heads, *rows):
        cells = [cell.replace("|", "\\|") for cell in row]
        lines.append(" | ".join(["", *cells, ""]).strip())
    return [lines[0], "|:--|" + ":-:|" * (len(heads) - 1), *lines[1:], ""]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _difference(effect: Mapping[str, Any] | None) -> str:
    if effect is None:
        return "not measured"
    if effect["low"] is None:
        return f"{_signed(effect['value'])}, no interval"
    return f"{_signed(effect['value'])} [{_signed(effect['low'])}, {_signed(effect['high'])}]"


def _seeds(effect: Mapping[str, Any]) -> str:
    """ "8", or "8, 7" where the variants differ."""
    return ", ".join(map(str, dict.fromkeys(effect["seeds"].values())))


def _deciding(claim: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parts that decide a claim, in its widest scope."""
    return (
        [part for part in claim["scopes"][-1]["parts"] if part["decides"]]
        if claim["scopes"]
        else []
    )


def _headline(claim: Mapping[str, Any]) -> list[str]:
    """A claim's verdict, those of single benchmarks, and what it rests on."""
    narrower = [f"{scope['scope']}: {scope['verdict']}" for scope in claim["scopes"][:-1]]
    told = [_difference(part["effect"]) for part in _deciding(claim)]
    verdict = f"**{claim['verdict']}**"
    return [claim["words"], verdict, "; ".join(narrower) or "–", "; ".join(told) or "–"]


def _part(scope: str, part: Mapping[str, Any]) -> list[str]:
    effect = part["effect"]
    words = part["words"] if part["decides"] else f"*beside:* {part['words']}"
    sizes = ["–"] * 3
    if effect is not None:
        sizes = [_number(effect["seen"]), _seeds(effect), str(effect["sequences"])]
    verdict = [_number(part["p"]), part["verdict"]] if part["decides"] else ["–", "–"]
    return [words, scope, _difference(effect), *sizes, *verdict]


def _claim(number: int, claim: Mapping[str, Any]) -> list[str]:
    lines = [f"### {number}. {claim['words']}: {claim['verdict']}", ""]
    lines += [f"The paper: {claim['paper']}.", ""]
    if not claim["scopes"]:
        return [*lines, "Nothing of it was measured.", ""]
    heads = ["What is in favour above 0", "On", "Difference [95 %]", "Smallest seen", "Seeds"]
    rows = [_part(scope["scope"], part) for scope in claim["scopes"] for part in scope["parts"]]
    return lines + _table([*heads, "Sequences", "p", "Verdict"], rows)


def _row(row: Mapping[str, Any]) -> list[str]:
    effect = row["effect"]
    mean = _number(row["mean"]) + ("" if row["sd"] is None else f" ± {row['sd']:.3f}")
    shares = effect["shares"] if effect else {}
    told = ", ".join(f"{name} {share:.0f} %" for name, share in shares.items())
    sizes = [str(row["seeds"]), str(row["sequences"])]
    seen = effect["seen"] if effect else None
    difference = _difference(effect) if effect else "–"
    return [row["label"], mean, *sizes, difference, _number(seen), told or "–"]


def _crop_row(row: Mapping[str, Any]) -> list[str]:
    told = []
    for name in ("chosen", "lost"):
        one = row["effects"].get(name)
        known = one and one["effect"]
        told.append(f"{_difference(one['effect'])}, {one['verdict']}" if known else "–")
    means = [_number(row["means"][name]) for name in MEANS]
    return [row["label"], *means, str(row["seeds"]), str(row["sequences"]), *told]


def _scopes(study: Mapping[str, Any]) -> list[str]:
    """Every row on crops, and every row of scores."""
    lines = ["## On crops around the truth", "", ON_CROPS] if study["crops"] else []
    for scope in study["crops"]:
        base = _label(scope, study["baseline"])
        heads = ["", *MEANS.values(), "Seeds", "Sequences", f"Chosen, less {base}'s [95 %]"]
        table = _table([*heads, f"Lost, {base}'s less its own"], map(_crop_row, scope["rows"]))
        lines += [f"### {scope['scope']}", "", *table]
    lines += ["## Every row", ""]
    for scope in study["scopes"]:
        base = _label(scope, study["baseline"])
        metrics = dict.fromkeys(study["benchmarks"][name]["metric"] for name in scope["benchmarks"])
        heads = ["", f"{', '.join(metrics)}, mean ± sd of seeds", "Seeds", "Sequences"]
        heads += [f"Difference to {base} [95 %]", "Smallest seen", "Error from"]
        lines += [f"### {scope['scope']}", "", *_table(heads, map(_row, scope["rows"]))]
    return lines


def _label(scope: Mapping[str, Any], variant: str) -> str:
    labels = {row["variant"]: str(row["label"]) for row in scope["rows"]}
    return labels.get(variant, variant)


def _power(claim: Mapping[str, Any]) -> str:
    """What the widest comparison of the first claim could have seen, in a sentence."""
    parts = _deciding(claim)
    effect = parts[0]["effect"] if parts else None
    if not effect or effect["seen"] is None:
        return (
            "With these seeds and sequences no difference can be told from chance: there is no"
            " interval."
        )
    gains = f"; the paper's are {claim['gains']}" if claim["gains"] else ""
    return (
        f"With {_seeds(effect)} seeds and {effect['sequences']} sequences the study sees a"
        f" difference of {effect['seen']:.3f} in {parts[0]['words']} (80 % power, two-sided 5"
        f" %){gains}."
    )


def sentence(study: Mapping[str, Any]) -> str:
    """What came out, in one sentence for README's first screen; of the content of study.json."""
    first, *others = study["claims"]
    parts = _deciding(first)
    effect = parts[0]["effect"] if parts else None
    text = f"“{first['words']}” was not measured"
    if effect is not None:
        kinds = {info["synthetic"] for info in study["benchmarks"].values() if info["sequences"]}
        clips = "rendered and real sequences"
        if len(kinds) == 1:
            clips = "rendered clips" if kinds == {True} else "real sequences"
        seeds = f"{_seeds(effect)} seed{'s' if set(effect['seeds'].values()) != {1} else ''}"
        power = ""
        if first["verdict"] == OPEN and effect["seen"] is not None:
            power = f"; a difference of {effect['seen']:.3f} would have been seen"
        text = (
            f"On {effect['sequences']} {clips} with {seeds} each “{first['words']}” is"
            f" {first['verdict']} ({_difference(effect)}{power})"
        )
    groups = []
    for verdict in (SUPPORTED, CONTRADICTED, OPEN):
        words = [f"“{claim['words']}”" for claim in others if claim["verdict"] == verdict]
        groups += [f"{verdict}: {', '.join(words)}"] if words else []
    return f"{text}; of the paper's other claims {'; '.join(groups)}." if groups else f"{text}."


def _sources(study: Mapping[str, Any]) -> str:
    places = [f"{done} on {'; '.join(where)}" for done, where in study["places"].items() if where]
    commits = ", ".join(commit[:12] for commit in study["commits"])
    return (
        f"`siamla report study --profile {study['profile']}`, identity {study['key']}, from"
        f" {len(study['sources'])} score files, {len(study['maps'])} sets of score maps and"
        f" {len(study['alignment'])} of numbers on crops, whose identity is the plan's;"
        f" {', '.join(places)}{'; ' if places else ''}commit {commits}"
        f"{' with uncommitted changes' if study['dirty'] else ''}."
        f" reports/{study['profile']}/study.json lists them and holds every number with all its"
        " digits."
    )


def markdown(study: Mapping[str, Any]) -> str:
    """The page, of the content of study.json."""
    benchmarks = study["benchmarks"].values()
    rendered = [info["label"] for info in benchmarks if info["synthetic"]]
    real = [info["label"] for info in benchmarks if not info["synthetic"]]
    data = study["caption"].strip()
    data += f" **Rendered clips, no real video: {', '.join(rendered)}.**" if rendered else ""
    data += f" Real video: {', '.join(real)}." if real else ""
    lines = [GENERATED, "# The paper's claims, measured", "", data.strip(), ""]
    heads = ["Claim", "Verdict", "On each", "Differences [95 %] that decide"]
    lines += _table(heads, map(_headline, study["claims"]))
    lines += [sentence(study), "", study["rule"], "", _power(study["claims"][0]), ""]
    lines += [*(f"- {note}" for note in study["notes"]), "", "## Claim by claim", ""]
    for number, claim in enumerate(study["claims"], 1):
        lines += _claim(number, claim)
    lines += [*_scopes(study), "## How it is computed", "", METHOD]
    lines += ["## What remains different from the paper", ""]
    heads = ["", "Here", "In the paper", "What it would cost to test"]
    rows = [[row["what"], row["here"], row["paper"], row["cost"]] for row in study["differences"]]
    lines += _table(heads, rows)
    lines += ["## What it is made from", "", _sources(study)]
    return "\n".join(lines) + "\n"
