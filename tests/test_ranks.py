"""Several processes that train one model (gloo, on the CPU): the course of one, and the same bytes
when resumed.
"""

import csv
import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Many
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
import training_sets as sets
from conftest import REPOSITORY
from tiny import HARDWARE, KILLED, MODEL, noise_crops, signal_after

from siamla.cli.main import main
from siamla.data.crops import CropCache
from siamla.data.pairs import Pair, PairSampler
from siamla.data.settings import PairSettings
from siamla.errors import UserError
from siamla.files import sha256
from siamla.steps import train as steps
from siamla.training import loop, trial
from siamla.training.batches import Source
from siamla.training.course import Stopped, Upkeep
from siamla.training.distributed import ALONE, GlobalBatchNorm, Ranks, joined
from siamla.training.loop import train
from siamla.training.settings import Labels, LossWeights, TrainingSettings
from siamla.training.step import Recipe, Resources, set_up

pytestmark = pytest.mark.usefixtures("as_before")
# without momentum or Adam's division a last digit stays a last digit
TRAINING = TrainingSettings(
    epochs=2, frozen_epochs=1, pairs_per_epoch=12, batch=6, lr_start=1e-3, lr_end=1e-3
)
STEPS = 4
TIMED = re.compile("second|wait|memory")  # columns of a history that no two runs share
RECIPE = Recipe(MODEL, Labels(ladl=True, lals=True), LossWeights(), TRAINING, seed=0)
PAIRS = PairSettings(dataset="tiny", frame_range=2)
WITHOUT_POSITIVES = 0  # number of a pair
BROKEN = 8  # of one in the second step, with rank 1 of 2 or 3


class Sampler(PairSampler):
    """Pairs of which one has a target that no cell sees, and optionally another an image that is
    not a number.
    """

    def __init__(self, cache: Path, broken: int | None = None) -> None:
        super().__init__(CropCache(cache), PAIRS)
        self.broken = broken

    def batch(self, indices: Many[int]) -> Pair:
        pairs = super().batch(indices)
        box, search = pairs.box.copy(), pairs.search
        for row, index in enumerate(indices):
            if index == WITHOUT_POSITIVES:
                box[row] = 100.5, 100.5, 1, 1
            if index == self.broken:
                search = search.astype(np.float32)  # type: ignore[assignment]
                search[row] = np.nan
        return replace(pairs, search=search, box=box)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_crops(tmp_path_factory.mktemp("tiny"), videos=1)


def _one(rank: int, world: int, port: int, work: Callable[[Ranks], None]) -> None:
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in numbers.items()})
    os.environ.update({"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"})
    with joined() as ranks:
        work(ranks)


