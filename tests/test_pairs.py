"""Pairs: a pure function of seed and index, frames within range, index coordinates."""

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamla.data.crop import to_continuous
from siamla.data.crops import CropCache, build
from siamla.data.pairs import MixedSampler, Pair, PairSampler, Sampler, open_sampler
from siamla.data.settings import CropSettings, Jitter, PairSettings
from siamla.errors import UserError
from siamla.experiment.spec import Spec
from siamla.sequence import Sequence
from siamla.settings import validate


def drawn(sampler: PairSampler, count: int) -> list[tuple[int, int]]:
    """Rows of template and search frame of some pairs."""
    return [sampler.rows(np.random.default_rng(seed).random(3).tolist()) for seed in range(count)]


def sampler_of(cache: CropCache, **settings: Any) -> PairSampler:
    return PairSampler(cache, PairSettings(dataset="x", **settings))


def pair_of(sampler: Sampler, index: int) -> Pair:
    batch = sampler.batch([index])
    return Pair(batch.template[0], batch.search[0], batch.box[0])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> CropCache:
    """Three sequences of 12 frames, a bright 30×20 target on a dark ground; frames 3 to 6 of the
    last are absent.
    """
    folder = tmp_path_factory.mktemp("pairs")
    videos = []
    for number in range(3):
        files, boxes = [], []
        for frame in range(12):
            image = np.full((120, 160, 3), 30 + 5 * number, np.uint8)
            x, y = 20 + 5 * frame, 30 + 3 * frame
            image[y : y + 20, x : x + 30] = 220
            files.append(folder / f"{number}-{frame}.png")
            cv2.imwrite(str(files[-1]), image)
            boxes.append([x, y, 30, 20])
        visible = np.ones(12, bool)
        if number == 2:
            visible[3:7] = False
        videos.append(Sequence(f"video{number}", tuple(files), np.array(boxes, float), visible))
    build(videos, CropSettings(), folder / "crops", shard_crops=10)
    return CropCache(folder / "crops")


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> CropCache:
    """Raw crops of a bright target, 70×60, on a plain ground."""
    folder = tmp_path_factory.mktemp("marked")
    files, boxes = [], []
    for number, (x, y) in enumerate([(400, 410), (431, 402)]):
        image = np.full((900, 900, 3), 40, np.uint8)
        image[y : y + 60, x : x + 70] = 200
        files.append(folder / f"{number}.png")
        cv2.imwrite(str(files[-1]), image)
        boxes.append([x, y, 70, 60])
    videos = [Sequence("one", tuple(files), np.array(boxes, float), np.ones(2, bool))]
    build(videos, CropSettings(form="raw"), folder / "crops")
    return CropCache(folder / "crops")


def test_a_pair_is_a_function_of_seed_and_index(cache: CropCache) -> None:
    first, second = sampler_of(cache, seed=4), sampler_of(pickle.loads(pickle.dumps(cache)), seed=4)
    forward, backward = first.batch(range(6)), second.batch(range(5, -1, -1))
    for name, shape in (("template", (127, 127, 3)), ("search", (255, 255, 3)), ("box", (4,))):
        assert np.array_equal(getattr(forward, name), getattr(backward, name)[::-1])
        assert getattr(forward, name).shape == (6, *shape)
    assert len({search.tobytes() for search in forward.search}) == 6
    assert not np.array_equal(sampler_of(cache, seed=5).batch([0]).search[0], forward.search[0])


def test_frames_are_within_range_and_of_one_sequence(cache: CropCache) -> None:
    """Range counts frames and not rows."""
    rows = drawn(sampler_of(cache, frame_range=3), 600)
    by_row = {row: name for name, rows in cache.sequences.items() for row in rows}
    assert all(by_row[template] == by_row[search] for template, search in rows)
    gaps = {int(cache.frames[search] - cache.frames[template]) for template, search in rows}
    assert gaps == set(range(-3, 4))
    assert {row for pair in rows for row in pair} == set(range(len(cache)))
    last = cache.sequences["video2"]
    assert cache.frames[last.start : last.stop].tolist() == [0, 1, 2, 7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    "wider", [{"search": Jitter(shift=70, scale=0.18)}, {"template": Jitter(shift=128, scale=0.5)}]
)
def test_jitter_beyond_the_crops_is_refused(cache: CropCache, wider: dict[str, Jitter]) -> None:
    settings = PairSettings(dataset="x", **wider)
    what = rf"431 pixels, but shift and scale of the pairs reach {settings.reach}; cut"
    with pytest.raises(UserError, match=what):
        PairSampler(cache, settings)
    with pytest.raises(UserError, match="cut larger crops or reduce the jitter"):
        validate(Spec, {"pairs": settings.model_dump()}, "x")
    assert PairSettings(dataset="x").reach == 429
    sampler_of(cache, search=Jitter(shift=65, scale=0.18))  # reaches 430.9


