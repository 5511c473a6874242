"""The tracker on anybody's images: boxes and a drawn video out, a window to look at where one is
wanted.
"""

import csv
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.errors import UserError
from siamla.files import free_for_output
from siamla.progress import progress
from siamla.stopping import stop_requests
from siamla.tracker.api import Tracker, fit
from siamla.tracker.source import FPS, Source, read_ahead

Image = NDArray[np.uint8]

CODECS = {".webm": ("VP80",), ".mp4": ("avc1", "VP90"), ".avi": ("MJPG",)}
"""By the name's end, what OpenCV is asked for in turn. Browsers play all but .avi; OpenCV's wheels
have no H.264 encoder, and VP9 takes several times the work of VP8.
"""
# pixels of the drawn video's longer side; encoding 4K would take ten times as long as tracking
LARGEST = 1280
WAITING = 4  # drawn images that wait to be encoded
SMALLEST = 16  # pixels of its shorter side, which encoders ask for
COLUMNS = ("frame", "x", "y", "w", "h", "score", "lost", "seconds")
GREEN, RED = (60, 220, 60), (50, 50, 230)
TITLE = "siamla: space pauses, r selects again, q ends"


def draw(image: Image, box: ArrayLike, score: float, lost: bool | None) -> None:
    """Draw the box and the confidence onto the image; red where the target is lost."""
    x, y, w, h = np.asarray(box, np.float64)
    left, top, right, bottom = (
        np.rint([x, y, x + w, y + h]).clip(-32000, 32000).astype(int).tolist()
    )
    colour, text = (RED, f"{score:.2f} lost") if lost else (GREEN, f"{score:.2f}")
    cv2.rectangle(image, (left, top), (right, bottom), colour, 2)
    cv2.putText(
        image, text, (left, max(12, top - 5)), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA
    )


def parts(out: Path) -> list[tuple[Path, Path]]:
    """(while it is written, when it is finished) of the table and, unless `out` is a table, of the
    video.
    """
    finished = [out.with_suffix(".csv")] + ([out] if out.suffix.lower() != ".csv" else [])
    return [(path.with_name(f"{path.stem}.part{path.suffix}"), path) for path in finished]


