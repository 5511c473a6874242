"""The course of training: schedule, order of the pairs, resumption to the byte, feature caches,
unusable losses.
"""

import errno
import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from siamla.training.run import Output, train_model
from siamla.training.schedule import learning_rate
from torch import nn

from siamla.data import crops
from siamla.data.crops import CropCache
from siamla.data.pairs import PairSampler
from siamla.data.settings import CropSettings, PairSettings
from siamla.errors import UserError
from siamla.files import sha256
from siamla.hardware import Hardware
from siamla.model.settings import ModelSettings
from siamla.model.siamla import build_model
from siamla.sequence import Sequence
from siamla.training import course, features, loop, step
from siamla.training.batches import Inputs, Source, batches, negative_noise, pair_numbers
from siamla.training.course import Stopped, Upkeep
from siamla.training.features import BATCH, Batch, FeatureCache
from siamla.training.loop import train
from siamla.training.settings import Labels, LossWeights, TrainingSettings
from siamla.training.step import Learner, Recipe, Resources, set_up, start

MODEL = ModelSettings(  # LAFA, because its loss draws negatives
    backbone="efficientnet_lite0",
    weights="package",
    channels=8,
    tower_depth=1,
    groups=2,
    regression_bias=3.4,
    localization="lafa",
)
PAIRS = PairSettings(dataset="tiny", views=6, frame_range=2)  # 36 views
TRAINING = TrainingSettings(
    epochs=3,
    frozen_epochs=2,
    pairs_per_epoch=6,
    batch=2,
    lr_start=1e-2,
    lr_end=1e-3,
)
STEPS = 3  # of an epoch
CPU = Resources(Hardware("cpu", "fp32", 1))
DIED = -signal.SIGKILL


def recipe(training: TrainingSettings = TRAINING) -> Recipe:
    return Recipe(MODEL, Labels(nearest_if_none=True), LossWeights(), training, seed=1)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """A training sets threads and determinism for its whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A crop cache of two noise videos of three frames."""
    folder = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(0)
    videos = []
    for number in range(2):
        files = [folder / f"{number}-{frame}.png" for frame in range(3)]
        for file in files:
            noise = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            cv2.imwrite(str(file), cv2.resize(noise, (160, 120), interpolation=cv2.INTER_CUBIC))
        boxes = np.array([[50.0 + 4 * frame, 40, 30, 24] for frame in range(3)])
        videos.append(Sequence(f"video{number}", tuple(files), boxes, np.ones(3, bool)))
    crops.build(videos, CropSettings(), folder / "crops")
    return folder / "crops"