def together(world: int, work: Callable[[Ranks], None]) -> list[int | None]:
    """Exit statuses of `work` in so many processes that meet as those of torchrun do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_one, args=(rank, world, port, work)) for rank in range(world)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(200)
        process.kill()
    return [process.exitcode for process in processes]


def _run(
    ranks: Ranks,
    cache: Path,
    folder: Path,
    broken: int | None = None,
    workers: int = 0,
    accumulate: int = 1,
    save_minutes: float = 10,
) -> None:
    """Train to folder/trained.pt, with the rows of every step."""
    set_up(HARDWARE)
    rows: list[dict[str, float]] = []
    real = loop.optimise

    def noted(*arguments: Any) -> dict[str, float]:
        rows.append(real(*arguments))
        return rows[-1]

    source = Source(Sampler(cache, broken), workers=workers)
    upkeep = Upkeep(folder / "state.pt", "key", save_minutes=save_minutes)
    with mock.patch.object(loop, "optimise", noted):
        model, _ = train(RECIPE, source, Resources(HARDWARE, ranks, accumulate), upkeep)
    if ranks.first:
        torch.save({"rows": rows, "model": model.state_dict()}, folder / "trained.pt")


def _several(ranks: Ranks, cache: Path, folder: Path) -> None:
    """What is compared with one process: the batch norm, a sound training, and one with an image
    that is not a number.
    """
    if ranks.world > 1:
        _norms(ranks)
    _run(ranks, cache, folder / "sound")
    _run(ranks, cache, folder / "broken", broken=BROKEN)


@pytest.fixture(scope="module")
def alone(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    _several(ALONE, cache, folder)
    return folder


def _loaded(folder: Path) -> dict[str, Any]:
    trained: dict[str, Any] = torch.load(folder / "trained.pt", weights_only=True)
    return trained


def _near(model: dict[str, Any], other: dict[str, Any], tolerance: float = 1e-5) -> None:
    for name, value in other.items():
        torch.testing.assert_close(model[name], value, rtol=tolerance, atol=tolerance)


def _close(folder: Path, other: Path, tolerance: float) -> None:
    """Rows and weights are the same within a tolerance."""
    ours, theirs = _loaded(folder), _loaded(other)
    assert len(ours["rows"]) == len(theirs["rows"]) == STEPS
    for row, expected in zip(ours["rows"], theirs["rows"], strict=True):
        # of all weights, summed in another order: up to 4e-5 apart on an Intel Xeon
        norm = pytest.approx(expected.pop("grad_norm"), rel=2e-4, nan_ok=True)
        assert row.pop("grad_norm") == norm
        assert row == pytest.approx(expected, rel=tolerance, abs=tolerance, nan_ok=True)
    _near(ours["model"], theirs["model"], tolerance)


@pytest.fixture(scope="module")
def three(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("three")
    assert together(3, partial(_several, cache=cache, folder=folder)) == [0, 0, 0]
    return folder


def _several_as_one(folder: Path, alone: Path) -> None:
    _close(folder / "sound", alone / "sound", 1e-5)
    assert [row["skipped"] for row in _loaded(folder / "broken")["rows"]] == [0, 1, 0, 0]
    _close(folder / "broken", alone / "broken", 1e-5)


def test_three_processes_are_one(three: Path, alone: Path) -> None:
    """Also where a rank has an image without positives, and another an image of NaN."""
    _several_as_one(three, alone)


def _norms(ranks: Ranks) -> None:
    """Batch norm of a rank's part of a batch with a large mean, and its gradients."""
    torch.manual_seed(0)
    whole = torch.randn(5, 4, 1, 6) * 0.1 + torch.tensor([0.0, 3, -30, 1]).view(1, 4, 1, 1)
    factor = torch.randn(whole.shape)

    def values(norm: torch.nn.BatchNorm2d, rows: slice, alone: bool) -> list[torch.Tensor]:
        x = whole[rows].clone().requires_grad_()
        (norm(x) * factor[rows]).sum().backward()
        if not alone:
            ranks.sum_gradients(norm.parameters())
        named = [x.grad, norm(x).detach(), norm.running_mean, norm.running_var]
        return [*named, norm.weight.grad, norm.bias.grad]

    part = ranks.part(5)
    expected = values(torch.nn.BatchNorm2d(4), slice(None), alone=True)
    expected[:2] = [each[part] for each in expected[:2]]
    ours = values(GlobalBatchNorm(torch.nn.BatchNorm2d(4), ranks), part, alone=False)
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-4, atol=2e-4)


def test_two_processes_are_one(alone: Path, cache: Path, tmp_path: Path) -> None:
    assert together(2, partial(_several, cache=cache, folder=tmp_path)) == [0, 0]
    _several_as_one(tmp_path, alone)


def test_pairs_without_a_usable_loss_are_named(three: Path) -> None:
    (line,) = (three / "broken/unusable.jsonl").read_text().splitlines()
    step = json.loads(line)
    assert step["pairs"] == [6, 7, 8, 9, 10, 11]
    assert [step[name] for name in ("epoch", "step", "total", "grad_norm")] == [1, 2, "nan", "nan"]


def test_the_backbone_in_parts_learns_as_in_one(alone: Path, cache: Path, tmp_path: Path) -> None:
    _run(ALONE, cache, tmp_path, accumulate=4)
    _close(tmp_path, alone / "sound", 1e-6)


