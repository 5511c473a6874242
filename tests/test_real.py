"""Real clips: videos that packages ship, cut into the plain layout with boxes of our own."""

import csv
import gzip
import hashlib
import io
import lzma
import tarfile
import zipfile
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
import yaml

from siamla.data.formats import LAYOUTS
from siamla.data.real import clips, packages
from siamla.data.real.clips import HERE, clips_of, extract, load_clip, load_videos
from siamla.errors import UserError
from siamla.geometry import iou

PACKAGES = Path(__file__).parents[1] / "data/packages"
FRAMES, SIZE = 12, (64, 48)
FILM, STILLS = "toy/data/film.avi.gz", "usr/share/toy/%02d.pgm"
KEYS = "# ball: a white square.\n2 4 8 12 12\n5 10 8 12 12\n6 absent\n8 16 8 12 12\n10 20 8 12 12\n"


def images() -> list[np.ndarray]:
    """A white square that moves by two pixels a frame, and stands at x = 2·frame."""
    drawn = []
    for frame in range(FRAMES):
        image = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
        image[8:20, 2 * frame : 2 * frame + 12] = 255
        drawn.append(image)
    return drawn


def tarred(members: dict[str, bytes]) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as target:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            target.addfile(entry, io.BytesIO(data))
    return memory.getvalue()


