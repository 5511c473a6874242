"""The course of training: schedule, order of the pairs, resumption to the byte, feature caches, unusable losses."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from siamla.data import crops
from siamla.data.crops import CropCache
from siamla.data.pairs import PairSampler
from siamla.data.settings import CropSettings, PairSettings
from siamla.errors import UserError
from siamla.files import sha256
from siamla.model.checkpoint import save_model
from siamla.model.settings import ModelSettings
from siamla.sequence import Sequence
from siamla.training import features, loop
from siamla.training.features import BATCH, FeatureCache
from siamla.training.loop import Recipe, Source, epoch_order, train
from siamla.training.schedule import learning_rate
from siamla.training.settings import Labels, LossWeights, TrainingSettings

MODEL = ModelSettings(
    backbone="efficientnet_lite0", weights="package", channels=8, tower_depth=1, groups=2, regression_bias=3.4
)
PAIRS = PairSettings(dataset="tiny", count=BATCH, frame_range=2)
TRAINING = TrainingSettings(
    epochs=3, frozen_epochs=2, pairs_per_epoch=2, batch=1, lr_start=1e-2, lr_end=1e-3, precision="fp32"
)
CPU = torch.device("cpu")
DIED = -signal.SIGKILL


def recipe(training: TrainingSettings = TRAINING, loss: LossWeights | None = None) -> Recipe:
    return Recipe(MODEL, Labels(nearest_if_none=True), loss or LossWeights(), training, seed=1)


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
    crops.build(videos, CropSettings(size=287), folder / "crops")
    return folder / "crops"


@pytest.fixture(scope="module")
def feature_folder(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features") / "features"
    features.build(cache, PAIRS, MODEL, "fp32", folder, 1, "code")
    return folder


def test_exponential_rate_falls_by_the_same_factor() -> None:
    settings = TrainingSettings(lr_start=1e-2, lr_end=1e-4)
    rates = [learning_rate(step, 3, settings) for step in range(3)]
    assert rates == pytest.approx([1e-2, 1e-3, 1e-4])


def test_cosine_rate_is_half_way_in_the_middle() -> None:
    settings = TrainingSettings(lr_start=3e-3, lr_end=1e-3, schedule="cosine")
    assert [learning_rate(step, 5, settings) for step in (0, 2, 4)] == pytest.approx([3e-3, 2e-3, 1e-3])


def test_warm_up_rises_linearly_to_the_schedule() -> None:
    settings = TrainingSettings(lr_start=1e-2, lr_end=1e-2, warmup_steps=3)
    assert [learning_rate(step, 9, settings) for step in range(5)] == pytest.approx(
        [0.25e-2, 0.5e-2, 0.75e-2, 1e-2, 1e-2]
    )


def test_a_single_step_has_the_first_rate() -> None:
    assert learning_rate(0, 1, TrainingSettings(lr_start=5e-3)) == pytest.approx(5e-3)


def test_epochs_walk_through_permutations_of_all_pairs() -> None:
    """7 epochs of 4 of 14 pairs are two whole passes, shuffled differently; another seed shuffles differently again."""
    walk = [number for epoch in range(7) for number in epoch_order(epoch, 3, 4, 14)]
    first, second = walk[:14], walk[14:]
    assert sorted(first) == sorted(second) == list(range(14))
    assert first != second
    assert walk[:4] != epoch_order(0, 4, 4, 14)
    assert epoch_order(1, 3, 4, 14) == walk[4:8]  # a pure function: no state to restore


def test_an_epoch_may_be_longer_than_the_set() -> None:
    assert sorted(epoch_order(0, 0, 6, 3)) == [0, 0, 1, 1, 2, 2]


def test_without_a_count_no_pair_comes_twice() -> None:
    numbers = [number for seed in (0, 1) for epoch in range(3) for number in epoch_order(epoch, seed, 5, None)]
    assert len(set(numbers)) == 30
    assert numbers[:5] == [0, 1, 2, 3, 4]


def _train(folder: Path, cache: Path, feature_folder: Path | None, kill_after: int = 0, key: str = "key") -> None:
    """Train to folder/model.pt; with `kill_after`, SIGKILL this process once that many epochs' state is written."""

    def on_epoch(row: dict[str, float]) -> None:
        if row["epoch"] == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    cached = FeatureCache(feature_folder) if feature_folder else None
    source = Source(PairSampler(CropCache(cache), PAIRS), PAIRS.count, cached)
    model, history = train(recipe(), source, folder / "state.pt", key, CPU, on_epoch)
    save_model(folder / "model.pt", model)
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in history]
    (folder / "history.txt").write_text(repr(rows))


