"""The base of all settings, the kinds of values that they share, and neutral defaults."""

from functools import cache
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

NAME = r"^[a-z0-9][a-z0-9_]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]
"""What can be a folder, a wildcard of the workflow and a word of the command line."""


def _each_once(values: list[Any]) -> list[Any]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value!r} is given twice")
    return values


EachOnce = AfterValidator(_each_once)
Chosen = Annotated[
    list[str], Field(min_length=1, json_schema_extra={"uniqueItems": True}), EachOnce
]
"""Names of a list, each of them once."""


DECISIVE = "decisive"
"""Context of a dump: without neutral values."""


class Settings(BaseModel):
    """The base of every typed group of settings; each layer keeps its own beside the code that
    reads it.

    Immutable, typed, and closed: an unknown key is an error that names the nearest valid one.
    """

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


def neutral(default: Any, **described: Any) -> Any:
    """A field whose default changes nothing: the code that has the setting computes the same bytes
    with it as the code before, which had no such setting.

    `without_neutral` leaves it out at this value, so that a new setting makes no result again.
    tests/test_neutral.py holds for each such field the comparison that shows the equal bytes.
    """
    return Field(default, json_schema_extra={"neutral": True}, **described)


@cache
def neutral_fields(settings: type[BaseModel]) -> tuple[str, ...]:
    """The names of the fields that a group declares by `neutral`, or has from its base."""
    names = []
    for name, field in settings.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and "neutral" in extra:
            names.append(name)
    return tuple(names)


def without_neutral(settings: Settings) -> dict[str, Any]:
    """What an identity holds of settings: JSON-ready data with the keys as in YAML, without the
    values that equal a neutral default.
    """
    return settings.model_dump(mode="json", by_alias=True, context=DECISIVE)