def _stopped_twice(ranks: Ranks, cache: Path, folder: Path) -> None:
    """Stopped in the first step, and in the first with a thawed backbone; each time with other
    loading processes.
    """
    for stop, rank, workers, done in ((0, 1, 0, (0, 1)), (1, 2, 1, (1, 1))):
        with signal_after(stop, signal.SIGTERM, ranks.rank == rank), pytest.raises(Stopped):
            _run(ranks, cache, folder, workers=workers)
        ranks.broadcast(None)  # the first has saved
        progress = torch.load(folder / "state.pt", weights_only=True)["progress"]
        assert (progress["epoch"], progress["step"]) == done
        ranks.broadcast(None)  # and the others have looked
    _run(ranks, cache, folder)


def _same(folder: Path, other: Path) -> None:
    ours, theirs = _loaded(folder)["model"], _loaded(other)["model"]
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert _history(folder) == _history(other)


def _history(folder: Path) -> list[dict[str, float]]:
    """The rows without times and memory."""
    rows = torch.load(folder / "state.pt", weights_only=True)["progress"]["history"]
    return [{name: value for name, value in row.items() if not TIMED.search(name)} for row in rows]


def test_asked_of_one_rank_all_stop_after_the_same_step_and_go_on_to_the_same_bytes(
    three: Path, cache: Path, tmp_path: Path
) -> None:
    assert together(3, partial(_stopped_twice, cache=cache, folder=tmp_path)) == [0, 0, 0]
    _same(tmp_path, three / "sound")


def _killed(ranks: Ranks, cache: Path, folder: Path) -> None:
    """One rank dies in the third step; what the others say of it."""
    try:
        with signal_after(2, signal.SIGKILL, ranks.rank == 1):
            _run(ranks, cache, folder, save_minutes=0)
    except UserError as error:
        (folder / f"said{ranks.rank}").write_text(str(error))


def test_a_killed_rank_is_one_clear_line_and_the_course_goes_on(
    three: Path, alone: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With as many processes to the same bytes, and with fewer to the same numbers."""
    assert together(3, partial(_killed, cache=cache, folder=tmp_path / "3")) == [0, KILLED, 0]
    for rank in (0, 2):
        said = (tmp_path / f"3/said{rank}").read_text()
        assert re.match(r"train: one of 3 processes has ended .*the same command goes on", said)
        assert "\n" not in said
    shutil.copytree(tmp_path / "3", tmp_path / "1")
    assert together(3, partial(_run, cache=cache, folder=tmp_path / "3")) == [0, 0, 0]
    _same(tmp_path / "3", three / "sound")
    _run(ALONE, cache, tmp_path / "1")
    message = "state.pt: 3 processes so far, 1 from here; last digits may differ"
    assert message in capsys.readouterr().err
    _near(_loaded(tmp_path / "1")["model"], _loaded(alone / "sound")["model"])


def test_a_batch_is_too_small_for_more_processes() -> None:
    assert [Ranks(rank, 3).part(8) for rank in range(3)] == [slice(0, 2), slice(2, 5), slice(5, 8)]
    message = r"training\.batch: 2 pairs for 3 processes; start at most 2"
    with pytest.raises(UserError, match=message):
        Ranks(0, 3).part(2)


def test_processes_that_nobody_brings_together_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    said = r"WORLD_SIZE=2, but the processes do not meet .*; start them by torchrun"
    with pytest.raises(UserError, match=said), joined():
        pass


# --- the command ---


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with the crops of all five sets, read from their official layouts, and a held-out
    benchmark.
    """
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(REPOSITORY / "params", folder / "params")
    (folder / "params/profiles/tiny.yaml").write_text(sets.PROFILE)
    for layout, write in sets.SETS.items():
        write(folder / layout)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SIAMLA_CACHE", str(folder / "cache"))
        for name in ("coco", "det", "vid", "ytbb", "got", "valley"):
            assert main(["data", "fetch", name, "--profile", "tiny"]) == 0
            assert main(["data", "curate", name, "--profile", "tiny", "--allow-rejected"]) == 0
        assert main(["data", "crops", "siamcar@five", "--profile", "tiny"]) == 0
        yield folder


RUN = ["train", "run", "siamcar@five", "--profile", "tiny"]
TRAINED = Path("results/tiny/train/siamcar@five/seed1")


LAUNCH = "-m torch.distributed.run --standalone --nproc-per-node 3 -m siamla.cli.main"


def _torchrun() -> "subprocess.Popen[str]":
    command = [sys.executable, *LAUNCH.split(), *RUN]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_five_sets_train_the_same_on_one_process_and_on_three_stopped_and_resumed(
    project: Path,
) -> None:
    assert main(RUN) == 0
    TRAINED.rename("one")
    process = _torchrun()
    end = time.monotonic() + 150
    while not list(Path("results/tiny/state").glob("*/state.pt")):  # after the first epoch
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=150)[0]
    assert process.returncode == 1
    assert said.count("saved (epoch 2, ") == 1, said
    assert not (TRAINED / "model.pt").exists()
    process = _torchrun()
    said = process.communicate(timeout=150)[0]
    assert process.returncode == 0, said
    assert said.splitlines().count(str(TRAINED / "model.pt")) == 1
    (path,) = TRAINED.glob("record-*.json")
    record = json.loads(path.read_text())
    assert sorted(record["inputs"]) == [f"crops{number}" for number in range(1, 6)]
    assert record["place"]["processes"] == [3]
    ours, theirs = (
        torch.load(folder / "model.pt", weights_only=True)["model"]
        for folder in (TRAINED, Path("one"))
    )
    _near(ours, theirs)
    process = _torchrun()  # the result is there
    said = process.communicate(timeout=150)[0]
    assert process.returncode == 0, said
    assert "train:" not in said


