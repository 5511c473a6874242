"""`siamla track`: every frame of whatever holds images, in order; nothing of a user is replaced or left half-made."""

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from siamla.errors import UserError
from siamla.tracker.video import check_outputs, frames, track_video

BOX = np.array([10.0, 8.0, 12.0, 9.0])


class Stub:
    """A tracker that says how often it was asked."""

    score = 0.5

    def __init__(self) -> None:
        self.images: list[np.ndarray] = []

    def init(self, image: np.ndarray, box: np.ndarray) -> None:
        self.images.append(image)

    def update(self, image: np.ndarray) -> np.ndarray:
        self.images.append(image)
        return BOX + len(self.images)


def grey(value: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 images whose grey value is their number, named 0.png to 29.png."""
    (tmp_path / "images").mkdir()
    for number in range(30):
        cv2.imwrite(str(tmp_path / f"images/{number}.png"), grey(number))
    return tmp_path / "images"


def values(source: Path) -> list[int]:
    return [int(image[0, 0, 0]) for image in frames(source)]


def length(video: Path) -> int:
    opened = cv2.VideoCapture(str(video))
    count = 0
    while opened.read()[0]:
        count += 1
    return count


def test_images_come_in_the_order_of_their_numbers(folder: Path) -> None:
    assert values(folder) == list(range(30))
    (folder / "7.png").rename(folder / "007.png")
    assert values(folder) == list(range(30))


def test_all_frames_of_a_gif_are_read(tmp_path: Path) -> None:
    images = [Pillow.fromarray(grey(value)) for value in (10, 60, 110, 160, 210)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:])
    assert values(tmp_path / "a.gif") == [10, 60, 110, 160, 210]


@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_the_video_has_the_frames_that_the_table_counts(folder: Path, tmp_path: Path, name: str) -> None:
    tracker = Stub()
    assert track_video(tracker, folder, BOX, tmp_path / "deep" / name) == 30  # type: ignore[arg-type]
    assert length(tmp_path / "deep" / name) == 30
    with (tmp_path / "deep/out.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [int(row["frame"]) for row in rows] == list(range(1, 31))
    assert [float(rows[i]["x"]) for i in (0, 1, 29)] == [10.0, 12.0, 40.0]
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == sorted(["out.csv", name])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: cv2.imwrite(str(f / "20.png"), grey(20, 40, 64)), "image 21 has 64×40 pixels, expected 64×48"),
        (lambda f: (f / "20.png").write_bytes(b"no image"), "20.png: not a readable image"),
    ],
    ids=["size", "broken"],
)
def test_a_wrong_image_leaves_nothing_behind(
    folder: Path, tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(folder)
    with pytest.raises(UserError, match=said):
        track_video(Stub(), folder, BOX, tmp_path / "out.mp4")  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_nothing_is_replaced_without_being_asked(folder: Path, tmp_path: Path) -> None:
    out, source = tmp_path / "out.mp4", tmp_path / "source.avi"
    track_video(Stub(), folder, BOX, source)  # type: ignore[arg-type]
    before = source.read_bytes()
    for overwrite in (False, True):
        with pytest.raises(UserError, match="would replace what is read"):
            track_video(Stub(), source, BOX, source, overwrite)  # type: ignore[arg-type]
    link = tmp_path / "link.avi"
    link.symlink_to(source)
    with pytest.raises(UserError, match="would replace what is read"):
        check_outputs(source, link, True)
    assert source.read_bytes() == before
    out.write_text("mine")
    with pytest.raises(UserError, match=r"out\.mp4: exists already; --overwrite replaces it"):
        track_video(Stub(), folder, BOX, out)  # type: ignore[arg-type]
    assert out.read_text() == "mine"
    assert track_video(Stub(), folder, BOX, out, overwrite=True) == 30  # type: ignore[arg-type]
    assert length(out) == 30
