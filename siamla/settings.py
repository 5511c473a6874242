"""Settings: YAML files and JSON options in, typed data out; a mistake is one line with place, key,
value and help.

The only validator of the package: no other module catches pydantic's errors or reads YAML settings
by itself.
"""

import difflib
import json
import math
import re
import types
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from siamla.errors import UserError
from siamla.files import regular

T = TypeVar("T")
Location = tuple[int | str, ...]

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

MOST_VALUES = 100_000  # in a settings file whose aliases are written out


class Settings(BaseModel):
    """The base of every typed group of settings; each layer keeps its own beside the code that
    reads it.

    Immutable, typed, and closed: an unknown key is an error that names the nearest valid one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Mistakes:
    """The lines of many checks, to be told all at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        """Note one mistake."""
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


def _closest(word: str, valid: list[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word, valid, 1, 0.5)), None)


def nearest(word: str, valid: list[str]) -> str:
    """ "did you mean X?" for the closest valid word, or the list of what is valid."""
    close = _closest(word, valid)
    return f"did you mean {close!r}?" if close else f"valid: {', '.join(valid)}"


# YAML files
# ---------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Plain data alone: no dates, no tags, no key twice, no bomb of aliases."""

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None and _weight(node, {}) > MOST_VALUES:
            raise yaml.composer.ComposerError(None, None, "its aliases stand for too many values")
        return node


def _weight(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for when every alias in it is written out."""
    if id(node) in known:
        if not known[id(node)]:
            raise yaml.composer.ComposerError(
                None, None, "an alias stands inside what it refers to", node.start_mark
            )
        return known[id(node)]
    known[id(node)] = 0  # until it is known
    parts = (
        [part for pair in node.value for part in pair]
        if isinstance(node, yaml.MappingNode)
        else node.value
    )
    known[id(node)] = 1 + (
        0 if isinstance(node, yaml.ScalarNode) else sum(_weight(part, known) for part in parts)
    )
    return known[id(node)]


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key, mark = loader.construct_object(key_node, deep=True), key_node.start_mark
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {_shown(key)} is not a word", mark
            )
        if str(key) in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {str(key)!r} is given twice", mark
            )
        seen.add(str(key))
    return dict(yaml.SafeLoader.construct_mapping(loader, node, deep=True))


_PLAIN = {
    f"tag:yaml.org,2002:{kind}"
    for kind in ("null", "bool", "int", "float", "str", "seq", "map", "merge")
}
_Loader.yaml_constructors = {
    k: v for k, v in yaml.SafeLoader.yaml_constructors.items() if k is None or k in _PLAIN
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _PLAIN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _text(path: Path) -> str:
    """The text of a settings file; UserError when there is none."""
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
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file as plain data; UserError, with the line, for whatever cannot be
    that.
    """
    text = _text(path)
    try:
        value = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        said = " ".join(" ".join(filter(None, [error.context, error.problem])).split())
        raise UserError(f"{where}: not valid YAML: {said}") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise UserError(
            f"{path}, line {line}: not valid YAML: the character {chr(int(error.character))!r}"
        ) from None
    except RecursionError:
        raise UserError(f"{path}: not valid YAML: nested too deeply") from None
    except ValueError as error:  # a number that Python refuses: of thousands of digits, say
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if value is None:
        raise UserError(f"{path}: the file is empty; expected a mapping")
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a mapping at the top, found {_shown(value)}")
    return value


# What a mistake says
# ------------------------------------------------------------------------------------------------


def field_names(model: type[BaseModel]) -> dict[str, Any]:
    """Field name as written in YAML → its annotation."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _members(annotation: Any) -> list[Any]:
    """The members of a union without None, or the annotation itself, without what Annotated adds."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [
            member
            for part in get_args(annotation)
            if part is not type(None)
            for member in _members(part)
        ]
    return [annotation]


def _tagged(members: list[Any], tag: str) -> Any:
    """The member of a union that pydantic's tag in a location speaks of."""
    for found in (re.match, re.search):  # a mapping's tag names what it holds as well
        for member in members:
            name = "literal" if get_origin(member) is Literal else getattr(member, "__name__", "")
            if name and found(rf"\b{name}\b", tag):
                return member
    return Any


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _inside(annotation: Any, part: int | str) -> Any:
    """The annotation of a model's field or of what a container holds."""
    arguments = get_args(annotation)
    if _is_model(annotation):
        return field_names(annotation).get(str(part), Any)
    if get_origin(annotation) is dict:
        return arguments[1]
    if get_origin(annotation) is tuple and isinstance(part, int) and ... not in arguments:
        return arguments[part] if part < len(arguments) else Any
    return arguments[0] if get_origin(annotation) in (list, tuple) else Any


class _Place(NamedTuple):
    """Where a mistake is."""

    keys: Location
    """As written in the file: without pydantic's tags."""
    siblings: list[str]
    """The valid keys of the model that holds it."""
    unions: list[int]
    """How much of pydantic's location leads to each union on the way; a tag of the chosen member
    follows.
    """


def _place(kind: Any, location: Location) -> _Place:
    keys: list[int | str] = []
    siblings: list[str] = []
    unions, annotation = [], kind
    for index, part in enumerate(location):
        members = _members(annotation)
        if len(members) > 1:
            unions.append(index)
            annotation = _tagged(members, str(part))
        elif part != "[key]":
            (holder,) = members
            keys.append(part)
            siblings = sorted(field_names(holder)) if _is_model(holder) else []
            annotation = _inside(holder, part)
    return _Place(tuple(keys), siblings, unions)


