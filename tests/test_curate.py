"""Curation: what is accepted, what is rejected and why, the index, interrupted checks."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from siamla.cli.main import main
from siamla.data import curate as module
from siamla.data.curate import curate, load_curated, warnings
from siamla.data.images import complete, decode
from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.files import sha256
from siamla.steps.curate import incomplete

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


def make_set(root: Path, count: int = 3, frames: int = 5) -> Path:
    """A tiny GOT-10k folder; the target of each sequence is absent in its frame 4 (index 3)."""
    rng = np.random.default_rng(0)
    for number in range(count):
        folder = root / f"video_{number}"
        folder.mkdir(parents=True)
        for frame in range(frames):
            noise = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / f"{frame + 1:08d}.jpg"), noise)
        lines = [f"{10 + frame}.0,{8 + number}.0,20.0,16.0\n" for frame in range(frames)]
        (folder / "groundtruth.txt").write_text("".join(lines))
        cover = ["0\n" if frame == 3 else "8\n" for frame in range(frames)]
        (folder / "cover.label").write_text("".join(cover))
    (root / "list.txt").write_text("".join(f"video_{number}\n" for number in range(count)))
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A sound set."""
    return make_set(tmp_path / "set")


def set_box(root: Path, video: int, frame: int, text: str) -> None:
    path = root / f"video_{video}" / "groundtruth.txt"
    lines = path.read_text().splitlines()
    lines[frame] = text
    path.write_text("\n".join(lines) + "\n")


def run(root: Path, out: Path, **more: object) -> dict:
    return curate(root, "got10k", "tiny", out, **more)  # type: ignore[arg-type]


def test_a_sound_set_gives_its_sequences_back(root: Path, tmp_path: Path) -> None:
    """Boxes of absent frames are not judged."""
    set_box(root, 0, 1, "-5.0,8.0,20.0,16.0")
    set_box(root, 1, 3, "0,0,0,0")
    set_box(root, 2, 3, "nan,nan,nan,nan")
    report = run(root, tmp_path / "out")
    counts = {"sequences": 3, "frames": 15, "absent": 3, "boxes_known": 12, "partly_outside": 1}
    assert report == {**report, **counts, "image_sizes": {"64x48": 3}}
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    assert run(root, tmp_path / "few", frames_limit=2)["frames"] == 6
    assert [len(video.boxes) for video in load_curated(tmp_path / "few")] == [2, 2, 2]
    for image in root.rglob("*.jpg"):
        image.unlink()
    videos = load_curated(tmp_path / "out")
    assert [video.name for video in videos] == ["video_0", "video_1", "video_2"]
    assert videos[1].frames[4] == root / "video_1" / "00000005.jpg"
    assert videos[1].boxes[2].tolist() == [12, 9, 20, 16]
    assert videos[1].visible.tolist() == [True, True, True, False, True]
    assert videos[1].polygons is None


def test_one_box_alone_in_a_single_sequence(root: Path, tmp_path: Path) -> None:
    (root / "video_1/groundtruth.txt").write_text("10,8,20,16\n")
    (root / "video_1/cover.label").unlink()
    with pytest.raises(UserError, match="video_1: a box in the first frame only"):
        run(root, tmp_path / "out")
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"checked.jsonl", "rejected.csv"}


def test_complete_images() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    for kind in (".jpg", ".png"):
        data = cv2.imencode(kind, image)[1].tobytes()
        assert complete(data)
        assert complete(data + b"appended by a camera" * 200 + bytes(8))
        assert not any(complete(data[:length]) for length in range(100, len(data) - 4, 50))


def test_damage_in_an_image_is_a_warning(root: Path, tmp_path: Path, capfd: Capture) -> None:
    path = root / "video_1" / "00000004.jpg"
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(data[:middle] + bytes(200) + data[middle + 200 :])
    assert decode(path.read_bytes())[1]
    assert not decode(data)[1]
    report = run(root, tmp_path / "out")
    assert report["damaged_images"] == {"count": 1, "first": ["video_1/00000004.jpg"]}
    line = "tiny: 1 images are damaged inside, first video_1/00000004.jpg"
    assert line in "\n".join(warnings(report))
    assert "Corrupt JPEG" not in capfd.readouterr().err
    assert run(root, tmp_path / "out") == report  # remembered


PROFILE = """
caption: Noise.
train:
  tiny: {layout: got10k, root: set, frames: 4}
  got10k_train: {layout: got10k, root: set}
  coco: {layout: coco, root: set}
  youtubebb: {layout: youtubebb, root: set}
benchmarks: {otb100: {layout: otb, root: street}, street: {layout: otb, root: street}}
seeds: [1]
variants: [siamcar]
tables: [3]
spec: {pairs: {dataset: tiny}}
"""


