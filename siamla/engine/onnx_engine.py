"""ONNX Runtime as the engine."""

from typing import Any

from siamla.engine.cache import cached
from siamla.engine.graph import SearchGraph, TemplateGraph, for_inference
from siamla.engine.network import Crops, Maps, Network
from siamla.engine.torch_engine import embedding
from siamla.engine.tracing import examples, to_onnx
from siamla.model.siamla import SiamLA
from siamla.place import Place


def prepare_onnxruntime(model: SiamLA, place: Place, batch: int) -> Network:
    """The network in a session with the place's threads, in fp32; PyTorch embeds the templates."""
    import onnxruntime

    plain = for_inference(model)
    template = TemplateGraph(plain).eval()

    def exported() -> bytes:
        _, inputs = examples(template, batch)
        return to_onnx(SearchGraph(plain), inputs)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = place.threads, 1
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # idle threads leave the cores to others
    options.log_severity_level = 3
    graph = cached(f"onnxruntime {onnxruntime.__version__}", model, place, batch, exported)
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def search(state: Any, crops: Crops) -> Maps:
        return Maps(*session.run(None, {"search": crops, "state": state.numpy()}))

    return Network(embedding(template, place.torch_device), search)
