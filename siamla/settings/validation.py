"""The one way in: YAML and JSON as plain data, plain data as typed settings, and mistakes as lines
for people.
"""

import json
import re
import types
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from siamla.errors import UserError
from siamla.files import regular
from siamla.settings.base import NAME, closest, field_names, nearest, short

T = TypeVar("T")
Keys = tuple[int | str, ...]
_TAG = "tag:yaml.org,2002:"
PROJECT = Path(__file__).parents[1] / "project"
"""What `siamla init` copies."""


class _Loader(yaml.SafeLoader):
    """Plain data: no dates, no tags, no key twice; numbers of YAML 1.2."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        if key_node.tag == _TAG + "merge":
            continue
        key, message = loader.construct_object(key_node, deep=True), ""
        if isinstance(key, bool) or not isinstance(key, str | int):
            message = f"the key {short(key)} is not a word"
        elif str(key) in seen:
            message = f"the key {str(key)!r} is given twice"
        if message:
            raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
        seen.add(str(key))
    return dict(yaml.SafeLoader.construct_mapping(loader, node, deep=True))


INT = re.compile(r"[-+]?(0|[1-9][0-9]*)$")
FLOAT = re.compile(
    r"[-+]?(((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)(e[-+]?[0-9]+)?|\.inf)$|\.nan$", re.IGNORECASE
)
_Loader.add_constructor(_TAG + "map", _mapping)
for _kind in ("binary", "timestamp", "omap", "pairs", "set"):
    _Loader.add_constructor(_TAG + _kind, yaml.SafeLoader.yaml_constructors[None])
_Loader.yaml_implicit_resolvers = {}
for _first, _resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items():
    for _tag, _pattern in _resolvers:
        if _tag in (_TAG + "null", _TAG + "bool", _TAG + "merge"):
            _Loader.add_implicit_resolver(_tag, _pattern, [_first])
_Loader.add_implicit_resolver(_TAG + "int", INT, list("-+0123456789"))
_Loader.add_implicit_resolver(_TAG + "float", FLOAT, list("-+0123456789."))


def _text(path: Path) -> str:
    try:
        data = regular(path).read_bytes()
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except UnicodeDecodeError as error:
        line, byte = data[: error.start].count(b"\n") + 1, data[error.start]
        raise UserError(
            f"{path}, line {line}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
        ) from None


def params_file(name: str) -> Path:
    """A file of the current folder's params/, else of the package's."""
    own = Path("params", name)
    return own if own.is_file() else PROJECT / own


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file as plain data; UserError with the line where it is none."""
    text, where = _text(path), str(path)
    try:
        value = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        if mark := error.problem_mark or error.context_mark:
            where = f"{path}, line {mark.line + 1}"
        problem = " ".join(" ".join(filter(None, [error.context, error.problem])).split())
    except yaml.YAMLError as error:  # a character that is none of a text
        problem = " ".join(str(error).split())
    except RecursionError:
        problem = "nested too deeply"
    else:
        if value is None:
            raise UserError(f"{path}: the file is empty; expected a mapping")
        if not isinstance(value, dict):
            raise UserError(f"{path}: expected a mapping at the top, found {short(value)}")
        return value
    raise UserError(f"{where}: not valid YAML: {problem}")


def _valid_keys(kind: Any, keys: Keys) -> list[str]:
    """The valid keys of the group of settings that stands at `keys` in a value of `kind`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _valid_keys(arguments[0], keys)
    if origin in (Union, types.UnionType):
        return [key for member in arguments for key in _valid_keys(member, keys)]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = field_names(kind)
        return _valid_keys(fields.get(str(keys[0])), keys[1:]) if keys else sorted(fields)
    if keys and origin in (dict, list, tuple):
        return _valid_keys(arguments[origin is dict], keys[1:])
    return []


def _keys(mistake: Any, value: Any) -> Keys:
    """Where a mistake is, in keys of the value itself, without pydantic's tags of unions."""
    keys: list[int | str] = []
    for part in mistake["loc"]:
        if isinstance(value, dict) and str(part) in value:
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            continue
        keys.append(part)
    return (*keys, mistake["loc"][-1]) if mistake["type"] == "missing" else tuple(keys)


