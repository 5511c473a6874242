"""`siamla track`: every frame of whatever holds images, in order; nothing of a user is replaced or
left half-made.
"""

import csv
import os
import re
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

import siamla.tracker.source
import siamla.tracker.video
from siamla.cli.main import main
from siamla.errors import UserError
from siamla.tracker.api import Tracker
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.source import Source, open_source, read_ahead
from siamla.tracker.video import CODECS, Summary, check_outputs, track_video

BOX = np.array([10.0, 8.0, 12.0, 9.0])
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


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


def tracker(lost: float | None = None) -> Tracker:
    return Tracker(Core(lost), "stub")  # type: ignore[arg-type]


def track(source: Path | Source, out: Path, box: np.ndarray = BOX, **options: Any) -> Summary:
    opened = source if isinstance(source, Source) else open_source(str(source))
    return track_video(options.pop("tracker", None) or tracker(), opened, box, out, **options)


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
    return [int(image[0, 0, 0]) for image in read_ahead(open_source(str(source)))]


def length(video: Path) -> int:
    opened = cv2.VideoCapture(str(video))
    count = 0
    while opened.read()[0]:
        count += 1
    return count


def rows(table: Path) -> list[dict[str, str]]:
    with table.open() as handle:
        return list(csv.DictReader(handle))


def write_video(path: Path, images: list[np.ndarray], fps: float) -> Path:
    code = CODECS[path.suffix][-1]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, images[0].shape[1::-1])
    for image in images:
        writer.write(image)
    writer.release()
    return path


# -- what is read --


def test_images_come_in_the_order_of_their_numbers(folder: Path) -> None:
    assert values(folder) == list(range(30))
    (folder / "7.png").rename(folder / "007.png")
    (folder / "._8.png").write_bytes(b"what a Mac leaves")
    assert values(folder) == list(range(30))


def test_all_frames_of_a_gif_are_read_at_its_rate(tmp_path: Path) -> None:
    images = [Pillow.fromarray(grey(value)) for value in (10, 60, 110, 160, 210)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=80)
    assert values(tmp_path / "a.gif") == [10, 60, 110, 160, 210]
    assert open_source(str(tmp_path / "a.gif")).fps == 12.5


def test_images_of_16_bits_in_grey_and_with_alpha_are_read(folder: Path) -> None:
    cv2.imwrite(str(folder / "0.png"), np.full((48, 64), 77 << 8, np.uint16))
    cv2.imwrite(str(folder / "1.png"), np.full((48, 64), 88, np.uint8))
    cv2.imwrite(str(folder / "2.png"), np.full((48, 64, 4), 99, np.uint8))
    cv2.imwrite(str(folder / "3.png"), np.full((48, 64, 3), 55 << 8, np.uint16))
    assert values(folder)[:5] == [77, 88, 99, 55, 4]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere.mp4", "nowhere.mp4: no such video or folder"),
        ("one.png", "is a single image; name the folder"),
        ("empty", "no images, expected files ending in"),
        ("text.mp4", "OpenCV cannot read this video"),
        ("text.gif", "Pillow cannot read it as an animated image"),
        ("silent.avi", "OpenCV cannot read this video"),
        ("9", "camera 9: cannot be opened; is it there"),
        ("99999", "camera 99999: cannot be opened"),
        ("http://127.0.0.1:9/live", "http://127.0.0.1:9/live: cannot be opened"),
    ],
)
def test_what_cannot_be_read_is_told(
    tmp_path: Path, name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    cv2.imwrite("one.png", grey(1))
    for text in ("text.mp4", "text.gif"):
        Path(text).write_text("no video")
    cv2.VideoWriter(
        "silent.avi", cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48)
    ).release()  # a video of 0 frames
    with pytest.raises(UserError, match=re.escape(said)):
        list(read_ahead(open_source(name)))


