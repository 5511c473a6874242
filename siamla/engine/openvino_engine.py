"""OpenVINO as the engine, the fastest on a CPU."""

import io
from functools import cache
from typing import Any

from siamla.engine.cache import cached
from siamla.engine.engines import Crops, Engine, Maps, Network
from siamla.engine.graph import SearchGraph, TemplateGraph, examples, to_openvino
from siamla.engine.torch_engine import embedding
from siamla.hardware import Hardware
from siamla.model.fast import for_inference
from siamla.model.siamla import SiamLA


@cache
def core() -> Any:
    """The one Core: a second one that goes would let the next signal end the process."""
    import openvino

    return openvino.Core()


def prepare_openvino(model: SiamLA, hardware: Hardware, rows: int) -> Network:
    """The network compiled for this machine; PyTorch embeds the templates."""
    import openvino

    plain = for_inference(model)
    template = TemplateGraph(plain)
    # bf16 unless told otherwise where the CPU has it; pinned, the workers of a benchmark would
    # share one core
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[hardware.precision],
        "INFERENCE_NUM_THREADS": hardware.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }

    def compiled() -> bytes:
        _, inputs = examples(template, rows)
        network = to_openvino(SearchGraph(plain), inputs)
        exported = core().compile_model(network, "CPU", options).export_model()
        return bytes(exported.getvalue() if isinstance(exported, io.BytesIO) else exported)

    blob = cached(f"openvino {openvino.get_version()}", model, hardware, rows, compiled)
    request = core().import_model(io.BytesIO(blob), "CPU", options).create_infer_request()

    def search(state: Any, crops: Crops) -> Maps:
        maps = request.infer([crops, state.numpy()])
        return Maps(maps[0], maps[1], maps[2])

    return Network(embedding(template, hardware.torch_device), search)


ENGINE = Engine(prepare_openvino, package="openvino", extra="fast")
