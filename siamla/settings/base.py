"""The base of all settings, the kinds of values that they share, and neutral defaults."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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


class Settings(BaseModel):
    """The base of every typed group of settings; each layer keeps its own beside the code that
    reads it.

    Immutable, typed, and closed: an unknown key is an error that names the nearest valid one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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


def is_neutral(settings: type[BaseModel], name: str) -> bool:
    """Whether a field is declared by `neutral`."""
    extra = settings.model_fields[name].json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("neutral"))


def without_neutral(settings: BaseModel) -> dict[str, Any]:
    """What an identity holds of settings: JSON-ready data with the keys as in YAML, without the
    values that equal a neutral default.
    """
    data = settings.model_dump(mode="json", by_alias=True)
    for name, field in type(settings).model_fields.items():
        key, value = field.alias or name, getattr(settings, name)
        if key not in data:  # excluded by its own declaration
            continue
        if is_neutral(type(settings), name) and value == field.default:
            del data[key]
        else:
            data[key] = _decisive(value, data[key])
    return data


def _decisive(value: Any, data: Any) -> Any:
    """The dump of a field, `data`, without neutral values in the settings that it holds."""
    if isinstance(value, BaseModel):
        return without_neutral(value)
    if isinstance(value, dict):
        parts = zip(data, value.values(), strict=True)
        return {key: _decisive(part, data[key]) for key, part in parts}
    if isinstance(value, list | tuple):
        return [_decisive(part, dumped) for part, dumped in zip(value, data, strict=True)]
    return data
