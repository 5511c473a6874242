"""The network as an engine runs it: two graphs from uint8 crops to numbers that post-processing
needs, in PyTorch, or traced with fixed shapes and converted for other runtimes.

Crops are (B, side, side, 3) uint8, BGR, as they are cut.
"""

import io
import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from siamla.grid import SEARCH, TEMPLATE
from siamla.model.siamla import SiamLA

if TYPE_CHECKING:
    from openvino import Model

OPSET = 17
Inputs = tuple[Tensor, ...]


class Graph(nn.Module):
    """A part of a network that `siamla.model.fast.for_inference` gave, in evaluation mode."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __init__(self, model: SiamLA) -> None:
        super().__init__()
        self.model = model
        self.eval()


class TemplateGraph(Graph):
    """Template crops → the state that the search graph takes."""

    inputs = ("template",)
    outputs = ("state",)

    def forward(self, template: Tensor) -> Tensor:
        """State (B, L·C, 7, 7), a kernel for each of L levels, of crops (B, 127, 127, 3)."""
        return self.model.embed_template(template.permute(0, 3, 1, 2)).float()


class SearchGraph(Graph):
    """Search crops and a state → `cls` (B, 25, 25), the score c; `ltrb` (B, 4, 25, 25), offsets in
    crop pixels; `loc` (B, 25, 25), the logit of q; all in fp32.
    """

    inputs = ("search", "state")
    outputs = ("cls", "ltrb", "loc")

    def forward(self, search: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(cls, ltrb, loc) of crops (B, 255, 255, 3)."""
        cls, ltrb, loc = self.model.track(state, search.permute(0, 3, 1, 2))
        return torch.softmax(cls.float(), dim=1)[:, 1], ltrb.float(), loc[:, 0].float()


def examples(template: TemplateGraph, rows: int) -> tuple[Inputs, Inputs]:
    """Inputs of the template graph and of its search graph: noise of the right shapes."""
    noise = torch.Generator().manual_seed(0)
    first, crops = (
        torch.randint(0, 256, (rows, side, side, 3), generator=noise, dtype=torch.uint8)
        for side in (TEMPLATE, SEARCH)
    )
    with torch.no_grad():
        return (first,), (crops, template(first))


def to_openvino(graph: Graph, inputs: Inputs) -> "Model":
    """The graph for OpenVINO, by its frontend: `convert_model` reports each use to its makers."""
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that shapes become constants, which is meant
        traced = torch.jit.freeze(torch.jit.trace(graph, inputs, check_trace=False))
        frontend = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(traced, example_input=inputs)
        model = frontend.convert(frontend.load(decoder))
    for port, value, name in zip(model.inputs, inputs, graph.inputs, strict=True):
        node = port.get_node()
        node.set_partial_shape(openvino.PartialShape(list(value.shape)))
        node.set_element_type(openvino.Type.u8 if value.dtype == torch.uint8 else openvino.Type.f32)
        port.set_names({name})
    for port, name in zip(model.outputs, graph.outputs, strict=True):
        port.set_names({name})
    model.validate_nodes_and_infer_types()
    return model


def to_onnx(graph: Graph, inputs: Inputs) -> bytes:
    """The graph as the bytes of an ONNX file."""
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        # the same, and that another exporter is newer: it needs one more package
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            inputs,
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            input_names=graph.inputs,
            output_names=graph.outputs,
        )
    return buffer.getvalue()
