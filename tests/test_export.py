"""Exported graphs: the network's numbers, and the tracker in docs/export.md as it stands there."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from clips import moving_square
from test_engines import CPU, KINDS, close, crops, expected, needs, network

from siamla.cli.main import main
from siamla.data.images import read_image
from siamla.engine import export as module
from siamla.engine.export import export
from siamla.engine.network import Maps
from siamla.errors import UserError
from siamla.model.checkpoint import save_model
from siamla.tracker.loading import tracker_of
from siamla.tracker.settings import TrackerSettings, stored

ROOT = Path(__file__).parents[1]
SETTINGS = {"top_n": 3, "penalty_k": 0.1, "window": 0.3, "size_lr": 0.3}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIAMLA_CACHE", str(tmp_path / "cache"))


def exported(folder: Path, *options: str) -> Path:
    """The folder that the command wrote."""
    save_model(folder / "model.pt", network("siamla"), "SiamLA", stored(TrackerSettings()))
    out, settings = folder / "out", json.dumps(SETTINGS)
    arguments = [str(folder / "model.pt"), "--out", str(out), "--tracker", settings, *options]
    assert main(["model", "export", *arguments]) == 0
    return out


def test_the_tracker_of_the_docs_gives_our_boxes(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    out = exported(tmp_path)
    code = re.search(
        r"```python\n(import json.*?)```", (ROOT / "docs/export.md").read_text(), re.DOTALL
    )
    assert code
    assert len([line for line in code[1].splitlines() if line.strip()]) <= 65
    space: dict[str, type] = {}
    exec(code[1], space)
    theirs = space["OnnxTracker"](str(out))
    ours = tracker_of(
        network("siamla"), TrackerSettings(engine="torch", precision="fp32", **SETTINGS), CPU
    )
    clip = moving_square(tmp_path, "clip", 9)
    first, *others = map(read_image, clip.frames)
    for tracker in (theirs, ours):
        tracker.init(first, clip.boxes[0])
    for image in others:
        np.testing.assert_allclose(theirs.update(image), ours.update(image), atol=0.02)
        assert theirs.score == pytest.approx(ours.score, abs=1e-4)
        assert ours.state is not None  # a network of noise would carry any difference on
        theirs.centre, theirs.size = np.array(ours.state.centre), np.array(ours.state.size)


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_what_is_written_is_described(kind: str, tmp_path: Path) -> None:
    for package in module.NEEDS[kind][1]:
        pytest.importorskip(package)
    out = exported(tmp_path, "--format", kind)
    about = json.loads((out / "siamla.json").read_text())
    search = about["graphs"]["search"]
    assert search["inputs"] == {
        "search": {"type": "uint8", "shape": [1, 255, 255, 3]},
        "state": {"type": "float32", "shape": [1, 32, 7, 7]},
    }
    assert search["outputs"]["ltrb"] == {"type": "float32", "shape": [1, 4, 25, 25]}
    assert about["tracker"] == {"postprocess": "topn", **SETTINGS}
    assert max(about.pop("largest_differences").values()) < 0.02
    if kind == "onnx":
        import onnx

        model = onnx.load(out / "search.onnx")
        assert [each.name for each in model.graph.input] == ["search", "state"]
        assert [each.name for each in model.graph.output] == ["cls", "ltrb", "loc"]
        inside = {each.key: each.value for each in model.metadata_props}
        assert {**json.loads(inside["siamla"]), "sha256": about["sha256"]} == about
        operations = {node.op_type for node in model.graph.node}
        assert not operations & {"Loop", "Scan", "GridSample", "BatchNormalization"}


def test_the_files_have_the_numbers_of_the_network(tmp_path: Path) -> None:
    """Of every kind of network, run by ONNX Runtime itself, against PyTorch."""
    onnxruntime = pytest.importorskip("onnxruntime")
    for kind in KINDS:
        model = network(kind)
        export(model, tmp_path / kind, "onnx")
        template, search = (
            onnxruntime.InferenceSession(tmp_path / kind / f"{name}.onnx")
            for name in ("template", "search")
        )
        for seed in (2, 3):
            first, crop = crops(127, seed=seed), crops(255, seed=1)
            (state,) = template.run(None, {"template": first})
            found = search.run(None, {"search": crop, "state": state})
            close(Maps(*found), expected(model, first, crop))


def test_a_package_that_is_missing_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "installed", lambda package: None)
    for kind, extra in (("onnx", "onnx"), ("openvino", "fast")):
        with pytest.raises(UserError, match=rf"--format {kind}: .*siamla\[{extra}\]"):
            export(network("siamcar"), tmp_path / "out", kind)


def test_wrong_numbers_are_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("openvino")
    real = module._write_openvino

    def wrong(*given):  # type: ignore[no-untyped-def]
        run = real(*given)
        return lambda values: [np.asarray(part) * 1.01 for part in run(values)]

    monkeypatch.setattr(module, "_write_openvino", wrong)
    with pytest.raises(UserError, match=r"not the network: .* differs by"):
        export(network("siamcar"), tmp_path / "out", "openvino")
    assert list(tmp_path.iterdir()) == []