def in_process(work: Callable[[], None]) -> int:
    """Exit status of `work` in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join(120)
    return process.exitcode if process.exitcode is not None else 1


@pytest.fixture(scope="module")
def uninterrupted(cache: Path, feature_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert in_process(partial(_train, folder, cache, feature_folder)) == 0
    return folder


def test_killed_after_every_epoch_it_ends_with_the_same_bytes(
    uninterrupted: Path, cache: Path, feature_folder: Path, tmp_path: Path
) -> None:
    """The second kill falls on the unfreezing of the backbone: momentum and frozen parameters are restored alike."""
    for epoch in (1, 2):
        assert in_process(partial(_train, tmp_path, cache, feature_folder, epoch)) == DIED
        assert (tmp_path / "state.pt").exists()
    assert in_process(partial(_train, tmp_path, cache, feature_folder)) == 0
    assert sha256(tmp_path / "model.pt") == sha256(uninterrupted / "model.pt")
    assert (tmp_path / "history.txt").read_text() == (uninterrupted / "history.txt").read_text()


def test_a_finished_state_gives_the_model_again(
    uninterrupted: Path, cache: Path, feature_folder: Path, tmp_path: Path
) -> None:
    shutil.copy(uninterrupted / "state.pt", tmp_path)
    _train(tmp_path, cache, feature_folder)
    assert sha256(tmp_path / "model.pt") == sha256(uninterrupted / "model.pt")


def test_the_backbone_moves_only_when_it_has_thawed(uninterrupted: Path) -> None:
    start = loop.build_model(MODEL, 1).state_dict()
    end = torch.load(uninterrupted / "model.pt", weights_only=True)["model"]
    parameters = [name for name, _ in loop.build_model(MODEL, 1).backbone.named_parameters()]
    assert any(not torch.equal(start[f"backbone.{name}"], end[f"backbone.{name}"]) for name in parameters)
    state = torch.load(uninterrupted / "state.pt", weights_only=True)
    assert state["epoch"] == 3
    assert len(state["history"]) == 3


def test_a_state_of_another_training_is_refused(
    uninterrupted: Path, cache: Path, feature_folder: Path, tmp_path: Path
) -> None:
    shutil.copy(uninterrupted / "state.pt", tmp_path)
    with pytest.raises(UserError, match=r"state\.pt: belongs to another training \(key, expected other\)"):
        _train(tmp_path, cache, feature_folder, key="other")
    assert sha256(tmp_path / "state.pt") == sha256(uninterrupted / "state.pt")


@pytest.mark.parametrize("kept", [0, 1000, -1], ids=["empty", "head", "all but the last byte"])
def test_a_damaged_state_is_named(uninterrupted: Path, cache: Path, tmp_path: Path, kept: int) -> None:
    (tmp_path / "state.pt").write_bytes((uninterrupted / "state.pt").read_bytes()[:kept])
    with pytest.raises(UserError, match=r"state\.pt: damaged training state .*; delete it"):
        _train(tmp_path, cache, None)


def _features(folder: Path, cache: Path, killed_chunk: int = -1) -> None:
    """Build a feature cache of chunks of 32 pairs; SIGKILL this process in the middle of the chunk `killed_chunk`."""
    features.CHUNK = 32
    levels, calls = features._levels, iter(range(100))

    def dying(*arguments: Any, **named: Any) -> list[torch.Tensor]:
        if next(calls) == killed_chunk:
            os.kill(os.getpid(), signal.SIGKILL)
        return levels(*arguments, **named)

    features._levels = dying
    features.build(cache, PAIRS.model_copy(update={"count": 40}), MODEL, "fp32", folder, 1, "code")


def test_a_killed_feature_build_goes_on_and_ends_with_the_same_bytes(cache: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert in_process(partial(_features, whole, cache)) == 0
    assert in_process(partial(_features, killed, cache, 1)) == DIED
    first = killed / "chunk-00000.bin"
    written = first.stat().st_mtime_ns
    with pytest.raises(UserError, match="not found"):
        FeatureCache(killed)  # without a manifest it is not finished
    assert in_process(partial(_features, killed, cache)) == 0
    assert first.stat().st_mtime_ns == written  # a finished chunk is not computed again
    bytes_of = {path.name: sha256(path) for path in killed.iterdir() if not path.name.endswith(".tmp")}
    assert bytes_of == {path.name: sha256(path) for path in whole.iterdir()}


def test_features_are_those_of_the_live_backbone(cache: Path, feature_folder: Path) -> None:
    sampler = PairSampler(CropCache(cache), PAIRS)
    stored = FeatureCache(feature_folder).batch([5, 1])
    live = next(loop.batches(Source(sampler, PAIRS.count), [[5, 1]], frozen=True))
    model = loop.build_model(MODEL, 1).eval()
    assert stored.frozen
    assert not live.frozen
    torch.testing.assert_close(stored.boxes, live.boxes)
    with torch.no_grad():
        a = model.forward_features(tuple(x.float() for x in stored.template), tuple(x.float() for x in stored.search))
        b = model(live.template[0].float(), live.search[0].float())
    torch.testing.assert_close(a.cls, b.cls, rtol=0, atol=2e-2)


def test_training_on_features_is_training_on_images(cache: Path, feature_folder: Path, tmp_path: Path) -> None:
    """The same losses but for the cache's half precision."""
    frozen = TRAINING.model_copy(update={"epochs": 2})
    sampler = PairSampler(CropCache(cache), PAIRS)
    histories = []
    for name, cached in (("stored", FeatureCache(feature_folder)), ("live", None)):
        source = Source(sampler, PAIRS.count, cached)
        histories.append(train(recipe(frozen), source, tmp_path / name, "key", CPU, lambda row: None)[1])
    for stored, live in zip(*histories, strict=True):
        assert {k: stored[k] for k in ("epoch", "step", "lr")} == {k: live[k] for k in ("epoch", "step", "lr")}
        for term in ("total", "cls", "reg", "loc"):
            assert stored[term] == pytest.approx(live[term], rel=5e-3)


