"""OpenVINO as the engine, the fastest on a CPU. What it compiles is kept in the machine's cache
folder, under the digest of all that decides its bytes and with their SHA-256; it may be deleted.
"""

import hashlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from siamla.engine.engines import Engine
from siamla.engine.exported import core, for_openvino
from siamla.engine.graph import SearchGraph, TemplateGraph, examples, to_openvino
from siamla.engine.network import Crops, Maps, Network
from siamla.engine.torch_engine import embedding
from siamla.errors import UserError
from siamla.files import atomic, cache_folder, canonical_json, digest
from siamla.hardware import Hardware, processor
from siamla.model.checkpoint import weights_digest
from siamla.model.fast import for_inference
from siamla.model.siamla import SiamLA

LIMIT = 2 * 2**30
HEAD = hashlib.sha256().digest_size


def _code() -> str:
    """Digest of the sources of the graphs and of the network."""
    package = Path(__file__).parents[1]
    files = [package / "grid.py", *package.glob("engine/*.py"), *package.glob("model/*.py")]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sorted(files))).hexdigest()


def _cached(model: SiamLA, hardware: Hardware, rows: int, make: Callable[[], bytes]) -> bytes:
    """What `make` gives, from the cache where it was made before for such a model and machine."""
    import openvino

    settings = model.settings.model_dump(mode="json", by_alias=True, exclude={"weights"})
    key = {
        "engine": f"openvino {openvino.get_version()}",
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


def prepare_openvino(model: SiamLA, hardware: Hardware, rows: int) -> Network:
    """The network compiled for this machine; PyTorch embeds the templates."""
    plain = for_inference(model)
    template = TemplateGraph(plain)
    precision = "f32" if hardware.precision == "fp32" else "bf16"
    options = for_openvino(hardware.threads, precision)

    def compiled() -> bytes:
        _, inputs = examples(template, rows)
        network = to_openvino(SearchGraph(plain), inputs)
        exported = core().compile_model(network, "CPU", options).export_model()
        return bytes(exported.getvalue() if isinstance(exported, io.BytesIO) else exported)

    blob = _cached(model, hardware, rows, compiled)
    request = core().import_model(io.BytesIO(blob), "CPU", options).create_infer_request()

    def search(state: Any, crops: Crops) -> Maps:
        maps = request.infer([crops, state.numpy()])
        return Maps(maps[0], maps[1], maps[2])

    return Network(embedding(template, hardware.torch_device), search)


ENGINE = Engine(prepare_openvino, package="openvino", extra="fast")