_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "literal_error": "{expected}",
    "greater_than": "more than {gt:.12g}",
    "greater_than_equal": "at least {ge:.12g}",
    "less_than": "less than {lt:.12g}",
    "less_than_equal": "at most {le:.12g}",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "string_too_short": "at least {min_length} characters",
    "string_pattern_mismatch": "text that matches {pattern}",
}
_WRONG_KIND = {kind for kind in _EXPECTED if kind.endswith("_type")} | {"literal_error"}


def _expected(mistake: Any) -> str:
    kind, context = mistake["type"], mistake.get("ctx", {})
    if context.get("pattern") == NAME:
        return "a name of lower-case letters, digits and _, at most 64"
    if kind in _EXPECTED:
        return _EXPECTED[kind].format(**context)
    return str(mistake["msg"]).removeprefix("Input should be ")


def _hint(value: Any, kinds: set[str], literals: str) -> str:
    if isinstance(value, str):
        if kinds & {"int_type", "float_type"} and re.match(r"[-+.]?[0-9]", value):
            number = INT.match(value) or FLOAT.match(value)
            return "; this is read as text" + (f", write {value} without quotes" if number else "")
        close = closest(value, re.findall(r"'([^']*)'", literals))
        return f"; did you mean {close!r}?" if close else ""
    if "string_type" in kinds and isinstance(value, bool | int | float):
        return "; put it in quotes"
    if "int_type" in kinds and isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}"
    return ""


def _line(keys: Keys, mistakes: list[Any], kind: Any) -> str:
    """The line of the mistakes at one place: of a union there is one for each member."""
    key, first = ".".join(map(str, keys)), mistakes[0]
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}; {nearest(str(keys[-1]), _valid_keys(kind, keys[:-1]))}"
    if first["type"] == "missing":
        return f"{key!r} is missing"
    value, subject = first["input"], key or "this"
    if first["type"] == "value_error":
        problem = first["msg"].removeprefix("Value error, ")
        subject = key if isinstance(value, dict) else f"{subject} is {short(value)}"
    else:
        literals = "".join(each.get("ctx", {}).get("expected", "") for each in mistakes)
        problem = f"expected {' or '.join(dict.fromkeys(map(_expected, mistakes)))}"
        problem += _hint(value, {each["type"] for each in mistakes}, literals)
        subject = f"{subject} is {short(value)}"
    if first["loc"][-1:] == ("[key]",):
        subject = f"the key {key!r}"
    return f"{subject}: {problem}" if subject else problem


def _lines(mistakes: list[Any], value: Any, kind: Any) -> list[str]:
    """One line for each mistake of pydantic's list; of a union's members those whose kind fits."""
    places: dict[Keys, list[Any]] = {}
    for mistake in mistakes:
        places.setdefault(_keys(mistake, value), []).append(mistake)
    meant = set()  # a key that a misspelt one stands for is not missing as well
    for keys, (first, *_) in places.items():
        if first["type"] == "extra_forbidden":
            meant.add((*keys[:-1], closest(str(keys[-1]), _valid_keys(kind, keys[:-1]))))
    lines: list[str] = []
    for keys, here in places.items():
        fitting = [mistake for mistake in here if mistake["type"] not in _WRONG_KIND]
        deeper = any(len(other) > len(keys) and other[: len(keys)] == keys for other in places)
        missed = here[0]["type"] == "missing" and keys in meant
        if not missed and (fitting or not deeper):
            lines.append(_line(keys, fitting or here, kind))
    return lines


def validate(kind: type[T], value: Any, where: str) -> T:
    """Plain data as `kind`, a Settings class or a container of such; UserError with one line per
    mistake, each beginning with `where`: a file, or an option.
    """
    try:  # pydantic is strict and yet takes lists for tuples where it reads JSON
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: not plain data ({error})") from None
    try:
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
    lines = dict.fromkeys(_lines(mistakes, json.loads(text), kind))
    raise UserError("\n".join(f"{where}: {line}" for line in lines))


def validate_json(kind: type[T], text: str, where: str) -> T:
    """`validate` for an option that is given as JSON; UserError for text that is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not valid JSON: {error}") from None
    return validate(kind, value, where)
