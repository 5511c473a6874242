"""Which code made a number: a digest of the modules that a step uses, and the state of the git tree."""

import ast
import hashlib
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from siamla.errors import UserError

PACKAGE = "siamla"
ROOT = Path(__file__).parents[2]  # the folder that holds the package


def _without_docstrings(body: list[ast.stmt]) -> list[ast.stmt]:
    """A body less the bare strings in it: docstrings, and strings used as comments."""
    return [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant | ast.JoinedStr))]


def _dump(node: Any, out: list[str], imports: list[ast.Import | ast.ImportFrom]) -> None:
    """Append a syntax tree's types and values to `out` and its imports to `imports`; empty fields are left out.

    Unlike ast.dump it does not change with Python's minor version when a new optional field appears.
    """
    if isinstance(node, ast.AST):
        out.append(type(node).__name__)
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(node)
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or value == [] or name == "ctx":  # load or store: the place in the tree says which
                continue
            if name == "body" and isinstance(value, list):
                value = _without_docstrings(value)
            out.append(name)
            _dump(value, out, imports)
        out.append(")")
    elif isinstance(node, list):
        out.append("[")
        for item in node:
            _dump(item, out, imports)
        out.append("]")
    else:
        out.append(repr(node))


def _file(module: str, root: Path) -> Path | None:
    """The source file of a dotted name below `root`; None when there is none (the name of a function, say)."""
    path = root.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py") if path.name else path, path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imported(nodes: list[ast.Import | ast.ImportFrom], module: str, is_package: bool) -> set[str]:
    """Dotted names below the package that the import statements of a module name."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
            continue
        base = node.module or ""
        if node.level:
            keep = len(module.split(".")) - node.level + is_package
            base = ".".join([*module.split(".")[:keep], *filter(None, [node.module])])
        names.add(base)
        names.update(f"{base}.{alias.name}" for alias in node.names)
    return {name for name in names if name.split(".")[0] == PACKAGE}


@cache
def _parsed(path: Path, module: str, modified: int, size: int) -> tuple[str, frozenset[str]]:
    """Digest and imports of one source file; `modified` and `size` only make the cache notice an edit."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(f"{path}: line {error.lineno}: not valid Python ({error.msg})") from None
    parts: list[str] = []
    imports: list[ast.Import | ast.ImportFrom] = []
    _dump(tree, parts, imports)
    text = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return text, frozenset(_imported(imports, module, path.name == "__init__.py"))


def code_digest(*modules: str, root: Path = ROOT) -> str:
    """Digest (16 hex digits) of the package modules that a step uses.

    From the given modules (dotted names, "siamla.training.loop") it follows every `siamla` import, statically, and
    hashes the syntax trees without comments, docstrings and layout. Nothing is imported. Imports by computed names
    and data files of the package are not seen. UserError when a given module does not exist or does not parse.
    """
    digests: dict[str, str] = {}
    todo = list(modules)
    for name in modules:
        if _file(name, root) is None:
            raise UserError(f"code digest: no module {name} below {root}")
    while todo:
        name = todo.pop()
        path = _file(name, root)
        if name in digests or path is None:
            continue
        state = path.stat()
        digests[name], imports = _parsed(path, name, state.st_mtime_ns, state.st_size)
        todo.extend(imports)
        if "." in name:
            todo.append(name.rpartition(".")[0])  # importing a module runs its packages' __init__ too
    joined = "\n".join(f"{name} {digests[name]}" for name in sorted(digests))
    return hashlib.sha256(joined.encode()).hexdigest()[:16]


def _git(folder: Path, *arguments: str, given: bytes = b"") -> bytes | None:
    """What a git command prints; None where git is absent or the folder is no work tree."""
    # Without optional locks, parallel jobs that ask at the same moment cannot disturb each other or the user.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], input=given, capture_output=True, env=environment, check=False
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def git_state(folder: Path = ROOT) -> dict[str, str | bool | None]:
    """{"commit", "dirty", "diff_sha"} of the work tree around `folder`; all None outside git.

    dirty: a tracked file differs from the commit or a file is neither tracked nor ignored. diff_sha (16 hex digits)
    covers both, and is None in a clean tree, so that two dirty runs can be told apart.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    top = _git(folder, "rev-parse", "--show-toplevel")
    if commit is None or top is None:
        return {"commit": None, "dirty": None, "diff_sha": None}
    base = Path(os.fsdecode(top).strip())
    difference = _git(base, "diff", "HEAD", "--binary") or b""
    untracked = _git(base, "ls-files", "--others", "--exclude-standard") or b""
    dirty = bool(difference or untracked)
    hashes = _git(base, "hash-object", "--stdin-paths", given=untracked) or b"" if untracked else b""
    diff_sha = hashlib.sha256(difference + b"\0" + untracked + b"\0" + hashes).hexdigest()[:16]
    return {"commit": commit.decode().strip(), "dirty": dirty, "diff_sha": diff_sha if dirty else None}
