"""Reading and writing whole files: a file is complete or it is not there."""

import csv
import errno
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.stopping import gone
from siamla.system import lock

NUMBER = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?")


def _tidy(path: Path) -> None:
    """Delete what killed processes of this machine left where they were writing `path`."""
    beginning = f".{path.name}.{platform.node()}."
    for left in path.parent.glob(f"{glob.escape(beginning)}*.tmp"):
        process = left.name.removeprefix(beginning).removesuffix(".tmp")
        if process.isdecimal() and gone(int(process)):
            left.unlink(missing_ok=True)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path, renamed to `path` when the block ends well; UserError for a full disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _tidy(path)
    temporary = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("r+b") as handle:  # Windows flushes no file that is open to read
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.filename == str(temporary):
            error.filename = str(path)  # for the message
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(path.parent).free // 2**20
            raise UserError(f"{path}: the disk is full ({free} MiB free)") from error
        raise
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder, which replaces `path` when the block ends well. One that is left makes
    way.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock file `path`, whose descriptor is given, as long as this process lives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            lock(handle, wait=False)
        except BlockingIOError:
            waiting = f"{path.parent}: another process is at work here; waiting for it"
            print(waiting, file=sys.stderr, flush=True)
            lock(handle, wait=True)
        except OSError as error:
            raise UserError(
                f"{path}: this file system has no locks ({error.strerror}); on Lustre use flock"
            ) from None
        yield handle.fileno()


def cache_folder() -> Path:
    """What a machine keeps for all projects: $SIAMLA_CACHE, else the user's cache folder."""
    if folder := os.environ.get("SIAMLA_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "siamla"


def regular(path: Path) -> Path:
    """`path` itself, for reading; UserError for a folder, a pipe or a device."""
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise UserError(f"{path}: is {kind}, expected a file")
    return path


@contextmanager
def parsed_by(library: str, path: Path, kind: str) -> Iterator[None]:
    """For the one call by which a library reads a file: what it raises becomes a UserError."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        reason = ": ".join(filter(None, [type(error).__name__, str(error).partition("\n")[0][:80]]))
        raise UserError(f"{path}: {library} cannot read it as {kind} ({reason})") from None


def free_for_output(path: Path, overwrite: bool, *sources: Path) -> None:
    """UserError unless `path` may be written and is none of, or in, the `sources` that are read."""
    for source in sources:
        inside = source.is_dir() and path.resolve().is_relative_to(source.resolve())
        if path.exists() and source.exists() and (inside or path.samefile(source)):
            raise UserError(f"{path}: would replace what is read; name another file")
    if path.is_dir():
        raise UserError(f"{path}: is a folder, expected the name of a file to write")
    if path.exists() and not overwrite:
        raise UserError(f"{path}: exists already; --overwrite replaces it")


def date_back(paths: Iterable[Path]) -> None:
    """Date files of the future, by another machine's clock, now: Snakemake would refuse outputs."""
    for path in paths:
        with suppress(OSError):  # it is not there, or somebody else's
            if path.stat().st_mtime > time.time():
                os.utime(path)


def write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON with sorted keys, atomically."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path, of_object: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Read JSON, with what `of_object` makes of each object; UserError for a broken file."""
    try:
        return json.loads(regular(path).read_text(encoding="utf-8"), object_hook=of_object)
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except RecursionError:
        raise UserError(f"{path}: not valid JSON (nested too deeply)") from None
    except ValueError as error:  # of JSON, of UTF-8, or of a number of thousands of digits
        raise UserError(f"{path}: not valid JSON ({error})") from None


def _harmless(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: an apostrophe stands before such a text."""
    formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@"))
    return f"'{value}" if formula and not NUMBER.fullmatch(value) else value


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV with a header, atomically."""
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _harmless(value) for name, value in row.items()})


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of the canonical JSON of a value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]
