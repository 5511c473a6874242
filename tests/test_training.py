"""The course of training: schedule, order of the pairs, resumption to the byte, feature caches,
unusable losses.
"""

import json
import multiprocessing
import os
import shutil
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from tiny import HARDWARE, KILLED, MODEL, images, in_process, noise_crops, signal_after
from torch import Tensor, nn

from siamla.data.pairs import PairSampler
from siamla.data.settings import PairSettings
from siamla.errors import UserError
from siamla.files import sha256
from siamla.hardware import Hardware
from siamla.model.checkpoint import load_model
from siamla.model.settings import ModelSettings
from siamla.model.siamla import build_model
from siamla.training import course, features, loop, step
from siamla.training.batches import Source, negative_noise, pair_numbers
from siamla.training.course import Stopped, Upkeep
from siamla.training.features import BATCH, Batch, FeatureCache
from siamla.training.loop import learning_rate, train, train_model
from siamla.training.settings import Labels, LossWeights, TrainingSettings
from siamla.training.step import Learner, Progress, Recipe, Resources, set_up, start

pytestmark = pytest.mark.usefixtures("as_before")
PAIRS = PairSettings(dataset="tiny", views=6, frame_range=2)  # 36 views
TRAINING = TrainingSettings(
    epochs=3, frozen_epochs=2, pairs_per_epoch=6, batch=2, lr_start=1e-2, lr_end=1e-3
)
STEPS = 3  # of an epoch
CPU = Resources(HARDWARE)
TIMED = ("pairs_per_second", "wait_share", "memory_mib", "seconds")  # which no two runs share
NAN = {name: nn.Parameter(torch.tensor(torch.nan)) for name in ("total", "cls", "reg", "loc")}


def recipe(**changes: Any) -> Recipe:
    training = TRAINING.model_copy(update=changes)
    return Recipe(MODEL, Labels(nearest_if_none=True), LossWeights(), training, seed=1)


class Data(NamedTuple):
    """Folders of the crops, of their features, and of a training that nothing interrupted."""

    crops: Path
    features: Path
    whole: Path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("tiny")
    folders = Data(noise_crops(folder, videos=2), folder / "features", folder / "whole")
    features.build(folders.crops, PAIRS, MODEL, TRAINING, folders.features, 1, "key")
    _train(folders.whole, folders)
    return folders


@pytest.fixture(scope="module")
def source(data: Data) -> Source:
    return Source.open([data.crops], PAIRS, data.features, workers=0)


@pytest.mark.parametrize(
    ("settings", "steps", "expected"),
    [
        ({"lr_start": 1e-2, "lr_end": 1e-4}, 3, [1e-2, 1e-3, 1e-4]),
        ({"lr_start": 3e-3, "lr_end": 1e-3, "schedule": "cosine"}, 3, [3e-3, 2e-3, 1e-3]),
        ({"lr_start": 8e-3, "lr_end": 8e-3, "warmup_steps": 3}, 5, [2e-3, 4e-3, 6e-3, 8e-3, 8e-3]),
        ({"lr_start": 5e-3}, 1, [5e-3]),
    ],
    ids=["exponential", "cosine", "warm-up", "a single step"],
)
def test_learning_rates(settings: dict[str, Any], steps: int, expected: list[float]) -> None:
    rates = [learning_rate(at, steps, TrainingSettings(**settings)) for at in range(steps)]
    assert rates == pytest.approx(expected)


def test_no_pair_comes_twice() -> None:
    steps = [pair_numbers(seed, TRAINING, *at) for seed in (0, 1) for at in np.ndindex(3, STEPS)]
    assert len(set().union(*steps)) == 2 * 3 * TRAINING.pairs_per_epoch
    assert [*steps[0], *steps[1]] == [0, 1, 2, 3]


# --- stopped, killed, and taken up again ---


def _train(
    folder: Path, data: Data, workers: int = 0, key: str = "key", save_minutes: float = 10
) -> None:
    """Train to folder/model.pt and folder/history.csv."""
    stored = data.features if data.features.exists() else None
    source = Source.open([data.crops], PAIRS, stored, workers)
    upkeep = Upkeep(folder / "state.pt", key, save_minutes=save_minutes)
    train_model(recipe(), source, CPU, upkeep, folder, "Ours", {})


