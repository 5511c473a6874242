"""The study as a Markdown page: page.md, filled in."""

from collections.abc import Mapping
from typing import Any

from siamla.report.differences import interval, signed
from siamla.report.render import markdown_text
from siamla.report.study.build import CONTRADICTED, OPEN, SUPPORTED
from siamla.report.view import filled

GENERATED = "<!-- Made by `siamla report study`; what is changed by hand is lost. -->"
Plain = Mapping[str, Any]


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
    functions = (_number, _difference, _seeds, _deciding)
    filters: dict[str, Any] = {function.__name__[1:]: function for function in functions}
    filters |= {"cell": markdown_text, "sentence": sentence}
    return filled("study", "page.md", filters=filters, study=study)
