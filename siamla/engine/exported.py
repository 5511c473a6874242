"""A network that `siamla model export` wrote, run without PyTorch: by OpenVINO or ONNX
Runtime where one is installed, else by OpenCV, which takes twice the time.
"""

import shutil
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.engine.network import Crops, Maps, Network, State
from siamla.errors import UserError, install
from siamla.files import digest, read_json, sha256, write_json

ABOUT = "siamla.json"
FORMAT = 2
AGAIN = "export the model again, or install siamla again"
OUTPUTS = ("cls", "ltrb", "loc")

Run = Callable[[dict[str, NDArray[Any]]], list[NDArray[Any]]]


class Exported(NamedTuple):
    """A folder that `siamla model export` wrote."""

    graphs: dict[str, Path]  # "template" and "search"
    label: str  # the model's name for people
    tracker: dict[str, Any]  # settings, which siamla.tracker.settings reads
    digest: str  # of both graphs


def read_exported(folder: Path) -> Exported:
    """What lies in the folder; UserError where it is no exported model, or a file was damaged."""
    expected = f"expected a folder of `siamla model export`; {AGAIN}"
    try:
        about = read_json(folder / ABOUT)
    except UserError as error:
        raise UserError(f"{error}; {expected}") from None
    if not isinstance(about, dict) or not isinstance(about.get("sha256"), dict):
        raise UserError(f"{folder / ABOUT}: has no digests; {expected}")
    if about.get("format") != FORMAT:
        raise UserError(
            f"{folder / ABOUT}: format is {about.get('format')}, expected {FORMAT}; export again"
        )
    for name, sha in about["sha256"].items():
        path = folder / Path(name).name
        if not path.is_file():
            raise UserError(f"{path}: not found; {AGAIN}")
        if sha256(path) != sha:
            raise UserError(f"{path}: is damaged; {AGAIN}")
    suffix = {"onnx": ".onnx", "openvino": ".xml"}[about["files"]]
    graphs = {name: folder / f"{name}{suffix}" for name in ("template", "search")}
    return Exported(graphs, about["label"], about["tracker"], digest(about["sha256"]))


def copy_exported(folder: Path, out: Path, tracker: Mapping[str, Any]) -> None:
    """Copy an exported folder, with other settings of the tracker, in place of what is there."""
    about = read_json(folder / ABOUT)
    part = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(part, ignore_errors=True)  # of a killed copy
    part.mkdir(parents=True)
    for name in about["sha256"]:
        shutil.copyfile(folder / Path(name).name, part / Path(name).name)
    write_json(part / ABOUT, {**about, "tracker": dict(tracker)})
    if out.exists():
        shutil.rmtree(out)
    part.rename(out)


@cache
def core() -> Any:
    """OpenVINO's one Core: a second one that goes would let the next signal end the process."""
    import openvino

    return openvino.Core()


def for_openvino(threads: int, precision: str = "f32") -> dict[str, Any]:
    """Its options: bf16 would be taken unasked where the CPU has it; pinned, the workers of a
    benchmark would share one core.
    """
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }


def by_openvino(graph: Path, outputs: tuple[str, ...], threads: int) -> Run:
    """The graph of a file, run by OpenVINO in fp32."""
    request = core().compile_model(graph, "CPU", for_openvino(threads)).create_infer_request()

    def run(inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        request.infer(inputs)
        return [request.get_tensor(name).data.copy() for name in outputs]

    return run


def by_opencv(graph: Path, outputs: tuple[str, ...], threads: int) -> Run:
    """The graph of an ONNX file, run by OpenCV, on so many threads in the whole process."""
    cv2.setNumThreads(threads)
    try:
        network = cv2.dnn.readNetFromONNX(str(graph))
    except cv2.error as error:
        why = f"OpenCV {cv2.__version__} cannot read it, expected 5.0 or newer"
        raise UserError(f"{graph}: {why}; {install('fast')} runs it by OpenVINO") from error

    def run(inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        for name, values in inputs.items():
            network.setInput(values, name)
        return [np.array(values) for values in network.forward(outputs)]

    return run


def by_onnxruntime(graph: Path, outputs: tuple[str, ...], threads: int) -> Run:
    """The graph of an ONNX file, run by ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return partial(session.run, list(outputs))


RUNTIMES = {"openvino": by_openvino, "onnxruntime": by_onnxruntime, "opencv": by_opencv}
"""The fastest first."""


def runtime() -> str:
    """What runs exported graphs here: the fastest that is installed."""
    return next(name for name in RUNTIMES if name == "opencv" or find_spec(name))


def described() -> str:
    """What runs exported graphs here with its version, "opencv 5.0.0"."""
    name = runtime()
    return f"{name} {cv2.__version__ if name == 'opencv' else version(name)}"


def prepare_exported(exported: Exported, threads: int = 1) -> Network:
    """The network of an exported model, ready for one crop at a time on a CPU."""
    name, graphs = runtime(), exported.graphs
    if name != "openvino" and graphs["search"].suffix != ".onnx":
        raise UserError(f"{graphs['search']}: OpenVINO is not installed; {install('fast')}")
    template = RUNTIMES[name](graphs["template"], ("state",), threads)
    searching = RUNTIMES[name](graphs["search"], OUTPUTS, threads)

    def embed(crops: Crops) -> State:
        return template({"template": crops})[0]

    def search(state: State, crops: Crops) -> Maps:
        return Maps(*searching({"search": crops, "state": state}))

    return Network(embed, search)
