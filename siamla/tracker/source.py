"""Where images come from: a video file, a folder, an animated image, a camera, a stream; read in a
thread.
"""

import os
import re
import threading
from collections.abc import Generator
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty, Full, Queue
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.data.images import complete
from siamla.errors import UserError
from siamla.files import parsed_by, regular

Image = NDArray[np.uint8]

IMAGES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff")
ANIMATED = (".gif", ".webp")
FPS = 25.0  # of what has no rate of its own
AHEAD = 4  # images that wait decoded; of 4K they take 25 MB each
PATIENCE = 10.0  # seconds without an image after which a camera or a stream has stalled


class Source(NamedTuple):
    """Images with what is known of them before they are read."""

    name: str
    images: Generator[Image, None, None]
    """(H, W, 3) BGR, in order; UserError where one cannot be read."""
    fps: float | None
    """None where the source has no rate."""
    total: int | None
    """None where it is not known."""
    live: bool
    """Whether images come by themselves, so that late ones are left out, and whatever came before
    an end counts.
    """


def open_source(text: str) -> Source:
    """What a user names: a file, a folder, the number of a camera, or an address such as
    rtsp://host/path.

    Raises UserError for what is not there, cannot be opened or holds no image.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # its own lines would surround ours
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    path = Path(text)
    if "://" in text:
        limit = int(1000 * PATIENCE)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
        return _live(text, cv2.VideoCapture(text, cv2.CAP_FFMPEG, limits))
    if text.isdecimal() and text.isascii() and not path.exists():
        return _live(f"camera {text}", cv2.VideoCapture(int(text)) if len(text) < 5 else None)
    if not path.exists():
        raise UserError(f"{path}: no such video or folder")
    if path.is_dir():
        return _folder(path)
    if regular(path).suffix.lower() in IMAGES:
        raise UserError(f"{path}: is a single image; name the folder that holds the others, too")
    return _animated(path) if path.suffix.lower() in ANIMATED else _video(path)


def _rate(video: cv2.VideoCapture) -> float | None:
    fps = video.get(cv2.CAP_PROP_FPS)
    return float(fps) if 0.1 <= fps <= 1000 else None


def _live(name: str, video: cv2.VideoCapture | None) -> Source:
    if video is None or not video.isOpened():
        raise UserError(f"{name}: cannot be opened; is it there, and does nothing else use it?")

    def images() -> Generator[Image, None, None]:
        number = 0
        while True:
            read, image = video.read()
            if not read:
                raise UserError(
                    f"{name}: no image any more after {number}; it has ended, was unplugged, or"
                    " stalls"
                )
            number += 1
            yield np.asarray(image, np.uint8)

    return Source(name, images(), _rate(video), None, True)


def _video(path: Path) -> Source:
    video = cv2.VideoCapture(str(path))
    if not video.isOpened():
        raise UserError(f"{path}: OpenCV cannot read this video")

    def images() -> Generator[Image, None, None]:
        read, image = video.read()
        if not read:
            raise UserError(f"{path}: OpenCV cannot read this video; it has no image")
        while read:
            yield np.asarray(image, np.uint8)
            read, image = video.read()
        video.release()

    count = video.get(cv2.CAP_PROP_FRAME_COUNT)
    return Source(str(path), images(), _rate(video), int(count) if count > 0 else None, False)


def _natural(path: Path) -> list[tuple[int, str]]:
    """A sort key by which 2.jpg stands before 10.jpg."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in parts]


def _folder(path: Path) -> Source:
    found = (
        file
        for file in path.iterdir()
        if file.suffix.lower() in IMAGES and not file.name.startswith(".")
    )
    files = sorted(found, key=_natural)
    if not files:
        raise UserError(f"{path}: no images, expected files ending in {', '.join(IMAGES)}")

    def images() -> Generator[Image, None, None]:
        for file in files:
            data = regular(file).read_bytes()
            # 16 bits become 8, grey three channels, and a transparent pixel shows its colour
            image = (
                cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
                if data and complete(data)
                else None
            )
            if image is None:
                raise UserError(f"{file}: not a readable image")
            yield np.asarray(image, np.uint8)

    return Source(str(path), images(), None, len(files), False)


def _animated(path: Path) -> Source:
    """By Pillow, one after the other: OpenCV's video reader ends after the first, its image reader
    keeps all.
    """
    from PIL import Image as Pillow

    with parsed_by("Pillow", path, "an animated image"):
        opened = Pillow.open(path)
    duration = float(opened.info.get("duration") or 0)  # milliseconds, of the first

    def images() -> Generator[Image, None, None]:
        with opened:
            for index in range(getattr(opened, "n_frames", 1)):
                with parsed_by("Pillow", path, "an animated image"):
                    opened.seek(index)
                    image = np.asarray(opened.convert("RGB"))
                yield np.ascontiguousarray(image[..., ::-1])

    return Source(
        str(path),
        images(),
        1000 / duration if duration else None,
        getattr(opened, "n_frames", 1),
        False,
    )


def read_ahead(source: Source, patience: float = PATIENCE) -> Generator[Image, None, None]:
    """The source's images, decoded in a thread while the caller works on the one before.

    A few wait at most, so that memory stays flat. Of a live source the oldest of them gives way to
    the newest, and UserError is raised when none has come for `patience` seconds.
    """
    waiting: Queue[Image | Exception | None] = Queue(1 if source.live else AHEAD)
    stop = threading.Event()

    def put(item: Image | Exception | None) -> None:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0 if source.live else 0.2)
                return
            except Full:
                if source.live:
                    with suppress(Empty):
                        waiting.get_nowait()

    def work() -> None:
        with closing(source.images):
            try:
                for image in source.images:
                    put(image)
                    if stop.is_set():
                        return
                put(None)
            except Exception as error:
                put(error)

    reader = threading.Thread(target=work, daemon=True)
    reader.start()
    try:
        while True:
            try:
                item = waiting.get(timeout=patience if source.live else None)
            except Empty:
                raise UserError(
                    f"{source.name}: no image for {patience:g} seconds; it stalls"
                ) from None
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stop.set()
        reader.join(1.0)  # one that waits for a dead stream is left to its own time limit
