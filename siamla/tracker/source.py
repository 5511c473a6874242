"""Images of a folder, a video file, a camera or a stream, as OpenCV reads them."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.data.images import complete
from siamla.errors import UserError
from siamla.files import parsed_by, regular

Image = NDArray[np.uint8]

IMAGES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff")
PATIENCE = 10.0  # seconds without an image after which a stream has ended


class Source(NamedTuple):
    """Images with what is known of them before they are read."""

    name: str
    images: Iterator[Image]
    """(H, W, 3) BGR, in order; UserError for an image of a folder that cannot be read."""
    fps: float | None
    """Images a second; None where the source has no rate."""
    total: int | None
    """How many images there should be; None where it is not known."""
    live: bool
    """Whether images come by themselves, so that late ones are left out."""


def _captured(video: cv2.VideoCapture, live_fps: float) -> Iterator[Image]:
    """The images of a video. At a `live_fps` above 0 those are left out that came while the caller
    worked on the one before.
    """
    late = 0.0
    while True:
        read, image = video.read()
        if not read:
            return
        taken = time.monotonic()
        yield np.asarray(image, np.uint8)
        late = max(0.0, late + (time.monotonic() - taken) * live_fps - 1)
        while late >= 1 and video.grab():
            late -= 1


def _video(name: str, video: cv2.VideoCapture, live: bool) -> Source:
    if not video.isOpened() and live:
        raise UserError(f"{name}: cannot be opened; is it there, and does nothing else use it?")
    if not video.isOpened():
        raise UserError(f"{name}: OpenCV cannot read this video")
    rate, count = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
    fps = float(rate) if 0.1 <= rate <= 1000 else None
    total = int(count) if count > 0 and not live else None
    images = _captured(video, fps if live and fps else 0.0)
    return Source(name, images, fps, total, live)


def _natural(path: Path) -> list[tuple[int, str]]:
    """A sort key by which 2.jpg stands before 10.jpg."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in parts]


def _decoded(files: list[Path]) -> Iterator[Image]:
    for file in files:
        data, image = regular(file).read_bytes(), None
        if data and complete(data):
            with parsed_by("OpenCV", file, "an image"):
                # 16 bits become 8, grey three channels, and a transparent pixel shows its colour
                image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise UserError(f"{file}: not a readable image")
        yield np.asarray(image, np.uint8)


def _folder(path: Path) -> Source:
    files = [file for file in path.iterdir() if file.suffix.lower() in IMAGES]
    files = sorted((file for file in files if not file.name.startswith(".")), key=_natural)
    if not files:
        raise UserError(f"{path}: no images, expected files ending in {', '.join(IMAGES)}")
    return Source(str(path), _decoded(files), None, len(files), False)


def open_source(text: str) -> Source:
    """What a user names: a folder, a file, the number of a camera, or an address such as
    rtsp://host/path.

    Raises UserError for what is not there or cannot be opened.
    """
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
