"""What engines made ready before, in the machine's cache folder.

A file's name is the digest of all that decides its bytes; inside stands the SHA-256 of this and of
them, so that a damaged file is made again. Nothing needs these files.
"""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from siamla.errors import UserError
from siamla.files import atomic, cache_folder, canonical_json, digest
from siamla.hardware import Hardware, processor
from siamla.model.checkpoint import weights_digest
from siamla.model.siamla import SiamLA

LIMIT = 2 * 2**30
HEAD = hashlib.sha256().digest_size


def _code() -> str:
    """Digest of the sources of the graphs and of the network."""
    package = Path(__file__).parents[1]
    files = [package / "grid.py", *package.glob("engine/*.py"), *package.glob("model/*.py")]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sorted(files))).hexdigest()


def cached(
    engine: str, model: SiamLA, hardware: Hardware, rows: int, make: Callable[[], bytes]
) -> bytes:
    """What `make` gives, from the cache where it was made before on such a machine.

    `engine` is its name and version, `model` the network as it was trained, and `rows` the crops
    that the compiled network takes.
    """
    settings = model.settings.model_dump(mode="json", by_alias=True, exclude={"weights"})
    key = {
        "engine": engine,
        "torch": torch.__version__,
        "code": _code(),
        "model": weights_digest(model.state_dict(), settings),
        "processor": processor(),
        "precision": hardware.precision,
        "threads": hardware.threads,
        "rows": rows,
    }

    def seal(content: bytes) -> bytes:
        return hashlib.sha256(canonical_json(key).encode() + b"\0" + content).digest()

    path = cache_folder() / "engines" / f"{digest(key)}.bin"
    content = path.read_bytes() if path.is_file() else b""
    if content[:HEAD] == seal(content[HEAD:]):
        return content[HEAD:]
    content = make()
    try:
        with atomic(path) as temporary:
            temporary.write_bytes(seal(content) + content)
        _prune(path)
    except (OSError, UserError) as error:
        advice = "the network is compiled again each time; $SIAMLA_CACHE names another folder"
        print(f"{path.parent}: cannot be written ({error}); {advice}", file=sys.stderr, flush=True)
    return content


def _prune(newest: Path) -> None:
    """Remove the oldest files beyond LIMIT."""
    others = [path for path in newest.parent.glob("*.bin") if path != newest]
    total = newest.stat().st_size
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True):
        total += path.stat().st_size
        if total > LIMIT:
            path.unlink(missing_ok=True)
