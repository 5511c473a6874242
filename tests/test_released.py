"""The model in the package: it tracks without PyTorch, by either runtime; damage is refused."""

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import siamla
from siamla.cli.main import main
from siamla.engine import exported
from siamla.engine.export import export
from siamla.errors import UserError
from siamla.geometry import iou
from siamla.tracker.api import RELEASED

SIZE = (320, 240)
STARTS = ((60.0, 70.0, 50.0, 40.0), (200.0, 120.0, 44.0, 44.0))
STEPS = ((3.0, 1.0), (-2.0, -1.5))
# what a `pip install siamla` lacks
LACKING = ("torch", "pandas", "scipy", "matplotlib", "snakemake", "mlflow", "dvc", "sklearn", "PIL")
BARE = f"""
import sys
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {LACKING!r}:
            raise ModuleNotFoundError(name + " is lacking", name=name)
sys.meta_path.insert(0, Lacking())
from siamla.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def truth(frame: int) -> np.ndarray:
    """The boxes (2, 4) of both targets in a frame, from 0."""
    shift = np.array([(*step, 0, 0) for step in STEPS]) * frame
    return np.array(STARTS) + shift


def pictures(count: int) -> Iterator[np.ndarray]:
    """Two textured things that move over noise."""
    noise = np.random.default_rng(3)
    ground = cv2.GaussianBlur(noise.integers(60, 130, (240, 320, 3)).astype(np.uint8), (9, 9), 3)
    for frame in range(count):
        image = ground.copy()
        for (x, y, w, h), colour in zip(truth(frame), ((40, 60, 230), (230, 200, 30)), strict=True):
            low, high = (round(x), round(y)), (round(x + w) - 1, round(y + h) - 1)
            cv2.rectangle(image, low, high, colour, -1)
            middle = (round(x + w / 2), round(y + h / 2))
            cv2.circle(image, middle, round(w / 4), (20, 20, 20), -1)
        yield image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images."""
    (tmp_path / "images").mkdir()
    for number, image in enumerate(pictures(10)):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), image)
    return tmp_path / "images"


