"""The crop cache: content, resumption after a kill, refusal of other settings, a full disk."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import cv2
import numpy as np
import pytest

from siamla.data import crops
from siamla.data.crop import crop, mean_colour
from siamla.data.crops import CropCache, build, plan_shards, write_shard
from siamla.data.settings import CropSettings
from siamla.errors import UserError
from siamla.files import sha256
from siamla.sequence import Sequence
from siamla.settings import validate

SETTINGS = CropSettings(size=255, quality=90)


def make_videos(folder: Path, count: int = 3, frames: int = 8) -> list[Sequence]:
    """Noise videos with a box that moves; frame 2 of each is absent and frame 4 of the first has no
    known box.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    videos = []
    for number in range(count):
        files = []
        for frame in range(frames):
            files.append(folder / f"{number}-{frame}.jpg")
            noise = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
            cv2.imwrite(
                str(files[-1]), cv2.resize(noise, (160, 120), interpolation=cv2.INTER_CUBIC)
            )
        boxes = np.array(
            [[20.5 + 6 * frame, 40 + 2 * number, 30, 24] for frame in range(frames)], float
        )
        visible = np.ones(frames, bool)
        visible[2] = False
        if number == 0:
            boxes[4] = np.nan
        videos.append(Sequence(f"video{number}", tuple(files), boxes, visible))
    return videos


def content(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted(folder.iterdir())}


def test_rows_hold_the_crops_of_the_one_crop_function(tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "images")
    build(videos, SETTINGS, tmp_path / "crops", shard_crops=4)
    cache = CropCache(tmp_path / "crops")
    assert len(cache) == 6 + 7 + 7
    assert cache.sequences == {
        "video0": range(0, 6),
        "video1": range(6, 13),
        "video2": range(13, 20),
    }
    assert cache.frames[:6].tolist() == [0, 1, 3, 5, 6, 7]
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


def test_the_same_bytes_whatever_the_jobs_and_nothing_to_do_twice(tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "images")
    build(videos, SETTINGS, tmp_path / "one", shard_crops=4)
    build(videos, SETTINGS, tmp_path / "two", jobs=2, shard_crops=4)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "one").glob("[!.]*")}
    build(videos, SETTINGS, tmp_path / "one", shard_crops=4)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "one").glob("[!.]*")}


def test_max_frames_keeps_evenly_spaced_frames(tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "images", count=1, frames=8)
    (shard,) = plan_shards(videos, CropSettings(max_frames=3), 100)
    assert shard.origin[:, 1].tolist() == [0, 3, 7]  # of 0 1 3 5 6 7: positions 0, 2.5 → 2, 5


BUILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_crops as here
if __name__ == "__main__":
    videos = here.make_videos(Path(sys.argv[2]), 3, 60)
    here.build(videos, here.CropSettings(), Path(sys.argv[3]), 2, shard_crops=16)
