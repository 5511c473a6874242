"""Which code made a number: a digest of what a step computes with.

The digest follows names, not files: from a step's entry functions through every definition of the
package that these mention. It leaves out the modules of OUTSIDE, and of the rest what cannot change
a number (siamla.provenance.syntax). So a new metric in metrics.py tracks nothing again, and a
message nothing at all.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from siamla.errors import UserError
from siamla.provenance.syntax import Text, assigned, dump, import_targets, speaks

PACKAGE = "siamla"
ROOT = Path(__file__).parents[2]  # the folder that holds the package

GROUND = ("errors", "files", "progress", "settings", "stopping", "system")
OUTSIDE = (*GROUND, "provenance", "experiment", "mlflow_sink", "cli", "steps")
"""Modules that decide no number: what prints, checks and writes."""
ALSO_OUTSIDE = (
    "siamla.data.layout",  # the list of layouts' names
    "siamla.training.course",  # bar, messages, saved states
)
SETTINGS = "settings"
"""The last name of modules of settings. Their values stand in the identity itself, so that of these
modules only the methods count which make something of values, and no fields, validators or readers
of files.
"""

REGISTRIES = (
    "siamla.data.formats:LAYOUTS",
    "siamla.data.sources:SOURCES",
    "siamla.miniatures.dataset:WRITERS",
)
"""Tables of alternatives. The digest does not follow them into all, or one more would change every
result: the step names the one that it uses.
"""


@dataclass(frozen=True)
class Module:
    """A parsed source file: definitions, what imports name, and bare statements."""

    name: str
    definitions: dict[str, ast.stmt]
    imports: dict[str, str]  # local name → "module" or "module:name"
    always: tuple[ast.stmt, ...] = ()


Reference = tuple[str, str | None]
"""Module and definition; None for all of it."""


def _outside(module: str) -> bool:
    parts = module.split(".")
    if module in ALSO_OUTSIDE:
        return True
    return parts[0] != PACKAGE or len(parts) < 2 or parts[1] in OUTSIDE


def _validates(method: ast.FunctionDef) -> bool:
    """Whether a method only says whether values fit: it has a decorator like `model_validator`."""
    return any("_validator" in ast.unparse(each) for each in method.decorator_list)


def _counted(node: ast.stmt, module: str) -> Iterable[ast.stmt]:
    """What counts of a definition: all of it, of settings the methods that compute."""
    if module.rsplit(".", 1)[-1] != SETTINGS:
        return (node,)
    parts = node.body if isinstance(node, ast.ClassDef) else ()
    methods = [each for each in parts if isinstance(each, ast.FunctionDef)]
    return [each for each in methods if not _validates(each)]


def _parse(path: Path, module: str) -> Module:
    """One source file."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    definitions: dict[str, ast.stmt] = {}
    imports: dict[str, str] = {}
    always: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.update(import_targets(node))
        elif names := assigned(node):
            definitions.update(dict.fromkeys(names, node))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif not speaks(node):
            always.append(node)
    return Module(module, definitions, imports, tuple(always))


class Sources:
    """The package's source files at one moment, each read at most once."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        # caches that end with this object: a plan asks for thousands of digests of the same files
        self.module, self._known = cache(self._module), cache(self._digest)
        self._file, self._described = cache(self._find), cache(self._describe)

    def _find(self, module: str) -> Path | None:
        """The source file of a dotted name; None when there is none."""
        path = self._root.joinpath(*module.split("."))
        for candidate in (path.with_suffix(".py") if path.name else path, path / "__init__.py"):
            if candidate.is_file():
                return candidate
        return None

    def _module(self, name: str) -> Module | None:
        path = self._file(name)
        return _parse(path, name) if path else None

    def _resolve(self, target: str) -> Reference | None:
        """(module, definition or None for all) of an import; None outside of what counts."""
        name, _, attribute = target.partition(":")
        if attribute and self._file(f"{name}.{attribute}") is not None:
            name, attribute = f"{name}.{attribute}", ""
        return None if _outside(name) else (name, attribute or None)

    def _referred(self, text: Text, module: Module) -> Iterator[Reference]:
        """The definitions that a dumped one refers to, as (module, name)."""
        imports = {**module.imports, **text.imports}
        for name in text.names:
            if name in module.definitions and name not in text.imports:
                yield module.name, name
            elif name in imports:
                found = self._resolve(imports[name])
                if found and found[1] is None:  # a module: only what is taken from it counts
                    known = self.module(found[0])
                    for owner, attribute in text.attributes:
                        if owner == name and known and attribute in known.definitions:
                            yield found[0], attribute
                elif found:
                    yield found

    def _describe(self, name: str, attribute: str) -> tuple[str | None, tuple[Reference, ...]]:
        """Digest of one definition, None where nothing of it counts or it is re-exported from
        another module; and what it refers to.
        """
        source = self.module(name)
        assert source is not None
        node = source.definitions.get(attribute)
        if node is None:
            onward = self._resolve(source.imports.get(attribute, ""))
            return None, (onward,) if onward else ()
        counted = [*_counted(node, name)]
        if not counted:
            return None, ()
        text = dump([*counted, *source.always])
        digest = hashlib.sha256("\0".join(text.parts).encode()).hexdigest()
        return digest, tuple(self._referred(text, source))

    def definitions(self, entries: Sequence[str]) -> dict[str, str]:
        """ "module:name" → digest of every definition that the entries reach."""
        todo: list[Reference] = []
        for entry in entries:
            name, _, wanted = entry.partition(":")
            module = self.module(name)
            if module is None or (wanted and wanted not in module.definitions):
                raise UserError(f"code digest: no {entry} below {self._root}")
            todo += [(name, wanted)] if wanted else [(name, each) for each in module.definitions]
        found: dict[str, str] = {}
        while todo:
            name, attribute = todo.pop()
            key = f"{name}:{attribute}"
            if key in found or key in REGISTRIES or attribute is None or self.module(name) is None:
                continue
            text, onward = self._described(name, attribute)
            if text is not None:
                found[key] = text
            todo += onward
        return found

    def digest(self, *entries: str) -> str:
        """Digest (16 hex digits) of the code that a step computes with.

        An entry is a definition ("siamla.training.loop:train_model") or a module, of which every
        definition counts ("siamla.data.formats.otb"). Nothing is imported; names that are computed
        at run time are not seen. UserError when an entry does not exist.
        """
        return self._known(entries)

    def _digest(self, entries: tuple[str, ...]) -> str:
        lines = [f"{name} {text}" for name, text in sorted(self.definitions(entries).items())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def source_state() -> frozenset[tuple[str, int, int]]:
    """Path, time and size of every source file of the package: equal until an edit."""
    states = {str(path): path.stat() for path in (ROOT / PACKAGE).rglob("*.py")}
    return frozenset((path, each.st_mtime_ns, each.st_size) for path, each in states.items())


@lru_cache(maxsize=1)
def _read(state: frozenset[tuple[str, int, int]]) -> Sources:
    """`state` only makes the cache notice an edit."""
    return Sources()


def sources() -> Sources:
    """The sources as they are now."""
    return _read(source_state())
