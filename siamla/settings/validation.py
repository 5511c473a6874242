"""The one way in: plain data as typed settings."""

import json
from collections import Counter
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from siamla.errors import UserError
from siamla.settings.mistakes import lines_of

T = TypeVar("T")


def validate(kind: type[T], value: Any, where: str) -> T:
    """Plain data as `kind`, a Settings class or a container of such; nothing is converted silently.

    UserError with one line per mistake, each beginning with `where`: a file, or an option of the
    command line.
    """
    try:  # pydantic is strict and yet takes lists for tuples where it reads JSON
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: not plain data ({error})") from None
    try:
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
    if mistakes[0]["type"] == "json_invalid":
        raise UserError(f"{where}: not plain data ({mistakes[0]['msg']})")
    lines = dict.fromkeys(lines_of(mistakes, json.loads(text), kind))
    raise UserError("\n".join(f"{where}: {line}" for line in lines))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            raise ValueError(f"the key {key!r} is given twice")
    return dict(pairs)


def validate_json(kind: type[T], text: str, where: str) -> T:
    """`validate` for an option that is given as JSON; UserError for text that is none."""
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not valid JSON: {error}") from None
    return validate(kind, value, where)
