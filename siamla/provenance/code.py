"""Which code made a number: a digest of what a step computes with, and the state of the git tree.

The digest follows names, not files: from a step's entry functions through every definition of the
package that these mention, and leaves out what cannot change a number: comments, docstrings,
annotations of results, the texts of errors, printing and logging, and the modules of OUTSIDE. So a
new metric in metrics.py tracks nothing again, and a message nothing at all.
"""

import ast
import hashlib
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

from siamla.errors import UserError

PACKAGE = "siamla"
ROOT = Path(__file__).parents[2]  # the folder that holds the package

GROUND = ("errors", "files", "progress", "settings", "stopping")
OUTSIDE = (*GROUND, "provenance", "experiment", "mlflow_view", "cli", "steps")
"""Modules that decide no number: what prints, checks and writes."""
SETTINGS = "settings"
"""The last name of modules of settings. Their values stand in the identity itself, so that of these
modules only the methods count which make something of values, and no fields, validators or readers
of files.
"""

REGISTRIES = (
    "siamla.data.formats:LAYOUTS",
    "siamla.data.sources:SOURCES",
    "siamla.report.figures.make:KINDS",
)
"""Tables of alternatives. The digest does not follow them into all, or one more would change every
result: the step names the one that it uses.
"""


@dataclass(frozen=True)
class Module:
    """A parsed source file: its top-level definitions, what its imports name, and its bare
    statements.
    """

    name: str
    definitions: dict[str, ast.stmt]
    imports: dict[str, str]  # local name → "module" or "module:name"
    always: tuple[ast.stmt, ...] = ()


@dataclass
class _Text:
    """The dumped syntax of one definition and what it refers to."""

    parts: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    attributes: set[tuple[str, str]] = field(
        default_factory=set
    )  # (name, attribute) for `module.function`
    imports: dict[str, str] = field(
        default_factory=dict
    )  # of the definition's own import statements


def _speaks(node: ast.stmt) -> bool:
    """Whether a statement only tells something: a docstring, print(…), log.warning(…),
    warnings.warn(…).
    """
    if not isinstance(node, ast.Expr):
        return False
    if isinstance(node.value, ast.Constant | ast.JoinedStr):
        return True
    call = node.value.func if isinstance(node.value, ast.Call) else None
    if isinstance(call, ast.Name):
        return call.id == "print"
    return (
        isinstance(call, ast.Attribute)
        and isinstance(call.value, ast.Name)
        and call.value.id in ("log", "warnings")
    )


def _import_targets(
    node: ast.Import | ast.ImportFrom, module: str, is_package: bool
) -> dict[str, str]:
    """Local name → "module" or "module:name" for the names of an import statement."""
    if isinstance(node, ast.Import):
        return {alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names}
    base = node.module or ""
    if node.level:
        keep = len(module.split(".")) - node.level + is_package
        base = ".".join([*module.split(".")[:keep], *filter(None, [node.module])])
    return {alias.asname or alias.name: f"{base}:{alias.name}" for alias in node.names}