@settings(deadline=None, max_examples=60)
@given(
    shift=st.floats(0, 64),
    scale=st.floats(0, 0.18),
    flip=st.sampled_from([0, 1]),
    seed=st.integers(0, 2**31),
)
def test_the_label_is_exact(
    marked: CropCache, shift: float, scale: float, flip: float, seed: int
) -> None:
    """The light of the target, summed over a row and a column, says where it is to a small part of
    a pixel.
    """
    jitter = Jitter(shift=shift, scale=scale, flip=flip)
    still = jitter.model_copy(update={"shift": 4})
    pair = pair_of(sampler_of(marked, seed=seed, template=still, search=jitter), seed)
    light = (pair.search[..., 1].astype(float) - 40) / 160  # the share that the target covers
    x, y, width, height = to_continuous(pair.box)
    row, column = round(y + height / 2), round(x + width / 2)
    assert light[row].sum() == pytest.approx(width, abs=0.15)
    assert light[:, column].sum() == pytest.approx(height, abs=0.15)
    middle = np.arange(255) + 0.5
    for line, centre in ((light[row], x + width / 2), (light[:, column], y + height / 2)):
        assert (line * middle).sum() / line.sum() == pytest.approx(centre, abs=0.15)


def test_gray_and_flip_are_shared_by_both_crops(cache: CropCache) -> None:
    jitter = Jitter(gray=0.5, flip=0.5, shift=10)
    sampler = sampler_of(cache, template=jitter, search=jitter)
    plain = sampler_of(cache, template=Jitter(shift=10), search=Jitter(shift=10))
    flipped = 0
    for index in range(20):
        first, second = pair_of(sampler, index), pair_of(plain, index)
        mirrored = not np.allclose(first.box, second.box)
        side = first.template[:, ::-1] if mirrored else first.template
        assert np.abs(side.astype(int) - second.template).mean() < 2
        flipped += mirrored
    assert 4 < flipped < 16


def mixed(**shares: float) -> PairSettings:
    items = enumerate(shares.items(), 1)
    parts = {name: {"share": share, "reach": reach} for reach, (name, share) in items}
    return validate(PairSettings, {"dataset": parts, "seed": 3}, "x")


@pytest.mark.parametrize(
    "shares", [(0.5, 0.25, 0.25), (0.36, 0.1, 0.54), (0.3333, 0.3333, 0.3334), (0.999, 0.001)]
)
def test_sets_are_drawn_in_exact_shares(cache: CropCache, shares: tuple[float, ...]) -> None:
    names = "abc"[: len(shares)]
    sampler = MixedSampler([cache] * len(shares), mixed(**dict(zip(names, shares, strict=True))))
    for start in (0, 7, 3 * 10**12 + 11):
        sets = [sampler.part(start + number) for number in range(10_000)]
        counts = np.bincount(sets, minlength=len(shares)).tolist()
        assert counts == [round(share * 10_000) for share in shares]
        batch = np.bincount(sets[:64], minlength=len(shares))
        assert np.abs(batch - 64 * np.array(shares)).max() < 2


def test_a_pair_of_a_mix_is_its_sets_own_with_its_own_reach(cache: CropCache) -> None:
    settings = mixed(a=0.5, b=0.5)
    sampler = open_sampler([cache.folder, cache.folder], settings)
    assert isinstance(sampler, MixedSampler)
    for number in range(8):
        reach = sampler.part(number) + 1
        own = settings.model_copy(update={"dataset": "x", "frame_range": reach})
        alone = pair_of(PairSampler(cache, own), number)
        assert np.array_equal(pair_of(sampler, number).search, alone.search)
        assert np.array_equal(pair_of(sampler, number).template, alone.template)
    again = pickle.loads(pickle.dumps(sampler)).batch([5, 2])
    assert np.array_equal(again.search[0], pair_of(sampler, 5).search)


