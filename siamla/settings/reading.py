"""YAML files as plain data."""

import re
from pathlib import Path
from typing import Any

import yaml

from siamla.errors import UserError
from siamla.files import regular
from siamla.settings.base import short

_TAG = "tag:yaml.org,2002:"
MOST_VALUES = 100_000  # in a settings file whose aliases are written out


class _Loader(yaml.SafeLoader):
    """Plain data: no dates, no tags, no key twice, no bomb of aliases; numbers of YAML 1.2."""

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None and _weight(node, {}) > MOST_VALUES:
            raise yaml.composer.ComposerError(None, None, "its aliases stand for too many values")
        return node


def _weight(node: yaml.Node, weights: dict[int, int]) -> int:
    """How many values a node stands for when every alias in it is written out."""
    if weights.get(id(node)) == 0:  # begun, and not done
        message = "an alias stands inside what it refers to"
        raise yaml.composer.ComposerError(None, None, message, node.start_mark)
    if id(node) not in weights:
        weights[id(node)] = 0
        parts = [] if isinstance(node, yaml.ScalarNode) else node.value
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in parts for part in pair]
        weights[id(node)] = 1 + sum(_weight(part, weights) for part in parts)
    return weights[id(node)]


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
    _Loader.add_constructor(_TAG + _kind, yaml.SafeLoader.construct_undefined)
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
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file as plain data; UserError with the line where it is none."""
    text, where = _text(path), str(path)
    try:
        value = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        if mark := error.problem_mark or error.context_mark:
            where = f"{path}, line {mark.line + 1}"
        problem = " ".join(" ".join(filter(None, [error.context, error.problem])).split())
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        where = f"{path}, line {line}"
        problem = f"the character {chr(int(error.character))!r}"
    except RecursionError:
        problem = "nested too deeply"
    except ValueError as error:  # a number that Python refuses: of thousands of digits, say
        problem = str(error)
    else:
        if value is None:
            raise UserError(f"{path}: the file is empty; expected a mapping")
        if not isinstance(value, dict):
            raise UserError(f"{path}: expected a mapping at the top, found {short(value)}")
        return value
    raise UserError(f"{where}: not valid YAML: {problem}")
