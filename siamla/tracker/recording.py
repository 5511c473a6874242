"""What `siamla track` writes: the table and the drawn video."""

import csv
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
from numpy.typing import ArrayLike

from siamla.errors import UserError
from siamla.files import free_for_output
from siamla.tracker.annotations import FORMATS, Row, labels_alone
from siamla.tracker.api import Image, fit

Colour = Sequence[int]
Corners = tuple[
    int, int, int, int
]  # the first and the last column and row: left, top, right, bottom
Found = tuple[ArrayLike, float, bool | None]
"""Of a target its box (4,), its score, and whether it is lost; None where no threshold tells that.
"""

CODECS = {".webm": "VP80", ".mp4": "vp09", ".avi": "MJPG"}
"""By the end of the video's name. OpenCV's wheels can write all three, and no H.264."""
LARGEST = 1280  # pixels of the drawn video's longer side; 4K would take ten times as long to encode
SMALLEST = 16  # pixels of its shorter side, which encoders ask for
COLUMNS = ("frame", "target", "x", "y", "w", "h", "score", "lost", "seconds")
FONT = cv2.FONT_HERSHEY_SIMPLEX
COLOURS = ((60, 220, 60), (230, 160, 40), (60, 200, 230), (220, 80, 200), (200, 200, 200))
RED = (50, 50, 230)  # of a box that nothing speaks for
SURE = 0.5  # score from which a box has its target's own colour
TINY = 32  # pixels of the shorter side of a box that stands apart from its outline
PACE = 1.0
"""Frames a second at which frames are encoded; `finish` gives them their own rate. Only where a
frame lasts a second does libvpx, with what OpenCV sets, encode in its realtime mode, which takes a
quarter of the time at the same quality.
"""


def outputs(out: Path, forms: Sequence[str] = ()) -> list[Path]:
    """The table and, unless `out` is a table, the video; and the boxes in formats of others."""
    files = [out] if out.suffix.lower() == ".csv" else [out.with_suffix(".csv"), out]
    return [*files, *(out.with_suffix(FORMATS[form].suffix) for form in forms)]


def part(path: Path) -> Path:
    """The name of an output while it is written."""
    return path.with_name(f"{path.stem}.part{path.suffix}")


def default_output(source: str) -> Path:
    """SOURCE.track.webm in the current folder."""
    address = urlsplit(source) if "://" in source else None
    stem = Path(source).resolve().stem if address is None else Path(address.path).stem
    return Path(f"{stem or (address and address.hostname) or 'siamla'}.track.webm")


def check_outputs(out: Path, forms: Sequence[str], overwrite: bool, *read: Path) -> None:
    """UserError unless all that `out` stands for may be written; `read`: files that must stay."""
    if out.suffix.lower() not in (*CODECS, ".csv"):
        raise UserError(
            f"{out}: expected a name ending in {', '.join(CODECS)}, or in .csv for boxes alone"
        )
    above = next(folder for folder in out.parents if folder.exists())
    if not above.is_dir():
        raise UserError(f"--out {out}: {above} is a file, not a folder")
    for path in reversed(outputs(out, forms)):
        if path.is_dir():
            if not labels_alone(path):
                raise UserError(f"{path}: is a folder; move it away or name another output")
            if not overwrite:
                raise UserError(f"{path}: exists already; --overwrite replaces it")
            continue
        free_for_output(path, overwrite, *read)
        if part(path).is_file() and not overwrite:
            left = "was left by a run that was killed, or is being written"
            raise UserError(f"{part(path)}: {left}; --overwrite replaces it")
        free_for_output(part(path), overwrite, *read)


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


def _outline(canvas: Image, corners: Corners, colour: Colour, dashed: bool) -> Corners:
    """Draw an outline that hides nothing inside where the image has room; its own corners."""
    thick = 1 + max(canvas.shape) // 640
    left, top, right, bottom = corners
    apart = 2 + thick // 2 + (thick + 2 if min(right - left, bottom - top) < TINY else 0)
    least, most = thick // 2, np.array(canvas.shape[1::-1]) - 1 - thick // 2
    low = np.clip([left - apart, top - apart], least, most).tolist()
    high = np.clip([right + apart, bottom + apart], least, most).tolist()
    for width, ink in ((thick + 2, (0, 0, 0)), (thick, colour)):  # seen on any ground
        if not dashed:
            cv2.rectangle(canvas, low, high, ink, width)
            continue
        for x in range(low[0], high[0], 8 * thick):
            for y in (low[1], high[1]):
                cv2.line(canvas, (x, y), (min(x + 4 * thick, high[0]), y), ink, width)
        for y in range(low[1], high[1], 8 * thick):
            for x in (low[0], high[0]):
                cv2.line(canvas, (x, y), (x, min(y + 4 * thick, high[1])), ink, width)
    return low[0] - thick, low[1] - thick, high[0] + thick, high[1] + thick


def _write(canvas: Image, text: str, corners: Corners, colour: Colour) -> None:
    """Write beside a box: above it, else below, to the right or to the left, where it fits."""
    height, width = canvas.shape[:2]
    scale = max(0.45, max(height, width) / 1800)
    thick = max(1, round(2 * scale))
    (wide, high), under = cv2.getTextSize(text, FONT, scale, thick)
    left, top, right, bottom = corners
    along = min(max(left, 2), width - wide - 2)
    down = min(max(top + high, high + 2), height - under)
    places = [(along, top - under - 3), (along, bottom + high + 3), (right + 3, down)]
    places.append((left - wide - 3, down))
    fitting = [
        (x, y) for x, y in places if 0 <= x <= width - wide and high <= y <= height - under // 2
    ]
    where = fitting[0] if fitting else (max(0, along), high + 2)
    around = [(x, y) for x in (-2, 0, 2) for y in (-2, 0, 2)]
    for x, y in [*around, (0, 0)]:  # a thicker text would be a wider one
        ink = (0, 0, 0) if x or y else colour
        place = (where[0] + x, where[1] + y)
        cv2.putText(canvas, text, place, FONT, scale, ink, thick, cv2.LINE_AA)


