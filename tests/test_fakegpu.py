"""The path of a GPU, without one: on a device that is pretended (siamla.training.pretence) each
variant of the paper trains a step and tracks at ResNet-50's size, and nothing waits in secret.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from conftest import REPOSITORY
from tiny import HARDWARE, MODEL, noise_crops
from torch.nn import functional as F
from watched import Watched, need_pretence, watched

from siamla.data.crops import CropCache
from siamla.data.pairs import PairSampler
from siamla.data.settings import PairSettings
from siamla.engine import torch_engine
from siamla.engine.engines import prepare
from siamla.experiment.plan import Plan
from siamla.grid import CELLS, KERNEL
from siamla.hardware import Precision
from siamla.model.siamla import build_model
from siamla.tracker.lockstep import LockStep
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.tracker import SiamTracker
from siamla.training import loop
from siamla.training.batches import Source, batches
from siamla.training.course import Upkeep
from siamla.training.distributed import BUCKET, Ranks
from siamla.training.features import STORED, Batch
from siamla.training.pretence import NAME, pretended_gpu
from siamla.training.step import Learner, Recipe, Resources, optimise, set_up, start

need_pretence()

KINDS: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
PAPER = Plan.load("paper", REPOSITORY / "params")
ALLOWED = {
    ("_local_scalar_dense", "step optimise"): "once a step, whether its loss is usable",
    ("_to_copy", "torch_engine embed"): "the template, once a sequence",
    ("_to_copy", "torch_engine track"): "a frame's crop, without which there is nothing to do; its"
    " maps, which post-processing on the CPU needs",
    ("copy_", "torch_engine run"): "a frame's crop, into the buffer of the graph",
}
"""The only waits for the GPU, each with its reason."""
UNREPEATABLE = (
    "_adaptive_avg_pool2d_backward avg_pool3d_backward bincount cumsum grid_sampler_2d_backward"
    " histc median nll_loss_forward put_ reflection_pad2d_backward upsample_bilinear2d_backward"
    " upsample_bicubic2d_backward upsample_linear1d_backward"
)
"""What raises on CUDA in deterministic mode, by the documentation of torch.use_deterministic_
algorithms, as far as such a network might use it.
"""


pytestmark = pytest.mark.usefixtures("as_before")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    cache = CropCache(noise_crops(tmp_path_factory.mktemp("tiny"), videos=1))
    return Source(PairSampler(cache, PairSettings(dataset="tiny", frame_range=2)))


def recipe(variant: str, precision: Precision, **training: Any) -> Recipe:
    """The paper's, for an epoch of one step frozen and one thawed."""
    spec = PAPER.spec(variant)
    short = {"epochs": 2, "frozen_epochs": 1, "batch": 4, "pairs_per_epoch": 4, **training}
    settings = spec.training.model_copy(update={**short, "precision": precision})
    model = spec.model.model_copy(update={"weights": "random"})
    return Recipe(model, spec.labels, spec.loss, settings, seed=0)


def hidden(seen: Watched) -> list[Any]:
    return [each for each in seen.waits if each[:2] not in ALLOWED]


def cached(learner: Learner) -> Batch:
    """Four pairs as a feature cache gives them."""
    channels = learner.model.backbone.out_channels
    template, search = (
        tuple(torch.zeros(4, each, cells, cells, dtype=STORED) for each in channels)
        for cells in (KERNEL, CELLS)
    )
    return Batch(template, search, torch.zeros(4, 4), frozen=True).pinned()


@pytest.mark.parametrize("variant", PAPER.experiment.variants)
def test_steps_of_each_variant_in_each_precision_frozen_and_thawed(
    variant: str, source: Source
) -> None:
    """From the loader's batch to the optimiser; each tensor where it belongs. Frozen steps
    see images in bf16, as the paper profile has them, else cached features.
    """
    with watched() as seen:
        set_up(pretended_gpu("fp32"))
        whole = start(recipe(variant, "fp32"), Resources(pretended_gpu("fp32")))
        named = dict(whole.model.named_parameters())
        assert {each.device.type for each in named.values()} == {NAME}
        for precision, kind in KINDS.items():
            scaler = torch.amp.GradScaler(NAME, enabled=precision == "fp16")
            resources = Resources(pretended_gpu(precision))
            learner = replace(whole, resources=resources, scaler=scaler)
            stream = batches(source, whole.recipe, resources)
            seen.waits.clear()
            seen.ran.clear()
            for epoch in range(2):
                images = epoch == 1 or precision == "bf16"
                pairs = stream if images else iter([cached(learner)])
                row, *_ = loop.take_step(learner, pairs, epoch, 0)
                assert not row["skipped"]
                moved = {name for name, each in named.items() if each.grad is not None}
                assert any(name.startswith("backbone.") for name in moved) == (epoch == 1)
            assert moved == set(named)
            assert not hidden(seen)
            assert {each.where for each in seen.waits} == {"step optimise"}
            ran = {name for name, _ in seen.ran}
            assert not ran & set(UNREPEATABLE.split())
            assert {("convolution", kind), ("_fused_sgd_", torch.float32)} <= seen.ran
            assert ("_amp_update_scale_" in ran) == (precision == "fp16")


