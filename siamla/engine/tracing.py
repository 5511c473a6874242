"""The graphs as other runtimes take them: traced with fixed shapes, then converted."""

import io
import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from siamla.engine.graph import SearchGraph, TemplateGraph
from siamla.grid import SEARCH, TEMPLATE

if TYPE_CHECKING:
    from openvino import Model

OPSET = 17
Graph = TemplateGraph | SearchGraph
Inputs = tuple[Tensor, ...]


def names(graph: Graph) -> tuple[list[str], list[str]]:
    """Names of a graph's inputs and outputs."""
    if isinstance(graph, SearchGraph):
        return ["search", "state"], ["cls", "ltrb", "loc"]
    return ["template"], ["state"]


def examples(template: TemplateGraph, rows: int) -> tuple[Inputs, Inputs]:
    """Inputs of the template graph and of the search graph that belongs to it: noise of the right
    shapes.
    """
    noise = torch.Generator().manual_seed(0)
    first, crops = (
        torch.randint(0, 256, (rows, side, side, 3), generator=noise, dtype=torch.uint8)
        for side in (TEMPLATE, SEARCH)
    )
    with torch.no_grad():
        return (first,), (crops, template(first))


def to_openvino(graph: Graph, inputs: Inputs) -> "Model":
    """The graph for OpenVINO. By its frontend itself: `convert_model` reports each use to
    OpenVINO's makers.
    """
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that shapes become constants, which is meant
        traced = torch.jit.freeze(torch.jit.trace(graph.eval(), inputs, check_trace=False))
        frontend = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(traced, example_input=inputs)
        source = frontend.load(decoder)
        model = frontend.convert(source)
    expected, given = names(graph)
    for port, value, name in zip(model.inputs, inputs, expected, strict=True):
        node = port.get_node()
        node.set_partial_shape(openvino.PartialShape(list(value.shape)))
        node.set_element_type(openvino.Type.u8 if value.dtype == torch.uint8 else openvino.Type.f32)
        port.set_names({name})
    for port, name in zip(model.outputs, given, strict=True):
        port.set_names({name})
    model.validate_nodes_and_infer_types()
    return model


def to_onnx(graph: Graph, inputs: Inputs) -> bytes:
    """The graph as the bytes of an ONNX file."""
    buffer = io.BytesIO()
    expected, given = names(graph)
    with torch.no_grad(), warnings.catch_warnings():
        # the same, and that another exporter is newer: it needs one more package
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.eval(),
            inputs,
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            input_names=expected,
            output_names=given,
        )
    return buffer.getvalue()
