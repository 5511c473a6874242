"""OpenVINO as the engine, the fastest on a CPU."""

import io
from functools import cache
from typing import Any

from siamla.engine.cache import cached
from siamla.engine.graph import SearchGraph, TemplateGraph
from siamla.engine.network import Crops, Engine, Maps, Network
from siamla.engine.torch_engine import embedding
from siamla.engine.tracing import examples, to_openvino
from siamla.model.fast import for_inference
from siamla.model.siamla import SiamLA
from siamla.place import Place


@cache
def core() -> Any:
    """The process's one Core.

    Its CPU plugin gives the process a stack for signals and takes it back when it goes. With two
    that go in the order in which they came, the first one's, already freed, stays: the next signal
    that Python handles ends the process.
    """
    import openvino

    return openvino.Core()


def prepare_openvino(model: SiamLA, place: Place, rows: int) -> Network:
    """The network compiled for this machine, the place's precision and threads; PyTorch embeds the
    templates.
    """
    import openvino

    plain = for_inference(model)
    template = TemplateGraph(plain).eval()
    # bf16 unless told otherwise where the CPU has it; pinned, the workers of a benchmark would
    # share one core
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[place.precision],
        "INFERENCE_NUM_THREADS": place.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }

    def compiled() -> bytes:
        _, inputs = examples(template, rows)
        network = to_openvino(SearchGraph(plain), inputs)
        exported = core().compile_model(network, "CPU", options).export_model()
        return bytes(exported.getvalue() if isinstance(exported, io.BytesIO) else exported)

    blob = cached(f"openvino {openvino.get_version()}", model, place, rows, compiled)
    request = core().import_model(io.BytesIO(blob), "CPU", options).create_infer_request()

    def search(state: Any, crops: Crops) -> Maps:
        found = request.infer([crops, state.numpy()])
        return Maps(found[0], found[1], found[2])

    return Network(embedding(template, place.torch_device), search)


ENGINE = Engine(prepare_openvino, package="openvino", extra="fast")