def _killed(steps: int, folder: Path, data: Data) -> None:
    """Train with a state after every step; SIGKILL in the step after `steps` more."""
    with signal_after(steps, signal.SIGKILL):
        _train(folder, data, save_minutes=0)


def _history(folder: Path) -> list[list[str]]:
    """The cells of history.csv without times and memory."""
    lines = (folder / "history.csv").read_text().splitlines()
    assert lines[0].startswith("epoch,step,lr,total,cls,reg,loc,")
    assert lines[0].endswith(",".join(["grad_norm", "skipped", *TIMED]))
    return [line.split(",")[: -len(TIMED)] for line in lines]


def _is_same(folder: Path, other: Path) -> None:
    assert sha256(folder / "model.pt") == sha256(other / "model.pt")
    assert _history(folder) == _history(other)


def _saved(folder: Path, name: str = "state.pt") -> tuple[int, int, int]:
    """Epochs done, steps done of the next one, and rows kept of those."""
    progress = torch.load(folder / name, weights_only=True)["progress"]
    return progress["epoch"], progress["step"], len(progress["rows"])


@pytest.mark.parametrize(
    ("stops", "workers"),
    [
        ((0,), (0, 0)),
        ((3,), (0, 0)),
        ((4, 0, 1), (0, 0, 1, 0)),
        ((7,), (2, 0)),
    ],
    ids=["first step", "first of an epoch", "thrice", "workers change in the thawed epoch"],
)
def test_stopped_in_any_step_it_ends_with_the_same_bytes(
    data: Data,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    stops: tuple[int, ...],
    workers: tuple[int, ...],
) -> None:
    """`stops`: steps done before the one in which a signal comes, counted from the last stop."""
    done = 0
    for stop, count in zip(stops, workers, strict=False):
        number = signal.SIGINT if done else signal.SIGTERM
        with signal_after(stop, number), pytest.raises(Stopped):
            _train(tmp_path, data, count)
        done += stop + 1  # the step itself is finished
        epoch, at = divmod(done, STEPS)
        assert _saved(tmp_path) == (epoch, at, at)
        assert f"epoch {epoch + 1}, {at} of 3 steps done" in capsys.readouterr().err
        assert not (tmp_path / "model.pt").exists()
    _train(tmp_path, data, workers[-1])
    _is_same(tmp_path, data.whole)


def test_killed_in_the_middle_of_an_epoch_it_ends_with_the_same_bytes(
    data: Data, tmp_path: Path
) -> None:
    """The second kill falls into the thawed epoch."""
    for steps, left in ((4, (1, 1, 1)), (3, (2, 1, 1))):
        assert in_process(partial(_killed, steps, tmp_path, data)) == KILLED
        assert _saved(tmp_path) == left
    _train(tmp_path, data)
    _is_same(tmp_path, data.whole)


def test_loading_processes_change_nothing(data: Data, tmp_path: Path) -> None:
    """Without features every epoch reads crops, here by two processes, and by none."""
    for workers in (0, 2):
        _train(tmp_path / str(workers), data._replace(features=tmp_path / "none"), workers)
    _is_same(tmp_path / "2", tmp_path / "0")
    assert not multiprocessing.active_children()


