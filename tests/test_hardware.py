"""Device and precision: what is asked for, or one clear error."""

import shutil
from pathlib import Path

import pytest
import torch
from conftest import REPOSITORY

from siamla import hardware as module
from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.hardware import Hardware, hardware_on
from siamla.steps.check import check
from siamla.tracker import tracker
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.tracker import tracking_hardware
from siamla.training.settings import TrainingSettings

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def old_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU without bf16."""
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
    monkeypatch.setattr(tracker, "has_bf16", lambda device: False)
    settings = TrackerSettings(engine="openvino", precision="bf16")
    with pytest.raises(UserError, match=r"tracker\.precision: bf16, but openvino does not"):
        tracking_hardware(settings, CPU)
    monkeypatch.setattr(tracker, "has_bf16", lambda device: True)
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
