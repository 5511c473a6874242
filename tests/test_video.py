"""`siamla track`: every frame of whatever holds images, in order; nothing of a user is replaced or
left half-made.
"""

import csv
import os
import re
import signal
import socketserver
import subprocess
import sys
import threading
import time
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from siamla.cli.main import main
from siamla.errors import UserError
from siamla.tracker import recording
from siamla.tracker import video as module
from siamla.tracker.annotations import Row
from siamla.tracker.api import Tracker
from siamla.tracker.recording import COLOURS, RED, check_outputs, default_output, draw
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.video import Source, Summary, open_source, track_video

BOX = np.array([10.0, 8.0, 12.0, 9.0])
SUFFIXES = ["webm", "mp4", "avi"]
SLOW = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_video as t
from pathlib import Path
class Slow(t.Core):
    def update(self, image):
        time.sleep(0.05)
        return super().update(image)
t.track(Path("images"), Path("out.webm"), tracker=t.Tracker(Slow(), "slow"))
"""


class Core:
    """A tracker whose box moves by a pixel a frame; it keeps what it was shown."""

    def __init__(self, lost: float | None = None) -> None:
        self.images: list[np.ndarray] = []
        self.score = 1.0
        self.settings = TrackerSettings(lost=lost)

    def init(self, image: np.ndarray, box: np.ndarray) -> None:
        self.images, self.box = [image], np.asarray(box)

    def update(self, image: np.ndarray) -> np.ndarray:
        self.images.append(image)
        self.score = 0.5 if len(self.images) < 25 else 0.2
        return self.box + np.array([len(self.images) - 1, 0, 0, 0])

    @property
    def lost(self) -> bool | None:
        return None if self.settings.lost is None else self.score < self.settings.lost


def tracker(lost: float | None = None) -> Tracker:
    return Tracker(Core(lost), "stub")  # type: ignore[arg-type]


def track(source: Path | Source, out: Path, box: Any = BOX, **options: Any) -> Summary:
    opened = source if isinstance(source, Source) else open_source(str(source))
    boxes = [] if box is None else [box]
    return track_video(options.pop("tracker", tracker()), opened, boxes, out, 25.0, **options)


def grey(value: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def images(folder: Path, pictures: list[np.ndarray]) -> Path:
    """Named 0.png, 1.png and so on."""
    folder.mkdir()
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 images whose grey value is their number."""
    return images(tmp_path / "images", [grey(number) for number in range(30)])


def values(source: Path) -> list[int]:
    return [int(image[0, 0, 0]) for image in open_source(str(source)).images]


def length(video: Path) -> int:
    return len(values(video))


def rows(table: Path) -> list[dict[str, str]]:
    with table.open() as handle:
        return list(csv.DictReader(handle))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- what is read --


def test_images_come_in_the_order_of_their_numbers(folder: Path) -> None:
    assert values(folder) == list(range(30))
    (folder / "7.png").rename(folder / "007.png")
    (folder / "._8.png").write_bytes(b"what a Mac leaves")
    assert values(folder) == list(range(30))


def test_images_of_16_bits_in_grey_and_with_alpha_are_read(folder: Path) -> None:
    cv2.imwrite(str(folder / "0.png"), np.full((48, 64), 77 << 8, np.uint16))
    cv2.imwrite(str(folder / "1.png"), np.full((48, 64), 88, np.uint8))
    cv2.imwrite(str(folder / "2.png"), np.full((48, 64, 4), 99, np.uint8))
    cv2.imwrite(str(folder / "3.png"), np.full((48, 64, 3), 55 << 8, np.uint16))
    assert values(folder)[:5] == [77, 88, 99, 55, 4]


def test_an_animated_webp_is_told(tmp_path: Path) -> None:
    black, red = (Pillow.new("RGB", (64, 48), colour) for colour in ("black", "red"))
    black.save(tmp_path / "moving.webp", save_all=True, append_images=[red])
    with pytest.raises(UserError, match=r"moving.webp: OpenCV cannot read this video"):
        track(tmp_path / "moving.webp", tmp_path / "out.webm")
    assert names(tmp_path) == ["moving.webp"]


class Camera:
    """30 images a second, of which an image may be passed over; 40 in all."""

    def __init__(self, *how: object) -> None:
        self.number = -1

    def isOpened(self) -> bool:
        return True

    def get(self, property: int) -> float:
        return 30.0 if property == cv2.CAP_PROP_FPS else 0.0

    def grab(self) -> bool:
        self.number += 1
        return self.number < 40

    def read(self) -> tuple[bool, np.ndarray | None]:
        return (True, grey(self.number)) if self.grab() else (False, None)