@pytest.mark.parametrize(
    ("numbers", "pairs"),
    [
        ([0], {(0, 0)}),
        ([5, 6, 30, 31], {(0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (2, 3), (3, 2), (3, 3)}),
    ],
)
def test_reach_counts_a_tracks_own_frame_numbers(
    numbers: list[int], pairs: set[tuple[int, int]], tmp_path: Path
) -> None:
    """A still image makes pairs of itself."""
    files = tuple(tmp_path / f"{number}.png" for number in numbers)
    for number, file in zip(numbers, files, strict=True):
        cv2.imwrite(str(file), np.full((60, 80, 3), 4 * number, np.uint8))
    count = len(numbers)
    boxes, seen = np.array([[10.0, 10, 20, 20]] * count), np.ones(count, bool)
    track = Sequence("v/0/0", files, boxes, seen, numbers=np.array(numbers))
    build([track], CropSettings(), tmp_path / "crops")
    cache = CropCache(tmp_path / "crops")
    assert cache.frames.tolist() == numbers
    assert set(drawn(sampler_of(cache, frame_range=20), 200)) == pairs


VIEWED = PairSettings(
    dataset="x",
    views=3,
    frame_range=2,
    negatives=0.25,
    template=Jitter(flip=0.5),
    search=Jitter(shift=20, flip=0.5),
)


def test_pairs_of_views_are_within_reach_and_alike(cache: CropCache) -> None:
    """Template and search view: same sequence, frames in range, flipped alike; a quarter shows
    another sequence.
    """
    sampler = PairSampler(cache, VIEWED)
    every = [sampler.parts(index) for index in range(400)]
    rows = [(parts.template // 3, parts.search // 3) for parts in every]
    same = [sampler.sequence(a) == sampler.sequence(b) for a, b in rows]
    assert same == [parts.present for parts in every]
    assert 0.18 < 1 - np.mean(same) < 0.32
    gaps = np.array([int(cache.frames[a]) - int(cache.frames[b]) for a, b in rows])
    assert np.abs(gaps[same]).max() <= 2
    assert len({(parts.template, parts.search) for parts in every}) > 250  # few come twice
    assert every[7] == PairSampler(cache, VIEWED).parts(7)
    other = PairSampler(cache, VIEWED.model_copy(update={"seed": 1}))
    assert every != [other.parts(index) for index in range(400)]


def test_a_view_is_the_same_in_every_pair(cache: CropCache) -> None:
    sampler = PairSampler(cache, VIEWED)
    for index in range(12):
        pair, parts = pair_of(sampler, index), sampler.parts(index)
        assert np.array_equal(pair.template, sampler.both(parts.template).template)
        seen = sampler.both(parts.search)
        assert np.array_equal(pair.search, seen.search)
        assert np.array_equal(pair.box, seen.box) if parts.present else not pair.box[2:].any()
    assert sampler.views == 3 * len(cache)


def test_views_of_a_pair_are_flipped_alike(marked: CropCache) -> None:
    """Of draws that are flipped and draws that are not, a pair has two of one kind."""
    sampler = PairSampler(marked, VIEWED.model_copy(update={"negatives": 0, "views": 8}))
    looks = {sampler._look(0, view) for view in range(8)}
    assert len(looks) == 2
    for index in range(40):
        parts = sampler.parts(index)
        assert sampler._look(*divmod(parts.template, 8)) == sampler._look(*divmod(parts.search, 8))


def test_pairs_drawn_anew_have_negatives_too(cache: CropCache, marked: CropCache) -> None:
    sampler = sampler_of(cache, negatives=0.5)
    boxes = [pair_of(sampler, index).box for index in range(60)]
    absent = [not box[2:].any() for box in boxes]
    assert 15 < sum(absent) < 45
    present = absent.index(False)
    plain = pair_of(sampler_of(cache), present)
    assert np.array_equal(pair_of(sampler, present).search, plain.search)
    with pytest.raises(UserError, match="one sequence alone"):
        sampler_of(marked, negatives=0.99).batch(range(20))