def choose(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a runtime be the only one; the test is skipped where it is not installed."""
    if name != "opencv":
        pytest.importorskip(name)
    monkeypatch.setattr(exported, "find_spec", lambda other: other == name or None)
    assert exported.runtime() == name


@pytest.mark.parametrize("name", exported.RUNTIMES)
def test_it_follows_two_targets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(name, monkeypatch)
    first = siamla.load()
    second = first.another()
    trackers = (first, second)
    for frame, image in enumerate(pictures(10)):
        for tracker, box in zip(trackers, truth(frame), strict=True):
            if frame == 0:
                tracker.init(image, box)
            else:
                assert iou(box, tracker.update(image)) > 0.6
                assert tracker.score > 0.3


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_the_runtimes_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(5)
    template = noise.integers(0, 256, (1, 127, 127, 3), np.uint8)
    search = noise.integers(0, 256, (1, 255, 255, 3), np.uint8)
    maps = []
    for each in ("opencv", name):
        choose(each, monkeypatch)
        network = exported.prepare_exported(exported.read_exported(RELEASED))
        maps.append(network.search(network.embed(template), search))
    for name, ours, theirs in zip(maps[0]._fields, *maps, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-2 if name == "ltrb" else 1e-4)


def test_the_command_tracks_without_what_the_pipeline_needs(
    folder: Path, tmp_path: Path, model_file: Path
) -> None:
    boxes = [word for box in STARTS for word in ("--box", *map(str, box))]
    command = [sys.executable, "-c", BARE, "track", str(folder), *boxes, "--out", "out.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "10 frames" in done.stdout
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "frame,target,x,y,w,h,score,lost,seconds"
    assert [line.split(",")[:2] for line in lines[1:3]] == [["1", "1"], ["1", "2"]]
    assert len(lines) == 21
    model = [sys.executable, "-c", BARE, "track", str(folder), "--model", "m.pt", *boxes]
    shutil.copy(model_file, tmp_path / "m.pt")
    done = subprocess.run([*model], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "m.pt: a model file needs PyTorch: pip install 'siamla[train]'" in done.stderr
    compare = [sys.executable, "-c", BARE, "compare", ".", "."]
    done = subprocess.run(compare, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pandas is not installed; pip install 'siamla[pipeline]'" in done.stderr


@pytest.mark.parametrize("form", ["cvat", "mot", "coco", "yolo"])
def test_labelling_tools_read_the_boxes(form: str, folder: Path, tmp_path: Path) -> None:
    """Every format gives the boxes of the table back."""
    boxes = [word for box in STARTS for word in ("--box", *map(str, box))]
    out = tmp_path / "out.csv"
    assert main(["track", str(folder), *boxes, "--out", str(out), "--format", form]) == 0
    table = np.loadtxt(out, delimiter=",", skiprows=1, usecols=range(6))
    found = sorted(READERS[form](tmp_path / f"out.{ENDS[form]}"))
    np.testing.assert_allclose(found, table, atol=0.02)
    command = ["track", str(folder), *boxes, "--out", str(out), "--format", form]
    assert main(command) == 2
    assert not list(tmp_path.glob(".out*"))


ENDS = {"cvat": "cvat.xml", "mot": "mot.txt", "coco": "coco.json", "yolo": "yolo"}


def from_cvat(path: Path) -> Iterator[list[float]]:
    for track in ET.parse(path).getroot().iter("track"):
        for box in track.iter("box"):
            x, y, right, bottom = (float(box.attrib[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
            head = [int(box.attrib["frame"]) + 1, int(track.attrib["id"]) + 1]
            yield [*head, x, y, right - x, bottom - y]


def from_mot(path: Path) -> Iterator[list[float]]:
    for row in np.loadtxt(path, delimiter=","):
        frame, target, x, y, w, h, *_ = row.tolist()
        yield [frame, target, x - 1, y - 1, w, h]


def from_coco(path: Path) -> Iterator[list[float]]:
    content = json.loads(path.read_text())
    assert len(content["images"]) == 10
    for entry in content["annotations"]:
        yield [entry["image_id"], entry["track_id"], *entry["bbox"]]


def from_yolo(path: Path) -> Iterator[list[float]]:
    for file in path.iterdir():
        for line in file.read_text().splitlines():
            number, x, y, w, h = map(float, line.split())
            sides = [w * SIZE[0], h * SIZE[1]]
            corner = [x * SIZE[0] - sides[0] / 2, y * SIZE[1] - sides[1] / 2]
            yield [int(file.stem), number + 1, *corner, *sides]


READERS = {"cvat": from_cvat, "mot": from_mot, "coco": from_coco, "yolo": from_yolo}


def test_wrong_models_and_boxes_are_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(RELEASED, copy)
    (copy / "search.onnx").write_bytes((copy / "search.onnx").read_bytes()[:-9])
    with pytest.raises(UserError, match=r"search\.onnx: is damaged; export the model again"):
        siamla.load(copy)
    (copy / "search.onnx").unlink()
    with pytest.raises(UserError, match=r"search\.onnx: not found"):
        siamla.load(copy)
    (copy / "siamla.json").write_text("{}")
    with pytest.raises(UserError, match="expected a folder of `siamla model export`"):
        siamla.load(copy)
    one, near = ["--box", "60", "70", "50", "40"], ["--box", "61", "70", "50", "40"]
    assert main(["track", str(folder), *one, *near]) == 2
    assert "--box: boxes 1 and 2 are one target" in capsys.readouterr().err


def test_half_of_the_bytes_have_the_numbers_of_the_rounded_network(tmp_path: Path) -> None:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    from test_engines import network

    sizes = {}
    for half in (False, True):
        out = tmp_path / str(half)
        worst = export(network("siamla"), out, "onnx", {"label": "x", "tracker": {}}, half)
        assert worst["cls"] < 1e-4
        sizes[half] = sum(path.stat().st_size for path in out.glob("*.onnx"))
    assert sizes[True] < 0.6 * sizes[False]


def test_load_hands_the_device_on() -> None:
    with pytest.raises(UserError, match=r"device cuda: .*released is an exported model"):
        siamla.load(device="cuda")
