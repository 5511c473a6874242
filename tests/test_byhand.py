"""`siamla benchmark run` and `siamla model calibrate`: a model and a folder are enough."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_released import BARE

import siamla
from siamla.benchmark.lost import Calibration, calibrate, judged
from siamla.cli.main import main
from siamla.data.formats import LAYOUTS
from siamla.errors import UserError
from siamla.miniatures.dataset import WRITERS
from siamla.model.checkpoint import read_model
from siamla.sequence import Sequence
from siamla.tracker.api import RELEASED

Say = Callable[..., tuple[int, str, str]]
LAYOUTS_BY_HAND = ("otb", "got10k", "lasot", "trackingnet", "tnl2k", "vot", "plain")


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Run a command in an empty folder: its status and what it says on both streams."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str, str]:
        status = main([str(word) for word in words])
        return status, *capsys.readouterr()

    return run


def make(
    root: Path, layout: str, names: tuple[str, ...] = ("ball-1", "cat-2"), count: int = 4
) -> Path:
    """Sequences of noise in which a box moves by two pixels a frame."""
    rng = np.random.default_rng(0)
    for name in names:
        noise = rng.integers(0, 256, (count, 12, 16, 3), dtype=np.uint8)
        large = (cv2.resize(image, (160, 120)) for image in noise)
        images = [cv2.imencode(".jpg", image)[1].tobytes() for image in large]
        boxes = np.array([[50.0 + 2 * number, 40, 30, 24] for number in range(count)])
        WRITERS[layout].write(root, Sequence(name, (), boxes, np.ones(count, bool)), images)
    WRITERS[layout].finish(root, names)
    return root


@pytest.mark.parametrize("layout", LAYOUTS_BY_HAND)
def test_one_line_tracks_and_scores(
    layout: str, model_file: Path, tmp_path: Path, say: Say
) -> None:
    make(tmp_path / "set", layout)
    status, out, _ = say("benchmark", "run", model_file, "--layout", layout, "--root", "set")
    assert status == 0
    head, labels, values, last = out.splitlines()
    assert head.startswith("Noise on set: 2 sequences, 8 frames, protocol: ")
    assert labels.split()[-1] == "fps"
    assert all(re.fullmatch(r"[\d.]+|–", value) for value in values.split())
    (folder,) = (tmp_path / "runs/set").iterdir()
    assert re.fullmatch("noise-[0-9a-f]{8}", folder.name)
    assert last.endswith(str(folder.relative_to(tmp_path)))
    raw = {"got10k": "ball-1/ball-1_001.txt", "vot": "baseline/ball-1/ball-1_001.txt"}
    assert (folder / raw.get(layout, "ball-1.txt")).is_file()
    assert (folder / "scores.csv").read_text().count("\n") == 3
    run = json.loads((folder / "run.json").read_text())
    assert len(run["scores"]) >= len(labels.replace("Norm. ", "").split()) - 1
    assert run["speed"]["frames"] > 0


def test_a_second_run_tracks_nothing_and_others_are_refused(
    model_file: Path, tmp_path: Path, say: Say
) -> None:
    make(tmp_path / "set", "otb")
    command = ("benchmark", "run", model_file, "--layout", "otb", "--root", "set", "--out", "out")
    first = say(*command)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*-?.txt")}
    assert len(before) == 2
    assert say(*command)[1] == first[1]
    (tmp_path / "out/cat-2.txt").unlink()  # as if it had been killed
    assert say(*command)[0] == 0
    assert (tmp_path / "out/cat-2.txt").is_file()
    assert (tmp_path / "out/ball-1.txt").stat().st_mtime_ns == before[tmp_path / "out/ball-1.txt"]
    status, _, said = say(*command, "--tracker", '{"window": 0.7}')
    assert status == 2
    assert "out: holds another run: tracker.window is 0.1, the plan has 0.7" in said


@pytest.mark.parametrize(
    ("layout", "file", "text", "said"),
    [
        ("plain", "groundtruth.txt", "1,2,3,4\n" * 3, "cat-2 has 3 boxes for 4"),
        ("plain", "groundtruth.txt", "1,2,3\n" * 4, "found '1,2,3', expected 4"),
        ("otb", "groundtruth_rect.txt", "0,0,0,0\n" * 4, "cannot start"),
        ("otb", "img/0002.jpg", "", "cat-2, frame 2: "),
    ],
    ids=["rows", "columns", "no first box", "image"],
)
def test_bad_data_are_told(
    layout: str, file: str, text: str, said: str, model_file: Path, tmp_path: Path, say: Say
) -> None:
    (make(tmp_path / "set", layout) / "cat-2" / file).write_text(text)
    status, _, error = say("benchmark", "run", model_file, "--layout", layout, "--root", "set")
    assert status == 2
    assert said in error.splitlines()[-1]


def test_withheld_truth_gives_raw_results_alone(model_file: Path, tmp_path: Path, say: Say) -> None:
    root = make(tmp_path / "set", "plain")
    for name in ("ball-1", "cat-2"):
        (root / name / "groundtruth.txt").write_text("50,40,30,24\n")
    status, out, _ = say("benchmark", "run", model_file, "--layout", "plain", "--root", "set")
    assert status == 0
    assert "the truth is withheld, so there are no scores; raw results: runs/set/noise-" in out


def test_the_model_in_the_package_is_scored_without_pytorch(tmp_path: Path, say: Say) -> None:
    """And with a copy of it, which is another's folder."""
    make(tmp_path / "set", "plain")
    command = ("benchmark", "run", "--layout", "plain", "--root", "set")
    bare = subprocess.run(
        [sys.executable, "-c", BARE, *command], cwd=tmp_path, capture_output=True, text=True
    )
    assert bare.returncode == 0, bare.stderr
    assert bare.stdout.startswith("SiamCAR on set: 2 sequences, 8 frames, protocol: own videos")
    (folder,) = (tmp_path / "runs/set").iterdir()
    first = (folder / "ball-1.txt").read_text()
    assert len(first.splitlines()) == 4
    shutil.copytree(RELEASED, tmp_path / "mine")
    assert say(*command[:2], "mine", *command[2:], "--out", "again")[0] == 0
    assert (tmp_path / "again/ball-1.txt").read_text() == first
    identity = [
        json.loads((each / "run.json").read_text())["identity"]
        for each in (folder, tmp_path / "again")
    ]
    assert identity[0] == identity[1]
    status, _, error = say(*command, "--tracker", '{"batch": 2}')
    assert status == 2
    assert "tracker.batch: " in error
    assert "is an exported model, which runs by the fastest engine" in error