def test_a_camera_leaves_late_images_out_and_may_be_unplugged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(cv2, "VideoCapture", Camera)
        slowly, at_once, source = (open_source("0") for _ in range(3))
    seen = []
    for image in slowly.images:
        seen.append(int(image[0, 0, 0]))
        time.sleep(0.1)
    assert seen[0] == 0
    assert np.diff(seen).min() >= 2
    assert [int(image[0, 0, 0]) for image in at_once.images] == list(range(40))
    done = track(source, tmp_path / "out.webm")
    assert done.ended == (
        f"camera 0: no image any more after {done.frames}; it has ended, was unplugged, or stalls"
    )
    assert done.frames == len(rows(tmp_path / "out.csv")) == length(tmp_path / "out.webm")


def test_a_stream_that_stalls_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the request and never answers."""
    done = threading.Event()

    class Silent(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            done.wait(20)

    monkeypatch.setattr(module, "PATIENCE", 1.0)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Silent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with pytest.raises(UserError, match="cannot be opened"):
                open_source(f"http://127.0.0.1:{server.server_address[1]}/live.mp4")
        finally:
            done.set()
            server.shutdown()


# -- what is written --


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_video_has_the_frames_that_the_table_counts(
    folder: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"deep/out.{suffix}"
    done = track(folder, out, tracker=tracker(lost=0.4))
    assert (done.frames, done.lost, done.ended) == (30, 6, None)
    assert length(out) == 30
    table = rows(tmp_path / "deep/out.csv")
    assert [int(row["frame"]) for row in table] == list(range(1, 31))
    assert [float(table[i]["x"]) for i in (0, 1, 29)] == [10.0, 11.0, 39.0]
    assert [row["lost"] for row in table] == ["0"] * 24 + ["1"] * 6
    assert float(table[25]["seconds"]) == 1.0
    assert names(tmp_path / "deep") == sorted(["out.csv", out.name])
    video = cv2.VideoCapture(str(out))
    assert video.get(cv2.CAP_PROP_FPS) == 25
    times = [video.get(cv2.CAP_PROP_POS_MSEC) for _ in iter(video.grab, False)]
    np.testing.assert_allclose(times, 40.0 * np.arange(30), atol=1)


def test_a_gif_is_a_video_and_the_rate_of_the_source_is_kept(tmp_path: Path) -> None:
    first, *others = (Pillow.fromarray(grey(value)) for value in (10, 60, 110, 160, 210))
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=80)
    assert values(tmp_path / "a.gif") == [10, 60, 110, 160, 210]
    track(tmp_path / "a.gif", tmp_path / "out.webm")
    video = cv2.VideoCapture(str(tmp_path / "out.webm"))
    assert video.get(cv2.CAP_PROP_FPS) == 12.5
    assert int(video.get(cv2.CAP_PROP_FOURCC)) == cv2.VideoWriter.fourcc(*"VP80")
    assert [row["seconds"] for row in rows(tmp_path / "out.csv")][3:] == ["0.240", "0.320"]


def test_boxes_alone_without_a_threshold(folder: Path, tmp_path: Path) -> None:
    assert track(folder, tmp_path / "boxes.CSV").lost is None
    assert [row["lost"] for row in rows(tmp_path / "boxes.CSV")] == [""] * 30
    assert names(tmp_path) == ["boxes.CSV", "images"]


def test_an_image_of_another_size_is_fitted_and_its_box_is_in_its_own_pixels(
    folder: Path, tmp_path: Path
) -> None:
    """Half as large with the same sides, and one that has to be framed."""
    cv2.imwrite(str(folder / "1.png"), grey(200, 24, 32))
    cv2.imwrite(str(folder / "2.png"), grey(200, 48, 32))
    ours = tracker()
    assert track(folder, tmp_path / "out.webm", tracker=ours).frames == 30
    assert length(tmp_path / "out.webm") == 30
    assert {image.shape for image in ours.core.images} == {(48, 64, 3)}  # type: ignore[attr-defined]
    boxes = np.genfromtxt(tmp_path / "out.csv", delimiter=",", skip_header=1)[:, 2:6]
    np.testing.assert_allclose(boxes[1], (BOX + np.array([1, 0, 0, 0])) / 2)
    np.testing.assert_allclose(boxes[2], BOX + np.array([2 - 16, 0, 0, 0]))


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (3, 200), (900, 2000)])
def test_images_of_any_size_become_a_video(tmp_path: Path, size: tuple[int, int]) -> None:
    folder = images(tmp_path / "images", [grey(number, *size) for number in range(3)])
    track(folder, tmp_path / "out.webm", (0, 0, 1, 1))
    assert length(tmp_path / "out.webm") == 3
    video = cv2.VideoCapture(str(tmp_path / "out.webm"))
    assert max(video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT)) <= 1280


def test_a_video_that_ends_early_is_told(tmp_path: Path) -> None:
    track(images(tmp_path / "images", [grey(i) for i in range(40)]), tmp_path / "in.avi")
    opened = open_source(str(tmp_path / "in.avi"))
    assert opened.total == 40
    done = track(opened._replace(images=islice(opened.images, 20)), tmp_path / "out.webm")
    assert done.ended is not None
    assert "ends after 20 of the 40 images" in done.ended


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_video_that_did_not_fit_on_the_disk_is_told(tmp_path: Path, suffix: str) -> None:
    """A limit on the size of a file stands for the full disk; the table stays below it."""
    noise = np.random.default_rng(0).integers(0, 255, (30, 120, 160, 3), dtype=np.uint8)
    images(tmp_path / "images", list(noise))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
    script = limit + SLOW.replace("0.05", "0").replace("webm", suffix)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    said = rf"out.{suffix}: only \d+ of 30 frames could be written; is the disk"
    assert re.search(said, done.stderr)
    assert names(tmp_path) == ["images", "out.csv"]
    assert len(rows(tmp_path / "out.csv")) == 30


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_kill_leaves_the_boxes_so_far(folder: Path, tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", SLOW]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    table = tmp_path / "out.part.csv"
    try:
        deadline = time.monotonic() + 60
        while (not table.exists() or len(rows(table)) < 8) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, number)
    finally:
        status = process.wait(60)
    assert status == -number
    assert len(rows(table)) >= 8
    assert names(tmp_path) == ["images", "out.part.csv", "out.part.webm"]
    with pytest.raises(UserError, match=r"out\.part\.webm: was left by a run .*; --overwrite"):
        check_outputs(tmp_path / "out.webm", (), False, folder)
    assert track(folder, tmp_path / "out.webm").frames == 30  # what --overwrite allows
    assert names(tmp_path) == ["images", "out.csv", "out.webm"]


def test_an_interrupt_ends_it_well(folder: Path, tmp_path: Path) -> None:
    class Interrupted(Core):
        def update(self, image: np.ndarray) -> np.ndarray:
            if len(self.images) == 10:
                os.kill(os.getpid(), signal.SIGINT)
            return super().update(image)

    ours = Tracker(Interrupted(), "stub")  # type: ignore[arg-type]
    assert track(folder, tmp_path / "out.webm", tracker=ours).frames == 11
    assert length(tmp_path / "out.webm") == len(rows(tmp_path / "out.csv")) == 11


def test_what_is_read_is_never_replaced(tmp_path: Path) -> None:
    for name in ("source.avi", "model.csv"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "link.avi").symlink_to(tmp_path / "source.avi")
    read = (tmp_path / "source.avi", tmp_path / "model.csv")
    for name in ("source.avi", "link.avi", "model.csv", "model.webm"):
        with pytest.raises(UserError, match="would replace what is read"):
            check_outputs(tmp_path / name, (), True, *read)


def test_a_file_is_no_folder_for_the_output(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"notes\.txt is a file, not a folder"):
        check_outputs(tmp_path / "notes.txt/deep/out.webm", (), False)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("clips/a.b.mp4", "a.b"),
        ("images/", "images"),
        ("0", "0"),
        ("rtsp://me:secret@host:554/live?x=1", "live"),
        ("rtsp://me:secret@host:554", "host"),
    ],
)
def test_the_output_has_the_name_of_the_source(source: str, name: str) -> None:
    assert default_output(source) == Path(f"{name}.track.webm")


# -- what is drawn --


def drawn(box: tuple[float, float, float, float], score: float, lost: bool) -> np.ndarray:
    """Which pixels of a grey image (240, 320) the drawing of a box changes, and to what."""
    canvas = draw(grey(120, 240, 320), (320, 240), [Row(1, 1, box, score, lost)])
    return np.where((canvas != 120).any(2, keepdims=True), canvas, 120)


@pytest.mark.parametrize("corner", [(0, 0), (309, 0), (0, 232), (309, 232), (150, 100), (100, 3)])
@pytest.mark.parametrize("lost", [False, True])
def test_box_and_score_hide_nothing_of_a_small_target(corner: tuple[int, int], lost: bool) -> None:
    """Of 11×8 pixels; at the border the outline takes three pixels of it."""
    x, y = corner
    canvas = drawn((x, y, 11, 8), 0.62, lost)
    inside = canvas[max(y, 3) : min(y + 8, 237), max(x, 3) : min(x + 11, 317)]
    assert inside.size
    assert (inside == 120).all()
    assert (canvas != 120).any(2).sum() > 100


def test_doubt_is_seen_without_a_threshold() -> None:
    """From its own colour a box becomes redder; what is lost is red, and dashed."""
    sure, unsure, lost = (drawn((100, 100, 60, 40), *how) for how in ((0.7, 0), (0.1, 0), (0.1, 1)))
    line = 98  # the outline's row above the box
    green, mixed, red = (image[line, 100:160].reshape(-1, 3) for image in (sure, unsure, lost))
    assert (green == COLOURS[0]).all()
    assert (mixed[:, 2] > green[:, 2]).all()
    assert (mixed[:, 1] < green[:, 1]).all()
    assert (red == RED).all(1).any()
    assert not (red == RED).all(1).all()


def test_several_targets_have_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    monkeypatch.setattr(recording, "_write", lambda canvas, text, *where: texts.append(text))
    both = [Row(1, 1, (9, 9, 30, 30), 0.76, False), Row(1, 2, (70, 9, 30, 30), 0.2, True)]
    for drawn in (both, both[:1]):
        draw(grey(120, 240, 320), (320, 240), drawn)
    assert texts == ["1 .76", "2 .20 lost", ".76"]


def test_a_box_that_reaches_out_is_cut_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = tracker()
    track(folder, tmp_path / "out.csv", (-5, -5, 31, 45), tracker=ours)
    assert ours.core.box.tolist() == [0, 0, 26, 40]  # type: ignore[attr-defined]
    (line,) = [each for each in capsys.readouterr().err.splitlines() if "warning" in each]
    assert "[-5.0, -5.0, 31.0, 45.0] reaches out of the 64×48 image" in line
    assert line.endswith("[0.0, 0.0, 26.0, 40.0]")


# -- the window --


def test_the_window_selects_pauses_selects_again_and_ends(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys by the number of the image that is shown."""
    keys = {3: " ", 5: "r", 9: "q"}
    shown: list[np.ndarray] = []
    done: list[str] = []

    def wait(milliseconds: int) -> int:
        if milliseconds == 0:
            done.append("paused")
            return ord(" ")
        return ord(keys[len(shown)]) if len(shown) in keys else -1

    def select(title: str, image: np.ndarray, showCrosshair: bool) -> tuple[int, int, int, int]:
        done.append("selected")
        return (1, 2, 3, 4)

    monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", wait)
    monkeypatch.setattr(cv2, "selectROI", select)
    assert track(folder, tmp_path / "out.csv", None, show=True).frames == 9
    assert done == ["selected", "paused", "selected"]
    table = rows(tmp_path / "out.csv")
    assert [float(table[0][key]) for key in "xywh"] == [1, 2, 3, 4]
    assert [float(row["x"]) for row in table][3:7] == [4, 5, 2, 3]