def _dump(node: object, text: _Text, module: str, is_package: bool) -> None:
    """Append a syntax tree's types and values; empty fields are left out, so that Python's minor
    version is no part.
    """
    if isinstance(node, ast.Import | ast.ImportFrom):
        text.imports.update(_import_targets(node, module, is_package))
        return
    if isinstance(node, ast.Raise):  # that it raises counts, what it says does not
        text.parts.append("Raise)")
        return
    if isinstance(node, ast.Name):
        text.names.add(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        text.attributes.add((node.value.id, node.attr))
    if isinstance(node, ast.AST):
        text.parts.append(type(node).__name__)
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or value == [] or name in ("ctx", "returns", "type_comment"):
                continue
            if isinstance(node, ast.Assert) and name == "msg":
                continue
            if name in ("body", "orelse", "finalbody") and isinstance(value, list):
                value = [statement for statement in value if not _speaks(statement)]
            text.parts.append(name)
            _dump(value, text, module, is_package)
        text.parts.append(")")
    elif isinstance(node, list):
        text.parts.append("[")
        for item in node:
            _dump(item, text, module, is_package)
        text.parts.append("]")
    else:
        text.parts.append(repr(node))


def _assigned(node: ast.stmt) -> list[str]:
    """The names that a top-level statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [
        part.id
        for target in targets
        if target
        for part in ast.walk(target)
        if isinstance(part, ast.Name)
    ]


def _outside(module: str) -> bool:
    parts = module.split(".")
    if module == "siamla.data.layout":  # the list of layouts' names
        return True
    return parts[0] != PACKAGE or len(parts) < 2 or parts[1] in OUTSIDE


def _validates(method: ast.FunctionDef) -> bool:
    """Whether a method only says whether values fit: it has a decorator like `model_validator`."""
    calls = (each.func if isinstance(each, ast.Call) else each for each in method.decorator_list)
    return any(isinstance(call, ast.Name) and call.id.endswith("_validator") for call in calls)


def _counted(node: ast.stmt, module: str) -> Iterable[ast.stmt]:
    """What counts of a definition: all of it, of settings the methods that compute."""
    if module.rsplit(".", 1)[-1] != SETTINGS:
        return (node,)
    methods = (each for each in getattr(node, "body", ()) if isinstance(each, ast.FunctionDef))
    return (
        [each for each in methods if not _validates(each)] if isinstance(node, ast.ClassDef) else ()
    )


def _parse(path: Path, module: str) -> Module:
    """One source file."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(f"{path}: line {error.lineno}: not valid Python ({error.msg})") from None
    definitions: dict[str, ast.stmt] = {}
    imports: dict[str, str] = {}
    always: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.update(_import_targets(node, module, path.name == "__init__.py"))
        elif names := _assigned(node):
            definitions.update(dict.fromkeys(names, node))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif not _speaks(node):
            always.append(node)
    return Module(module, definitions, imports, tuple(always))


class _Sources:
    """The package's source files at one moment, each read at most once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        # methods' caches that end with this object: a plan asks for hundreds of digests of the same
        # files
        self.module, self.digest = cache(self._module), cache(self._digest)
        self._file, self._described = cache(self._find), cache(self._describe)

    def _find(self, module: str) -> Path | None:
        """The source file of a dotted name; None when there is none (the name of a function, say)."""
        path = self._root.joinpath(*module.split("."))
        for candidate in (path.with_suffix(".py") if path.name else path, path / "__init__.py"):
            if candidate.is_file():
                return candidate
        return None

    def _module(self, name: str) -> Module | None:
        path = self._file(name)
        return _parse(path, name) if path else None

    def _resolve(self, target: str) -> tuple[str, str | None] | None:
        """(module, definition or None for all of it) that an import names; None outside of what
        counts.
        """
        name, _, attribute = target.partition(":")
        if attribute and self._file(f"{name}.{attribute}") is not None:
            name, attribute = f"{name}.{attribute}", ""
        return None if _outside(name) else (name, attribute or None)

    def _referred(self, text: _Text, module: Module) -> Iterator[tuple[str, str | None]]:
        """The definitions that a dumped one refers to, as (module, name)."""
        imports = {**module.imports, **text.imports}
        for name in text.names:
            if name in module.definitions and name not in text.imports:
                yield module.name, name
            elif name in imports:
                found = self._resolve(imports[name])
                if found and found[1] is None:  # a module: only what is taken from it counts
                    known = self.module(found[0])
                    taken = (
                        a
                        for n, a in text.attributes
                        if n == name and known and a in known.definitions
                    )
                    yield from ((found[0], attribute) for attribute in taken)
                elif found:
                    yield found

    def _describe(
        self, name: str, attribute: str
    ) -> tuple[str | None, tuple[tuple[str, str | None], ...]]:
        """Digest of one definition, None where nothing of it counts or it is re-exported from
        another module; and what it refers to.
        """
        source = self.module(name)
        assert source is not None
        node = source.definitions.get(attribute)
        if node is None:
            onward = (
                self._resolve(source.imports[attribute]) if attribute in source.imports else None
            )
            return None, (onward,) if onward else ()
        package = self._file(name) == self._root.joinpath(*name.split("."), "__init__.py")
        text, counted = _Text(), [*_counted(node, name)]
        if not counted:
            return None, ()
        for part in (*counted, *source.always):
            _dump(part, text, name, package)
        digest = hashlib.sha256("\0".join(text.parts).encode()).hexdigest()
        return digest, tuple(self._referred(text, source))

    def definitions(self, entries: Sequence[str]) -> dict[str, str]:
        """ "module:name" → digest of every definition that the entries reach."""
        todo: list[tuple[str, str | None]] = []
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

    def _digest(self, entries: tuple[str, ...]) -> str:
        joined = "\n".join(
            f"{name} {text}" for name, text in sorted(self.definitions(entries).items())
        )
        return hashlib.sha256(joined.encode()).hexdigest()[:16]


def _files(folder: str) -> Iterator[tuple[str, int, int]]:
    """Path, time and size of every source file below a folder."""
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from _files(entry.path)
        elif entry.name.endswith(".py"):
            state = entry.stat()
            yield entry.path, state.st_mtime_ns, state.st_size


def source_state(root: Path = ROOT) -> frozenset[tuple[str, int, int]]:
    """Path, time and size of every source file of the package: equal as long as nobody edits one."""
    return frozenset(_files(str(root / PACKAGE)))


@lru_cache(maxsize=1)
def _read(root: Path, state: frozenset[tuple[str, int, int]]) -> _Sources:
    """`state` only makes the cache notice an edit."""
    return _Sources(root)


def _sources(root: Path) -> _Sources:
    """The sources as they are now."""
    return _read(root, source_state(root))


def definitions(entries: Sequence[str], root: Path = ROOT) -> dict[str, str]:
    """ "module:name" → digest of every definition that the entries reach."""
    return _sources(root).definitions(entries)


def code_digest(*entries: str, root: Path = ROOT) -> str:
    """Digest (16 hex digits) of the code that a step computes with.

    An entry is a definition ("siamla.training.run:train_model") or a module, of which every
    definition counts ("siamla.data.formats.otb"). Nothing is imported; names that are computed at
    run time are not seen. UserError when an entry does not exist or a file does not parse.
    """
    return _sources(root).digest(entries)


def listed(registry: str, name: str, root: Path = ROOT) -> str:
    """The entry of what a registry ("module:TABLE", a dict display) lists under a name, for
    `code_digest`.
    """
    module, _, table = registry.partition(":")
    sources = _sources(root)
    parsed = sources.module(module)
    node = parsed.definitions.get(table) if parsed else None
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if parsed and isinstance(value, ast.Dict):
        for key, what in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == name and isinstance(what, ast.Name):
                target = parsed.imports[what.id]
                as_module = target.replace(":", ".")
                return as_module if sources.module(as_module) else target
    raise UserError(f"{registry} lists no {name!r}")


def _git(folder: Path, *arguments: str, given: bytes = b"") -> bytes | None:
    """What a git command prints; None where git is absent or the folder is no work tree."""
    # Without optional locks, parallel jobs that ask at the same moment cannot disturb each other or
    # the user.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            input=given,
            capture_output=True,
            env=environment,
            check=False,
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def git_state(folder: Path = ROOT) -> dict[str, str | bool | None]:
    """{"commit", "dirty", "diff_sha"} of the work tree around `folder`; all None outside git.

    dirty: a tracked file differs from the commit or a file is neither tracked nor ignored. diff_sha
    (16 hex digits) covers both, and is None in a clean tree, so that two dirty runs can be told
    apart.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    top = _git(folder, "rev-parse", "--show-toplevel")
    if commit is None or top is None:
        return {"commit": None, "dirty": None, "diff_sha": None}
    base = Path(os.fsdecode(top).strip())
    difference = _git(base, "diff", "HEAD", "--binary") or b""
    untracked = _git(base, "ls-files", "--others", "--exclude-standard") or b""
    dirty = bool(difference or untracked)
    hashes = (
        _git(base, "hash-object", "--stdin-paths", given=untracked) or b"" if untracked else b""
    )
    diff_sha = hashlib.sha256(difference + b"\0" + untracked + b"\0" + hashes).hexdigest()[:16]
    return {
        "commit": commit.decode().strip(),
        "dirty": dirty,
        "diff_sha": diff_sha if dirty else None,
    }
