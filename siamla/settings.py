"""YAML in, typed settings out; every mistake becomes one line that names file, key, value and what is allowed."""

import difflib
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from siamla.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


class Settings(BaseModel):
    """The base of every typed group of settings; each layer keeps its own beside the code that reads it.

    Immutable, typed, and closed: an unknown key is an error that names the nearest valid one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, where YAML would silently keep the last."""


def _mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", key_node.start_mark)
        seen.add(key)
    return dict(yaml.SafeLoader.construct_mapping(loader, node, deep))


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; UserError when it is missing, broken, or no mapping."""
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a mapping at the top, found {type(value).__name__}")
    return value


def field_names(model: type[BaseModel]) -> dict[str, Any]:
    """Field name as written in YAML → its annotation."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _siblings(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """The valid keys at the place of a wrong key, followed through nested models, mappings and unions."""
    candidates: list[type[BaseModel]] = [model]
    for part in location[:-1]:
        found = [m for c in candidates for m in _models_in(field_names(c).get(part))]
        candidates = found or candidates
    return sorted({name for candidate in candidates for name in field_names(candidate)})


def nearest(word: str, valid: list[str]) -> str:
    """ "; did you mean X?" for the closest valid word, or the list of what is valid."""
    close = difflib.get_close_matches(word, valid, 1, 0.5)
    return f"did you mean {close[0]!r}?" if close else f"valid: {', '.join(valid)}"


def _say(error: Any, model: type[BaseModel]) -> str:
    location = tuple(error["loc"])
    key = ".".join(str(part) for part in location) or "(top)"
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}; {nearest(str(location[-1]), _siblings(model, location))}"
    if error["type"] == "missing":
        return f"{key!r} is missing"
    found = error["input"]
    shown = "" if isinstance(found, dict) else f" is {found!r}:"
    return f"{key}{shown} {error['msg'].removeprefix('Value error, ')}"


def validate(model: type[Model], value: Any, where: str) -> Model:
    """`value` as `model`; UserError with one line per mistake, each beginning with `where`."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        # a misspelt key is both unknown and missing: what to write comes first
        mistakes = sorted(error.errors(include_url=False), key=lambda mistake: mistake["type"] != "extra_forbidden")
        lines = dict.fromkeys(f"{where}: {_say(mistake, model)}" for mistake in mistakes)
        raise UserError("\n".join(lines)) from None
