"""Which precision is taken: as asked for, or by a measurement that a machine makes once."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from siamla import place as module
from siamla.model.settings import ModelSettings
from siamla.place import Place, resolve
from siamla.tracker.place import tracking_place
from siamla.tracker.settings import TrackerSettings
from siamla.training.place import training_place
from siamla.training.settings import TrainingSettings

CPU = torch.device("cpu")
SMALL = ModelSettings(
    backbone="efficientnet_lite0", channels=8, tower_depth=1, groups=2, regression_bias=3.4
)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine that computes in bf16 and has measured nothing; its cache folder."""
    monkeypatch.setattr(module, "has_bf16", lambda device: True)
    monkeypatch.setattr(module, "_measured", {})
    monkeypatch.setenv("SIAMLA_CACHE", str(tmp_path / "cache"))
    threads = torch.get_num_threads()
    yield tmp_path / "cache"
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def _sleeping(
    fp32: float, bf16: float, steps: list[Place]
) -> Callable[[], Callable[[Place], None]]:
    """Steps of that many seconds, whose places are noted."""

    def step(place: Place) -> None:
        steps.append(place)
        assert torch.get_num_threads() == place.threads
        time.sleep(bf16 if place.precision == "bf16" else fp32)

    return lambda: step


def _never() -> Callable[[Place], object]:
    raise AssertionError("nothing is to be measured")


def _entries(folder: Path) -> list[Path]:
    return list((folder / "precision").glob("*.json"))


@pytest.mark.parametrize(
    ("fp32", "bf16", "expected"),
    [(0.04, 0.01, "bf16"), (0.0402, 0.04, "fp32"), (0.01, 0.04, "fp32")],
)
def test_auto_takes_bf16_only_where_it_is_clearly_faster(
    fp32: float, bf16: float, expected: str
) -> None:
    steps: list[Place] = []
    place = resolve("auto", CPU, 1, {"kind": "test"}, _sleeping(fp32, bf16, steps))
    assert (place.device, place.precision, place.threads) == ("cpu", expected, 1)
    assert [step.precision for step in steps[:4]] == [
        "fp32",
        "bf16",
    ] * 2  # by turns, the first two to warm up
    assert resolve("auto", CPU, 1, {"kind": "test"}, _never) == place


def test_a_measurement_is_remembered_by_the_machine(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve("auto", CPU, 1, {"kind": "test"}, _sleeping(0.04, 0.01, []))
    monkeypatch.setattr(module, "_measured", {})  # another process
    assert resolve("auto", CPU, 1, {"kind": "test"}, _never).precision == "bf16"
    (file,) = _entries(machine)
    entry = json.loads(file.read_text())
    assert (entry["key"]["kind"], entry["key"]["torch"], entry["key"]["threads"]) == (
        "test",
        torch.__version__,
        1,
    )
    assert entry["seconds"]["fp32"] > entry["seconds"]["bf16"] >= 0.01
    for threads, what in ((2, {"kind": "test"}), (1, {"kind": "other"})):  # other questions
        assert resolve("auto", CPU, threads, what, _sleeping(0.01, 0.04, [])).precision == "fp32"
    assert len(_entries(machine)) == 3


def test_a_damaged_measurement_is_made_again(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve("auto", CPU, 1, {"kind": "test"}, _sleeping(0.04, 0.01, []))
    (file,) = _entries(machine)
    file.write_text(file.read_text()[:30])
    monkeypatch.setattr(module, "_measured", {})
    assert resolve("auto", CPU, 1, {"kind": "test"}, _sleeping(0.01, 0.04, [])).precision == "fp32"
    assert json.loads(file.read_text())["seconds"]["bf16"] >= 0.04


MEASURE = """
import sys, time
from pathlib import Path
import torch
from siamla import place
place.has_bf16 = lambda device: True
def prepare():
    (Path(sys.argv[1]) / f"{time.time_ns()}.measured").touch()
    return lambda there: time.sleep(0.05 if there.precision == "fp32" else 0.01)
print(place.resolve("auto", torch.device("cpu"), 1, {"kind": "test"}, prepare).precision)
"""


def test_jobs_that_start_together_measure_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    jobs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [job.communicate(timeout=60)[0] for job in jobs] == ["bf16\n"] * 3
    assert len(list(tmp_path.glob("*.measured"))) == 1


def test_a_cache_folder_that_cannot_be_written_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SIAMLA_CACHE", str(tmp_path / "file" / "below"))
    for prepare in (_sleeping(0.04, 0.01, []), _never):
        assert resolve("auto", CPU, 1, {"kind": "test"}, prepare).precision == "bf16"
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_what_is_asked_for_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve("fp32", CPU, 2, {}, _never) == Place("cpu", "fp32", 2)
    assert resolve("bf16", CPU, 2, {}, _never) == Place("cpu", "bf16", 2)
    monkeypatch.setattr(
        module, "has_bf16", lambda device: False
    )  # it would emulate bf16, which is slower
    assert resolve("auto", CPU, 2, {}, _never) == Place("cpu", "fp32", 2)


def test_a_place_says_where_and_how() -> None:
    assert Place("cpu", "bf16", 2).plain == {"device": "cpu", "precision": "bf16", "threads": 2}
    assert Place("cuda: NVIDIA H100", "bf16", 2).torch_device == torch.device("cuda")
    x = torch.ones(2, 2)
    with Place("cpu", "bf16", 2).autocast():
        assert (x @ x).dtype == torch.bfloat16
    with Place("cpu", "fp32", 2).autocast():
        assert (x @ x).dtype == torch.float32


def _agrees(place: Place, file: Path) -> bool:
    seconds = json.loads(file.read_text())["seconds"]
    return (place.precision == "bf16") == (seconds["fp32"] >= 1.1 * seconds["bf16"])


@pytest.mark.parametrize("frozen", [0, 2], ids=["thawed", "frozen"])
def test_training_is_measured_by_steps_that_train(
    frozen: int, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from siamla.training import place as training

    rows: list[tuple[str, float]] = []
    real = training.optimise

    def noted(*arguments):  # type: ignore[no-untyped-def]
        row = real(*arguments)
        rows.append((arguments[-1].precision, row["skipped"]))
        return row

    monkeypatch.setattr(training, "optimise", noted)
    monkeypatch.setattr(module, "STEPS", 1)
    settings = TrainingSettings(epochs=2, frozen_epochs=frozen, batch=1, pairs_per_epoch=1)
    model = SMALL.model_copy(update={"weights": "package", "localization": "lafa"})
    place = training_place(model, settings, threads=1)
    (file,) = _entries(machine)
    key = json.loads(file.read_text())["key"]
    assert (key["kind"], key["batch"], key["frozen"]) == ("train", 1, frozen == 2)
    assert _agrees(place, file)
    assert (
        rows == [("fp32", 0), ("bf16", 0)] * 2
    )  # none skipped: a skipped step has no backward pass


def test_tracking_is_measured_apart(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEPS", 1)
    place = tracking_place(SMALL, TrackerSettings(), CPU, threads=1)
    (file,) = _entries(machine)
    key = json.loads(file.read_text())["key"]
    assert key["kind"] == "track"
    assert "weights" not in key["model"]
    assert _agrees(place, file)
