"""The crop cache: content, resumption after a kill, refusal of other settings, a full disk."""

import errno
import os
import signal
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from siamla.data import crops
from siamla.data.crop import crop, mean_colour
from siamla.data.crops import CropCache, build, plan_shards, usable_frames, write_shard
from siamla.data.settings import CropSettings
from siamla.errors import UserError
from siamla.files import sha256
from siamla.sequence import Sequence
from siamla.settings import validate

SETTINGS = CropSettings(size=255, quality=90)
Videos = list[Sequence]
Patch = pytest.MonkeyPatch


def make_videos(folder: Path, count: int = 3, frames: int = 8) -> list[Sequence]:
    """Noise videos with a box that moves; frame 2 of each is absent and frame 4 of the first has no
    known box.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    videos = []
    for number in range(count):
        files = [folder / f"{number}-{frame}.jpg" for frame in range(frames)]
        for file in files:
            noise = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
            cv2.imwrite(str(file), cv2.resize(noise, (160, 120), interpolation=cv2.INTER_CUBIC))
        rows = [[20.5 + 6 * frame, 40 + 2 * number, 30, 24] for frame in range(frames)]
        boxes = np.array(rows, float)
        if number == 0:
            boxes[4] = np.nan
        videos.append(Sequence(f"video{number}", tuple(files), boxes, np.arange(frames) != 2))
    return videos


@pytest.fixture
def videos(tmp_path: Path) -> list[Sequence]:
    return make_videos(tmp_path / "images")


def content(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted(folder.iterdir())}


def test_rows_hold_the_crops_of_the_one_crop_function(videos: Videos, tmp_path: Path) -> None:
    build(videos, SETTINGS, tmp_path / "crops", shard_crops=4)
    cache = CropCache(tmp_path / "crops")
    assert len(cache) == 6 + 7 + 7
    spans = {"video0": range(0, 6), "video1": range(6, 13), "video2": range(13, 20)}
    assert cache.sequences == spans
    assert cache.frames[:6].tolist() == [0, 1, 3, 5, 6, 7]
    assert usable_frames(videos[0], 3).tolist() == [0, 3, 7]  # positions 0, 2.5 → 2, 5
    assert len(cache.manifest["shards"]) == 5
    image, box = cache[8]  # video1, frame 3
    side = np.sqrt((30 + 27) * (24 + 27)) * 255 / 127
    source = cv2.imread(str(videos[1].frames[3]))
    middle = box[:2] + box[2:] / 2  # the target's, up to half a crop pixel beside the crop's
    assert middle == pytest.approx([127.5, 127.5], abs=0.5)
    has = np.array([20.5 + 18 + 15, 42 + 12]) - (middle - 127.5) * side / 255
    expected = crop(source, has, side, 255, mean_colour(source))
    assert np.abs(image.astype(int) - expected).mean() < 4
    assert box[2:] == pytest.approx([30 * 255 / side, 24 * 255 / side])


def test_the_same_bytes_whatever_the_jobs(videos: Videos, tmp_path: Path) -> None:
    one = tmp_path / "one"
    build(videos, SETTINGS, one, shard_crops=4)
    build(videos, SETTINGS, tmp_path / "two", jobs=2, shard_crops=4)
    assert content(one) == content(tmp_path / "two")
    before = {path: path.stat().st_mtime_ns for path in one.glob("[!.]*")}
    build(videos, SETTINGS, one, shard_crops=4)
    assert before == {path: path.stat().st_mtime_ns for path in one.glob("[!.]*")}


def _killed(shard: crops.Shard, **settings: object) -> dict[str, str]:
    """What the kernel does to a worker when memory is short, in the third shard."""
    if shard.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return write_shard(shard, **settings)  # type: ignore[arg-type]


def _no_room(path: Path, target: Path) -> None:
    """What a full disk does to the third shard."""
    if target.name == "shard-00002.bin":
        raise OSError(errno.ENOSPC, "No space left on device")
    os.replace(path, target)


@pytest.mark.parametrize(
    ("jobs", "instead", "message"),
    [
        (1, (Path, "replace", _no_room), "disk is full"),
        (2, (crops, "write_shard", _killed), "a worker process died .* run the same command again"),
    ],
)
def test_a_stopped_build_says_why_and_goes_on(
    videos: Videos, tmp_path: Path, monkeypatch: Patch, jobs: int, instead: tuple, message: str
) -> None:
    build(videos, SETTINGS, tmp_path / "undisturbed", shard_crops=4)
    folder = tmp_path / "crops"
    with monkeypatch.context() as patch:
        patch.setattr(*instead)
        with pytest.raises(UserError, match=message) as caught:
            build(videos, SETTINGS, folder, jobs, shard_crops=4)
    assert "\n" not in str(caught.value)
    assert not (folder / "shard-00002.bin").exists()
    assert not (folder / "manifest.json").exists()
    with pytest.raises(UserError, match="not a finished crop cache"):
        CropCache(folder)
    finished = [folder / part.name.replace(".part.npz", ".bin") for part in folder.glob("*.npz")]
    before = [path.stat().st_ino for path in finished]
    build(videos, SETTINGS, folder, shard_crops=4)
    assert content(folder) == content(tmp_path / "undisturbed")
    assert [path.stat().st_ino for path in finished] == before


def test_bad_input(videos: Videos, tmp_path: Path) -> None:
    hidden = replace(videos[0], visible=np.zeros(8, bool))
    with pytest.raises(UserError, match="no frame with a visible target"):
        build([hidden], SETTINGS, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    with pytest.raises(UserError, match=r"432 pixels have no middle one.* expected 431 or 433"):
        validate(CropSettings, {"size": 432}, "x")


@pytest.mark.parametrize(("count", "shards"), [(60, 1), (1000, 16), (20_000, 64), (300_000, 147)])
def test_shards_are_many_and_neither_tiny_nor_huge(count: int, shards: int) -> None:
    boxes = np.tile([1.0, 1, 9, 9], (count, 1))
    many = Sequence("many", (Path("x"),) * count, boxes, np.ones(count, bool))
    planned = plan_shards([many], CropSettings())
    assert len(planned) == shards
    assert sum(len(shard.files) for shard in planned) == count


def test_a_window_is_a_part_of_its_crop(videos: Videos, tmp_path: Path) -> None:
    """Raw pixels are those before the coding."""
    caches = []
    for form in ("raw", "jpeg"):
        build(videos[:1], CropSettings(size=255, quality=100, form=form), tmp_path / form)
        caches.append(CropCache(tmp_path / form))
    rng = np.random.default_rng(0)
    for row in range(len(caches[0])):
        (raw, box), (coded, same) = (cache[row] for cache in caches)
        assert np.array_equal(box, same)
        assert np.abs(raw.astype(int) - coded).mean() < 3
        left, right = sorted(rng.choice(256, 2, replace=False).tolist())
        top, bottom = sorted(rng.choice(256, 2, replace=False).tolist())
        for cache, whole in zip(caches, (raw, coded), strict=True):
            window, moved = cache.read(row, (left, top, right, bottom))
            assert np.array_equal(window, whole[top:bottom, left:right])
            assert moved == pytest.approx([*(box[:2] - (left, top)), *box[2:]])


def test_more_shards_than_a_process_may_open(
    videos: Videos, tmp_path: Path, monkeypatch: Patch
) -> None:
    build(videos, SETTINGS, tmp_path / "crops", shard_crops=2)
    monkeypatch.setattr(crops, "OPEN", 3)
    cache, fresh = CropCache(tmp_path / "crops"), CropCache(tmp_path / "crops")
    before = len(os.listdir("/proc/self/fd"))
    first = [cache[row][0] for row in range(len(cache))]
    assert len(os.listdir("/proc/self/fd")) <= before + 3
    assert all(np.array_equal(fresh[row][0], first[row]) for row in reversed(range(len(cache))))


def test_damage_inside_a_crop_is_told_with_its_number(videos: Videos, tmp_path: Path) -> None:
    build(videos[:1], SETTINGS, tmp_path / "crops")
    shard = tmp_path / "crops" / "shard-00000.bin"
    data = bytearray(shard.read_bytes())[:-100]
    data[:40] = bytes(40)  # where the first crop's intervals end
    third = data.index(b"\xff\xd8", data.index(b"\xff\xd9", data.index(b"\xff\xd9") + 2))
    data[third + 3000 : third + 3400] = b"\xff\xd5" * 200
    shard.write_bytes(data)
    cache = CropCache(tmp_path / "crops")
    for row in (0, 2, len(cache) - 1):
        message = rf"crop {row} cannot be decoded; delete the folder"
        with pytest.raises(UserError, match=message) as caught:
            cache[row]
        assert "\n" not in str(caught.value)
    assert cache[1][0].shape == (255, 255, 3)
    shard.unlink()
    with pytest.raises(UserError, match=r"crop 1 cannot be read \(No such file"):
        CropCache(tmp_path / "crops")[1]
