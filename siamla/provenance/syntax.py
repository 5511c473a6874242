"""What of a definition's syntax counts: its text, without what cannot change a number.

Left out are comments, docstrings, annotations, the texts of errors, printing and logging. Local
variables have numbers in place of their names.
"""

import ast
from dataclasses import dataclass, field

IGNORED = ("ctx", "returns", "type_comment", "simple")
BODIES = ("body", "orelse", "finalbody")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Text:
    """The dumped syntax of one definition and what it refers to."""

    parts: list[str] = field(default_factory=list)  # types and values in order
    names: set[str] = field(default_factory=set)  # all that are mentioned
    attributes: set[tuple[str, str]] = field(default_factory=set)  # of each `name.attribute`
    imports: dict[str, str] = field(default_factory=dict)
    """Local name → "module" or "module:name", of the definition's own import statements."""


def speaks(node: ast.stmt) -> bool:
    """Whether a statement only tells: a docstring, print(…), log.info(…), warnings.warn(…)."""
    if not isinstance(node, ast.Expr):
        return False
    if isinstance(node.value, ast.Constant | ast.JoinedStr):
        return True
    call = node.value.func if isinstance(node.value, ast.Call) else None
    if isinstance(call, ast.Name):
        return call.id == "print"
    if not isinstance(call, ast.Attribute) or not isinstance(call.value, ast.Name):
        return False
    return call.value.id in ("log", "warnings")


def import_targets(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """Local name → "module" or "module:name" for the names of an import, which is not relative."""
    if isinstance(node, ast.Import):
        return {alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names}
    return {alias.asname or alias.name: f"{node.module}:{alias.name}" for alias in node.names}


def _local_names(function: ast.AST) -> dict[str, str]:
    """What stands for the names that a function or one within it gives values to, without its
    parameters: numbers, in order.
    """
    stored: list[str] = []
    others: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            stored.append(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            stored.append(node.name)
        elif isinstance(node, ast.arg):
            others.add(node.arg)
        elif isinstance(node, ast.Global):
            others.update(node.names)
    names = [name for name in dict.fromkeys(stored) if name not in others]
    return {name: f"local {number}" for number, name in enumerate(names)}


class _Dump:
    """Writes one definition as text."""

    def __init__(self) -> None:
        self.text = Text()
        self._locals: dict[str, str] = {}  # of the outermost function

    def add(self, node: object) -> None:
        """Append a syntax tree, a list of such, or a value in one."""
        parts = self.text.parts
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.text.imports |= import_targets(node)
        elif isinstance(node, ast.Raise):  # that it raises counts, what it says does not
            parts.append("Raise)")
        elif isinstance(node, FUNCTIONS) and not self._locals:
            self._locals = _local_names(node)
            self._node(node)
            self._locals = {}
        elif isinstance(node, ast.AST):
            self._node(node)
        elif isinstance(node, list):
            parts.append("[")
            for item in node:
                self.add(item)
            parts.append("]")
        else:
            parts.append(repr(node))

    def _node(self, node: ast.AST) -> None:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            self._mention(node.annotation)
            node = ast.Assign([node.target], node.value)
        if isinstance(node, ast.Name):
            self.text.names.add(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            self.text.attributes.add((node.value.id, node.attr))
        self.text.parts.append(type(node).__name__)
        for name in node._fields:
            value = getattr(node, name, None)
            message = isinstance(node, ast.Assert) and name == "msg"
            # empty fields are left out, so that Python's minor version is no part
            if value is None or value == [] or name in IGNORED or message:
                continue
            if name == "annotation":
                self._mention(value)
                continue
            if name in BODIES and isinstance(value, list):
                value = [statement for statement in value if not speaks(statement)]
            if isinstance(node, ast.Name | ast.ExceptHandler) and isinstance(value, str):
                value = self._locals.get(value, value)
            self.text.parts.append(name)
            self.add(value)
        self.text.parts.append(")")

    def _mention(self, annotation: object) -> None:
        """Its text does not count; what computes in a type's class may."""
        kept = len(self.text.parts)
        self.add(annotation)
        del self.text.parts[kept:]


def dump(nodes: list[ast.stmt]) -> Text:
    """The text of the statements of a definition."""
    writer = _Dump()
    for node in nodes:
        writer.add(node)
    return writer.text


def assigned(node: ast.stmt) -> list[str]:
    """The names that a top-level statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    names = []
    for target in filter(None, targets):
        names += [part.id for part in ast.walk(target) if isinstance(part, ast.Name)]
    return names
