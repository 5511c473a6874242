"""The tracker on a user's images: boxes and a drawn video out, and a window where one is wanted."""

import csv
import os
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

from siamla.errors import UserError
from siamla.files import free_for_output
from siamla.progress import progress
from siamla.stopping import stop_requests
from siamla.tracker.api import Tracker, fit
from siamla.tracker.source import Image, Source

CODECS = {".webm": "VP80", ".mp4": "vp09", ".avi": "MJPG"}
"""By the end of the video's name. OpenCV's wheels can write all three, and no H.264."""
LARGEST = 1280  # pixels of the drawn video's longer side; 4K would take ten times as long to encode
SMALLEST = 16  # pixels of its shorter side, which encoders ask for
COLUMNS = ("frame", "x", "y", "w", "h", "score", "lost", "seconds")
GREEN, RED = (60, 220, 60), (50, 50, 230)
ESCAPE = "\x1b"
TITLE = "siamla: space pauses, r selects again, q ends"


class Summary(NamedTuple):
    """What came out."""

    frames: int
    """Images that were tracked."""
    lost: int | None
    """Those in which the target was called lost; None without a threshold."""
    rate: float
    """Images per second, everything counted."""
    ended: str | None
    """Why there are fewer images than expected; None where all came or somebody stopped."""


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
    """UserError where no window can be opened. Another process tries: without a display Qt ends
    the process that asks.
    """
    command = [sys.executable, "-c", "import cv2; cv2.namedWindow('siamla')"]
    if subprocess.run(command, capture_output=True, timeout=60, check=False).returncode:
        raise UserError(
            "--select and --show need a window, and this machine has no display or this OpenCV was"
            " built without one (headless); give --box and look at the video"
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


def _drawn_size(image: Image) -> tuple[int, int]:
    """Width and height of the drawn video: that of the image, at most LARGEST and of even sides."""
    height, width = image.shape[:2]
    shrink = min(1.0, LARGEST / max(width, height))
    width, height = (max(SMALLEST, 2 * round(side * shrink / 2)) for side in (width, height))
    return width, height


def _draw(
    image: Image, size: tuple[int, int], box: ArrayLike, score: float, lost: bool | None
) -> Image:
    """A copy of the image, fitted into `size`, with box and score; red where the target is lost."""
    fitted = fit(image, size)
    canvas = fitted.image.copy()
    x, y, w, h = fitted.into(box)
    corners = np.rint([x, y, x + w, y + h]).clip(-32000, 32000)
    left, top, right, bottom = corners.astype(int).tolist()
    colour = RED if lost else GREEN
    text = f"{score:.2f} lost" if lost else f"{score:.2f}"
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, 2)
    where = (left, max(12, top - 5))
    cv2.putText(canvas, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
    return canvas


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing of what C code says reaches the terminal: OpenCV says of VP8, which it writes well,
    that it is not supported.
    """
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
        self._paths = outputs(out)
        self._fps = fps
        self._size = _drawn_size(image)
        self._table = _part(self._paths[0]).open("w", encoding="utf-8", buffering=1)
        self._rows = csv.writer(self._table, lineterminator="\n")
        self._rows.writerow(COLUMNS)
        self._video = self._open_video(out) if len(self._paths) > 1 else None

    def _open_video(self, out: Path) -> cv2.VideoWriter:
        code = cv2.VideoWriter.fourcc(*CODECS[out.suffix.lower()])
        with _silent():
            video = cv2.VideoWriter(str(_part(out)), code, self._fps, self._size)
        if not video.isOpened():
            others = ", ".join(CODECS)
            raise UserError(f"{out}: this OpenCV cannot write such a video; try {others}")
        return video

    def add(self, image: Image, box: ArrayLike, tracker: Tracker, seconds: float | None) -> Image:
        """Append a row and a frame; the drawn image. seconds: since the start, None where the rate
        tells them.
        """
        seconds = self.frames / self._fps if seconds is None else seconds
        self.frames += 1
        numbers = [f"{value:.3f}" for value in np.asarray(box)]
        flag = "" if tracker.lost is None else int(tracker.lost)
        row = [self.frames, *numbers, f"{tracker.score:.4f}", flag, f"{seconds:.3f}"]
        self._rows.writerow(row)
        canvas = _draw(image, self._size, box, tracker.score, tracker.lost)
        if self._video:
            self._video.write(canvas)
        return canvas

    def finish(self) -> None:
        """Give both their names. UserError where the video lacks frames: OpenCV does not say that
        it could not write them.
        """
        self._table.close()
        _part(self._paths[0]).replace(self._paths[0])
        if not self._video:
            return
        self._video.release()
        table, video = self._paths
        stored = _stored_frames(_part(video))
        if stored != self.frames:
            raise UserError(
                f"{video}: only {stored} of {self.frames} frames could be written; is the disk"
                f" full? The boxes are in {table}"
            )
        _part(video).replace(video)


def _stored_frames(path: Path) -> int:
    """How many frames a video file holds, counted without decoding them."""
    video = cv2.VideoCapture(str(path))
    video.set(cv2.CAP_PROP_FORMAT, -1)
    count = 0
    while video.grab():
        count += 1
    return count


def _why_ended(source: Source, count: int) -> str | None:
    """What to say of a source that ended by itself after so many images."""
    if source.live:
        reason = "it has ended, was unplugged, or stalls"
        return f"{source.name}: no image any more after {count}; {reason}"
    if source.total and count < 0.98 * source.total - 1:
        return f"{source.name}: ends after {count} of the {source.total} images that it announces"
    return None


def _follow(
    tracker: Tracker,
    source: Source,
    images: Iterator[Image],
    box: ArrayLike,
    recording: _Recording,
    show: bool,
) -> Summary:
    """From the first image, on whose box the tracker has started, to the end."""
    started = time.perf_counter()
    losses, ended = 0, None
    with progress(source.total, "track", "frame") as bar, stop_requests(signal.SIGINT) as stop:
        for image in images:
            if recording.frames:
                box = tracker.update(image)
            seconds = time.perf_counter() - started if source.live else None
            canvas = recording.add(image, box, tracker, seconds)
            losses += bool(tracker.lost)
            bar.update()
            key = _pressed(canvas) if show else ""
            if key in ("q", ESCAPE) or stop():
                break
            if key == "r" and (again := _select(image)) is not None:
                tracker.init(image, again)
        else:
            ended = _why_ended(source, recording.frames)
    taken = max(time.perf_counter() - started, 1e-9)
    lost = None if tracker.lost is None else losses
    return Summary(recording.frames, lost, recording.frames / taken, ended)


def track_video(
    tracker: Tracker,
    source: Source,
    box: ArrayLike | None,
    out: Path,
    fps: float,
    show: bool = False,
) -> Summary:
    """Follow `box`, or what is selected in a window where it is None, to the source's end, to q or
    to Ctrl-C.

    Writes `out` (a drawn video at the source's rate, `fps` where it has none) and the table beside
    it: frame (from 1), x, y, w, h (pixels of that frame, from 0), score, lost (0 or 1, empty
    without a threshold) and seconds. Both grow under names with ".part" and get their own at the
    end; what exists is replaced. A killed process leaves the parts, an error leaves nothing.

    Raises:
        UserError: an image cannot be read, no box was selected, or the video could not be written.
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
        images = chain([first], source.images)
        summary = _follow(tracker, source, images, start, recording, show)
        recording.finish()
    except Exception as error:
        for path in outputs(out):
            _part(path).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(out)  # for the message
        raise
    return summary
