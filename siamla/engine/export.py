"""A network as two files for other programs: the template's graph, and the search's."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from siamla.engine.engines import installed
from siamla.engine.exported import ABOUT, FORMAT, Run, by_onnxruntime, by_openvino
from siamla.engine.graph import (
    OPSET,
    Graph,
    Inputs,
    SearchGraph,
    TemplateGraph,
    examples,
    to_onnx,
    to_openvino,
)
from siamla.errors import UserError, install
from siamla.files import canonical_json, sha256, write_json
from siamla.grid import MIDDLE, SCORE, SEARCH, START, STRIDE, TEMPLATE
from siamla.model.fast import for_inference
from siamla.model.siamla import SiamLA

if TYPE_CHECKING:
    import onnx

Format = Literal["onnx", "openvino"]
NEEDS = {"onnx": ("onnx", ("onnx", "onnxruntime")), "openvino": ("fast", ("openvino",))}
"""The extra of siamla that a format needs, and the packages in it: they write and check."""
LIMITS = {"cls": 1e-4, "ltrb": 0.02, "loc": 1e-4}  # of scores and logits, offsets in crop pixels
SMALL = 64  # values; smaller weights are not worth a cast
TRIED = 2  # templates that the check takes through the graphs


def _described(names: tuple[str, ...], values: Inputs) -> dict[str, Any]:
    """Types and shapes of a graph's inputs or outputs."""
    return {
        name: {"type": str(value.dtype).removeprefix("torch."), "shape": list(value.shape)}
        for name, value in zip(names, values, strict=True)
    }


def _about(kind: Format, graphs: Mapping[str, tuple[Graph, Inputs]]) -> dict[str, Any]:
    """What a program must know to run the two files, as JSON-ready data."""
    described = {}
    for name, (graph, inputs) in graphs.items():
        with torch.no_grad():
            given = graph(*inputs)
        outputs = given if isinstance(given, tuple) else (given,)
        described[name] = {
            "inputs": _described(graph.inputs, inputs),
            "outputs": _described(graph.outputs, outputs),
        }
    return {
        "format": FORMAT,
        "files": kind,
        "opset": OPSET if kind == "onnx" else None,
        "graphs": described,
        "crops": {
            "template": TEMPLATE,
            "search": SEARCH,
            "colours": "BGR",
            "values": "uint8 as cut; normalised in the graph",
        },
        "cells": {"side": SCORE, "stride": STRIDE, "first": START, "middle": MIDDLE},
        "cls": "classification score c in [0, 1]",
        "ltrb": (
            "distances from a cell to its box's left, top, right and bottom side, pixels of the"
            " search crop"
        ),
        "loc": "logit of the location quality or centre-ness q: q = 1 / (1 + exp(-loc))",
    }


def _halve(model: "onnx.ModelProto") -> None:
    """Store weights as fp16, with a cast to fp32 before their use: they are rounded so already."""
    import onnx

    casts, kept = [], []
    for weight in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < SMALL:
            kept.append(weight)
            continue
        name = f"{weight.name}.half"
        kept.append(onnx.numpy_helper.from_array(values.astype(np.float16), name))
        to = onnx.TensorProto.FLOAT
        casts.append(onnx.helper.make_node("Cast", [name], [weight.name], to=to))
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:]
    del model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)


def _write_onnx(path: Path, graph: Graph, inputs: Inputs, about: Any) -> Run:
    import onnx

    path = path.with_suffix(".onnx")
    model = onnx.load_model_from_string(to_onnx(graph, inputs))
    if about["weights"] == "fp16":
        _halve(model)
    onnx.helper.set_model_props(model, {"siamla": canonical_json(about)})
    onnx.checker.check_model(model)
    onnx.save_model(model, path)
    return by_onnxruntime(path, graph.outputs, 1)


def _write_openvino(path: Path, graph: Graph, inputs: Inputs, about: Any) -> Run:
    import openvino

    path = path.with_suffix(".xml")
    model = to_openvino(graph, inputs)
    model.set_rt_info(canonical_json(about), "siamla")
    openvino.save_model(model, path, compress_to_fp16=about["weights"] == "fp16")
    return by_openvino(path, graph.outputs, 1)


def _check(model: SiamLA, template: Run, search: Run) -> dict[str, float]:
    """The largest differences from the network itself; UserError where one is too large."""
    noise = np.random.default_rng(0)
    worst = dict.fromkeys(LIMITS, 0.0)
    crops = noise.integers(0, 256, (1, SEARCH, SEARCH, 3), dtype=np.uint8)
    for _ in range(TRIED):
        first = noise.integers(0, 256, (1, TEMPLATE, TEMPLATE, 3), dtype=np.uint8)
        given = search({"search": crops, "state": template({"template": first})[0]})
        images = [torch.from_numpy(each).permute(0, 3, 1, 2) for each in (first, crops)]
        with torch.inference_mode():
            output = model.track(model.embed_template(images[0]), images[1])
        expected = (torch.softmax(output.cls, 1)[:, 1], output.ltrb, output.loc[:, 0])
        for name, ours, theirs in zip(worst, expected, given, strict=True):
            worst[name] = max(worst[name], float(np.abs(ours.numpy() - theirs).max()))
    for name, limit in LIMITS.items():
        if not worst[name] <= limit:
            raise UserError(f"the graphs are not the network: {name} differs by {worst[name]:.2g}")
    return worst


def export(
    model: SiamLA,
    folder: Path,
    kind: Format,
    more: Mapping[str, Any] | None = None,
    half: bool = False,
) -> dict[str, float]:
    """Write both graphs and ABOUT into a new folder, or nothing; their largest differences from the
    network. half: weights are rounded to fp16 and stored so, and computed with in fp32; the
    differences are from the network with these weights.
    """
    if folder.exists():
        raise UserError(f"--out {folder}: is there already; name a new folder")
    extra, packages = NEEDS[kind]
    for package in packages:
        if installed(package) is None:
            raise UserError(f"--format {kind}: no {package}; {install(extra)}")
    inference = for_inference(model)
    if half:
        for values in (*inference.parameters(), *inference.buffers()):
            values.data = values.data.half().float() if values.is_floating_point() else values.data
    template = TemplateGraph(inference)
    first, crops = examples(template, rows=1)
    graphs: dict[str, tuple[Graph, Inputs]] = {
        "template": (template, first),
        "search": (SearchGraph(inference), crops),
    }
    write = {"onnx": _write_onnx, "openvino": _write_openvino}[kind]
    about = {**_about(kind, graphs), "weights": "fp16" if half else "fp32", **(more or {})}
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed export
    temporary.mkdir(parents=True)
    try:
        runs = [write(temporary / name, *graph, about) for name, graph in graphs.items()]
        worst = _check(inference if half else model.eval(), *runs)
        digests = {path.name: sha256(path) for path in sorted(temporary.iterdir())}
        write_json(temporary / ABOUT, {**about, "largest_differences": worst, "sha256": digests})
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return worst