def check_outputs(source: str, out: Path, overwrite: bool) -> None:
    """UserError unless all that `out` stands for may be written (siamla.files.free_for_output)."""
    if out.suffix.lower() not in (*CODECS, ".csv"):
        raise UserError(
            f"{out}: expected a name ending in {', '.join(CODECS)}, or in .csv for boxes alone"
        )
    for unfinished, finished in parts(out)[::-1]:
        free_for_output(finished, overwrite, Path(source))
        free_for_output(unfinished, overwrite, Path(source))


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing of what C code says reaches the terminal: FFmpeg tells of each codec that it does not
    have.
    """
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class Drawing:
    """The drawn video, encoded in a thread beside the tracker.

    Its images are those of the source, at most LARGEST pixels wide or high and of even sizes, as
    encoders want them.
    """

    def __init__(self, path: Path, image: Image, fps: float) -> None:
        height, width = image.shape[:2]
        shrink = min(1.0, LARGEST / max(width, height))
        self._source = (width, height)
        self._size = (
            max(SMALLEST, 2 * round(width * shrink / 2)),
            max(SMALLEST, 2 * round(height * shrink / 2)),
        )
        self._scale = np.array([self._size[0] / width, self._size[1] / height] * 2)
        self._writer = self._open(path, fps)
        self._thread, self._pending = ThreadPoolExecutor(1), deque[Future[None]]()

    def _open(self, path: Path, fps: float) -> cv2.VideoWriter:
        for code in CODECS[path.suffix.lower()]:
            with _silent():
                writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, self._size)
            if writer.isOpened():
                return writer
        raise UserError(
            f"{path}: this OpenCV cannot write such a video here; try another of"
            f" {', '.join(CODECS)}"
        )

    def add(
        self, image: Image, box: ArrayLike, score: float, lost: bool | None, copies: int
    ) -> Image:
        """Draw on a copy of an image, of whatever size, and append it `copies` times; the copy."""
        fitted = fit(image, self._source)
        canvas = np.asarray(
            cv2.resize(fitted.image, self._size, interpolation=cv2.INTER_AREA), np.uint8
        )
        draw(canvas, fitted.into(box) * self._scale, score, lost)
        if len(self._pending) == WAITING:
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(self._write, canvas, copies))
        return canvas

    def _write(self, canvas: Image, copies: int) -> None:
        for _ in range(copies):
            self._writer.write(canvas)

    def close(self) -> None:
        """Finish the file; raises what went wrong as it was encoded."""
        self._thread.shutdown()
        self._writer.release()
        for done in self._pending:
            done.result()


class Summary(NamedTuple):
    """What came out."""

    frames: int
    """Images."""
    lost: int | None
    """Those in which the target was called lost; None without a threshold."""
    rate: float
    """Images per second, everything counted."""
    ended: str | None
    """Why there are fewer images than expected; None where all came or somebody stopped."""


def need_window() -> None:
    """UserError where no window can be opened. Tried in another process: without a display Qt ends
    its own.
    """
    command = [sys.executable, "-c", "import cv2; cv2.namedWindow('siamla')"]
    if subprocess.run(command, capture_output=True, timeout=60, check=False).returncode:
        raise UserError(
            "--select and --show need a window, and this machine has no display or this OpenCV was"
            " built without one (headless); give --box and look at the video"
        )


def select(image: Image) -> NDArray[np.float64] | None:
    """The box (4,) that somebody draws; None where it has no area."""
    box = np.array(cv2.selectROI(TITLE, image, showCrosshair=False), np.float64)
    return box if (box[2:] > 0).all() else None


def _pressed(canvas: Image) -> str:
    """Show an image; the key that was pressed meanwhile, "" for none. A space waits for the next
    one.
    """
    cv2.imshow(TITLE, canvas)
    key = cv2.waitKey(1) & 0xFF
    while key == ord(" "):
        key = cv2.waitKey(0) & 0xFF
        key = 255 if key == ord(" ") else key
    return {ord("q"): "q", 27: "q", ord("r"): "r"}.get(key, "")


def _follow(
    tracker: Tracker,
    source: Source,
    image: Image,
    box: NDArray[np.float64],
    images: Iterator[Image],
    table: TextIO,
    drawing: Drawing | None,
    rate: float,
    show: bool,
    stop: Callable[[], bool],
) -> Summary:
    """From the first image, on whose box the tracker has started, to the end."""
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(COLUMNS)
    calibrated, started = tracker.lost is not None, time.perf_counter()
    score, lost, away, number, shown, ended = 1.0, False if calibrated else None, 0, 0, 0, None
    with progress(source.total, "track", "frame") as bar:
        while True:
            seconds = time.perf_counter() - started if source.live else number / rate
            number, away = number + 1, away + bool(lost)
            flag = int(lost) if lost is not None else ""
            rows.writerow(
                [number, *(f"{value:.3f}" for value in box), f"{score:.4f}", flag, f"{seconds:.3f}"]
            )
            if drawing:
                # of a camera that the tracker is too slow for images are left out: others stay on
                # for longer
                copies = (
                    max(1, min(round(seconds * rate) + 1 - shown, round(rate)))
                    if source.live
                    else 1
                )
                shown += copies
                canvas = drawing.add(image, box, score, lost, copies)
            elif show:
                canvas = image.copy()
                draw(canvas, box, score, lost)
            bar.update()
            key = _pressed(canvas) if show else ""
            if key == "q" or stop():
                break
            if key == "r" and (chosen := select(image)) is not None:
                tracker.init(image, chosen)
            try:
                following = next(images, None)
            except UserError as error:
                if not source.live:
                    raise
                ended = str(error)
                break
            if following is None:
                if source.total and number < 0.98 * source.total - 1:
                    ended = (
                        f"{source.name}: ends after {number} of the {source.total} images that it"
                        " announces"
                    )
                break
            image = following
            box, score, lost = tracker.update(image), tracker.score, tracker.lost
    taken = time.perf_counter() - started
    return Summary(number, away if calibrated else None, number / max(taken, 1e-9), ended)


def track_video(
    tracker: Tracker,
    source: Source,
    box: ArrayLike | None,
    out: Path,
    fps: float = FPS,
    show: bool = False,
) -> Summary:
    """Follow `box`, or what is selected in a window where it is None, to the source's end, to q or
    to a signal.

    Writes `out` (a drawn video at the source's rate, `fps` where it has none) and the table beside
    it: frame (from 1), x, y, w, h (pixels of that frame, from 0), score, lost (0 or 1, empty
    without a threshold) and seconds. Both grow under names with ".part" and get their own at the
    end; what exists is replaced. A live source that ends was tracked so far; any other that cannot
    be read to its end raises UserError, and nothing is left.
    """
    rate, names = source.fps or fps, parts(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with closing(read_ahead(source)) as images, stop_requests() as stop:
        first = next(images)
        given = select(first) if box is None else np.asarray(box, np.float64)
        if given is None:
            raise UserError("no box was selected")
        tracker.init(first, given)
        try:
            with ExitStack() as stack:
                table = stack.enter_context(names[0][0].open("w", encoding="utf-8", buffering=1))
                drawing = (
                    stack.enter_context(closing(Drawing(names[1][0], first, rate)))
                    if len(names) > 1
                    else None
                )
                summary = _follow(
                    tracker, source, first, given, images, table, drawing, rate, show, stop
                )
        except UserError:
            for unfinished, _ in names:
                unfinished.unlink(missing_ok=True)
            raise
    for unfinished, finished in names:
        unfinished.replace(finished)
    return summary