@pytest.mark.parametrize("asked", ["--select", "--show --box 1 2 3 4"])
def test_without_a_display_a_window_is_refused_in_one_line(
    folder: Path,
    model_file: Path,
    asked: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder.parent)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert main(["track", "images", "--model", str(model_file), *asked.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--select and --show need a window" in line
    assert names(folder.parent) == ["images"]


# -- the command --


def test_the_command_with_a_real_network(
    folder: Path,
    model_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A name may look like a camera's number; settings replace some of the model's."""
    folder.rename(folder.parent / "0")
    monkeypatch.chdir(folder.parent)
    box = ("--box", "10", "8", "12.5", "9")
    command = ["track", "0", "--model", str(model_file), *box, "--out", "out.webm"]
    assert main([*command, "--tracker", '{"lost": 1}', "--fps", "50"]) == 0
    said = (
        r"30 frames, 29 of them lost, tracked at [\d.]+ a second by (openvino|torch) [\d.]+\S*"
        r" \([\d.]+ with video and table\): out.webm, out.csv"
    )
    assert re.match(said, capsys.readouterr().out)
    assert cv2.VideoCapture("out.webm").get(cv2.CAP_PROP_FPS) == 50
    before = Path("out.webm").read_bytes()
    assert main(command) == 2
    assert "out.webm: exists already" in capsys.readouterr().err
    assert Path("out.webm").read_bytes() == before