def test_images_in_a_folder_of_their_own_are_seen(tmp_path: Path, say: Say) -> None:
    one = make(tmp_path / "set", "plain") / "cat-2"
    (one / "img").mkdir()
    for image in one.glob("*.jpg"):
        image.rename(one / "img" / image.name)
    status, _, error = say("benchmark", "run", "--layout", "plain", "--root", "set")
    assert status == 2
    assert "set/cat-2: no images; expected .jpg or .png files in it; some are in img/" in error


def test_absent_targets_of_a_plain_folder(tmp_path: Path) -> None:
    rows = "1,2,3,4\nnan,nan,nan,nan\n0,0,0,0\n5,6,7,8\n"
    (make(tmp_path, "plain") / "cat-2/groundtruth.txt").write_text(rows)
    assert LAYOUTS["plain"].read(tmp_path, "cat-2").visible.tolist() == [True, False, False, True]


# -- when a tracker is lost --


def test_the_threshold_that_parts_both_kinds() -> None:
    lost = np.array([True, True, False, False, False, True])
    best = calibrate(np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.25]), lost)
    assert best.threshold == pytest.approx(0.275)
    assert best[1:] == (1, 6, 3, 1, 0)


def test_auroc_is_the_chance_of_the_right_order() -> None:
    rng = np.random.default_rng(0)
    confidence, lost = rng.integers(0, 8, 60) / 8, rng.random(60) < 0.4  # with ties
    here, away = confidence[~lost], confidence[lost]
    pairs = (away[:, None] < here).mean() + 0.5 * (away[:, None] == here).mean()
    best = calibrate(confidence, lost)
    assert best.auroc == pytest.approx(pairs)
    shares = [(away < limit).mean() - (here < limit).mean() for limit in np.arange(9) / 8 + 1e-3]
    assert best.caught - best.false_alarms == pytest.approx(max(shares))
    assert (away < best.threshold).mean() == best.caught


@pytest.mark.parametrize(("lost", "kind"), [(True, "every frame"), (False, "no frame")])
def test_one_kind_alone_calibrates_nothing(lost: bool, kind: str) -> None:
    with pytest.raises(UserError, match=f"{kind} of 3 is lost"):
        calibrate(np.array([0.1, 0.2, 0.3]), np.full(3, lost))


