"""Pairs: a pure function of seed and index, frames within range, index coordinates."""

import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamla.data.crop import to_continuous
from siamla.data.crops import CropCache, build
from siamla.data.pairs import MixedSampler, PairSampler, open_sampler
from siamla.data.settings import CropSettings, Jitter, PairSettings
from siamla.data.track import Track
from siamla.errors import UserError
from siamla.experiment.spec import Spec
from siamla.sequence import Sequence
from siamla.settings import validate

STILL = Jitter()


def uniform(seed: int) -> list[float]:
    return np.random.default_rng(seed).random(3).tolist()


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
    image = np.full((900, 900, 3), 40, np.uint8)
    files, boxes = [], []
    for number, (x, y) in enumerate([(400, 410), (431, 402)]):
        view = image.copy()
        view[y : y + 60, x : x + 70] = 200
        files.append(folder / f"{number}.png")
        cv2.imwrite(str(files[-1]), view)
        boxes.append([x, y, 70, 60])
    videos = [Sequence("one", tuple(files), np.array(boxes, float), np.ones(2, bool))]
    build(videos, CropSettings(form="raw"), folder / "crops")
    return CropCache(folder / "crops")


def test_a_pair_is_a_function_of_seed_and_index(cache: CropCache) -> None:
    settings = PairSettings(dataset="x", seed=4)
    first, second = (
        PairSampler(cache, settings),
        PairSampler(pickle.loads(pickle.dumps(cache)), settings),
    )
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
    assert pair.box[:2] + pair.box[2:] / 2 == pytest.approx([127, 127], abs=0.5)
    scale = 127 / np.sqrt((30 + 25) * (20 + 25))
    assert pair.box[2:] == pytest.approx([30 * scale, 20 * scale])
    assert pair.template.shape == (127, 127, 3)
    assert pair.search.shape == (255, 255, 3)
    bright = pair.search[..., 0] > 125
    middle = np.array([np.average(np.flatnonzero(bright.any(axis))) for axis in (0, 1)])
    assert middle == pytest.approx(pair.box[:2] + pair.box[2:] / 2, abs=0.3)


def test_shifted_targets_stay_under_their_box(cache: CropCache) -> None:
    sampler = PairSampler(
        cache, PairSettings(dataset="x", search=Jitter(shift=30, scale=0.18, flip=0.5))
    )
    for index in range(20):
        pair = sampler.pair(index)
        x, y = (
            np.flatnonzero((pair.search[..., 0] > 125).any(0)),
            np.flatnonzero((pair.search[..., 0] > 125).any(1)),
        )
        assert pair.box[0] == pytest.approx(x[0] - 0.5, abs=1.6)
        assert pair.box[1] == pytest.approx(y[0] - 0.5, abs=1.6)
        assert pair.box[0] + pair.box[2] == pytest.approx(x[-1] + 0.5, abs=1.6)


def test_frames_are_within_range_and_of_one_sequence(cache: CropCache) -> None:
    sampler = PairSampler(cache, PairSettings(dataset="x", frame_range=3))
    drawn = [sampler.rows(uniform(seed)) for seed in range(600)]
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
    assert all(len(set(sampler.rows(uniform(seed)))) == 1 for seed in range(50))


def test_jitter_beyond_the_crops_is_refused(cache: CropCache) -> None:
    for wider in (
        {"search": Jitter(shift=70, scale=0.18)},
        {"template": Jitter(shift=128, scale=0.5)},
    ):
        settings = PairSettings(dataset="x", **wider)
        with pytest.raises(
            UserError,
            match=rf"431 pixels, but shift and scale of the pairs reach {settings.reach}; cut",
        ):
            PairSampler(cache, settings)
        with pytest.raises(UserError, match="cut larger crops or reduce the jitter"):
            validate(
                Spec,
                {"pairs": {"dataset": "x", **{k: v.model_dump() for k, v in wider.items()}}},
                "x",
            )
    assert PairSettings(dataset="x").reach == 429
    PairSampler(
        cache, PairSettings(dataset="x", search=Jitter(shift=65, scale=0.18))
    )  # reaches 430.9


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
    pair = PairSampler(
        marked,
        PairSettings(
            dataset="x", seed=seed, template=jitter.model_copy(update={"shift": 4}), search=jitter
        ),
    ).pair(seed)
    light = (
        pair.search[..., 1].astype(float) - 40
    ) / 160  # the share of a pixel that the target covers
    x, y, width, height = to_continuous(pair.box)
    row, column = round(y + height / 2), round(x + width / 2)
    assert light[row].sum() == pytest.approx(width, abs=0.15)
    assert light[:, column].sum() == pytest.approx(height, abs=0.15)
    middle = np.arange(255) + 0.5
    assert (light[row] * middle).sum() / light[row].sum() == pytest.approx(x + width / 2, abs=0.15)
    assert (light[:, column] * middle).sum() / light[:, column].sum() == pytest.approx(
        y + height / 2, abs=0.15
    )


def test_gray_and_flip_are_shared_by_both_crops(cache: CropCache) -> None:
    jitter = Jitter(gray=0.5, flip=0.5, shift=10)
    sampler = PairSampler(cache, PairSettings(dataset="x", template=jitter, search=jitter))
    plain = PairSampler(
        cache, PairSettings(dataset="x", template=Jitter(shift=10), search=Jitter(shift=10))
    )
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


def mixed(**shares: float) -> PairSettings:
    parts = {
        name: {"share": share, "reach": place}
        for place, (name, share) in enumerate(shares.items(), 1)
    }
    return validate(PairSettings, {"dataset": parts, "seed": 3}, "x")