def test_a_killed_loading_process_is_one_clear_line(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = loop.optimise

    def optimise(*arguments: Any) -> dict[str, float]:
        for child in multiprocessing.active_children():
            child.kill()
        return real(*arguments)

    monkeypatch.setattr(loop, "optimise", optimise)
    message = r"^train: a process that loads pairs died .*; the same command goes on$"
    with pytest.raises(UserError, match=message):
        _train(tmp_path, data._replace(features=tmp_path / "none"), workers=1)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_crop_that_cannot_be_read_is_one_clear_line(
    data: Data, tmp_path: Path, workers: int
) -> None:
    shutil.copytree(data.crops, tmp_path / "crops")
    shard = tmp_path / "crops" / "shard-00000.bin"
    shard.write_bytes(bytes(shard.stat().st_size))
    message = r"crops: crop \d+ cannot be decoded; delete the folder"
    with pytest.raises(UserError, match=message) as caught:
        _train(tmp_path, Data(tmp_path / "crops", tmp_path / "none", data.whole), workers)
    assert "\n" not in str(caught.value)


def test_a_state_of_another_training_is_refused(data: Data, tmp_path: Path) -> None:
    shutil.copy(data.whole / "state.pt", tmp_path)
    message = r"state\.pt: belongs to another training \(key, expected other\)"
    with pytest.raises(UserError, match=message):
        _train(tmp_path, data, key="other")
    assert sha256(tmp_path / "state.pt") == sha256(data.whole / "state.pt")


@pytest.mark.parametrize("kept", [0, 1000, -1], ids=["empty", "head", "all but the last byte"])
def test_of_a_damaged_state_the_one_before_is_named_and_gone_on_from(
    data: Data, tmp_path: Path, kept: int
) -> None:
    names = ["state.1.pt", "state.2.pt", "state.pt"]
    assert sorted(path.name for path in data.whole.glob("state*.pt")) == names
    assert [_saved(data.whole, name)[0] for name in names] == [2, 1, 3]
    shutil.copy(data.whole / "state.1.pt", tmp_path)
    (tmp_path / "state.pt").write_bytes((data.whole / "state.pt").read_bytes()[:kept])
    message = r"state\.pt: damaged training state .*; delete it to go on from state\.1\.pt"
    with pytest.raises(UserError, match=message):
        _train(tmp_path, data)
    (tmp_path / "state.pt").unlink()
    _train(tmp_path, data)
    _is_same(tmp_path, data.whole)


# --- features ---


def _features(folder: Path, crops: Path, killed_batch: int = -1) -> None:
    """Build a feature cache of chunks of 32 views; SIGKILL this process when it comes to the batch
    `killed_batch`.
    """
    features.CHUNK = 32
    levels, calls = features._levels, iter(range(100))

    def dying(*arguments: Any) -> list[Tensor]:
        if next(calls) == killed_batch:
            os.kill(os.getpid(), signal.SIGKILL)
        return levels(*arguments)

    features._levels = dying
    features.build(crops, PAIRS.model_copy(update={"views": 7}), MODEL, TRAINING, folder, 1, "key")


def test_a_killed_feature_build_goes_on_and_ends_with_the_same_bytes(
    data: Data, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert in_process(partial(_features, whole, data.crops)) == 0
    assert in_process(partial(_features, killed, data.crops, 32 // BATCH)) == KILLED
    first = killed / "chunk-00000.bin"
    written = first.stat().st_mtime_ns
    with pytest.raises(UserError, match="not found"):
        FeatureCache(killed)  # without a manifest it is not finished
    assert in_process(partial(_features, killed, data.crops)) == 0
    assert first.stat().st_mtime_ns == written  # a finished chunk is not computed again
    finished = [path for path in killed.iterdir() if not path.name.endswith(".tmp")]
    expected = {path.name: sha256(path) for path in whole.iterdir()}
    assert {path.name: sha256(path) for path in finished} == expected


def test_features_are_of_shared_weights(data: Data, tmp_path: Path) -> None:
    model = MODEL.model_copy(update={"weights": "random"})
    with pytest.raises(UserError, match=r"model\.weights: random weights differ from seed to seed"):
        features.build(data.crops, PAIRS, model, TRAINING, tmp_path / "out", 1, "key")
    assert not (tmp_path / "out").exists()


def test_cached_features_are_those_of_the_live_backbone(data: Data, tmp_path: Path) -> None:
    """Also in which images the target is missing."""
    pairs = PAIRS.model_copy(update={"views": 2, "negatives": 0.4})
    features.build(data.crops, pairs, MODEL, TRAINING, tmp_path, 1, "key")
    source = Source.open([data.crops], pairs, tmp_path, workers=0)
    assert source.features is not None
    assert source.features.count == 12  # 2 videos, 3 frames
    live, cached = _both(source, 24)
    np.testing.assert_allclose(cached.boxes, live.boxes, rtol=0, atol=1e-4)
    assert 3 < int((cached.boxes[:, 2] == 0).sum()) < 20
    levels = [tuple(x.float() for x in side) for side in (cached.template, cached.search)]
    model = build_model(MODEL, 1).eval()
    with torch.no_grad():
        found, expected = model.forward_features(*levels).cls, model(*live.template, *live.search)
    torch.testing.assert_close(found, expected.cls, rtol=0, atol=2e-2)


# --- the backbone's upper blocks alone ---


def _of_upper(data: Data, folder: Path, init: Path | None = None) -> tuple[Source, Recipe]:
    """A source with whole templates, and a recipe whose upper blocks learn from its features."""
    upper = recipe(thaw="upper", init=init)
    pairs = PAIRS.model_copy(update={"views": 2})
    features.build(data.crops, pairs, MODEL, upper.training, folder, 1, "key")
    return Source.open([data.crops], pairs, folder, workers=0), upper


def test_only_upper_blocks_learn_and_no_crop_is_read(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, upper = _of_upper(data, tmp_path / "features")
    monkeypatch.setattr(PairSampler, "batch", None)  # which reads crops
    model, _ = train(upper, source, CPU, Upkeep(tmp_path / "state.pt", "key"))
    before, after = build_model(MODEL, 1).backbone, model.backbone
    changed = [
        not torch.equal(ours, theirs)
        for ours, theirs in zip(before.parameters(), after.parameters(), strict=True)
    ]
    above = len([*after.upper_parameters()])
    assert not any(changed[:-above])
    assert sum(changed[-above:]) > 0.8 * above


def _both(source: Source, count: int) -> tuple[Batch, Batch]:
    """The first pairs as images, and as they are cached."""
    sampler, numbers = source.sampler, range(count)
    assert isinstance(sampler, PairSampler)
    assert source.features is not None
    pairs = sampler.batch(numbers)
    images = (torch.from_numpy(x).permute(0, 3, 1, 2) for x in (pairs.template, pairs.search))
    template, search = ((x,) for x in images)
    boxes = torch.from_numpy(pairs.box.astype(np.float32))
    live = Batch(template, search, boxes, frozen=False)
    return live, source.features.batch([sampler.parts(number) for number in numbers])


def test_cached_first_levels_give_the_gradients_of_crops(data: Data, tmp_path: Path) -> None:
    source, upper = _of_upper(data, tmp_path / "features")
    gradients = []
    for batch in _both(source, 4):
        learner = start(upper, CPU)
        learner.thaw(2)
        step.optimise(learner, batch, torch.zeros(4, 25, 25), 2)
        found = [parameter.grad for parameter in learner.model.backbone.upper_parameters()]
        gradients.append(torch.cat([x.flatten() for x in found if x is not None]))
    likeness = torch.cosine_similarity(*gradients, dim=0)  # features are stored in fp16
    assert likeness > 0.999


def test_a_training_starts_from_a_model_file(data: Data, tmp_path: Path) -> None:
    """And its features are those of the file's backbone; one of another network is refused."""
    path = data.whole / "model.pt"
    model = load_model(path)
    source, fine = _of_upper(data, tmp_path / "features", path)
    started = start(fine, CPU).model.state_dict()
    assert all(torch.equal(started[name], value) for name, value in model.state_dict().items())
    live, cached = _both(source, 1)
    with torch.no_grad():
        levels = model.backbone(*live.search)
    torch.testing.assert_close(cached.search[1].float(), levels[1], rtol=2e-3, atol=2e-3)
    other = replace(fine, model=MODEL.model_copy(update={"channels": 32}))
    with pytest.raises(UserError, match=r"training\.init: .*model\.pt: .* has shape"):
        start(other, CPU)


# --- steps ---


def _noise_batch() -> Batch:
    """Two pairs of noise, to be seen by a thawed backbone."""
    template, search = images(2)
    return Batch((template,), (search,), torch.tensor([[95.0, 95, 64, 64]] * 2), frozen=False)


def _steps(
    count: int,
    resources: Resources = CPU,
    model: ModelSettings = MODEL,
    thawed: bool = True,
    **settings: Any,
) -> tuple[Learner, list[dict[str, float]]]:
    """A learner after so many steps on the same pairs, and what each gave."""
    set_up(resources.hardware)
    learner, batch = start(replace(recipe(**settings), model=model), resources), _noise_batch()
    learner.model.backbone.requires_grad_(thawed)
    noise = negative_noise(1, 0, 0, TRAINING)
    return learner, [step.optimise(learner, batch, noise, 0) for _ in range(count)]


@pytest.mark.parametrize("localization", ["centerness", "lafa"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_every_parameter_moves(localization: str, optimizer: str) -> None:
    """Also those of the backbone, once it has thawed; weight decay alone would move all that do not
    begin with 0.
    """
    model = MODEL.model_copy(update={"localization": localization})
    before = dict(build_model(model, 1).named_parameters())
    large = {"optimizer": optimizer, "weight_decay": 0.0, "lr_start": 1e3, "clip_norm": 1e9}
    learner, rows = _steps(1, model=model, **large)
    assert rows[0]["skipped"] == 0
    for name, value in learner.model.named_parameters():
        assert not torch.equal(value, before[name]), name


def test_in_fp16_losses_are_scaled_and_the_scale_falls_after_an_overflow() -> None:
    expected = _steps(1, thawed=False)[1][0]
    fp16 = Resources(Hardware("cpu", "fp16", 1))
    learner, rows = _steps(3, fp16, thawed=False, precision="fp16", lr_start=1e-3)
    used = [row for row in rows if not row["skipped"]]
    assert used[0]["total"] == pytest.approx(expected["total"], rel=1e-2)
    assert used[0]["grad_norm"] == pytest.approx(expected["grad_norm"], rel=5e-2)
    assert learner.scaler.get_scale() == 2.0**16 * 0.5 ** (len(rows) - len(used))
    assert learner.state()["scaler"]["scale"] == learner.scaler.get_scale()


# --- unusable losses ---


def test_a_step_without_a_usable_loss_changes_nothing() -> None:
    """Not the running statistics either, which a forward pass moves before the loss is known."""
    learner, _ = _steps(1)
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    broken = replace(_noise_batch(), search=(torch.full((2, 3, 255, 255), torch.nan),))
    row = step.optimise(learner, broken, negative_noise(1, 0, 0, TRAINING), 0)
    assert row["skipped"] == 1
    after = learner.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def _train_with(losses: object, source: Source, folder: Path, **changes: Any) -> Progress:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "losses", losses)
        return train(recipe(**changes), source, CPU, Upkeep(folder / "state.pt", "key"))[1]


def test_steps_with_an_unusable_loss_do_not_enter_the_means(source: Source, tmp_path: Path) -> None:
    real, calls = step.losses, iter(range(100))

    def every_second(*arguments: Any) -> dict[str, Tensor]:
        terms = real(*arguments)
        return terms if next(calls) % 2 == 0 else {**terms, "total": terms["total"] * torch.nan}

    history = _train_with(every_second, source, tmp_path, epochs=2).history
    assert [row["skipped"] for row in history] == [1, 2]
    assert all(np.isfinite(row["total"]) for row in history)


def test_too_many_unusable_steps_end_it_with_their_pairs(
    source: Source,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All of an epoch, or so many in a row."""
    message = r"epoch 1: no step had a usable loss \(last: nan\); lower lr_start"
    with pytest.raises(UserError, match=message):
        _train_with(lambda *arguments: NAN, source, tmp_path / "epoch")
    assert not (tmp_path / "epoch" / "state.pt").exists()
    monkeypatch.setattr(course, "IN_A_ROW", 2)
    message = r"epoch 1: 2 steps in a row had no usable loss .*unusable\.jsonl has their pairs"
    with pytest.raises(UserError, match=message):
        _train_with(lambda *arguments: NAN, source, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "unusable.jsonl").read_text().splitlines()]
    expected = [[*pair_numbers(1, TRAINING, 0, number)] for number in (0, 1)]
    assert [row["pairs"] for row in rows] == expected
    assert "epoch 1, step 2: skipped (loss nan, gradient 0)" in capsys.readouterr().err