def test_which_frames_are_lost(tmp_path: Path) -> None:
    here, away = [0, 0, 10, 10.0], [50, 0, 10, 10.0]
    boxes = np.array([here, here, away, [np.nan] * 4, here])
    sequence = Sequence("a", (), boxes, np.array([True, True, True, True, False]))
    (tmp_path / "a.txt").write_text("0,0,10,10\n" * 5)
    (tmp_path / "a_confidence.txt").write_text("nan\n0.9\n0.4\n0.5\n0.3\n")
    confidence, lost = judged([sequence], tmp_path, "plain")
    assert confidence.tolist() == [0.9, 0.4, 0.3]
    assert lost.tolist() == [False, True, True]


def test_calibration_writes_a_model_that_knows(model_file: Path, tmp_path: Path, say: Say) -> None:
    root = make(tmp_path / "set", "plain", count=8)
    for name in ("ball-1", "cat-2"):
        (root / name / "groundtruth.txt").write_text("50,40,30,24\n" * 4 + "5,5,30,24\n" * 4)
    by_hand = ("--layout", "plain", "--root", "set")
    command = ("model", "calibrate", model_file, *by_hand, "--out", "new.pt")
    status, out, error = say(*command)
    assert status == 0, error
    shares = r"[\d.]+% of \d+ lost frames found, [\d.]+% of"
    told = re.match(rf"new.pt: lost below ([\d.]+); AUROC [\d.]+, {shares}", out)
    assert told, out
    before, after = read_model(model_file), read_model(tmp_path / "new.pt")
    assert after.tracker == {**before.tracker, "lost": float(told[1])}
    assert (after.digest, after.label) == (before.digest, before.label)
    assert say(*command)[0] == 2  # new.pt exists
    status, _, error = say(*command[:-1], "b.pt", "--tracker", '{"recover": 0.5, "lost": null}')
    assert status == 2
    assert "lost is of no use beside recover" in error
    assert not (tmp_path / "b.pt").exists()


@pytest.mark.parametrize("useful", [True, False])
def test_an_exported_folder_is_calibrated_into_another(
    useful: bool, tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path / "set", "plain", count=8)
    for name in ("ball-1", "cat-2"):
        (root / name / "groundtruth.txt").write_text("50,40,30,24\n" * 4 + "5,5,30,24\n" * 4)
    found = Calibration(0.31234, 0.8 if useful else 0.55, 14, 8, 0.5, 0.25)
    monkeypatch.setattr("siamla.benchmark.lost.calibrate", lambda confidence, lost: found)
    command = ["model", "calibrate", "--layout", "plain", "--root", "set", "--out", "new"]
    assert "lost is of no use beside recover" in say(*command)[2]  # which the package's model has
    command += ["--tracker", '{"recover": 0}']
    status, out, error = say(*command)
    assert status == 0, error
    assert "new: lost below 0.3123" in out
    assert ("warning: the threshold is of no use: AUROC is 0.550" in error) is not useful
    tracker = siamla.load(tmp_path / "new")
    assert (
        tracker.core.settings == siamla.load(tracker={"lost": 0.3123, "recover": 0}).core.settings
    )
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "search.onnx",
        "siamla.json",
        "template.onnx",
    }
    assert "new: is there already" in say(*command)[2]
    (root / "third").mkdir()
    status, _, error = say("benchmark", "run", *command[2:6])  # other settings, so another folder
    assert status == 0, error
    assert "warning: set: no groundtruth.txt in third" in error
    status, _, error = say(*command, "--overwrite")
    assert status == 0, error
    command[command.index("new")] = "set"
    assert "--overwrite replaces an exported folder, and nothing else" in say(*command)[2]


def test_what_is_no_model_is_told_before_anything_else(
    tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also before a word on PyTorch."""
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "notes.txt").write_text("notes")
    make(tmp_path / "set", "plain")
    by_hand = ("--layout", "plain", "--root", "set")
    for name, said in (("nix", "no such file or folder"), ("notes.txt", "not a model file")):
        for command in (
            ("benchmark", "run", name, *by_hand),
            ("model", "calibrate", name, *by_hand, "--out", "new"),
            ("model", "export", name, "--out", "new"),
            ("track", "set/ball-1", "--model", name, "--box", 50, 40, 30, 24),
        ):
            status, _, error = say(*command)
            assert status == 2
            assert f"siamla: error: {name}: {said}" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "set"]
