"""The tracker on a user's images: what OpenCV reads in, boxes and a drawn video out."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.data.images import read_image
from siamla.errors import UserError
from siamla.files import free_for_output, regular
from siamla.progress import progress
from siamla.stopping import stop_requests
from siamla.tracker.api import Image, Tracker, fit

IMAGES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff")
PATIENCE = 10.0  # seconds without an image after which a stream has ended
CODECS = {".webm": "VP80", ".mp4": "vp09", ".avi": "MJPG"}
"""By the end of the video's name. OpenCV's wheels can write all three, and no H.264."""
LARGEST = 1280  # pixels of the drawn video's longer side; 4K would take ten times as long to encode
SMALLEST = 16  # pixels of its shorter side, which encoders ask for
COLUMNS = ("frame", "x", "y", "w", "h", "score", "lost", "seconds")
GREEN, RED = (60, 220, 60), (50, 50, 230)
ESCAPE = "\x1b"
TITLE = "siamla: space pauses, r selects again, q ends"


class Source(NamedTuple):
    """Images with what is known of them before they are read."""

    name: str
    images: Iterator[Image]  # (H, W, 3) BGR, in order; UserError for one that cannot be read
    fps: float | None  # images a second, if the source has a rate
    total: int | None  # how many images there should be, if that is known
    live: bool  # images come by themselves, so that late ones are left out


def _captured(video: cv2.VideoCapture, live_fps: float) -> Iterator[Image]:
    """The images of a video, at a `live_fps` above 0 without those that come too late."""
    late = 0.0
    while (image := video.read()[1]) is not None:
        taken = time.monotonic()
        yield np.asarray(image, np.uint8)
        late = max(0.0, late + (time.monotonic() - taken) * live_fps - 1)
        while late >= 1 and video.grab():
            late -= 1


def _video(name: str, video: cv2.VideoCapture, live: bool) -> Source:
    if not video.isOpened():
        asked = "cannot be opened; is it there, and does nothing else use it?"
        raise UserError(f"{name}: {asked if live else 'OpenCV cannot read this video'}")
    rate, count = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
    fps = float(rate) if 0.1 <= rate <= 1000 else None
    total = int(count) if count > 0 and not live else None
    return Source(name, _captured(video, fps if live and fps else 0.0), fps, total, live)


def _natural(path: Path) -> list[tuple[int, str]]:
    """A sort key by which 2.jpg stands before 10.jpg."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in parts]


def _folder(path: Path) -> Source:
    images = (file for file in path.iterdir() if file.suffix.lower() in IMAGES)
    files = sorted((file for file in images if not file.name.startswith(".")), key=_natural)
    if not files:
        raise UserError(f"{path}: no images, expected files ending in {', '.join(IMAGES)}")
    return Source(str(path), map(read_image, files), None, len(files), False)


