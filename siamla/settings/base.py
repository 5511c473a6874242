"""The base of all settings: kinds of values, neutral defaults, words of messages."""

import difflib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from siamla.errors import UserError

NAME = r"^[a-z0-9][a-z0-9_]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]
"""What can be a folder, a wildcard of the workflow and a word of the command line."""

Line = Annotated[str, Field(min_length=1, pattern=r"^[^\r\n]+$")]
"""What people read in one line, such as a label."""


def _each_once(values: list[Any]) -> list[Any]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value!r} is given twice")
    return values


EachOnce = AfterValidator(_each_once)
Chosen = Annotated[
    list[str], Field(min_length=1, json_schema_extra={"uniqueItems": True}), EachOnce
]
DECISIVE = "decisive"  # context of a dump: without neutral values


class Settings(BaseModel):
    """The base of every group of settings: immutable, typed, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_serializer(mode="wrap")
    def _dump(self, dump: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        data: dict[str, Any] = dump(self)
        if info.context == DECISIVE:
            for name in neutral_fields(type(self)):
                field = type(self).model_fields[name]
                if getattr(self, name) == field.default:
                    data.pop(field.alias or name, None)
        return data


def field_names(model: type[BaseModel]) -> dict[str, Any]:
    """Field name as written in YAML → its annotation."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


KINDS = {bool: "true or false", int: "whole number", float: "number", str: "text"}
BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def kind_text(kind: Any, bounds: Sequence[Any] = ()) -> str:
    """A field's type in words, with its bounds: "number > 0, ≤ 1", "null or number"."""
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    if get_origin(kind) is Annotated:
        inner, *bounds = get_args(kind)
        return kind_text(inner, bounds)
    if get_origin(kind) in (Union, UnionType):
        text = " or ".join(map(kind_text, get_args(kind)))
    else:
        text = "null" if kind is NoneType else KINDS.get(kind, "mapping")
    found = [(sign, getattr(each, name, None)) for each in bounds for name, sign in BOUNDS.items()]
    limits = [f"{sign} {limit:g}" for sign, limit in found if limit is not None]
    return " ".join([text, ", ".join(limits)]).strip()


def neutral(default: Any, **described: Any) -> Any:
    """A field whose default changes no byte against the code without it: `without_neutral` leaves
    it out at this value.
    """
    return Field(default, json_schema_extra={"neutral": True}, **described)


@cache
def neutral_fields(settings: type[BaseModel]) -> tuple[str, ...]:
    """The names of the fields that a group declares by `neutral`, or has from its base."""
    extras = {name: field.json_schema_extra for name, field in settings.model_fields.items()}
    return tuple(
        name for name, extra in extras.items() if isinstance(extra, dict) and "neutral" in extra
    )


def without_neutral(settings: Settings) -> dict[str, Any]:
    """JSON-ready settings with keys as in YAML, without values that equal a neutral default."""
    return settings.model_dump(mode="json", by_alias=True, context=DECISIVE)


class Mistakes:
    """The lines of many checks, to be told all at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        self.lines.append(line)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note the lines of a UserError that ends the block."""
        try:
            yield
        except UserError as error:
            self.lines += str(error).splitlines()

    def tell(self) -> None:
        """UserError with every mistake once, if there is any."""
        if self.lines:
            raise UserError("\n".join(dict.fromkeys(self.lines)))


def closest(word: str, valid: Sequence[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word, valid, 1, 0.5)), None)


def nearest(word: str, valid: Sequence[str]) -> str:
    """ "did you mean …?" for the closest valid word, or the list of what is valid."""
    close = closest(word, valid)
    return f"did you mean {close!r}?" if close else f"valid: {', '.join(valid)}"


def short(value: Any) -> str:
    """A value as a message shows it, at most 80 characters."""
    if isinstance(value, dict):
        return "a mapping"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
