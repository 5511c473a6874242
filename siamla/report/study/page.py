"""The study as a Markdown page: the cells of page.md."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from siamla.report.study.claims import CONTRADICTED, OPEN, SUPPORTED

GENERATED = "<!-- Made by `siamla report study`; what is changed by hand is lost. -->"
MEANS = ("chosen", "lost", "rest", "middle", "best")
FEW = 0.001  # p below which its digits say nothing
Plain = Mapping[str, Any]


def template() -> str:
    """The text of the page around its numbers."""
    return (files("siamla.report.study") / "page.md").read_text(encoding="utf-8")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _difference(effect: Plain | None) -> str:
    if effect is None:
        return "not measured"
    if effect["low"] is None:
        return f"{_signed(effect['value'])}, no interval"
    return f"{_signed(effect['value'])} [{_signed(effect['low'])}, {_signed(effect['high'])}]"


def _seeds(effect: Plain) -> str:
    """ "8", or "8, 7" where the variants differ."""
    return ", ".join(map(str, dict.fromkeys(effect["seeds"].values())))


def _deciding(claim: Plain) -> list[Plain]:
    """The parts that decide a claim, in its widest scope."""
    widest = claim["scopes"][-1]["parts"] if claim["scopes"] else []
    return [part for part in widest if part["decides"]]


def _headline(claim: Plain) -> list[str]:
    """A claim's verdict, those of single benchmarks, and what it rests on."""
    narrower = [f"{scope['scope']}: {scope['verdict']}" for scope in claim["scopes"][:-1]]
    told = [_difference(part["effect"]) for part in _deciding(claim)]
    verdict = f"**{claim['verdict']}**"
    return [claim["words"], verdict, "; ".join(narrower) or "–", "; ".join(told) or "–"]


def _part(part: Plain, scope: str) -> list[str]:
    effect = part["effect"]
    words = part["words"] if part["decides"] else f"*beside:* {part['words']}"
    sizes = ["–"] * 3
    if effect is not None:
        sizes = [_number(effect["seen"]), _seeds(effect), str(effect["sequences"])]
    verdict = ["–", "–"]
    if part["decides"]:
        few = part["p"] is not None and part["p"] < FEW
        verdict = [f"< {FEW}" if few else _number(part["p"]), part["verdict"]]
    return [words, scope, _difference(effect), *sizes, *verdict]


def _row(row: Plain) -> list[str]:
    effect = row["effect"]
    mean = _number(row["mean"]) + ("" if row["sd"] is None else f" ± {row['sd']:.3f}")
    sizes = [str(row["seeds"]), str(row["sequences"])]
    if effect is None:
        return [row["label"], mean, *sizes, "–", "–", "–"]
    shares = ", ".join(f"{name} {share:.0f} %" for name, share in effect["shares"].items())
    return [row["label"], mean, *sizes, _difference(effect), _number(effect["seen"]), shares or "–"]


def _crop_row(row: Plain) -> list[str]:
    told = []
    for name in ("chosen", "lost"):
        one = row["effects"].get(name)
        known = one and one["effect"]
        told.append(f"{_difference(one['effect'])}, {one['verdict']}" if known else "–")
    means = [_number(row["means"][name]) for name in MEANS]
    return [row["label"], *means, str(row["seeds"]), str(row["sequences"]), *told]


def _label_of(scope: Plain, variant: str) -> str:
    labels = {row["variant"]: str(row["label"]) for row in scope["rows"]}
    return labels.get(variant, variant)


def _power(claim: Plain) -> str:
    """What the widest comparison of a claim could have seen, in a sentence."""
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


def _sources(study: Plain) -> str:
    counts = study["counts"]
    places = [f"{done} on {'; '.join(where)}" for done, where in study["places"].items() if where]
    commits = ", ".join(commit[:12] for commit in study["commits"])
    return (
        f"`siamla report study --profile {study['profile']}`, identity {study['key']}, from"
        f" {counts.get('score', 0)} score files, {counts.get('maps', 0)} sets of score maps and"
        f" {counts.get('alignment', 0)} of numbers on crops, whose identity is the plan's;"
        f" {', '.join(places)}{'; ' if places else ''}commit {commits}"
        f"{' with uncommitted changes' if study['dirty'] else ''}."
        f" reports/{study['profile']}/study.json lists them and holds every number with all its"
        " digits."
    )


def sentence(study: Plain) -> str:
    """What came out, in one sentence for README's first screen."""
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


def markdown(study: Plain) -> str:
    """The page, of the content of study.json."""
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    cells = {"headline": _headline, "part": _part, "row": _row, "crop_row": _crop_row}
    texts = {"label_of": _label_of, "power": _power, "sources": _sources, "sentence": sentence}
    environment.filters |= cells | texts
    return environment.from_string(template()).render(study=study)