_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "string_too_short": "at least {min_length} characters",
    "string_pattern_mismatch": "text that matches {pattern}",
}
_WRONG_KIND = {kind for kind in _EXPECTED if kind.endswith("_type")} | {"literal_error"}


def _shown(value: Any) -> str:
    """A found value, short."""
    if isinstance(value, dict):
        return "a mapping"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _number(text: str) -> str | None:
    """How to write the number that a text holds so that YAML reads a number; None when it holds
    none.
    """
    if _Loader("").resolve(yaml.ScalarNode, text, (True, False)).endswith((":int", ":float")):
        return f"{text} without quotes"
    try:
        value = float(text)
    except ValueError:
        return None
    mantissa, _, exponent = text.strip().lower().partition("e")
    if not exponent or not math.isfinite(value):
        return None
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent if exponent[0] in '+-' else '+' + exponent}"


def _hint(mistakes: list[Any]) -> str:
    """What to write instead, where that can be guessed."""
    found, types_ = mistakes[0]["input"], {mistake["type"] for mistake in mistakes}
    literal = next(
        (mistake["ctx"]["expected"] for mistake in mistakes if mistake["type"] == "literal_error"),
        "",
    )
    if isinstance(found, str):
        if types_ & {"int_type", "float_type"} and (number := _number(found)):
            return f"; this is read as text, write {number}"
        close = _closest(found, re.findall(r"'([^']*)'", literal))
        return f"; did you mean {close!r}?" if close else ""
    if "string_type" in types_ and isinstance(found, bool | int | float):
        return "; put it in quotes"
    if "int_type" in types_ and isinstance(found, float) and found.is_integer():
        return f"; write {int(found)}"
    return ""


def _expected(mistake: Any) -> str:
    """What one mistake should have been."""
    kind, context = mistake["type"], mistake.get("ctx", {})
    context = {
        k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in context.items()
    }
    if kind == "string_pattern_mismatch" and context["pattern"] == NAME:
        return "a name of lower-case letters, digits and _, at most 64"
    return (
        _EXPECTED[kind].format(**context)
        if kind in _EXPECTED
        else mistake["msg"].removeprefix("Input should be ")
    )


def _say(mistakes: list[Any], place: _Place) -> str:
    """The line of one mistake, or of the branches of a union of which none fits."""
    key, first = ".".join(str(part) for part in place.keys), mistakes[0]
    if first["type"] == "extra_forbidden":
        *_, word = place.keys
        return f"unknown key {key!r}; {nearest(str(word), place.siblings)}"
    if first["type"] == "missing":
        return f"{key!r} is missing"
    found = (
        ""
        if isinstance(first["input"], dict) and first["type"] == "value_error"
        else _shown(first["input"])
    )
    if first["type"] == "value_error":
        said = first["msg"].removeprefix("Value error, ")
    else:
        said = f"expected {' or '.join(dict.fromkeys(map(_expected, mistakes)))}{_hint(mistakes)}"
    if first["loc"][-1:] == ("[key]",):
        return f"the key {key!r}: {said}"
    return ": ".join(filter(None, [f"{key or 'this'} is {found}" if found else key, said]))


Placed = list[tuple[Any, _Place]]


def _lines(placed: Placed, depth: int = 0) -> list[str]:
    """The lines of mistakes, grouped by the union at `depth` on their way: of its branches those
    that fit are told.
    """
    groups: dict[Any, Placed] = {}
    for index, (mistake, place) in enumerate(placed):
        union = mistake["loc"][: place.unions[depth]] if depth < len(place.unions) else index
        groups.setdefault(union, []).append((mistake, place))
    lines = []
    for union, group in groups.items():
        if isinstance(union, int):
            lines.append(_say([group[0][0]], group[0][1]))
            continue
        fits = [
            (mistake, place)
            for mistake, place in group
            if len(mistake["loc"]) > len(union) + 1 or mistake["type"] not in _WRONG_KIND
        ]
        lines += _lines(fits, depth + 1) or [_say([mistake for mistake, _ in group], group[0][1])]
    return lines


def _told(mistakes: list[Any], kind: Any) -> list[str]:
    """One line for each mistake that a person made, of pydantic's list."""
    placed = [(mistake, _place(kind, mistake["loc"])) for mistake in mistakes]
    meant = {  # a key that a misspelt one stands for is not missing as well
        (*place.keys[:-1], _closest(str(place.keys[-1]), place.siblings))
        for mistake, place in placed
        if mistake["type"] == "extra_forbidden"
    }
    return _lines(
        [(m, place) for m, place in placed if m["type"] != "missing" or place.keys not in meant]
    )


# The one way in
# -----------------------------------------------------------------------------------------------------


def validate(kind: type[T], value: Any, where: str) -> T:
    """Plain data as `kind`, a Settings class or a container of such; nothing is converted silently.

    UserError with one line per mistake, each beginning with `where`: a file, or an option of the
    command line.
    """
    try:
        text = json.dumps(
            value
        )  # pydantic is strict and yet takes lists for tuples where it reads JSON
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: not plain data ({error})") from None
    try:
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
        if mistakes[0]["type"] == "json_invalid":
            raise UserError(f"{where}: not plain data ({mistakes[0]['msg']})") from None
        raise UserError(
            "\n".join(f"{where}: {line}" for line in dict.fromkeys(_told(mistakes, kind)))
        ) from None


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
