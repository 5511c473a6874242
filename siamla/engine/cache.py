"""What engines made ready before, in the machine's cache folder: a file for a network on a kind of
machine.

A file's name is the digest of all that decides its bytes; inside stands the SHA-256 of this and of
them, so that a damaged file, or another's under its name, is made again. Nothing needs these files:
delete them at will. The oldest go when together they are larger than LIMIT.
"""

import hashlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from siamla.errors import UserError
from siamla.files import atomic, cache_folder, canonical_json, digest
from siamla.machine import processor
from siamla.model.checkpoint import weights_digest
from siamla.model.siamla import SiamLA
from siamla.place import Place

LIMIT = 2 * 2**30
HEAD = hashlib.sha256().digest_size
# the code that decides what is compiled, below the package's folder
SOURCES = ("engine", "model", "grid.py")


def _code() -> str:
    """Digest of the sources of the graphs and of the network."""
    package = Path(__file__).parents[1]
    files = [
        path
        for name in SOURCES
        for path in sorted([package / name, *(package / name).glob("*.py")])
    ]
    return hashlib.sha256(
        b"\0".join(path.read_bytes() for path in files if path.is_file())
    ).hexdigest()


def _seal(key: Mapping[str, Any], content: bytes) -> bytes:
    return hashlib.sha256(canonical_json(key).encode() + b"\0" + content).digest()


def cached(engine: str, model: SiamLA, place: Place, rows: int, make: Callable[[], bytes]) -> bytes:
    """What `make` gives, from the cache where it was made before for the same network, engine and
    machine.

    Args:
        engine: name and version.
        model: the network as it was trained, before any folding.
        rows: crops that the compiled network takes.
    """
    settings = model.settings.model_dump(mode="json", by_alias=True, exclude={"weights"})
    key: Mapping[str, Any] = {
        "engine": engine,
        "torch": torch.__version__,
        "code": _code(),
        "model": weights_digest(model.state_dict(), settings),
        "processor": processor(),
        "precision": place.precision,
        "threads": place.threads,
        "rows": rows,
    }
    path = cache_folder() / "engines" / f"{digest(key)}.bin"
    try:
        found = path.read_bytes()
        if _seal(key, found[HEAD:]) == found[:HEAD]:
            return found[HEAD:]
    except OSError:
        pass  # not there, or not readable: made below
    made = make()
    try:
        with atomic(path) as temporary:
            temporary.write_bytes(_seal(key, made) + made)
        _prune(path)
    except (OSError, UserError) as error:
        said = "the network is compiled again each time; $SIAMLA_CACHE names another folder"
        print(f"{path.parent}: cannot be written ({error}); {said}", file=sys.stderr, flush=True)
    return made


def _prune(newest: Path) -> None:
    """Remove the oldest files beyond LIMIT; one that another process has open stays readable for
    it.
    """
    total = 0
    for path in sorted(
        newest.parent.glob("*.bin"), key=lambda path: (path != newest, -path.stat().st_mtime)
    ):
        total += path.stat().st_size
        if total > LIMIT and path != newest:
            path.unlink(missing_ok=True)