def test_few_images_are_decoded_ahead() -> None:
    taken: list[int] = []

    def images() -> Generator[np.ndarray, None, None]:
        for number in range(100):
            taken.append(number)
            yield grey(number)

    with_pause = read_ahead(Source("x", images(), None, None, False))
    next(with_pause)
    time.sleep(0.3)
    assert len(taken) <= siamla.tracker.source.AHEAD + 2
    with_pause.close()
    time.sleep(0.3)
    assert len(taken) < 10  # the reader has ended


def live(images: Iterator[np.ndarray], fps: float | None = 30.0) -> Source:
    return Source("camera 0", (image for image in images), fps, None, True)


def test_a_camera_that_stalls_is_told_and_shows_its_newest_image() -> None:
    def images() -> Iterator[np.ndarray]:
        for number in range(50):
            yield grey(number)
            time.sleep(0.01 if number < 40 else 0)
        time.sleep(3)

    seen = read_ahead(live(images()), patience=1.0)
    assert int(next(seen)[0, 0, 0]) < 40
    time.sleep(1)
    assert int(next(seen)[0, 0, 0]) == 49
    with pytest.raises(UserError, match=r"camera 0: no image for 1 seconds; it stalls"):
        list(seen)


def test_a_stream_that_stalls_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the request and never answers."""
    done = threading.Event()

    class Silent(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            done.wait(20)

    monkeypatch.setattr(siamla.tracker.source, "PATIENCE", 1.0)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Silent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with pytest.raises(UserError, match="cannot be opened"):
                open_source(f"http://127.0.0.1:{server.server_address[1]}/live.mp4")
        finally:
            done.set()
            server.shutdown()


# -- what is written --


@pytest.mark.parametrize("name", ["out.webm", "out.mp4", "out.avi"])
def test_the_video_has_the_frames_that_the_table_counts(
    folder: Path, tmp_path: Path, name: str
) -> None:
    done = track(folder, tmp_path / "deep" / name, tracker=tracker(lost=0.4))
    assert (done.frames, done.lost, done.ended) == (30, 6, None)
    assert length(tmp_path / "deep" / name) == 30
    found = rows(tmp_path / "deep/out.csv")
    assert [int(row["frame"]) for row in found] == list(range(1, 31))
    assert [float(found[i]["x"]) for i in (0, 1, 29)] == [10.0, 11.0, 39.0]
    assert [row["lost"] for row in found] == ["0"] * 24 + ["1"] * 6
    assert float(found[25]["seconds"]) == 1.0
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == sorted(["out.csv", name])


def test_boxes_alone_without_a_threshold(folder: Path, tmp_path: Path) -> None:
    assert track(folder, tmp_path / "boxes.csv").lost is None
    assert [row["lost"] for row in rows(tmp_path / "boxes.csv")] == [""] * 30
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boxes.csv", "images"]


def test_the_rate_of_the_source_is_kept(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.avi", [grey(i) for i in range(10)], 29.97)
    track(source, tmp_path / "out.webm")
    assert cv2.VideoCapture(str(tmp_path / "out.webm")).get(cv2.CAP_PROP_FPS) == pytest.approx(
        29.97, abs=0.01
    )
    assert float(rows(tmp_path / "out.csv")[9]["seconds"]) == pytest.approx(9 / 29.97, abs=1e-3)


def test_an_image_of_another_size_is_fitted_and_its_box_is_in_its_own_pixels(
    folder: Path, tmp_path: Path
) -> None:
    """Half as large with the same sides, and one that has to be framed."""
    cv2.imwrite(str(folder / "1.png"), grey(200, 24, 32))
    cv2.imwrite(str(folder / "2.png"), grey(200, 48, 32))
    ours = tracker()
    assert (
        track(folder, tmp_path / "out.webm", tracker=ours).frames
        == length(tmp_path / "out.webm")
        == 30
    )
    assert {image.shape for image in ours.core.images} == {(48, 64, 3)}  # type: ignore[attr-defined]
    found = np.array([[float(row[key]) for key in "xywh"] for row in rows(tmp_path / "out.csv")])
    np.testing.assert_allclose(found[1], (BOX + np.array([1, 0, 0, 0])) / 2)
    np.testing.assert_allclose(found[2], BOX + np.array([2 - 16, 0, 0, 0]))


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (3, 200), (900, 2000)])
def test_images_of_any_size_become_a_video(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "images").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"images/{number}.png"), grey(number, *size))
    track(tmp_path / "images", tmp_path / "out.webm", np.array([0, 0, 1, 1.0]))
    assert length(tmp_path / "out.webm") == 3
    video = cv2.VideoCapture(str(tmp_path / "out.webm"))
    assert max(video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT)) <= 1280


def test_a_broken_image_in_the_middle_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    sound = cv2.imencode(".jpg", grey(20))[1].tobytes()
    (folder / "20.png").write_bytes(sound[: len(sound) - 20])
    with pytest.raises(UserError, match=r"20\.png: not a readable image"):
        track(folder, tmp_path / "out.webm")
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_a_video_that_ends_early_is_told(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.avi", [grey(i) for i in range(40)], 25)
    opened = open_source(str(source))
    assert opened.total == 40
    first = (image for number, image in enumerate(opened.images) if number < 20)
    done = track(opened._replace(images=first), tmp_path / "out.webm")
    assert done.ended is not None
    assert "ends after 20 of the 40 images" in done.ended


def test_what_a_camera_showed_before_it_was_unplugged_is_kept_in_its_time(tmp_path: Path) -> None:
    def images() -> Iterator[np.ndarray]:
        for number in range(5):
            yield grey(number)
            time.sleep(0.2)
        raise UserError("camera 0: no image any more after 5")

    done = track(live(images()), tmp_path / "out.webm")
    assert done.ended == "camera 0: no image any more after 5"
    assert 3 <= done.frames <= 5
    seconds = [float(row["seconds"]) for row in rows(tmp_path / "out.csv")]
    assert len(seconds) == done.frames
    assert length(tmp_path / "out.webm") == pytest.approx(1 + 30 * seconds[-1], abs=2)


def test_a_kill_leaves_the_boxes_so_far(folder: Path, tmp_path: Path) -> None:
    script = (
        f"import sys, time; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_video as t; from pathlib import Path\n"
        "class Slow(t.Core):\n"
        "    def update(self, image):\n"
        "        time.sleep(.05); return super().update(image)\n"
        "t.track(Path('images'), Path('out.webm'), tracker=t.Tracker(Slow(), 'slow'))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    table = tmp_path / "out.part.csv"
    try:
        deadline = time.monotonic() + 60
        while (not table.exists() or len(rows(table)) < 8) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.wait(60)
    assert len(rows(table)) >= 8
    assert not (tmp_path / "out.csv").exists()
    with pytest.raises(
        UserError, match=r"out\.part\.webm: exists already; --overwrite replaces it"
    ):
        check_outputs("images", tmp_path / "out.webm", False)
    assert track(folder, tmp_path / "out.webm").frames == 30  # what --overwrite allows
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "out.csv", "out.webm"]


def test_a_signal_ends_it_well(folder: Path, tmp_path: Path) -> None:
    class Interrupted(Core):
        def update(self, image: np.ndarray) -> np.ndarray:
            if len(self.images) == 10:
                os.kill(os.getpid(), signal.SIGINT)
            return super().update(image)

    ours = Tracker(Interrupted(), "stub")  # type: ignore[arg-type]
    assert (
        track(folder, tmp_path / "out.webm", tracker=ours).frames
        == 11
        == length(tmp_path / "out.webm")
    )
    assert len(rows(tmp_path / "out.csv")) == 11


def test_nothing_is_replaced_without_being_asked(folder: Path, tmp_path: Path) -> None:
    source = write_video(tmp_path / "source.avi", [grey(1)] * 3, 25)
    before = source.read_bytes()
    link = tmp_path / "link.avi"
    link.symlink_to(source)
    for out in (source, link):
        for overwrite in (False, True):
            with pytest.raises(UserError, match="would replace what is read"):
                check_outputs(str(source), out, overwrite)
    assert source.read_bytes() == before
    (tmp_path / "out.webm").write_text("mine")
    with pytest.raises(UserError, match=r"out\.webm: exists already; --overwrite replaces it"):
        check_outputs(str(folder), tmp_path / "out.webm", False)
    check_outputs(str(folder), tmp_path / "out.webm", True)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_plays_it(folder: Path, tmp_path: Path) -> None:
    track(folder, tmp_path / "out.webm")
    (tmp_path / "page.html").write_text(
        "<video id=v muted preload=auto src=out.webm></video><script>v.onloadeddata = () =>"
        " v.currentTime = 1; v.onerror = () => document.title = 'PROBE ' +"
        " v.error.message;v.onseeked = () => document.title = `PROBE ${v.videoWidth}"
        " ${v.videoHeight} ${v.duration}`;</script>"
    )
    own = [
        "--allow-file-access-from-files",
        f"--user-data-dir={tmp_path / 'browser'}",
        "--virtual-time-budget=20000",
    ]
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", *own]
    page = (tmp_path / "page.html").as_uri()
    done = subprocess.run(
        [*command, "--dump-dom", page], capture_output=True, text=True, timeout=120, check=False
    )
    told = re.search(r"<title>PROBE (.*?)</title>", done.stdout)
    assert told, done.stdout[-500:] + done.stderr[-500:]
    assert told[1] == "64 48 1.2"


# -- the window --


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, str]], list[str]]:
    """Keys to press by the image that is shown; what was done with the window."""

    def use(keys: dict[int, str]) -> list[str]:
        done: list[str] = []
        shown = 0

        def imshow(title: str, image: np.ndarray) -> None:
            nonlocal shown
            shown += 1

        def wait(milliseconds: int) -> int:
            if milliseconds == 0:
                done.append("paused")
                return ord(" ")
            return ord(keys[shown]) if shown in keys else -1

        def select(title: str, image: np.ndarray, showCrosshair: bool) -> tuple[int, int, int, int]:
            done.append("selected")
            return (1, 2, 3, 4)

        monkeypatch.setattr(cv2, "imshow", imshow)
        monkeypatch.setattr(cv2, "waitKey", wait)
        monkeypatch.setattr(cv2, "selectROI", select)
        return done

    return use


def test_keys_pause_select_again_and_end(
    folder: Path, tmp_path: Path, window: Callable[[dict[int, str]], list[str]]
) -> None:
    done = window({3: " ", 5: "r", 9: "q"})
    assert track(folder, tmp_path / "out.csv", show=True).frames == 9
    assert done == ["paused", "selected"]
    assert [float(row["x"]) for row in rows(tmp_path / "out.csv")][3:7] == [13, 14, 2, 3]


def test_the_first_box_is_selected(
    folder: Path, tmp_path: Path, window: Callable[[dict[int, str]], list[str]]
) -> None:
    assert window({}) == []
    source = open_source(str(folder))
    track_video(tracker(), source, None, tmp_path / "out.csv")
    assert [float(rows(tmp_path / "out.csv")[0][key]) for key in "xywh"] == [1, 2, 3, 4]


def test_without_a_display_a_window_is_refused_in_one_line(
    folder: Path,
    model_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder.parent)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for asked in (["--select"], ["--show", "--box", "1", "2", "3", "4"]):
        assert main(["track", "images", "--model", str(model_file), *asked]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "--select and --show need a window" in line
    assert [path.name for path in folder.parent.iterdir()] == ["images"]


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
    command = [
        "track",
        "0",
        "--model",
        str(model_file),
        "--box",
        "10",
        "8",
        "12.5",
        "9",
        "--out",
        "out.webm",
    ]
    assert main([*command, "--tracker", '{"lost": 1}', "--fps", "50"]) == 0
    assert re.match(
        r"30 frames, 29 of them lost, [\d.]+ a second: out.webm and out.csv",
        capsys.readouterr().out,
    )
    assert cv2.VideoCapture("out.webm").get(cv2.CAP_PROP_FPS) == 50
    before = Path("out.webm").read_bytes()
    assert main(command) == 2
    assert "out.webm: exists already" in capsys.readouterr().err
    assert Path("out.webm").read_bytes() == before
