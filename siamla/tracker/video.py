"""The tracker on anybody's video: a video file or a folder of images in, boxes and a drawn video out."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.errors import UserError
from siamla.files import atomic
from siamla.tracker.tracker import SiamTracker

IMAGES = {".jpg", ".jpeg", ".png", ".bmp"}
GREEN = (60, 220, 60)


def frames(source: Path) -> Iterator[NDArray[np.uint8]]:
    """The images (H, W, 3) BGR of a video file, or of a folder in the order of its file names."""
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix.lower() in IMAGES)
        if not files:
            raise UserError(f"{source}: no images, expected files ending in {', '.join(sorted(IMAGES))}")
        for path in files:
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                raise UserError(f"{path}: not a readable image")
            yield np.asarray(image, np.uint8)
        return
    if not source.exists():
        raise UserError(f"{source}: no such video or folder")
    video = cv2.VideoCapture(str(source))
    read, image = video.read()
    if not read:
        raise UserError(f"{source}: OpenCV cannot read this video")
    while read:
        yield np.asarray(image, np.uint8)
        read, image = video.read()


def draw(image: NDArray[np.uint8], box: NDArray[np.float64], score: float) -> NDArray[np.uint8]:
    """A copy of the image with the box and the confidence."""
    canvas = image.copy()
    left, top, right, bottom = np.rint([*box[:2], *(box[:2] + box[2:])]).astype(int).tolist()
    cv2.rectangle(canvas, (left, top), (right, bottom), GREEN, 2)
    cv2.putText(canvas, f"{score:.2f}", (left, max(12, top - 5)), cv2.FONT_HERSHEY_SIMPLEX, 0.5, GREEN, 1, cv2.LINE_AA)
    return canvas


def track_video(tracker: SiamTracker, source: Path, box: NDArray[np.float64], out: Path, fps: float = 25.0) -> int:
    """Follow `box` through `source`; write `out` (.mp4 or .avi) and `out` with .csv; the number of frames.

    The CSV holds frame (from 1), x, y, w, h (pixels, 0-based) and score. Raises UserError when the box does not
    touch the first image.
    """
    codec = {".mp4": "mp4v", ".avi": "MJPG"}.get(out.suffix.lower())
    if codec is None:
        raise UserError(f"{out}: expected a name ending in .mp4 or .avi")
    rows, writer = [], None
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".tmp-{out.name}")
    for number, image in enumerate(frames(source), start=1):
        if writer is None:
            tracker.init(image, box)
            size = image.shape[1], image.shape[0]
            writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*codec), fps, size)
            if not writer.isOpened():
                raise UserError(f"{out}: OpenCV cannot write this video format here; try .avi")
            found, score = np.asarray(box, np.float64), 1.0
        else:
            found, score = tracker.update(image), tracker.score
        rows.append((number, *found, score))
        writer.write(draw(image, found, score))
    assert writer is not None
    writer.release()
    temporary.replace(out)
    with atomic(out.with_suffix(".csv")) as path:
        np.savetxt(path, rows, fmt=["%d", "%.3f", "%.3f", "%.3f", "%.3f", "%.4f"], delimiter=",",
                   header="frame,x,y,w,h,score", comments="")  # fmt: skip
    return len(rows)