"""


def test_killed_and_started_again_gives_the_same_bytes(tmp_path: Path) -> None:
    script = tmp_path / "build.py"
    script.write_text(BUILD)
    images, folder = tmp_path / "images", tmp_path / "crops"
    build(make_videos(images, 3, 60), CropSettings(), tmp_path / "undisturbed", shard_crops=16)
    command = [sys.executable, str(script), str(Path(__file__).parent), str(images), str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(folder.glob("*.part.npz"))) < 2:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "manifest.json").exists(), "the build was over before it was killed"
    with pytest.raises(UserError, match="not a finished crop cache"):
        CropCache(folder)
    time.sleep(0.3)  # the workers notice that their parent is gone
    finished = [
        path.with_name(path.name.replace(".part.npz", ".bin")) for path in folder.glob("*.part.npz")
    ]
    kept = {path: path.stat().st_ino for path in finished}
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert content(folder) == content(tmp_path / "undisturbed")
    assert kept
    assert {path: path.stat().st_ino for path in kept} == kept


class FullDisk:
    """A file that has room for some bytes."""

    def __init__(self, handle: IO[bytes], room: int) -> None:
        self.handle, self.room = handle, room

    def __enter__(self) -> "FullDisk":
        return self

    def __exit__(self, *_: object) -> None:
        self.handle.close()

    def tell(self) -> int:
        return self.handle.tell()

    def write(self, data: bytes) -> int:
        if self.handle.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.handle.write(data)


def test_a_full_disk_is_one_clear_line_and_the_build_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = make_videos(tmp_path / "images")
    build(videos, SETTINGS, tmp_path / "undisturbed", shard_crops=4)
    opened = Path.open

    def full(path: Path, mode: str = "r", *rest: object, **more: object) -> object:
        handle = opened(path, mode, *rest, **more)  # type: ignore[call-overload]
        return (
            FullDisk(handle, 60_000) if "shard-00002.bin" in path.name and "w" in mode else handle
        )

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(UserError, match="disk is full") as caught:
            build(videos, SETTINGS, tmp_path / "crops", shard_crops=4)
    assert "\n" not in str(caught.value)
    names = set(content(tmp_path / "crops"))
    assert "shard-00002.bin" not in names
    assert not [name for name in names if name.endswith(".tmp")]
    build(videos, SETTINGS, tmp_path / "crops", shard_crops=4)
    assert content(tmp_path / "crops") == content(tmp_path / "undisturbed")


def test_bad_input(tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "images", count=1)
    short = Sequence("short", videos[0].frames, videos[0].boxes[:-1], videos[0].visible[:-1])
    with pytest.raises(UserError, match="short: 7 boxes for 8 frames"):
        build([short], SETTINGS, tmp_path / "a")
    hidden = Sequence("hidden", videos[0].frames, videos[0].boxes, np.zeros(8, bool))
    with pytest.raises(UserError, match="no frame with a visible target"):
        build([hidden], SETTINGS, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    videos[0].frames[1].write_bytes(b"")
    with pytest.raises(UserError, match=r"0-1\.jpg: not a readable image"):
        build(videos, SETTINGS, tmp_path / "b")
    assert not (tmp_path / "b" / "manifest.json").exists()


def test_a_damaged_cache_is_refused(tmp_path: Path) -> None:
    build(make_videos(tmp_path / "images"), SETTINGS, tmp_path / "crops", shard_crops=100)
    shard = tmp_path / "crops" / "shard-00000.bin"
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "crops", copy)
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"shard-00000\.bin: \d+ bytes, expected"):
        CropCache(tmp_path / "crops")
    (copy / "shard-00000.bin").unlink()
    with pytest.raises(UserError, match="no bytes, expected"):
        CropCache(copy)
    with pytest.raises(UserError, match="not a finished crop cache"):
        CropCache(tmp_path / "nowhere")


def many(count: int) -> Sequence:
    return Sequence(
        "many", (Path("x"),) * count, np.tile([1.0, 1, 9, 9], (count, 1)), np.ones(count, bool)
    )


@pytest.mark.parametrize(("count", "shards"), [(60, 1), (1000, 16), (20_000, 64), (300_000, 147)])
def test_shards_are_many_and_neither_tiny_nor_huge(count: int, shards: int) -> None:
    planned = plan_shards([many(count)], CropSettings())
    assert len(planned) == shards
    assert sum(len(shard.files) for shard in planned) == count


@pytest.mark.parametrize("form", ["jpeg", "raw"])
def test_a_window_is_a_part_of_its_crop_in_both_forms(form: str, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"form": form})
    build(make_videos(tmp_path / "images", count=1), settings, tmp_path / "crops")
    cache, rng = CropCache(tmp_path / "crops"), np.random.default_rng(0)
    for row in range(len(cache)):
        whole, box = cache[row]
        (left, right), (top, bottom) = (
            sorted(rng.choice(256, 2, replace=False).tolist()) for _ in range(2)
        )
        window, moved = cache.read(row, (left, top, right, bottom))
        assert np.array_equal(window, whole[top:bottom, left:right])
        assert moved == pytest.approx([*(box[:2] - (left, top)), *box[2:]])


def test_raw_pixels_are_those_before_the_coding(tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "images", count=1)
    for form in ("raw", "jpeg"):
        build(videos, CropSettings(size=255, quality=100, form=form), tmp_path / form)
    raw, coded = (CropCache(tmp_path / form) for form in ("raw", "jpeg"))
    for row in range(len(raw)):
        assert np.array_equal(raw[row][1], coded[row][1])
        assert np.abs(raw[row][0].astype(int) - coded[row][0]).mean() < 3


def test_more_shards_than_a_process_may_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(make_videos(tmp_path / "images"), SETTINGS, tmp_path / "crops", shard_crops=2)
    monkeypatch.setattr(crops, "OPEN", 3)
    cache, fresh = CropCache(tmp_path / "crops"), CropCache(tmp_path / "crops")
    before = len(os.listdir("/proc/self/fd"))
    first = [cache[row][0] for row in range(len(cache))]
    assert len(os.listdir("/proc/self/fd")) <= before + 3
    assert all(np.array_equal(fresh[row][0], first[row]) for row in reversed(range(len(cache))))


def test_damage_inside_a_crop_is_told_with_its_number(tmp_path: Path) -> None:
    build(make_videos(tmp_path / "images", count=1), SETTINGS, tmp_path / "crops")
    shard = tmp_path / "crops" / "shard-00000.bin"
    data = bytearray(shard.read_bytes())
    data[:40] = bytes(40)  # where the first crop's intervals end
    third = data.index(b"\xff\xd8", data.index(b"\xff\xd9", data.index(b"\xff\xd9") + 2))
    data[third + 3000 : third + 3400] = b"\xff\xd5" * 200
    shard.write_bytes(data)
    cache = CropCache(tmp_path / "crops")
    for row in (0, 2):
        with pytest.raises(
            UserError, match=rf"crop {row} cannot be decoded; delete the folder"
        ) as caught:
            cache[row]
        assert "\n" not in str(caught.value)
    assert cache[1][0].shape == (255, 255, 3)
    shard.unlink()
    with pytest.raises(UserError, match=r"crop 1 cannot be read \(No such file"):
        CropCache.read(_reopened(cache), 1, (0, 0, 9, 9))


def _reopened(cache: CropCache) -> CropCache:
    """The same cache with no file open, as a worker has it whose disk went away."""
    cache._shards.clear()
    return cache


def test_an_even_size_is_refused() -> None:
    with pytest.raises(
        UserError, match="432 pixels have no middle one, as the views have; expected 431 or 433"
    ):
        validate(CropSettings, {"size": 432}, "x")


def _killed(shard: crops.Shard, **settings: object) -> dict[str, str]:
    """What the kernel does to a worker when memory is short, in the second shard."""
    if shard.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return write_shard(shard, **settings)  # type: ignore[arg-type]


def test_a_worker_killed_for_memory_is_one_line_and_the_build_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = make_videos(tmp_path / "images")
    build(videos, SETTINGS, tmp_path / "undisturbed", shard_crops=4)
    with monkeypatch.context() as patch:
        patch.setattr(crops, "write_shard", _killed)
        with pytest.raises(
            UserError, match=r"a worker process died .* run the same command again"
        ) as caught:
            build(videos, SETTINGS, tmp_path / "crops", jobs=2, shard_crops=4)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "crops" / "manifest.json").exists()
    build(videos, SETTINGS, tmp_path / "crops", shard_crops=4)
    assert content(tmp_path / "crops") == content(tmp_path / "undisturbed")