def test_a_batch_in_parts_from_cached_features_and_confident_negatives(source: Source) -> None:
    """What the paper's recipe leaves out."""
    place = pretended_gpu("bf16")
    with watched() as seen:
        ours = recipe("siamla", "bf16", optimizer="adamw")
        loss = ours.loss.model_copy(update={"negatives": "confident"})
        learner = start(replace(ours, loss=loss), Resources(place, accumulate=2))
        first = next(batches(source, ours, learner.resources))
        seen.waits.clear()
        for batch in (first, cached(learner)):
            optimise(learner, batch, torch.rand(4, 25, 25), 0)
    assert not hidden(seen)
    assert "_fused_adamw_" in {name for name, _ in seen.ran}


# --- tracking ---


@contextmanager
def recorded(seen: Watched, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """CUDA's names for the device; numbers for its maps. Gives the replays of graphs."""
    replays: list[int] = []

    @contextmanager
    def graph(recording: Any) -> Iterator[None]:
        seen.recording = True
        yield
        seen.recording = False

    stream = SimpleNamespace(wait_stream=lambda other: None)
    names = {
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": lambda chosen: nullcontext(),
        "CUDAGraph": lambda: SimpleNamespace(replay=lambda: replays.append(1)),
        "graph": graph,
    }
    with monkeypatch.context() as patch:
        patch.setattr(torch_engine, "RECORDS", NAME)
        patch.setattr(torch.Tensor, "numpy", lambda maps: np.ones(maps.shape, np.float32))
        for name, stand_in in names.items():
            patch.setattr(torch.cuda, name, stand_in)
        yield replays


@pytest.mark.parametrize(("variant", "precision"), [("siamcar", "fp32"), ("siamla", "bf16")])
def test_a_frame_is_a_graph_for_one_and_for_32(
    variant: str, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, image = pretended_gpu(precision), np.zeros((90, 120, 3), np.uint8)
    with watched() as seen, recorded(seen, monkeypatch) as replays:
        model = build_model(recipe(variant, precision).model, 0)
        network, several = (prepare("torch", model, place, rows) for rows in (1, 32))
        seen.waits.clear()
        tracker = SiamTracker(network, TrackerSettings())
        tracker.init(image, [40, 30, 20, 25])
        for _ in range(2):
            assert np.isfinite(tracker.update(image)).all()
        assert len(replays) == 2
        meeting = LockStep(several)
        crops = np.zeros((32, 255, 255, 3), np.uint8)
        state = network.embed(crops[:, :127, :127])
        for count in (32, 5):
            maps = meeting.search(state[:count], crops[:count])
            assert [len(part) for part in maps] == [count] * 3
        assert len(replays) == 4
    assert not hidden(seen)
    assert ("convolution", KINDS[precision]) in seen.ran


def test_a_gpu_without_graphs_gets_each_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Apple's: nothing of a frame is left on the CPU."""
    with watched() as seen, recorded(seen, monkeypatch) as replays:
        monkeypatch.setattr(torch_engine, "RECORDS", "cuda")
        model = build_model(recipe("siamla", "fp32").model, 0)
        network = prepare("torch", model, pretended_gpu("fp32"))
        seen.waits.clear()
        state = network.embed(np.zeros((1, 127, 127, 3), np.uint8))
        network.search(state, np.zeros((1, 255, 255, 3), np.uint8))
    assert not replays
    assert not hidden(seen)


# --- the pretence itself ---

WAITS = {
    "an item": lambda x: x.sum().item(),
    "a truth": lambda x: bool((x > 0).any()),
    "a list": lambda x: x.tolist(),
    "indices": lambda x: x.nonzero(),
    "a mask": lambda x: x[x > 0],
    "a copy": lambda x: x.cpu(),
    "a constant": lambda x: x.new_tensor([1.0, 2.0]),
    "what no page is locked for": lambda x: torch.zeros(2).to(NAME, non_blocking=True),
    "repeats": lambda x: x.repeat_interleave(x.int()),
}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("kind", WAITS)
def test_a_wait_is_noticed(kind: str, inference: bool) -> None:
    with watched() as seen, torch.inference_mode(inference):
        x = torch.ones(2, device=NAME)
        assert not seen.waits
        with suppress(Exception):  # of some the result is not known without numbers
            WAITS[kind](x)
            assert seen.waits


def test_what_does_not_wait_is_let_be() -> None:
    with watched() as seen:
        x = torch.zeros(2, 3).pin_memory().to(NAME, non_blocking=True)
        x[:, 1:].clamp_(0, 1).masked_fill_(x[:, 1:] > 0, 2.0)
        torch.where(x > 0, x, 0.0).sort()
        x[torch.zeros(2, dtype=torch.long, device=NAME)].copy_(x)
    assert not seen.waits


def test_a_tensor_in_the_wrong_place_or_of_another_type_raises() -> None:
    with watched():
        x = torch.ones(2, 2, device=NAME)
        with pytest.raises(RuntimeError, match="fakegpu"):
            x + torch.ones(2, 2)
        with pytest.raises(RuntimeError, match=r"mm of .*float16.*float32"):
            x @ x.half()
        with pytest.raises(RuntimeError, match=r"convolution of .*float16.*float32"):
            F.conv2d(x[None, None], x[None, None].half())


def test_a_graph_repeats_nothing_that_the_cpu_does() -> None:
    with watched() as seen:
        x = torch.ones(2, device=NAME)
        seen.recording = True
        x.mul_(2)
        assert not seen.waits
        torch.ones(2)
    assert [each.what for each in seen.waits] == ["ones on the CPU"]


# --- processes ---

WORLD = 64


@contextmanager
def one_of_many(rank: int) -> Iterator[Ranks]:
    """One process of WORLD, whose collectives leave everything as it is."""
    fake_pg = pytest.importorskip("torch.testing._internal.distributed.fake_pg")
    dist.init_process_group("fake", rank=rank, world_size=WORLD, store=fake_pg.FakeStore())
    try:
        yield Ranks(rank, WORLD)
    finally:
        dist.destroy_process_group()


def collectives(rank: int, source: Source) -> tuple[list[Any], int, int]:
    """What a thawed step sums; the bytes of all gradients, and of the largest."""
    place = pretended_gpu("bf16")
    with watched() as seen, one_of_many(rank) as ranks:
        ours = recipe("siamla", "bf16", batch=100, pairs_per_epoch=100)
        learner = start(ours, Resources(place, ranks))
        stream = batches(source, ours, learner.resources)
        seen.waits.clear()
        row, *_ = loop.take_step(learner, stream, 1, 0)
        assert not row["skipped"]
        assert not hidden(seen)
        sizes = [each.nbytes for each in learner.model.parameters()]
        return seen.summed, sum(sizes), max(sizes)


def test_every_rank_sums_the_same_in_the_same_order(source: Source) -> None:
    """Else they would wait for each other for ever; also where their parts are unequal."""
    parts = [Ranks(rank, WORLD).part(100) for rank in (0, 3, 63)]
    assert [part.stop - part.start for part in parts] == [1, 2, 2]
    (first, whole, largest), *others = (collectives(rank, source) for rank in (0, 3, 63))
    assert all(summed == first for summed, *_ in others)
    assert {name for name, *_ in first} == {"allreduce_"}
    norms = [each for each in first if each[1] == (2 * 256 + 1,)]
    assert len(norms) == 6  # three necks, forth and back
    buckets = [size for _, shape, size in first if size > 2**16]
    assert sum(buckets) == whole
    assert max(buckets) == largest > 4 * BUCKET  # alone in its bucket
    assert sorted(buckets)[-2] <= 4 * BUCKET
    assert len(first) - len(norms) - len(buckets) <= 6  # counts, and the losses


@pytest.mark.parametrize("rank", [0, 3, 63])
def test_the_first_process_alone_writes(
    rank: int, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ranks, "broadcast", lambda self, value: value)
    short = {"epochs": 1, "frozen_epochs": 0, "batch": WORLD, "pairs_per_epoch": WORLD}
    ours = replace(recipe("siamcar", "fp32", **short), model=MODEL)
    upkeep = Upkeep(tmp_path / "state/state.pt", "key")
    with one_of_many(rank) as ranks:
        resources = Resources(HARDWARE, ranks)
        loop.train_model(ours, source, resources, upkeep, tmp_path / "out", "label", {})
    written = {path.name for path in tmp_path.rglob("*.*")}
    expected = {"state.pt", "state.lock", "model.pt", "history.csv"}
    assert written == (expected if rank == 0 else set())