def draw(image: Image, size: tuple[int, int], rows: list[Row]) -> Image:
    """A copy of the image, fitted into `size`, with boxes and scores beside the targets, of several
    with the target's number. The less sure a box is, the redder it is; that of a lost target is
    dashed.
    """
    fitted = fit(image, size)
    canvas = fitted.image.copy()
    for row in rows:
        x, y, w, h = fitted.into(row.box)
        edges = [np.floor(x), np.floor(y), np.ceil(x + w) - 1, np.ceil(y + h) - 1]
        left, top, right, bottom = np.clip(edges, -32000, 32000).astype(int).tolist()
        sure = 0.0 if row.lost else min(1.0, row.score / SURE)
        own = COLOURS[(row.target - 1) % len(COLOURS)]
        colour = tuple(round(sure * a + (1 - sure) * b) for a, b in zip(own, RED, strict=True))
        around = _outline(canvas, (left, top, right, bottom), colour, row.lost)
        number = f"{row.target} " if len(rows) > 1 else ""
        text = number + f"{row.score:.2f}".removeprefix("0") + (" lost" if row.lost else "")
        _write(canvas, text, around, colour)
    return canvas


def _grabbed(video: Path) -> cv2.VideoCapture:
    """A video of which the encoded frames are read, and none is decoded."""
    return cv2.VideoCapture(str(video), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])


def _paced(drawn: Path, out: Path, fps: float, size: tuple[int, int]) -> int:
    """The encoded frames of a video, as they are, in another file at their own rate; how many."""
    code = cv2.VideoWriter.fourcc(*CODECS[out.suffix.lower()])
    frames, kept = _grabbed(drawn), [cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1]
    with _silent():
        video = cv2.VideoWriter(str(out), cv2.CAP_FFMPEG, code, fps, size, kept)
    while (frame := frames.read()[1]) is not None:
        video.set(cv2.VIDEOWRITER_PROP_KEY_FLAG, frames.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME))
        video.write(frame)
    video.release()
    return sum(1 for _ in iter(_grabbed(out).grab, False))


class Recording:
    """The table and the drawn video while they grow, under names with ".part"."""

    def __init__(self, out: Path, image: Image, fps: float) -> None:
        self.frames = 0
        self.rows: list[Row] = []
        self.sizes: list[tuple[int, int]] = []  # width and height of each image
        self._paths, self._fps = outputs(out), fps
        shrink = min(1.0, LARGEST / max(image.shape[:2]))
        height, width = (max(SMALLEST, 2 * round(side * shrink / 2)) for side in image.shape[:2])
        self._size = (width, height)
        self._table = part(self._paths[0]).open("w", encoding="utf-8", buffering=1)
        self._rows = csv.writer(self._table, lineterminator="\n")
        self._rows.writerow(COLUMNS)
        self._video: cv2.VideoWriter | None = None
        self._thread = ThreadPoolExecutor(1)  # encodes a frame while the next is tracked
        self._encoding: Future[Any] | None = None
        if len(self._paths) > 1:
            code = cv2.VideoWriter.fourcc(*CODECS[out.suffix.lower()])
            with _silent():
                video = cv2.VideoWriter(str(part(out)), cv2.CAP_FFMPEG, code, PACE, self._size)
            if not video.isOpened():
                others = ", ".join(CODECS)
                raise UserError(f"{out}: this OpenCV cannot write such a video; try {others}")
            self._video = video

    def add(self, image: Image, found: Sequence[Found], seconds: float | None) -> Image:
        """Append rows and a frame; the drawn image. seconds: None where the rate tells them."""
        seconds = self.frames / self._fps if seconds is None else seconds
        self.frames += 1
        self.sizes.append((image.shape[1], image.shape[0]))
        rows = []
        for number, (box, score, lost) in enumerate(found, 1):
            x, y, w, h = np.asarray(box, np.float64).tolist()
            rows.append(Row(self.frames, number, (x, y, w, h), score, bool(lost)))
            numbers = [f"{value:.3f}" for value in (x, y, w, h)]
            flag = "" if lost is None else int(lost)
            row = [self.frames, number, *numbers, f"{score:.4f}", flag, f"{seconds:.3f}"]
            self._rows.writerow(row)
        self.rows += rows
        canvas = draw(image, self._size, rows)
        if self._video:
            self._encoded()
            self._encoding = self._thread.submit(self._video.write, canvas)
        return canvas

    def _encoded(self) -> None:
        """Wait for the frame that is being encoded."""
        if self._encoding:
            self._encoding.result()

    def finish(self) -> None:
        """Give both their names. UserError where OpenCV has silently left frames out."""
        self._table.close()
        part(self._paths[0]).replace(self._paths[0])
        if not self._video:
            return
        self._encoded()
        self._video.release()
        table, video = self._paths
        whole = part(part(video))
        try:
            stored = _paced(part(video), whole, self._fps, self._size)
            if stored != self.frames:
                raise UserError(
                    f"{video}: only {stored} of {self.frames} frames could be written; is the disk"
                    f" full? The boxes are in {table}"
                )
            whole.replace(video)
        finally:
            whole.unlink(missing_ok=True)
        part(video).unlink()