def test_a_dry_run_tells_what_a_training_takes_and_keeps_nothing(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thawed steps come first: there memory would run out."""
    before = sorted(Path().rglob("*"))
    monkeypatch.setattr(steps, "dry_run", partial(steps.dry_run, budget=0.1))
    assert main([*RUN, "--seed", "2", "--dry-run"]) == 0
    thawed, frozen, whole, shared, disk = capsys.readouterr().out.splitlines()
    number = r"[\d,.]+(e-\d+)?"
    steps_of = (
        rf": 2 steps; pairs/s: model {number}, loader {number}, both {number}; waiting \d+ %;"
    )
    for line, shape in (
        (thawed, rf"thawed{steps_of} memory {number} MiB a process"),
        (frozen, rf"frozen{steps_of} memory {number} MiB a process"),
        (whole, rf"whole training: {number} hours, {number} process hours \(1 at work\)"),
        (shared, rf"/dev/shm: 0 MiB a process; {number} MiB free"),
        (disk, rf"disk: {number} MiB for 3 states and one being written; {number} MiB free"),
    ):
        assert re.fullmatch(shape, line)
    assert sorted(Path().rglob("*")) == before


def test_a_few_batches_are_learnt_by_heart(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(Path().rglob("*"))
    monkeypatch.setattr(trial.overfit, "__defaults__", (12,))
    assert main([*RUN, "--overfit", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    steps_told = [f"step {number}" for number in (1, 2, 4, 8, 12)]
    assert [line.partition(":")[0] for line in lines[:-1]] == steps_told
    loss = re.fullmatch(r"on the same 5 pairs the loss fell from ([\d.]+) to ([\d.]+)", lines[-1])
    assert loss is not None
    assert float(loss[2]) < float(loss[1])
    assert sorted(Path().rglob("*")) == before


def test_held_out_sequences_are_tracked_now_and_then_and_decide_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*RUN, "--seed", "3"]) == 0
    folder = TRAINED.with_name("seed3")
    weights = sha256(folder / "model.pt")
    shutil.rmtree(folder)
    assert main([*RUN, "--seed", "3", "--validate", "valley", "--validate-every", "2"]) == 0
    assert sha256(folder / "model.pt") == weights
    with (folder / "history.csv").open(newline="") as handle:
        first, second = csv.DictReader(handle)
    assert first["val_ao"] == ""
    assert 0 < float(second["val_ao"]) <= 1
    refused = {"got": "the training sees it", "valey": "no such data set in profile tiny; .*valley"}
    for name, said in refused.items():
        shutil.rmtree(folder, ignore_errors=True)
        assert main([*RUN, "--seed", "3", "--validate", name]) == 2
        assert re.search(f"--validate {name}: {said}", capsys.readouterr().err)
        assert not (folder / "model.pt").exists()