def open_source(text: str) -> Source:
    """A folder, file, camera's number or address; UserError for what cannot be opened."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # its own lines would surround ours
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    path = Path(text)
    if "://" in text:
        limit = int(1000 * PATIENCE)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
        return _video(text, cv2.VideoCapture(text, cv2.CAP_FFMPEG, limits), True)
    if re.fullmatch("[0-9]{1,2}", text) and not path.exists():
        return _video(f"camera {text}", cv2.VideoCapture(int(text)), True)
    if not path.exists():
        raise UserError(f"{path}: no such video or folder")
    if path.is_dir():
        return _folder(path)
    if regular(path).suffix.lower() in IMAGES:
        raise UserError(f"{path}: is a single image; name the folder that holds the others, too")
    return _video(str(path), cv2.VideoCapture(str(path)), False)


class Summary(NamedTuple):
    """What came out."""

    frames: int  # images that were tracked
    lost: int | None  # those in which the target was called lost; None without a threshold
    rate: float  # images per second, everything counted
    ended: str | None  # why images are missing; None where all came or somebody stopped


def outputs(out: Path) -> list[Path]:
    """The table and, unless `out` is a table, the video."""
    return [out] if out.suffix.lower() == ".csv" else [out.with_suffix(".csv"), out]


def _part(path: Path) -> Path:
    """The name of an output while it is written."""
    return path.with_name(f"{path.stem}.part{path.suffix}")


def check_outputs(out: Path, overwrite: bool, *read: Path) -> None:
    """UserError unless all that `out` stands for may be written; `read`: files that must stay."""
    if out.suffix.lower() not in (*CODECS, ".csv"):
        raise UserError(
            f"{out}: expected a name ending in {', '.join(CODECS)}, or in .csv for boxes alone"
        )
    for path in reversed(outputs(out)):
        free_for_output(path, overwrite, *read)
        free_for_output(_part(path), overwrite, *read)


def need_window() -> None:
    """UserError without a window; another process tries, since without a display Qt ends it."""
    command = [sys.executable, "-c", "import cv2; cv2.namedWindow('siamla')"]
    if subprocess.run(command, capture_output=True, timeout=60, check=False).returncode:
        raise UserError(
            "--select and --show need a window: a display, and an OpenCV that is not headless"
        )


def _select(image: Image) -> NDArray[np.float64] | None:
    """The box (4,) that somebody draws in a window; None where it has no area."""
    box = np.array(cv2.selectROI(TITLE, image, showCrosshair=False), np.float64)
    return box if (box[2:] > 0).all() else None


def _pressed(canvas: Image) -> str:
    """Show an image; the key that was pressed meanwhile. After a space it waits for another key."""
    cv2.imshow(TITLE, canvas)
    key = chr(cv2.waitKey(1) & 0xFF)
    return chr(cv2.waitKey(0) & 0xFF) if key == " " else key


def _draw(image: Image, size: tuple[int, int], box: ArrayLike, tracker: Tracker) -> Image:
    """A copy of the image, fitted into `size`, with box and score; red where the target is lost."""
    fitted = fit(image, size)
    canvas = fitted.image.copy()
    x, y, w, h = fitted.into(box)
    corners = np.rint([x, y, x + w, y + h]).clip(-32000, 32000)
    left, top, right, bottom = corners.astype(int).tolist()
    colour = RED if tracker.lost else GREEN
    text = f"{tracker.score:.2f} lost" if tracker.lost else f"{tracker.score:.2f}"
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, 2)
    where = (left, max(12, top - 5))
    cv2.putText(canvas, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
    return canvas


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what C code prints from the terminal: OpenCV says that VP8 is not supported."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class _Recording:
    """The table and the drawn video while they grow, under names with ".part"."""

    def __init__(self, out: Path, image: Image, fps: float) -> None:
        self.frames = 0
        self._paths, self._fps = outputs(out), fps
        shrink = min(1.0, LARGEST / max(image.shape[:2]))
        height, width = (max(SMALLEST, 2 * round(side * shrink / 2)) for side in image.shape[:2])
        self._size = (width, height)
        self._table = _part(self._paths[0]).open("w", encoding="utf-8", buffering=1)
        self._rows = csv.writer(self._table, lineterminator="\n")
        self._rows.writerow(COLUMNS)
        self._video: cv2.VideoWriter | None = None
        if len(self._paths) > 1:
            code = cv2.VideoWriter.fourcc(*CODECS[out.suffix.lower()])
            with _silent():
                self._video = cv2.VideoWriter(str(_part(out)), code, fps, self._size)
            if not self._video.isOpened():
                others = ", ".join(CODECS)
                raise UserError(f"{out}: this OpenCV cannot write such a video; try {others}")

    def add(self, image: Image, box: ArrayLike, tracker: Tracker, seconds: float | None) -> Image:
        """Append a row and a frame; the drawn image. seconds: None where the rate tells them."""
        seconds = self.frames / self._fps if seconds is None else seconds
        self.frames += 1
        numbers = [f"{value:.3f}" for value in np.asarray(box)]
        flag = "" if tracker.lost is None else int(tracker.lost)
        row = [self.frames, *numbers, f"{tracker.score:.4f}", flag, f"{seconds:.3f}"]
        self._rows.writerow(row)
        canvas = _draw(image, self._size, box, tracker)
        if self._video:
            self._video.write(canvas)
        return canvas

    def finish(self) -> None:
        """Give both their names. UserError where OpenCV has silently left frames out."""
        self._table.close()
        _part(self._paths[0]).replace(self._paths[0])
        if not self._video:
            return
        self._video.release()
        table, video = self._paths
        grabbed = cv2.VideoCapture(str(_part(video)))
        grabbed.set(cv2.CAP_PROP_FORMAT, -1)  # frames are counted and not decoded
        stored = sum(1 for _ in iter(grabbed.grab, False))
        if stored != self.frames:
            raise UserError(
                f"{video}: only {stored} of {self.frames} frames could be written; is the disk"
                f" full? The boxes are in {table}"
            )
        _part(video).replace(video)


def _why_ended(source: Source, count: int) -> str | None:
    """What to say of a source that ended by itself after so many images."""
    if source.live:
        reason = "it has ended, was unplugged, or stalls"
        return f"{source.name}: no image any more after {count}; {reason}"
    if source.total and count < 0.98 * source.total - 1:
        return f"{source.name}: ends after {count} of the {source.total} images that it announces"
    return None


def _follow(
    tracker: Tracker, first: Image, source: Source, box: ArrayLike, out: _Recording, show: bool
) -> Summary:
    """From the first image, on whose box the tracker has started, to the end."""
    started = time.perf_counter()
    losses, ended = 0, None
    with progress(source.total, "track", "frame") as bar, stop_requests(signal.SIGINT) as stop:
        for image in chain([first], source.images):
            if out.frames:
                box = tracker.update(image)
            seconds = time.perf_counter() - started if source.live else None
            canvas = out.add(image, box, tracker, seconds)
            losses += bool(tracker.lost)
            bar.update()
            key = _pressed(canvas) if show else ""
            if key in ("q", ESCAPE) or stop():
                break
            if key == "r" and (again := _select(image)) is not None:
                tracker.init(image, again)
        else:
            ended = _why_ended(source, out.frames)
    taken = max(time.perf_counter() - started, 1e-9)
    return Summary(out.frames, None if tracker.lost is None else losses, out.frames / taken, ended)


def track_video(
    tracker: Tracker,
    source: Source,
    box: ArrayLike | None,
    out: Path,
    fps: float,
    show: bool = False,
) -> Summary:
    """Follow `box`, or what is selected where it is None, to the source's end, to q or to Ctrl-C.

    Writes `out` (a drawn video at the source's rate, else `fps`) and the table beside it
    (docs/tracking.md). Both grow under names with ".part"; a killed process leaves these, an error
    nothing. UserError where an image cannot be read, no box was selected, or the video was not
    written.
    """
    first = next(source.images, None)
    if first is None:
        raise UserError(f"{source.name}: OpenCV cannot read this video; it has no image")
    start = _select(first) if box is None else np.asarray(box, np.float64)
    if start is None:
        raise UserError("no box was selected")
    tracker.init(first, start)
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        recording = _Recording(out, first, source.fps or fps)
        summary = _follow(tracker, first, source, start, recording, show)
        recording.finish()
    except Exception as error:
        for path in outputs(out):
            _part(path).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(out)  # for the message
        raise
    return summary