def debian(data: bytes, name: str = "data.tar.xz") -> bytes:
    """An ar archive as Debian's packages are, its parts of odd and even length."""
    packed = b"!<arch>\n"
    for part, content in (("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), (name, data)):
        header = f"{part:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n"
        packed += header.encode() + content + b"\n" * (len(content) % 2)
    return packed


def entry(split: str, archive: str, member: str, data: list[bytes]) -> dict[str, object]:
    return {
        "split": split,
        "archive": archive,
        "get": f"bring {archive}",
        "member": member,
        "sha256": hashlib.sha256(b"".join(data)).hexdigest(),
        "frames": FRAMES,
        "size": list(SIZE),
        "licence": "CC0",
    }


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with packages/, of a video in a wheel and of images in a .deb, and source/, with
    videos.yaml and the clips of both.
    """
    drawn, film = images(), tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 25, SIZE)
    for image in drawn:
        writer.write(image)
    writer.release()
    stills = [cv2.imencode(".pgm", image[..., 0])[1].tobytes() for image in drawn]
    (tmp_path / "packages").mkdir()
    with zipfile.ZipFile(tmp_path / "packages/toy-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toy/__init__.py", "")
        wheel.writestr(FILM, gzip.compress(film.read_bytes()))
    members = {f"./{STILLS % number}": data for number, data in reversed([*enumerate(stills)])}
    package = debian(lzma.compress(tarred({"./usr/share/other": b"", **members})))
    (tmp_path / "packages/toy-doc_1_all.deb").write_bytes(package)
    (tmp_path / "source/clips").mkdir(parents=True)
    for clip in ("film-ball", "film-late", "stills-ball"):
        (tmp_path / f"source/clips/{clip}.txt").write_text(KEYS)
    (tmp_path / "source/clips/film-late.txt").write_text("9 18 8 12 12\n11 22 8 12 12\n")
    videos = {
        "film": entry("test", "toy-*.whl", FILM, [film.read_bytes()]),
        "stills": entry("test", "toy-doc_*.deb", STILLS, stills),
        "unused": entry("validation", "toy-*.whl", FILM, []),
    }
    (tmp_path / "source/videos.yaml").write_text(yaml.safe_dump(videos))
    monkeypatch.setattr(clips, "HERE", tmp_path / "source")
    return tmp_path


def cut(world: Path) -> list[str]:
    return extract("test", world / "out", world / "packages")


def test_clips_of_a_wheel_and_of_a_debian_package(world: Path) -> None:
    assert not cut(world)
    layout = LAYOUTS["plain"]
    assert layout.names(world / "out") == ["film-ball", "film-late", "stills-ball"]
    for name in ("film-ball", "stills-ball"):
        sequence = layout.read(world / "out", name)
        assert len(sequence.frames) == len(sequence.boxes) == 9
        assert np.flatnonzero(~sequence.visible).tolist() == [4, 5]
        for file, box in zip(sequence.frames, sequence.boxes, strict=True):
            image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
            assert image is not None
            left = int(np.flatnonzero((image > 150).sum(0) > 6)[0])
            assert box[2] == 0 or abs(box[0] - left) <= 1  # the box is of this frame
    said = (world / "out/real.json").read_text()
    assert "CC0" in said
    assert "unused" not in said


def test_a_source_archive_and_an_unpacked_package(world: Path) -> None:
    names = ["toy/one", "toy/two"]
    data = gzip.compress(tarred({"toy-1.0/toy/one": b"1", "toy-1.0/toy/two": b"22"}))
    (world / "toy-1.0.tar.gz").write_bytes(data)
    expected = {"toy/one": b"1", "toy/two": b"22"}
    assert packages.read(world, "toy-*.tar.gz", names) == expected
    assert packages.read(world, "none-*.tar.gz", names) is None
    (world / "toy").mkdir()
    for name, content in expected.items():
        (world / name).write_bytes(content)
    assert packages.read(world, "none-*.tar.gz", names) == expected


def test_what_is_missing_is_left_out_and_said(world: Path) -> None:
    deb = world / "packages/toy-doc_1_all.deb"
    deb.unlink()
    (line,) = cut(world)
    assert line == (
        f"left out stills: no toy-doc_*.deb; `bring toy-doc_*.deb` in {world}/packages brings it"
    )
    assert LAYOUTS["plain"].names(world / "out") == ["film-ball", "film-late"]
    with pytest.raises(UserError, match="out: is there already; delete it or name another folder"):
        cut(world)
    with pytest.raises(UserError, match=r"left out film: no toy-\*.whl; .*; left out stills: no"):
        extract("test", world / "new", world / "nothing")
    assert not (world / "new").exists()


def test_a_full_disk_leaves_no_frame_out_in_silence(world: Path, small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        extract("test", small_disk / "out", world / "packages")
    assert not [*small_disk.iterdir()]


def spoil_video(world: Path, **values: object) -> None:
    path = world / "source/videos.yaml"
    videos = yaml.safe_load(path.read_text())
    videos["film"] |= values
    path.write_text(yaml.safe_dump(videos))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sha256": "0" * 64}, "another video of this name than the annotated one; bring toy"),
        ({"frames": 13}, "film.avi.gz: OpenCV decodes 12 frames, expected 13"),
        ({"size": [48, 64]}, "film.avi.gz: frame 0 is 64×48, expected 48×64"),
        ({"member": "toy/data/film.mp4"}, "holds no toy/data/film.mp4, or a part; another"),
    ],
)
def test_another_video_is_refused(world: Path, values: dict[str, object], said: str) -> None:
    spoil_video(world, **values)
    with pytest.raises(UserError, match=said):
        cut(world)
    assert not (world / "out").exists()
    assert not list(world.glob(".*"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"no package", "cannot read it as a package"),
        (debian(lzma.compress(tarred({"./x": bytes(9999)}))[:-60]), "cannot read it as a package"),
        (debian(lzma.compress(tarred({"./x": b""}))), "holds no usr/share/toy/00.pgm"),
    ],
)
def test_a_damaged_package_is_named(world: Path, data: bytes, said: str) -> None:
    (world / "packages/toy-doc_1_all.deb").write_bytes(data)
    with pytest.raises(UserError, match=f"toy-doc_1_all.deb: .*{said}"):
        cut(world)
    assert not (world / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no boxes"),
        ("0 1 2 3\n", "line 1: found '0 1 2 3', expected a later frame with x, y, w, h"),
        ("# x\n5 1 2 3 4\n5 1 2 3 4\n", "line 3: found '5 1 2 3 4', expected a later frame"),
        ("x absent\n", "line 1"),
    ],
)
def test_rows_that_are_none(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "clip.txt").write_text(text)
    with pytest.raises(UserError, match=said):
        load_clip(tmp_path / "clip.txt")


def test_boxes_between_key_frames(tmp_path: Path) -> None:
    (tmp_path / "clip.txt").write_text(KEYS)
    start, boxes = load_clip(tmp_path / "clip.txt")
    assert start == 2
    assert boxes[:4, 0].tolist() == [4, 6, 8, 10]
    assert np.isnan(boxes[4:6]).all()
    assert boxes[6:, 0].tolist() == [16, 18, 20]


# -- what is shipped --


def test_the_shipped_clips_are_sound() -> None:
    videos = load_videos()
    found = {name: clips_of(name) for name in videos}
    assert all(found.values())
    assert sum(map(len, found.values())) == len(list((HERE / "clips").glob("*-*.txt"))) >= 12
    assert sum(len(boxes) for each in found.values() for _, boxes in each.values()) >= 2000
    assert {video.split for video in videos.values()} == {"validation", "test"}
    for name, video in videos.items():
        for clip, (start, boxes) in found[name].items():
            assert 0 <= start <= start + len(boxes) <= video.frames, clip
            seen = boxes[np.isfinite(boxes[:, 0])]
            middle = seen[:, :2] + seen[:, 2:] / 2
            assert (seen[:, 2:] > 5).all(), clip
            assert ((middle > 0) & (middle < video.size)).all(), clip
            assert np.isfinite(boxes[[0, -1]]).all(), clip


def test_two_passes_agree() -> None:
    """passes.csv: on each clip a mean IoU of .85, of key frames of the clip."""
    overlaps: dict[str, list[float]] = {}
    with (HERE / "passes.csv").open() as handle:
        for row in csv.DictReader(handle):
            start, boxes = load_clip(HERE / f"clips/{row['clip']}.txt")
            assert np.isfinite(boxes[int(row["frame"]) - start]).all()
            first, second = (np.array([float(row[f"{key}{k}"]) for key in "xywh"]) for k in "12")
            overlaps.setdefault(row["clip"], []).append(float(iou(first, second)))
    assert set(overlaps) == {path.stem for path in (HERE / "clips").glob("*-*.txt")}
    for clip, values in overlaps.items():
        assert np.mean(values) >= 0.85, clip


@pytest.mark.parametrize("split", get_args(clips.Split))
def test_the_packages_themselves(tmp_path: Path, split: clips.Split) -> None:
    if not PACKAGES.is_dir():
        pytest.skip("needs the packages of docs/data.md in data/packages")
    assert not extract(split, tmp_path / "out", PACKAGES)
    layout = LAYOUTS["plain"]
    for name in layout.names(tmp_path / "out"):
        sequence = layout.read(tmp_path / "out", name)
        assert len(sequence.frames) == len(sequence.boxes)
