"""Pairs: a pure function of seed and index, frames within range, index coordinates."""

import pickle

import cv2
import numpy as np
import pytest

from siamla.data.crops import CropCache, build
from siamla.data.pairs import PairSampler
from siamla.data.settings import CropSettings, Jitter, PairSettings
from siamla.sequence import Sequence

STILL = Jitter()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> CropCache:
    """Three sequences of 12 frames, a bright 30×20 target on a dark ground; frames 3 to 6 of the last are absent."""
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
    build(videos, CropSettings(size=319, quality=95), folder / "crops", shard_crops=10)
    return CropCache(folder / "crops")


def test_a_pair_is_a_function_of_seed_and_index(cache: CropCache) -> None:
    settings = PairSettings(dataset="x", seed=4)
    first, second = PairSampler(cache, settings), PairSampler(pickle.loads(pickle.dumps(cache)), settings)
    forward = [first.pair(index) for index in range(6)]
    backward = [second.pair(index) for index in reversed(range(6))][::-1]
    for one, other in zip(forward, backward, strict=True):
        assert np.array_equal(one.template, other.template)
        assert np.array_equal(one.search, other.search)
        assert np.array_equal(one.box, other.box)
    assert len({pair.search.tobytes() for pair in forward}) == 6
    reseeded = PairSampler(cache, PairSettings(dataset="x", seed=5)).pair(0)
    assert not np.array_equal(reseeded.search, forward[0].search)


def test_a_centred_target_has_its_centre_at_index_127(cache: CropCache) -> None:
    pair = PairSampler(cache, PairSettings(dataset="x", template=STILL, search=STILL)).pair(0)
    assert pair.box[:2] + pair.box[2:] / 2 == pytest.approx([127, 127], abs=1e-9)
    scale = 127 / np.sqrt((30 + 25) * (20 + 25))
    assert pair.box[2:] == pytest.approx([30 * scale, 20 * scale])
    assert pair.template.shape == (127, 127, 3)
    assert pair.search.shape == (255, 255, 3)
    bright = pair.search[..., 0] > 125
    middle = np.array([np.average(np.flatnonzero(bright.any(axis))) for axis in (0, 1)])
    assert middle == pytest.approx([127, 127], abs=0.6)


def test_shifted_targets_stay_under_their_box(cache: CropCache) -> None:
    sampler = PairSampler(cache, PairSettings(dataset="x", search=Jitter(shift=30, scale=0.18, flip=0.5)))
    for index in range(20):
        pair = sampler.pair(index)
        x, y = np.flatnonzero((pair.search[..., 0] > 125).any(0)), np.flatnonzero((pair.search[..., 0] > 125).any(1))
        assert pair.box[0] == pytest.approx(x[0] - 0.5, abs=1.6)
        assert pair.box[1] == pytest.approx(y[0] - 0.5, abs=1.6)
        assert pair.box[0] + pair.box[2] == pytest.approx(x[-1] + 0.5, abs=1.6)


def test_frames_are_within_range_and_of_one_sequence(cache: CropCache) -> None:
    sampler = PairSampler(cache, PairSettings(dataset="x", frame_range=3))
    drawn = [sampler.rows(np.random.default_rng(seed)) for seed in range(600)]
    by_row = {row: name for name, rows in cache.sequences.items() for row in rows}
    gaps = set()
    for template, search in drawn:
        assert by_row[template] == by_row[search]
        gaps.add(int(cache.frames[search] - cache.frames[template]))
    assert gaps == set(range(-3, 4))
    assert {row for pair in drawn for row in pair} == set(range(len(cache)))


def test_range_counts_frames_and_not_rows(cache: CropCache) -> None:
    rows = cache.sequences["video2"]
    assert cache.frames[rows.start : rows.stop].tolist() == [0, 1, 2, 7, 8, 9, 10, 11]
    sampler = PairSampler(cache, PairSettings(dataset="x", frame_range=0))
    assert all(len(set(sampler.rows(np.random.default_rng(seed)))) == 1 for seed in range(50))


def test_count_repeats_the_same_pairs(cache: CropCache) -> None:
    sampler = PairSampler(cache, PairSettings(dataset="x", count=4))
    assert np.array_equal(sampler.pair(1).search, sampler.pair(9).search)
    assert not np.array_equal(sampler.pair(1).search, sampler.pair(2).search)


def test_gray_and_flip_are_shared_by_both_crops(cache: CropCache) -> None:
    jitter = Jitter(gray=0.5, flip=0.5, shift=10)
    sampler = PairSampler(cache, PairSettings(dataset="x", template=jitter, search=jitter))
    plain = PairSampler(cache, PairSettings(dataset="x", template=Jitter(shift=10), search=Jitter(shift=10)))
    flipped = 0
    for index in range(20):
        first, second = sampler.pair(index), plain.pair(index)
        mirrored = not np.allclose(first.box, second.box)
        side = first.template[:, ::-1] if mirrored else first.template
        assert np.abs(side.astype(int) - second.template).mean() < 2
        flipped += mirrored
    assert 4 < flipped < 16


def test_a_batch_stacks_its_pairs(cache: CropCache) -> None:
    sampler = PairSampler(cache, PairSettings(dataset="x"))
    batch = sampler.batch([5, 0, 7])
    assert batch.template.shape == (3, 127, 127, 3)
    assert batch.search.shape == (3, 255, 255, 3)
    assert batch.box.shape == (3, 4)
    assert np.array_equal(batch.search[1], sampler.pair(0).search)
