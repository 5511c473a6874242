"""The tracker on anybody's video: a video file or a folder of images in, boxes and a drawn video out."""

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.errors import UserError
from siamla.files import atomic, free_for_output, regular
from siamla.tracker.tracker import SiamTracker

IMAGES = {".jpg", ".jpeg", ".png", ".bmp"}
CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
GREEN = (60, 220, 60)


def _natural(path: Path) -> list[tuple[int, str]]:
    """A sort key by which 2.jpg stands before 10.jpg."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in parts]


def _folder(source: Path) -> Iterator[NDArray[np.uint8]]:
    files = sorted((path for path in source.iterdir() if path.suffix.lower() in IMAGES), key=_natural)
    if not files:
        raise UserError(f"{source}: no images, expected files ending in {', '.join(sorted(IMAGES))}")
    for path in files:
        image = cv2.imread(str(regular(path)), cv2.IMREAD_COLOR)
        if image is None:
            raise UserError(f"{path}: not a readable image")
        yield np.asarray(image, np.uint8)


def _gif(source: Path) -> Iterator[NDArray[np.uint8]]:
    """OpenCV's video reader ends after the first frame of a GIF; its image reader has them all."""
    read, images = cv2.imreadmulti(str(source), flags=cv2.IMREAD_COLOR)
    if not read:
        raise UserError(f"{source}: OpenCV cannot read this GIF")
    yield from (np.asarray(image, np.uint8) for image in images)


def _video(source: Path) -> Iterator[NDArray[np.uint8]]:
    video = cv2.VideoCapture(str(source))
    read, image = video.read()
    if not read:
        raise UserError(f"{source}: OpenCV cannot read this video")
    while read:
        yield np.asarray(image, np.uint8)
        read, image = video.read()


def frames(source: Path) -> Iterator[NDArray[np.uint8]]:
    """The images (H, W, 3) BGR of a video file, or of a folder in the order of the numbers in its file names.

    Raises UserError for what cannot be read and for an image of another size than the first.
    """
    if not source.exists():
        raise UserError(f"{source}: no such video or folder")
    if source.is_dir():
        images = _folder(source)
    else:
        images = _gif(regular(source)) if source.suffix.lower() == ".gif" else _video(regular(source))
    first: tuple[int, ...] | None = None
    for number, image in enumerate(images, start=1):
        first = first or image.shape
        if image.shape != first:
            (height, width), (h, w) = image.shape[:2], first[:2]
            raise UserError(f"{source}: image {number} has {width}×{height} pixels, expected {w}×{h} as the first has")
        yield image


def draw(image: NDArray[np.uint8], box: NDArray[np.float64], score: float) -> NDArray[np.uint8]:
    """A copy of the image with the box and the confidence."""
    canvas = image.copy()
    left, top, right, bottom = np.rint([*box[:2], *(box[:2] + box[2:])]).astype(int).tolist()
    cv2.rectangle(canvas, (left, top), (right, bottom), GREEN, 2)
    cv2.putText(canvas, f"{score:.2f}", (left, max(12, top - 5)), cv2.FONT_HERSHEY_SIMPLEX, 0.5, GREEN, 1, cv2.LINE_AA)
    return canvas


def check_outputs(source: Path, out: Path, overwrite: bool) -> Path:
    """The CSV beside the video `out`; UserError unless both may be written (siamla.files.free_for_output)."""
    if out.suffix.lower() not in CODECS:
        raise UserError(f"{out}: expected a name ending in .mp4 or .avi")
    table = out.with_suffix(".csv")
    for path in (out, table):
        free_for_output(path, overwrite, source)
    return table


def track_video(
    tracker: SiamTracker, source: Path, box: NDArray[np.float64], out: Path, overwrite: bool = False, fps: float = 25.0
) -> int:
    """Follow `box` through `source`; write `out` (.mp4 or .avi) and `out` with .csv; the number of frames.

    The CSV holds frame (from 1), x, y, w, h (pixels, 0-based) and score. Raises UserError, with nothing written, when
    the box does not touch the first image, an image cannot be read, or an output exists and is not to be overwritten.
    """
    table, rows = check_outputs(source, out, overwrite), []
    images = frames(source)
    image, found, score = next(images), np.asarray(box, np.float64), 1.0
    tracker.init(image, box)
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=".track-") as scratch:
        video = Path(scratch, out.name)
        code, size = cv2.VideoWriter.fourcc(*CODECS[out.suffix.lower()]), (image.shape[1], image.shape[0])
        writer = cv2.VideoWriter(str(video), code, fps, size)
        if not writer.isOpened():
            raise UserError(f"{out}: OpenCV cannot write this video format here; try .avi")
        rows.append((1, *found, score))
        writer.write(draw(image, found, score))
        for number, further in enumerate(images, start=2):
            found, score = tracker.update(further), tracker.score
            rows.append((number, *found, score))
            writer.write(draw(further, found, score))
        writer.release()
        with atomic(table) as path:
            np.savetxt(path, rows, fmt=["%d", "%.3f", "%.3f", "%.3f", "%.3f", "%.4f"], delimiter=",",
                       header="frame,x,y,w,h,score", comments="")  # fmt: skip
            video.replace(out)
    return len(rows)
