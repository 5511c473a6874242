"""Device and precision: what is asked for, or one clear error."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import REPOSITORY
from tiny import MODEL

from siamla import hardware as module
from siamla.cli.main import main
from siamla.engine.engines import resolve_engine
from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.hardware import Hardware, hardware_on
from siamla.model.checkpoint import save_model
from siamla.model.siamla import build_model
from siamla.steps.check import check
from siamla.tracker import loading
from siamla.tracker.api import load
from siamla.tracker.loading import tracking_hardware
from siamla.tracker.settings import TrackerSettings
from siamla.training.distributed import joined
from siamla.training.settings import TrainingSettings

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def old_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU without bf16."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *device: "Old GPU")
    monkeypatch.setattr(module, "has_bf16", lambda device: False)


def test_the_precision_is_fp32_unless_another_one_is_set() -> None:
    assert TrainingSettings().precision == TrackerSettings().precision == "fp32"
    assert hardware_on(CPU, "bf16", 2) == Hardware("cpu", "bf16", 2)
    assert tracking_hardware(TrackerSettings(engine="torch"), CPU, 2) == Hardware("cpu", "fp32", 2)


@pytest.mark.usefixtures("old_gpu")
def test_a_gpu_without_bf16_is_told_before_anything_is_trained() -> None:
    assert hardware_on(GPU, "fp16", 1) == Hardware("cuda: Old GPU", "fp16", 1)
    with pytest.raises(UserError, match="precision: bf16, but Old GPU does not compute in it"):
        hardware_on(GPU, "bf16", 1)


def test_an_engine_without_bf16_is_told_before_anything_is_tracked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("siamla.engine.engines.installed", lambda package: "1")
    monkeypatch.setattr(loading, "has_bf16", lambda device: False)
    settings = TrackerSettings(engine="openvino", precision="bf16")
    with pytest.raises(UserError, match=r"tracker\.precision: bf16, but openvino does not"):
        tracking_hardware(settings, CPU)
    monkeypatch.setattr(loading, "has_bf16", lambda device: True)
    assert tracking_hardware(settings, CPU, 1) == Hardware("cpu", "bf16", 1)


def test_the_check_of_a_profile_tells_a_precision_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old_gpu: None
) -> None:
    shutil.copytree(REPOSITORY / "params", tmp_path / "params")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    smoke = Path("params/profiles/smoke.yaml")
    smoke.write_text(smoke.read_text().replace("precision: fp32", "precision: bf16"))
    precision = "precision: bf16, but Old GPU does not compute in it; use fp32"
    training, tracking = check(Plan.load("smoke")).problems
    assert training == f"train siamcar, seed 1: training.{precision}"
    assert tracking == f"predict otb100 siamcar, seed 1: tracker.{precision}"


def test_a_device_that_is_not_there_is_one_line_with_what_is(
    tmp_path: Path,
    model_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("cuda", "mps", "tpu"):
        with pytest.raises(UserError, match=f"device {name}: not there; this machine has cpu$"):
            module.named_device(name)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    words = ["track", "0", "--model", str(model_file), "--box", "1", "2", "3", "4"]
    assert main([*words, "--device", "cuda"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "siamla: error: device cuda: not there; this machine has cpu, mps"
    with pytest.raises(UserError, match=r"device cuda: .* is an exported model, which runs on the"):
        load(tmp_path, device="cuda")
    with pytest.raises(UserError, match="cuda: not there"):
        tracking_hardware(TrackerSettings(), GPU)


def test_tracking_takes_apples_gpu_and_training_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """None was at hand: this is the choice alone."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    place = tracking_hardware(TrackerSettings(), threads=1)
    assert (place.torch_device.type, place.device) == ("mps", f"mps: {platform.machine()}")
    assert resolve_engine("auto", place.torch_device) == "torch"
    assert module.default_device() == CPU
    assert module.named_device("cpu") == CPU


def test_more_processes_than_gpus_say_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    for name, value in {"WORLD_SIZE": "8", "LOCAL_RANK": "4"}.items():
        monkeypatch.setenv(name, value)
    said = r"process 5 of this machine has no GPU .* there are 4; .* --nproc-per-node 4"
    with pytest.raises(UserError, match=said), joined():
        pass


WINDOWS = """
import importlib.abc, os, signal, sys, types

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in ("fcntl", "resource", "pwd", "grp", "termios"):
            raise ImportError(f"no module named {name}")

sys.meta_path.insert(0, Missing())
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules.pop(name, None)
del os.sched_getaffinity, os.pread, signal.pthread_sigmask

import pathlib
import siamla
from siamla import files, system
from siamla.cli.main import main

assert main(sys.argv[1:]) == 0
held = []
locking = types.ModuleType("msvcrt")
locking.LK_NBLCK = 2

def lock(file, mode, size):
    if held:
        raise OSError(13, "Permission denied")
    held.append((mode, size))

locking.locking = lock
sys.modules["msvcrt"] = locking
with files.locked(pathlib.Path("lock")):
    assert held == [(2, 1)]
    try:
        system.lock(open("lock", "w"), wait=False)
    except BlockingIOError:
        held.clear()
assert not held and system.peak_memory() != system.peak_memory() and system.cores() > 0
assert "fcntl" not in sys.modules and "resource" not in sys.modules
"""


def test_what_windows_lacks_is_not_needed_to_track(tmp_path: Path) -> None:
    """Its names are taken away here; on Windows itself nothing was run."""
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((60, 80, 3), 90, np.uint8))
    save_model(tmp_path / "model.pt", build_model(MODEL, 0), "SiamLA", {"engine": "torch"})
    (tmp_path / "windows.py").write_text(WINDOWS)
    words = "track . --model model.pt --box 10 10 20 20 --out boxes.csv"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "windows.py", *words.split()]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "boxes.csv").read_text().splitlines()) == 4
