"""The tracker on a user's images: what OpenCV reads in, boxes and a drawn video out."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.data.images import read_image
from siamla.errors import UserError
from siamla.files import regular
from siamla.progress import progress
from siamla.stopping import stop_requests
from siamla.tracker.annotations import FORMATS, Frame, Video, annotate
from siamla.tracker.api import Image, Tracker
from siamla.tracker.recording import Recording, outputs, part

IMAGES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff")
PATIENCE = 10.0  # seconds without an image after which a stream has ended
ESCAPE = "\x1b"
TITLE = "siamla: space pauses, r selects again, q ends"


class Source(NamedTuple):
    """Images with what is known of them before they are read."""

    name: str
    images: Iterator[Image]  # (H, W, 3) BGR, in order; UserError for one that cannot be read
    fps: float | None  # images a second, if the source has a rate
    total: int | None  # how many images there should be, if that is known
    live: bool  # images come by themselves, so that late ones are left out
    files: Sequence[str] = ()  # the names of a folder's images, in order


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
    names = [file.name for file in files]
    return Source(str(path), map(read_image, files), None, len(files), False, names)


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
    tracking: float  # images per second of the trackers alone, without the first image
    rate: float  # images per second, everything counted
    ended: str | None  # why images are missing; None where all came or somebody stopped


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


def _started(tracker: Tracker, image: Image, box: ArrayLike) -> NDArray[np.float64]:
    """Start a tracker on a box; the box (4,) that it takes, which is told where it was cut."""
    cut = tracker.init(image, box)
    if not np.allclose(cut, box):
        where = f"reaches out of the {image.shape[1]}×{image.shape[0]} image"
        said = f"the box {np.asarray(box, np.float64).tolist()} {where}; what is tracked is"
        print(f"warning: {said} {cut.tolist()}", file=sys.stderr)
    return cut


def _why_ended(source: Source, count: int) -> str | None:
    """What to say of a source that ended by itself after so many images."""
    if source.live:
        reason = "it has ended, was unplugged, or stalls"
        return f"{source.name}: no image any more after {count}; {reason}"
    if source.total and count < 0.98 * source.total - 1:
        return f"{source.name}: ends after {count} of the {source.total} images that it announces"
    return None


def _follow(
    trackers: list[Tracker],
    boxes: list[NDArray[np.float64]],
    source: Source,
    out: Recording,
    show: bool,
) -> Summary:
    """From the first image, on whose boxes the trackers have started, to the end."""
    started = time.perf_counter()
    tracking, losses, ended = 0.0, 0, None
    with progress(source.total, "track", "frame") as bar, stop_requests(signal.SIGINT) as stop:
        for image in source.images:
            began = time.perf_counter()
            if out.frames:
                boxes = [tracker.update(image) for tracker in trackers]
                tracking += time.perf_counter() - began
            found = [(box, one.score, one.lost) for box, one in zip(boxes, trackers, strict=True)]
            canvas = out.add(image, found, began - started if source.live else None)
            losses += any(lost for _, _, lost in found)
            bar.update()
            key = _pressed(canvas) if show else ""
            if key in ("q", ESCAPE) or stop():
                break
            if key == "r" and (again := _select(image)) is not None:
                trackers[0].init(image, again)
        else:
            ended = _why_ended(source, out.frames)
    taken = max(time.perf_counter() - started, 1e-9)
    knows = trackers[0].lost is not None
    rate = (out.frames - 1) / max(tracking, 1e-9)
    return Summary(out.frames, losses if knows else None, rate, out.frames / taken, ended)


def _frames(source: Source, sizes: Sequence[tuple[int, int]]) -> list[Frame]:
    """The images that were tracked."""
    names = source.files or [f"{number:06d}.jpg" for number in range(1, len(sizes) + 1)]
    return [Frame(*pair) for pair in zip(names, sizes, strict=False)]  # ended, it has fewer


def track_video(
    tracker: Tracker,
    source: Source,
    boxes: Sequence[ArrayLike],
    out: Path,
    fps: float,
    show: bool = False,
    forms: Sequence[str] = (),
    label: str = "target",
) -> Summary:
    """Follow `boxes`, or what is selected where there is none, to the source's end, to q or to
    Ctrl-C.

    Writes `out` (a drawn video at the source's rate, else `fps`), the table beside it, and the
    boxes in formats of FORMATS (docs/tracking.md), whose class is `label`. Video and table grow
    under names with ".part"; a killed process leaves these, an error nothing. UserError where an
    image cannot be read, no box was selected, or the video was not written.
    """
    if "yolo" in forms and len({Path(name).stem for name in source.files}) < len(source.files):
        raise UserError(
            f"{source.name}: images differ by their ends alone, and YOLO's files would not"
        )
    first = next(source.images, None)
    if first is None:
        raise UserError(f"{source.name}: OpenCV cannot read this video; it has no image")
    given = list(boxes)
    if not given:
        selected = _select(first)
        if selected is None:
            raise UserError("no box was selected")
        given = [selected]
    trackers = [tracker, *(tracker.another() for _ in given[1:])]
    starts = [_started(one, first, box) for one, box in zip(trackers, given, strict=True)]
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        recording = Recording(out, first, source.fps or fps)
        whole = source._replace(images=chain([first], source.images))
        summary = _follow(trackers, starts, whole, recording, show)
        video = Video(Path(source.name).name, _frames(source, recording.sizes), label)
        for form in forms:
            annotate(out.with_suffix(FORMATS[form].suffix), form, recording.rows, video)
        recording.finish()
    except Exception as error:
        for path in outputs(out):
            part(path).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(out)  # for the message
        raise
    return summary