@pytest.mark.parametrize(
    "shares", [(0.5, 0.25, 0.25), (0.36, 0.1, 0.54), (0.3333, 0.3333, 0.3334), (0.999, 0.001)]
)
def test_sets_are_drawn_in_exact_shares_from_wherever_one_counts(
    cache: CropCache, shares: tuple[float, ...]
) -> None:
    names = "abc"[: len(shares)]
    sampler = MixedSampler([cache] * len(shares), mixed(**dict(zip(names, shares, strict=True))))
    period = 10_000
    for start in (0, 7, 3 * 10**12 + 11):
        drawn = np.bincount(
            [sampler.part(start + number) for number in range(period)], minlength=len(shares)
        )
        assert drawn.tolist() == [round(share * period) for share in shares]


def test_a_batch_has_nearly_the_shares(cache: CropCache) -> None:
    sampler = MixedSampler([cache] * 3, mixed(a=0.36, b=0.1, c=0.54))
    for start in range(0, 1000, 64):
        drawn = np.bincount([sampler.part(start + number) for number in range(64)], minlength=3)
        assert np.abs(drawn - 64 * np.array([0.36, 0.1, 0.54])).max() < 2


def test_a_pair_of_a_mix_is_its_sets_own_with_its_own_reach(cache: CropCache) -> None:
    settings = mixed(a=0.5, b=0.5)
    sampler = open_sampler([cache.folder, cache.folder], settings)
    assert isinstance(sampler, MixedSampler)
    for number in range(8):
        reach = sampler.part(number) + 1
        alone = PairSampler(
            cache, settings.model_copy(update={"dataset": "x", "frame_range": reach})
        ).pair(number)
        assert np.array_equal(sampler.pair(number).search, alone.search)
        assert np.array_equal(sampler.pair(number).template, alone.template)
    again = pickle.loads(pickle.dumps(sampler)).batch([5, 2])
    assert np.array_equal(again.search[0], sampler.pair(5).search)


def test_a_single_set_is_drawn_as_ever(cache: CropCache) -> None:
    settings = PairSettings(dataset="x", seed=4)
    assert np.array_equal(
        open_sampler([cache.folder], settings).pair(3).search,
        PairSampler(cache, settings).pair(3).search,
    )


def test_a_set_of_still_images_makes_pairs_of_one_image(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("still")
    cv2.imwrite(
        str(folder / "0.png"), np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    )
    boxes = [[10, 10, 30, 20], [60, 40, 30, 30]]
    tracks = [
        Track(
            f"9/{n}/0",
            (folder / "0.png",),
            np.array([box], float),
            np.ones(1, bool),
            numbers=np.zeros(1, np.int64),
        )
        for n, box in enumerate(boxes)
    ]
    build(tracks, CropSettings(), folder / "crops")
    sampler = PairSampler(
        CropCache(folder / "crops"), PairSettings(dataset="x", template=STILL, search=STILL)
    )
    rows = [sampler.rows(uniform(seed)) for seed in range(20)]
    assert {template == search for template, search in rows} == {True}
    assert {template for template, _ in rows} == {0, 1}


def test_reach_counts_a_tracks_own_frame_numbers(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("numbers")
    files = []
    for number in range(4):
        files.append(folder / f"{number}.png")
        cv2.imwrite(str(files[-1]), np.full((60, 80, 3), 40 * number, np.uint8))
    numbers = np.array([5, 6, 30, 31])
    track = Track(
        "v/0/0", tuple(files), np.array([[10.0, 10, 20, 20]] * 4), np.ones(4, bool), numbers=numbers
    )
    build([track], CropSettings(), folder / "crops")
    cache = CropCache(folder / "crops")
    assert cache.frames.tolist() == [5, 6, 30, 31]
    sampler = PairSampler(cache, PairSettings(dataset="x", frame_range=20))
    drawn = {sampler.rows(uniform(seed)) for seed in range(200)}
    assert drawn == {(0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (2, 3), (3, 2), (3, 3)}


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
    found = [sampler.parts(index) for index in range(400)]
    rows = [(parts.template // 3, parts.search // 3) for parts in found]
    same = [sampler.sequence(a) == sampler.sequence(b) for a, b in rows]
    assert same == [parts.present for parts in found]
    assert 0.18 < 1 - np.mean(same) < 0.32
    frames = cache.frames
    assert all(
        abs(int(frames[a]) - int(frames[b])) <= 2
        for (a, b), own in zip(rows, same, strict=True)
        if own
    )
    assert len({(parts.template, parts.search) for parts in found}) > 250  # few come twice
    assert found[7] == PairSampler(cache, VIEWED).parts(7)
    assert found != [
        PairSampler(cache, VIEWED.model_copy(update={"seed": 1})).parts(index)
        for index in range(400)
    ]


def test_a_view_is_the_same_in_every_pair(cache: CropCache) -> None:
    sampler = PairSampler(cache, VIEWED)
    for index in range(12):
        pair, parts = sampler.pair(index), sampler.parts(index)
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


def test_pairs_drawn_anew_have_negatives_too(cache: CropCache) -> None:
    sampler = PairSampler(cache, PairSettings(dataset="x", negatives=0.5))
    boxes = [sampler.pair(index).box for index in range(60)]
    absent = [not box[2:].any() for box in boxes]
    assert 15 < sum(absent) < 45
    plain = PairSampler(cache, PairSettings(dataset="x"))
    present = absent.index(False)
    assert np.array_equal(sampler.pair(present).search, plain.pair(present).search)


def test_one_sequence_has_no_negatives(marked: CropCache) -> None:
    sampler = PairSampler(marked, PairSettings(dataset="x", negatives=0.99))
    with pytest.raises(UserError, match="one sequence alone"):
        sampler.batch(range(20))
