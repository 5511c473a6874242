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
from siamla.tracker import api
from siamla.tracker.annotations import Frame, Row, Video, annotate
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
    card = [sys.executable, "-c", BARE, "data", "card"]
    done = subprocess.run(card, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "scipy is not installed; pip install 'siamla[pipeline]'" in done.stderr


def track_both(folder: Path, out: Path, *more: str) -> int:
    boxes = [word for box in STARTS for word in ("--box", *map(str, box))]
    return main(["track", str(folder), *boxes, "--out", str(out), *more])


def test_labelling_tools_read_the_boxes(folder: Path, tmp_path: Path) -> None:
    """Every format gives the boxes of the table back, under the names of the images."""
    out = tmp_path / "out.csv"
    forms = [word for form in ENDS for word in ("--format", form)]
    assert track_both(folder, out, *forms, "--label", "a & b") == 0
    table = np.loadtxt(out, delimiter=",", skiprows=1, usecols=range(6))
    for form, end in ENDS.items():
        found = sorted(READERS[form](tmp_path / f"out.{end}"))
        np.testing.assert_allclose(found, table, atol=0.02)
    names = [f"{number}.png" for number in range(10)]
    content = json.loads((tmp_path / "out.coco.json").read_text())
    assert [image["file_name"] for image in content["images"]] == names
    assert content["categories"] == [{"id": 1, "name": "a & b"}]
    labels = {path.name for path in (tmp_path / "out.yolo").iterdir()}
    assert labels == {"classes.txt", *(name.replace("png", "txt") for name in names)}
    assert (tmp_path / "out.yolo/classes.txt").read_text() == "a & b\n"
    (track, _) = ET.parse(tmp_path / "out.cvat.xml").getroot().iter("track")
    assert track.attrib["label"] == "a & b"


def test_own_labels_alone_are_replaced(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, yolo = tmp_path / "out.csv", ("--format", "yolo")
    assert track_both(folder, out, *yolo) == 0
    assert track_both(folder, out, *yolo) == 2
    assert "out.yolo: exists already; --overwrite replaces it" in capsys.readouterr().err
    (tmp_path / "out.yolo/3.txt").write_text("")
    assert track_both(folder, out, *yolo, "--overwrite") == 0
    assert (tmp_path / "out.yolo/3.txt").read_text().count("\n") == 2
    (tmp_path / "out.yolo/notes.txt").write_text("mine")
    assert track_both(folder, out, *yolo, "--overwrite") == 2
    assert "out.yolo: is a folder; move it away" in capsys.readouterr().err
    shutil.copy(folder / "3.png", folder / "3.jpg")
    assert track_both(folder, tmp_path / "new.csv", *yolo) == 2
    assert "images: images differ by their ends alone" in capsys.readouterr().err
    assert not list(tmp_path.glob(".out*"))
    assert not list(tmp_path.glob("new*"))


def test_boxes_are_cut_at_the_border_of_their_own_image(tmp_path: Path) -> None:
    frames = [Frame("a.jpg", (100, 80)), Frame("b.jpg", (50, 40)), Frame("c.jpg", (50, 40))]
    boxes = [(90.0, -10.0, 20.0, 30.0), (40.0, 30.0, 20.0, 30.0), (60.0, 0.0, 9.0, 9.0)]
    rows = [Row(number, 1, box, 0.5, False) for number, box in enumerate(boxes, 1)]
    for form, end in ENDS.items():
        annotate(tmp_path / end, form, rows, Video("x", frames))
    boxes_left = [[1, 1, 90, 0, 10, 20], [2, 1, 40, 30, 10, 10]]
    assert list(from_coco(tmp_path / "coco.json")) == boxes_left
    lines = [(tmp_path / f"yolo/{name}.txt").read_text().split() for name in "abc"]
    assert lines[0] == ["0", "0.950000", "0.125000", "0.100000", "0.250000"]
    assert lines[1] == ["0", "0.900000", "0.875000", "0.200000", "0.250000"]
    assert lines[2] == []
    assert list(from_cvat(tmp_path / "cvat.xml"))[:2] == boxes_left
    outside = [box.attrib["outside"] for box in ET.parse(tmp_path / "cvat.xml").iter("box")]
    assert outside == ["0", "0", "1"]


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
    for entry in json.loads(path.read_text())["annotations"]:
        yield [entry["image_id"], entry["track_id"], *entry["bbox"]]


def from_yolo(path: Path) -> Iterator[list[float]]:
    """The lines of an image are in the order of the targets; images are named from 0."""
    for file in path.glob("[0-9]*.txt"):
        for target, line in enumerate(file.read_text().splitlines(), 1):
            number, x, y, w, h = map(float, line.split())
            assert number == 0
            sides = [w * SIZE[0], h * SIZE[1]]
            corner = [x * SIZE[0] - sides[0] / 2, y * SIZE[1] - sides[1] / 2]
            yield [int(file.stem) + 1, target, *corner, *sides]


READERS = {"cvat": from_cvat, "mot": from_mot, "coco": from_coco, "yolo": from_yolo}


def test_wrong_models_and_boxes_are_one_line(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(RELEASED, copy)
    (copy / "search.onnx").write_bytes((copy / "search.onnx").read_bytes()[:-9])
    with pytest.raises(UserError, match=r"search\.onnx: is damaged; export the model again"):
        siamla.load(copy)
    (copy / "search.onnx").unlink()
    with pytest.raises(UserError, match=r"search\.onnx: not found"):
        siamla.load(copy)
    for text, said in (("{}", "has no digests"), ("{", "not valid JSON"), (None, "not found")):
        (copy / "siamla.json").unlink()
        if text:
            (copy / "siamla.json").write_text(text)
        with pytest.raises(UserError, match=f"siamla.json: {said}.*; .*or install siamla again"):
            siamla.load(copy)
    monkeypatch.setattr(api, "RELEASED", tmp_path / "gone")
    with pytest.raises(UserError, match="the model of the package is gone; install siamla again"):
        siamla.load()
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
    said = r"device cuda: .*released is an exported model, which runs on the CPU; leave --device"
    with pytest.raises(UserError, match=said):
        siamla.load(device="cuda")


def test_what_is_of_another_kind_is_told_in_one_line() -> None:
    for given, said in (
        ({"path": 3}, "the model is 3; expected the path of a model file or a folder"),
        ({"threads": 0}, "threads is 0; expected a whole number of at least 1"),
        ({"threads": "two"}, "threads is 'two'; expected a whole number"),
        ({"tracker": "window"}, "tracker is 'window'; expected settings such as"),
    ):
        with pytest.raises(UserError, match=said):
            siamla.load(**given)
    tracker, image = siamla.load(), next(pictures(1))
    for box in (
        "60 70 50 40",
        None,
        [[60, 70, 50, 40]],
        [60, 70, 50],
        [60, 70, "w", 1],
        [np.nan] * 4,
    ):
        with pytest.raises(UserError, match="; expected four numbers: x, y, w, h in pixels"):
            tracker.init(image, box)  # type: ignore[arg-type]
    for wrong, said in (
        (None, "an image is None: was the file read?"),
        ("0001.jpg", "an image is '0001.jpg': was it read?"),
        ([[1, 2], [3]], "an image is a list of no shape; expected uint8"),
    ):
        for call in (tracker.update, lambda image: tracker.init(image, STARTS[0])):
            tracker.init(image, STARTS[0])
            with pytest.raises(UserError, match=said.replace("?", r"\?")):
                call(wrong)  # type: ignore[arg-type]
    assert tracker.init(image, (-5, -5, 40, 30)).tolist() == [0, 0, 35, 25]