def test_a_finite_number_of_pairs_is_needed_for_features(cache: Path, tmp_path: Path) -> None:
    for count, said in ((None, "found null"), (BATCH - 1, "at least 32")):
        pairs = PAIRS.model_copy(update={"count": count})
        with pytest.raises(UserError, match=said):
            features.build(cache, pairs, MODEL, "fp32", tmp_path / "out", 1, "code")
    assert not (tmp_path / "out").exists()


def test_random_weights_have_no_features_to_share(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.weights: random weights differ from seed to seed"):
        features.build(
            cache, PAIRS, MODEL.model_copy(update={"weights": "random"}), "fp32", tmp_path / "out", 1, "code"
        )
    assert not (tmp_path / "out").exists()


def test_steps_with_an_unusable_loss_are_skipped(
    cache: Path, feature_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second loss is NaN: those steps are counted, change nothing, and do not enter the means."""
    real, calls = loop.losses, iter(range(100))

    def sometimes_nan(*arguments: object) -> dict[str, torch.Tensor]:
        terms = real(*arguments)  # type: ignore[arg-type]
        return terms if next(calls) % 2 == 0 else {**terms, "total": terms["total"] * torch.nan}

    monkeypatch.setattr(loop, "losses", sometimes_nan)
    source = Source(PairSampler(CropCache(cache), PAIRS), PAIRS.count, FeatureCache(feature_folder))
    training = TRAINING.model_copy(update={"epochs": 2})
    model, history = train(recipe(training), source, tmp_path / "state.pt", "key", CPU, lambda row: None)
    assert [row["skipped"] for row in history] == [1, 1]
    assert all(np.isfinite(row["total"]) for row in history)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_an_epoch_without_a_usable_loss_stops_with_advice(
    cache: Path, feature_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = {name: nn.Parameter(torch.tensor(torch.nan)) for name in ("total", "cls", "reg", "loc")}
    monkeypatch.setattr(loop, "losses", lambda *arguments: nan)
    source = Source(PairSampler(CropCache(cache), PAIRS), PAIRS.count, FeatureCache(feature_folder))
    with pytest.raises(UserError, match=r"epoch 1: no step had a usable loss \(last: nan\); lower lr_start"):
        train(recipe(), source, tmp_path / "state.pt", "key", CPU, lambda row: None)
    assert not (tmp_path / "state.pt").exists()