@pytest.fixture(scope="module")
def feature_folder(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features") / "features"
    features.build(cache, PAIRS, MODEL, folder, 1, "key")
    return folder


def test_exponential_rate_falls_by_the_same_factor() -> None:
    settings = TrainingSettings(lr_start=1e-2, lr_end=1e-4)
    rates = [learning_rate(step, 3, settings) for step in range(3)]
    assert rates == pytest.approx([1e-2, 1e-3, 1e-4])


def test_cosine_rate_is_half_way_in_the_middle() -> None:
    settings = TrainingSettings(lr_start=3e-3, lr_end=1e-3, schedule="cosine")
    assert [learning_rate(step, 5, settings) for step in (0, 2, 4)] == pytest.approx(
        [3e-3, 2e-3, 1e-3]
    )


def test_warm_up_rises_linearly_to_the_schedule() -> None:
    settings = TrainingSettings(lr_start=1e-2, lr_end=1e-2, warmup_steps=3)
    assert [learning_rate(step, 9, settings) for step in range(5)] == pytest.approx(
        [0.25e-2, 0.5e-2, 0.75e-2, 1e-2, 1e-2]
    )


def test_a_single_step_has_the_first_rate() -> None:
    assert learning_rate(0, 1, TrainingSettings(lr_start=5e-3)) == pytest.approx(5e-3)


def test_no_pair_comes_twice() -> None:
    steps = [pair_numbers(seed, TRAINING, *at) for seed in (0, 1) for at in np.ndindex(3, STEPS)]
    assert len(set().union(*steps)) == 2 * 3 * TRAINING.pairs_per_epoch
    assert [*steps[0], *steps[1]] == [0, 1, 2, 3]


def test_negatives_belong_to_the_position_in_the_walk() -> None:
    """Whatever the size of the batch, a pair's numbers are its own; no two pairs share them."""
    pairs = torch.cat([negative_noise(1, 1, step, TRAINING) for step in range(STEPS)])
    whole = negative_noise(1, 1, 0, TRAINING.model_copy(update={"batch": 6}))
    assert pairs.shape == (6, 25, 25)
    assert torch.equal(pairs, whole)
    others = [
        negative_noise(2, 1, 0, TRAINING),
        negative_noise(1, 0, 0, TRAINING),
        negative_noise(1, 1, 1, TRAINING),
    ]
    assert not any(torch.equal(pairs[:2], other) for other in others)
    assert float(pairs.mean()) == pytest.approx(0.5, abs=0.02)
    assert len(pairs.unique()) > 0.99 * pairs.numel()


def _train(
    folder: Path,
    cache: Path,
    feature_folder: Path | None,
    workers: int = 0,
    key: str = "key",
    save_minutes: float = 10,
) -> None:
    """Train to folder/model.pt and folder/history.csv."""
    inputs = Inputs([cache], PAIRS, feature_folder, workers)
    upkeep = Upkeep(folder / "state.pt", key, save_minutes=save_minutes)
    train_model(recipe(), inputs, CPU, upkeep, Output(folder, "Ours", {}))


def _signal_after(
    steps: int, number: signal.Signals, patch: Callable[[object, str, object], None]
) -> None:
    """Send a signal to this process in the middle of the step after `steps` more of them."""
    real, calls = loop.optimise, iter(range(1000))

    def optimise(*arguments: Any) -> dict[str, float]:
        if next(calls) == steps:
            os.kill(os.getpid(), number)
        return real(*arguments)

    patch(loop, "optimise", optimise)


def _killed(steps: int, *arguments: Any) -> None:
    """Train with a state after every step; SIGKILL in the step after `steps` more."""
    _signal_after(steps, signal.SIGKILL, setattr)
    _train(*arguments, save_minutes=0)


def in_process(work: Callable[[], None]) -> int:
    """Exit status of `work` in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join(120)
    return process.exitcode if process.exitcode is not None else 1


COLUMNS = "epoch,step,lr,total,cls,reg,loc,grad_norm,skipped"
TIMED = "pairs_per_second,wait_share,memory_mib,seconds"  # which no two runs share


def _history(folder: Path) -> list[list[str]]:
    """The cells of history.csv without times and memory."""
    lines = (folder / "history.csv").read_text().splitlines()
    assert lines[0] == f"{COLUMNS},{TIMED}"
    return [line.split(",")[: -len(TIMED.split(","))] for line in lines]


@pytest.fixture(scope="module")
def uninterrupted(
    cache: Path, feature_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    _train(folder, cache, feature_folder)
    return folder


def _is_same(folder: Path, other: Path) -> None:
    assert sha256(folder / "model.pt") == sha256(other / "model.pt")
    assert _history(folder) == _history(other)


def _saved(folder: Path) -> tuple[int, int, int]:
    """Epochs done, steps done of the next one, and rows kept of those."""
    progress = torch.load(folder / "state.pt", weights_only=True)["progress"]
    return progress["epoch"], progress["step"], len(progress["rows"])


@pytest.mark.parametrize(
    ("stops", "workers"),
    [
        ((0,), (0, 0)),
        ((3,), (0, 0)),
        ((1, 5), (0, 0, 0)),
        ((4, 0, 1), (0, 0, 1, 0)),
        ((7,), (2, 0)),
    ],
    ids=[
        "first step",
        "first of an epoch",
        "twice",
        "at the unfreezing",
        "workers change in the thawed epoch",
    ],
)
def test_stopped_in_any_step_it_ends_with_the_same_bytes(
    uninterrupted: Path,
    cache: Path,
    feature_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stops: tuple[int, ...],
    workers: tuple[int, ...],
) -> None:
    """`stops`: steps done before the one in which a signal comes, counted from the last stop."""
    done = 0
    for stop, number, count in zip(
        stops, (signal.SIGTERM, signal.SIGINT, signal.SIGTERM), workers, strict=False
    ):
        with monkeypatch.context() as patch:
            _signal_after(stop, number, patch.setattr)
            with pytest.raises(Stopped):
                _train(tmp_path, cache, feature_folder, count)
        done += stop + 1  # the step itself is finished
        assert _saved(tmp_path) == (done // STEPS, done % STEPS, done % STEPS)
        assert (
            f"epoch {done // STEPS + 1}, {done % STEPS} of 3 steps done" in capsys.readouterr().err
        )
        assert not (tmp_path / "model.pt").exists()
    _train(tmp_path, cache, feature_folder, workers[-1])
    _is_same(tmp_path, uninterrupted)


def test_asked_to_stop_in_the_last_step_it_is_done(
    uninterrupted: Path,
    cache: Path,
    feature_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _signal_after(3 * STEPS - 1, signal.SIGTERM, monkeypatch.setattr)
    _train(tmp_path, cache, feature_folder)
    _is_same(tmp_path, uninterrupted)


def test_killed_in_the_middle_of_an_epoch_it_ends_with_the_same_bytes(
    uninterrupted: Path, cache: Path, feature_folder: Path, tmp_path: Path
) -> None:
    """The second kill falls into the thawed epoch."""
    for steps, left in ((4, (1, 1, 1)), (3, (2, 1, 1))):
        assert in_process(partial(_killed, steps, tmp_path, cache, feature_folder)) == DIED
        assert _saved(tmp_path) == left
    _train(tmp_path, cache, feature_folder)
    _is_same(tmp_path, uninterrupted)


def test_seconds_add_up_over_a_stop(
    cache: Path, feature_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _signal_after(1, signal.SIGTERM, patch.setattr)
        with pytest.raises(Stopped):
            _train(tmp_path, cache, feature_folder)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["progress"]["seconds"] > 0
    state["progress"]["seconds"] += 1000
    torch.save(state, tmp_path / "state.pt")
    _train(tmp_path, cache, feature_folder)
    seconds = [
        float(line.rpartition(",")[2])
        for line in (tmp_path / "history.csv").read_text().splitlines()[1:]
    ]
    assert 1000 < seconds[0] < 1100
    assert 0 < seconds[1] < 100


def test_loading_processes_change_nothing(cache: Path, tmp_path: Path) -> None:
    """Without features every epoch reads crops, here by two processes, and by none."""
    for workers in (0, 2):
        _train(tmp_path / str(workers), cache, None, workers)
    _is_same(tmp_path / "2", tmp_path / "0")
    assert not multiprocessing.active_children()


def test_a_killed_loading_process_is_one_clear_line(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = loop.optimise

    def optimise(*arguments: Any) -> dict[str, float]:
        for child in multiprocessing.active_children():
            child.kill()
        return real(*arguments)

    monkeypatch.setattr(loop, "optimise", optimise)
    with pytest.raises(
        UserError, match=r"a process that loads pairs died .*; run the same command again"
    ) as caught:
        _train(tmp_path, cache, None, workers=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_crop_that_cannot_be_read_is_one_clear_line(
    cache: Path, tmp_path: Path, workers: int
) -> None:
    shutil.copytree(cache, tmp_path / "crops")
    shard = tmp_path / "crops" / "shard-00000.bin"
    shard.write_bytes(bytes(shard.stat().st_size))
    with pytest.raises(
        UserError, match=r"crops: crop \d+ cannot be decoded; delete the folder"
    ) as caught:
        _train(tmp_path, tmp_path / "crops", None, workers)
    assert "\n" not in str(caught.value)


def test_a_finished_state_gives_the_model_again(
    uninterrupted: Path, cache: Path, feature_folder: Path, tmp_path: Path
) -> None:
    shutil.copy(uninterrupted / "state.pt", tmp_path)
    _train(tmp_path, cache, feature_folder)
    _is_same(tmp_path, uninterrupted)


def test_the_backbone_moves_only_when_it_has_thawed(uninterrupted: Path) -> None:
    start = build_model(MODEL, 1).state_dict()
    end = torch.load(uninterrupted / "model.pt", weights_only=True)["model"]
    parameters = [name for name, _ in build_model(MODEL, 1).backbone.named_parameters()]
    assert any(
        not torch.equal(start[f"backbone.{name}"], end[f"backbone.{name}"]) for name in parameters
    )
    state = torch.load(uninterrupted / "state.pt", weights_only=True)
    assert state["progress"]["epoch"] == 3
    assert len(state["progress"]["history"]) == 3


def test_a_state_of_another_training_is_refused(
    uninterrupted: Path, cache: Path, feature_folder: Path, tmp_path: Path
) -> None:
    shutil.copy(uninterrupted / "state.pt", tmp_path)
    with pytest.raises(
        UserError, match=r"state\.pt: belongs to another training \(key, expected other\)"
    ):
        _train(tmp_path, cache, feature_folder, key="other")
    assert sha256(tmp_path / "state.pt") == sha256(uninterrupted / "state.pt")


@pytest.mark.parametrize("kept", [0, 1000, -1], ids=["empty", "head", "all but the last byte"])
def test_a_damaged_state_is_named(
    uninterrupted: Path, cache: Path, tmp_path: Path, kept: int
) -> None:
    (tmp_path / "state.pt").write_bytes((uninterrupted / "state.pt").read_bytes()[:kept])
    with pytest.raises(UserError, match=r"state\.pt: damaged training state .*; delete it"):
        _train(tmp_path, cache, None)


def _features(folder: Path, cache: Path, killed_batch: int = -1) -> None:
    """Build a feature cache of chunks of 32 views; SIGKILL this process when it comes to the batch
    `killed_batch`.
    """
    features.CHUNK = 32
    levels, calls = features._levels, iter(range(100))

    def dying(*arguments: Any, **named: Any) -> list[torch.Tensor]:
        if next(calls) == killed_batch:
            os.kill(os.getpid(), signal.SIGKILL)
        return levels(*arguments, **named)

    features._levels = dying
    features.build(cache, PAIRS.model_copy(update={"views": 7}), MODEL, folder, 1, "key")


def test_a_killed_feature_build_goes_on_and_ends_with_the_same_bytes(
    cache: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert in_process(partial(_features, whole, cache)) == 0
    assert in_process(partial(_features, killed, cache, 32 // BATCH)) == DIED
    first = killed / "chunk-00000.bin"
    written = first.stat().st_mtime_ns
    with pytest.raises(UserError, match="not found"):
        FeatureCache(killed)  # without a manifest it is not finished
    assert in_process(partial(_features, killed, cache)) == 0
    assert first.stat().st_mtime_ns == written  # a finished chunk is not computed again
    bytes_of = {
        path.name: sha256(path) for path in killed.iterdir() if not path.name.endswith(".tmp")
    }
    assert bytes_of == {path.name: sha256(path) for path in whole.iterdir()}


def test_features_are_those_of_the_live_backbone(cache: Path, feature_folder: Path) -> None:
    sampler = PairSampler(CropCache(cache), PAIRS)
    stored = next(batches(Source(sampler, FeatureCache(feature_folder)), 1, TRAINING))
    live = next(batches(Source(sampler), 1, TRAINING))
    model = build_model(MODEL, 1).eval()
    assert stored.frozen
    assert not live.frozen
    torch.testing.assert_close(stored.boxes, live.boxes)
    parts = [sampler.parts(number) for number in pair_numbers(1, TRAINING, 0, 0)]
    torch.testing.assert_close(stored.boxes, FeatureCache(feature_folder).batch(parts).boxes)
    with torch.no_grad():
        a = model.forward_features(
            tuple(x.float() for x in stored.template), tuple(x.float() for x in stored.search)
        )
        b = model(live.template[0].float(), live.search[0].float())
    torch.testing.assert_close(a.cls, b.cls, rtol=0, atol=2e-2)


def test_training_on_features_is_training_on_images(
    cache: Path, feature_folder: Path, tmp_path: Path
) -> None:
    """The same losses but for the cache's half precision."""
    frozen = TRAINING.model_copy(update={"epochs": 2})
    sampler = PairSampler(CropCache(cache), PAIRS)
    histories = []
    for name, cached in (("stored", FeatureCache(feature_folder)), ("live", None)):
        source = Source(sampler, cached)
        histories.append(train(recipe(frozen), source, CPU, Upkeep(tmp_path / name, "key")).history)
    for stored, live in zip(*histories, strict=True):
        assert {k: stored[k] for k in ("epoch", "step", "lr")} == {
            k: live[k] for k in ("epoch", "step", "lr")
        }
        for term in ("total", "cls", "reg", "loc"):
            assert stored[term] == pytest.approx(live[term], rel=5e-3)


def test_pairs_of_cached_views_are_those_of_the_live_backbone(cache: Path, tmp_path: Path) -> None:
    """Also in which images the target is missing; and training reads them."""
    pairs = PAIRS.model_copy(update={"views": 2, "negatives": 0.4})
    features.build(cache, pairs, MODEL, tmp_path / "features", 1, "key")
    sampler, stored = PairSampler(CropCache(cache), pairs), FeatureCache(tmp_path / "features")
    assert stored.count == sampler.views == 12  # 2 videos, 3 frames
    model = build_model(MODEL, 1).eval()
    numbers = range(24)
    cached = stored.batch([sampler.parts(number) for number in numbers])
    live = sampler.batch(numbers)
    np.testing.assert_allclose(cached.boxes, live.box, rtol=0, atol=1e-4)
    assert 3 < int((cached.boxes[:, 2] == 0).sum()) < 20
    with torch.no_grad():
        a = model.forward_features(
            *(tuple(x.float() for x in side) for side in (cached.template, cached.search))
        )
        b = model(
            *(torch.from_numpy(x).permute(0, 3, 1, 2).float() for x in (live.template, live.search))
        )
    torch.testing.assert_close(a.cls, b.cls, rtol=0, atol=2e-2)
    frozen = TRAINING.model_copy(update={"epochs": 2})
    upkeep = Upkeep(tmp_path / "state", "key")
    history = train(recipe(frozen), Source(sampler, stored), CPU, upkeep).history
    assert not any(row["skipped"] for row in history)


@pytest.mark.parametrize("localization", ["centerness", "lafa"])
def test_fast_forms_train_as_plain_ones(
    cache: Path, feature_folder: Path, monkeypatch: pytest.MonkeyPatch, localization: str
) -> None:
    """20 steps, each form replaced by the plain module that it stands for."""
    plain_sgd = TRAINING.model_copy(update={"optimizer": "sgd", "epochs": 7, "frozen_epochs": 7})
    model = MODEL.model_copy(update={"localization": localization})
    labels = Labels(nearest_if_none=True, ladl=True, lals=True)
    sgd = Recipe(model, labels, LossWeights(), plain_sgd, seed=1)
    source = Source(PairSampler(CropCache(cache), PAIRS), FeatureCache(feature_folder))

    def losses() -> list[list[float]]:
        learner = start(sgd, CPU)
        learner.model.backbone.requires_grad_(False)
        stream = batches(source, 1, plain_sgd)
        steps = [(next(stream), negative_noise(1, 0, number, plain_sgd)) for number in range(20)]
        rows = [step.optimise(learner, batch, noise, 0) for batch, noise in steps]
        return [list(row.values()) for row in rows]

    fast = losses()
    monkeypatch.setattr(step, "for_training", lambda model: model)
    plain = losses()
    assert fast[0] != fast[-1]
    np.testing.assert_allclose(
        fast, plain, rtol=1e-4, atol=1e-7
    )  # rounding grows from step to step


def test_features_are_of_views(cache: Path, tmp_path: Path) -> None:
    pairs = PAIRS.model_copy(update={"views": None})
    with pytest.raises(UserError, match="views: null, but a number of views is expected"):
        features.build(cache, pairs, MODEL, tmp_path / "out", 1, "key")
    assert not (tmp_path / "out").exists()


def test_random_weights_have_no_features_to_share(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.weights: random weights differ from seed to seed"):
        features.build(
            cache, PAIRS, MODEL.model_copy(update={"weights": "random"}), tmp_path / "out", 1, "key"
        )
    assert not (tmp_path / "out").exists()


def test_steps_with_an_unusable_loss_are_skipped(
    cache: Path, feature_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second loss is NaN: those steps are counted, change nothing, and do not enter the
    means.
    """
    real, calls = step.losses, iter(range(100))

    def sometimes_nan(*arguments: object) -> dict[str, torch.Tensor]:
        terms = real(*arguments)  # type: ignore[arg-type]
        return terms if next(calls) % 2 == 0 else {**terms, "total": terms["total"] * torch.nan}

    monkeypatch.setattr(step, "losses", sometimes_nan)
    source = Source(PairSampler(CropCache(cache), PAIRS), FeatureCache(feature_folder))
    training = TRAINING.model_copy(update={"epochs": 2})
    model, history, _ = train(recipe(training), source, CPU, Upkeep(tmp_path / "state.pt", "key"))
    assert [row["skipped"] for row in history] == [1, 2]
    assert all(np.isfinite(row["total"]) for row in history)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_an_epoch_without_a_usable_loss_stops_with_advice(
    cache: Path, feature_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = {name: nn.Parameter(torch.tensor(torch.nan)) for name in ("total", "cls", "reg", "loc")}
    monkeypatch.setattr(step, "losses", lambda *arguments: nan)
    source = Source(PairSampler(CropCache(cache), PAIRS), FeatureCache(feature_folder))
    with pytest.raises(
        UserError, match=r"epoch 1: no step had a usable loss \(last: nan\); lower lr_start"
    ):
        train(recipe(), source, CPU, Upkeep(tmp_path / "state.pt", "key"))
    assert not (tmp_path / "state.pt").exists()


def _noise_batch() -> Batch:
    """Two pairs of noise, to be seen by a thawed backbone."""
    generator = torch.Generator().manual_seed(0)
    sides = [
        torch.randint(0, 256, (2, 3, size, size), generator=generator, dtype=torch.uint8)
        for size in (127, 255)
    ]
    return Batch((sides[0],), (sides[1],), torch.tensor([[95.0, 95, 64, 64]] * 2), frozen=False)


def _steps(
    count: int,
    resources: Resources = CPU,
    model: ModelSettings = MODEL,
    thawed: bool = True,
    **settings: Any,
) -> tuple[Learner, list]:
    """A learner after so many steps on the same pairs, and what each gave."""
    set_up(resources.hardware)
    changed = replace(recipe(TRAINING.model_copy(update=settings)), model=model)
    learner, batch = start(changed, resources), _noise_batch()
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
    before = {
        name: value.detach().clone() for name, value in build_model(model, 1).named_parameters()
    }
    learner, rows = _steps(
        1, model=model, optimizer=optimizer, weight_decay=0.0, lr_start=1e3, clip_norm=1e9
    )
    assert rows[0]["skipped"] == 0
    still = [
        name for name, value in learner.model.named_parameters() if torch.equal(value, before[name])
    ]
    assert still == []


def test_in_fp16_losses_are_scaled_and_the_scale_falls_after_an_overflow() -> None:
    expected = _steps(1, thawed=False)[1][0]
    fp16 = Resources(Hardware("cpu", "fp16", 1))
    learner, rows = _steps(3, fp16, thawed=False, precision="fp16", lr_start=1e-3)
    used = [row for row in rows if not row["skipped"]]
    assert used[0]["total"] == pytest.approx(expected["total"], rel=1e-2)
    assert used[0]["grad_norm"] == pytest.approx(expected["grad_norm"], rel=5e-2)
    assert learner.scaler.get_scale() == 2.0**16 * 0.5 ** (len(rows) - len(used))
    assert learner.state()["scaler"]["scale"] == learner.scaler.get_scale()


def test_a_moving_average_is_the_model() -> None:
    learner, _ = _steps(1, ema=0.75)
    first = {name: value.detach().clone() for name, value in learner.model.named_parameters()}
    step.optimise(learner, _noise_batch(), negative_noise(1, 0, 0, TRAINING), 0)
    trained = dict(learner.trained().named_parameters())
    for name, value in learner.model.named_parameters():
        torch.testing.assert_close(trained[name], 0.75 * first[name] + 0.25 * value.detach())
    assert not learner.trained().training


def test_a_moving_average_goes_on_after_a_stop(
    cache: Path, feature_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    averaged = recipe(TRAINING.model_copy(update={"epochs": 2, "ema": 0.5}))
    source = Source(PairSampler(CropCache(cache), PAIRS), FeatureCache(feature_folder))
    upkeep = Upkeep(tmp_path / "state.pt", "key")
    whole = train(averaged, source, CPU, Upkeep(tmp_path / "whole.pt", "key")).model.state_dict()
    with monkeypatch.context() as patch:
        _signal_after(3, signal.SIGTERM, patch.setattr)
        with pytest.raises(Stopped):
            train(averaged, source, CPU, upkeep)
    resumed = train(averaged, source, CPU, upkeep).model.state_dict()
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_a_compiled_backbone_keeps_the_names_of_its_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Compiled by a back end that needs no minutes."""
    real, compiled = torch.compile, []

    def quick(function: Any, *arguments: Any, **named: Any) -> Any:
        compiled.append(function)
        return real(function, *arguments, **named, backend="eager")

    monkeypatch.setattr(torch, "compile", quick)
    plain, rows = _steps(1, thawed=False)
    learner, compiled_rows = _steps(1, thawed=False, compile=True)
    assert len(compiled) == 1
    assert compiled_rows[0] == pytest.approx(rows[0], rel=1e-5)
    assert list(learner.model.state_dict()) == list(plain.model.state_dict())
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"training\.compile: no C compiler found"):
        _steps(0, compile=True)


def test_a_step_without_a_usable_loss_changes_nothing() -> None:
    """Not the running statistics either, which a forward pass moves before the loss is known."""
    learner, _ = _steps(1)
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    batch = _noise_batch()
    broken = replace(batch, search=(torch.full((2, 3, 255, 255), torch.nan),))
    row = step.optimise(learner, broken, negative_noise(1, 0, 0, TRAINING), 0)
    assert row["skipped"] == 1
    after = learner.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_too_many_unusable_steps_in_a_row_end_it_with_their_pairs(
    cache: Path,
    feature_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nan = {name: nn.Parameter(torch.tensor(torch.nan)) for name in ("total", "cls", "reg", "loc")}
    monkeypatch.setattr(step, "losses", lambda *arguments: nan)
    monkeypatch.setattr(course, "IN_A_ROW", 2)
    source = Source(PairSampler(CropCache(cache), PAIRS), FeatureCache(feature_folder))
    with pytest.raises(
        UserError,
        match=r"epoch 1: 2 steps in a row had no usable loss .*unusable\.jsonl has their pairs",
    ):
        train(recipe(), source, CPU, Upkeep(tmp_path / "state.pt", "key"))
    rows = [json.loads(line) for line in (tmp_path / "unusable.jsonl").read_text().splitlines()]
    expected = [[*pair_numbers(1, TRAINING, 0, number)] for number in (0, 1)]
    assert [row["pairs"] for row in rows] == expected
    assert "epoch 1, step 2: skipped (loss nan, gradient 0)" in capsys.readouterr().err


def test_the_last_states_are_kept_and_one_that_is_lost_is_gone_on_from(
    uninterrupted: Path, cache: Path, feature_folder: Path, tmp_path: Path
) -> None:
    names = ["state.pt", "state.1.pt", "state.2.pt"]
    assert sorted(path.name for path in uninterrupted.glob("state*.pt")) == sorted(names)
    epochs = [
        torch.load(uninterrupted / name, weights_only=True)["progress"]["epoch"] for name in names
    ]
    assert epochs == [3, 2, 1]
    for name in names:
        shutil.copy(uninterrupted / name, tmp_path)
    (tmp_path / "state.pt").write_bytes(b"half")
    with pytest.raises(
        UserError,
        match=r"state\.pt: damaged training state .*; delete it to go on from state\.1\.pt",
    ):
        _train(tmp_path, cache, feature_folder)
    (tmp_path / "state.pt").unlink()
    (tmp_path / "state.1.pt").unlink()
    _train(tmp_path, cache, feature_folder)
    _is_same(tmp_path, uninterrupted)


def test_a_full_disk_is_one_clear_line_and_leaves_the_state_before(
    uninterrupted: Path,
    cache: Path,
    feature_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copy(uninterrupted / "state.2.pt", tmp_path / "state.pt")
    before = sha256(tmp_path / "state.pt")

    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(UserError, match=r"state\.new\.pt: the disk is full"):
            _train(tmp_path, cache, feature_folder)
    assert sha256(tmp_path / "state.pt") == before
    _train(tmp_path, cache, feature_folder)
    _is_same(tmp_path, uninterrupted)