@pytest.mark.usefixtures("params")
def test_a_part_of_a_published_set_is_a_warning() -> None:
    Path("params/profiles/own.yaml").write_text(PROFILE)
    plan = Plan.load("own")

    def told(name: str, **counts: int) -> str:
        return "".join(incomplete(plan, name, counts))

    assert told("got10k_train", parts=1).startswith("got10k_train: 1 of 9,335 sequences: not comp")
    assert told("otb100", parts=101).startswith("otb100: 101 of 100 sequences: not comparable")
    assert told("coco", records=9, parts=1).startswith("coco: 9 of 860,001 annotations: not")
    assert not told("coco", records=860_000)  # some are damaged
    assert not told("coco", parts=1)
    assert not told("otb100", parts=100)
    for own in ("tiny", "street", "youtubebb"):  # nobody has all of YouTube-BB
        assert not told(own, parts=1)


def test_rejected_sequences_are_left_out_when_allowed(root: Path, tmp_path: Path) -> None:
    """Where that is not allowed any more, the report of before goes, too."""
    out = tmp_path / "out"
    set_box(root, 1, 1, "10,8,0,16")
    report = run(root, out, allow_rejected=True)
    assert report["rejected"] == 1
    assert [video.name for video in load_curated(out)] == ["video_0", "video_2"]
    with (out / "rejected.csv").open() as handle:
        (row,) = csv.DictReader(handle)
    assert row["name"] == "video_1"
    assert "not positive" in row["reason"]
    with pytest.raises(UserError, match="1 of 3 sequences rejected"):
        run(root, out)
    with pytest.raises(UserError, match="not a curated data set"):
        load_curated(out)


def test_truth_in_the_first_frame_only(root: Path, tmp_path: Path) -> None:
    for number in range(3):
        (root / f"video_{number}" / "groundtruth.txt").write_text("10,8,20,16\n")
        (root / f"video_{number}" / "cover.label").unlink()
    with (root / "video_1" / "groundtruth.txt").open("a") as handle:
        handle.write("nan,nan,nan,nan\n" * 4)  # as others fill it
    report = run(root, tmp_path / "out")
    assert report["first_frame_only"] == 3
    video = load_curated(tmp_path / "out")[0]
    assert video.boxes[0].tolist() == [10, 8, 20, 16]
    assert np.isnan(video.boxes[1:]).all()
    assert len(video.boxes) == len(video.visible) == 5


def test_only_what_changed_is_decoded_again(root: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    """After a kill, too, whose last line is cut."""
    out = tmp_path / "out"
    opened: list[str] = []
    original = module.check_images

    def check(frames: tuple[Path, ...]) -> dict:
        opened.append(frames[0].parent.name)
        if opened == ["video_0", "video_1", "video_2"]:
            raise KeyboardInterrupt
        return original(frames)

    monkeypatch.setattr(module, "check_images", check)
    with pytest.raises(KeyboardInterrupt):
        run(root, out)
    assert [path.name for path in out.iterdir()] == ["checked.jsonl"]
    with (out / "checked.jsonl").open("a") as handle:
        handle.write('\n{"key": "cut li')
    opened.clear()
    first = run(root, out)
    assert opened == ["video_2"]
    assert run(root, out) == first == run(root, tmp_path / "undisturbed", jobs=2)
    assert opened == ["video_2"]
    index = sha256(out / "index.parquet")
    assert index == sha256(tmp_path / "undisturbed" / "index.parquet")
    cv2.imwrite(str(root / "video_1" / "00000002.jpg"), np.zeros((48, 64, 3), np.uint8))
    assert run(root, out)["digest"] != first["digest"]
    assert opened == ["video_2", "video_1"]
    assert sha256(out / "index.parquet") != index


def test_the_commands_from_a_folder_to_crops(params: Path, capsys: Capture) -> None:
    root = make_set(params.parent / "set")
    (params / "profiles/own.yaml").write_text(PROFILE)

    def siamla(words: str) -> str:
        assert main([*words.split(), "--profile", "own"]) == 0
        return capsys.readouterr().out

    siamla("data fetch tiny")
    said = siamla("data curate tiny")
    assert "tiny: 3 sequences, 12 frames, 3 without the target, 0 sequences rejected" in said
    assert "9 crops of 3 sequences" in siamla("data crops siamcar")
    (manifest,) = Path().glob("data/crops/own/tiny/*/manifest.json")
    before = manifest.read_text()
    siamla("data crops siamcar")
    cv2.imwrite(str(root / "video_1" / "00000002.jpg"), np.zeros((48, 64, 3), np.uint8))
    for words in ("data fetch tiny", "data curate tiny", "data crops siamcar"):
        siamla(words)
    assert manifest.read_text() != before  # same boxes, other pixels
