"""Whether image files are whole and boxes lie inside them."""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from siamla.data.crop import Image
from siamla.errors import UserError
from siamla.files import regular
from siamla.sequence import Sequence

PNG = b"\x89PNG\r\n\x1a\n"
_DAMAGE = (b"Corrupt JPEG data", b"Premature end of JPEG")  # how libjpeg's warnings begin


def complete(data: bytes) -> bool:
    """Whether an encoded JPEG or PNG reaches its end; OpenCV decodes a truncated JPEG with a mere
    warning. Marker bytes cannot occur inside compressed data: a JPEG's last end-of-image marker
    must follow a start-of-scan marker, and none follow it. A PNG is a chain of chunks.
    """
    if data[:2] == b"\xff\xd8":
        end = data.rfind(b"\xff\xd9")
        return 0 <= data.find(b"\xff\xda") < end and data.find(b"\xff\xda", end) < 0
    if data[:8] != PNG:
        return True
    offset = len(PNG)
    while offset + 12 <= len(data) and data[offset + 4 : offset + 8] != b"IEND":
        offset += 12 + int.from_bytes(data[offset : offset + 4])
    return offset + 12 <= len(data)


def _pixels(data: bytes) -> Image | None:
    """The image (H, W, 3) BGR; None where OpenCV decodes none, or refuses: 2³⁰ pixels and more."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None


def decode(data: bytes) -> tuple[Image | None, bool]:
    """The image (H, W, 3) BGR of an encoded file, or None, and whether it is damaged inside:
    libjpeg says so only on the process's error stream, which is caught while it works.
    """
    with tempfile.TemporaryFile() as caught:
        kept = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            image = _pixels(data)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        caught.seek(0)
        lines = caught.readlines()
    other = [line for line in lines if not line.startswith(_DAMAGE)]
    os.write(2, b"".join(other))
    return image, len(other) < len(lines)


def read_image(file: Path) -> Image:
    """The image of a file, (H, W, 3) BGR; UserError for one that is not there, cut short or none.

    16 bits become 8, grey three channels, and a transparent pixel shows its colour.
    """
    try:
        data = regular(file).read_bytes()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None
    image = _pixels(data) if data and complete(data) else None
    if image is None:
        raise UserError(f"{file}: not a readable image")
    return image


def _check(file: Path, size: list[int] | None) -> tuple[bytes, list[int], bool]:
    """The bytes, [height, width] and damage of an image file; UserError unless of `size`."""
    data = regular(file).read_bytes()
    if not data:
        raise UserError(f"{file.name}: the file is empty")
    image, damaged = decode(data) if complete(data) else (None, False)
    if image is None:
        raise UserError(f"{file.name}: truncated or not an image ({len(data)} bytes)")
    height, width = image.shape[:2]
    if size and [height, width] != size:
        expected = f"expected {size[1]}×{size[0]} as in the first frame"
        raise UserError(f"{file.name}: {width}×{height} pixels, {expected}")
    return data, [height, width], damaged


def check_images(frames: Iterable[Path]) -> dict[str, Any]:
    """Read and decode all frames: the first "problem" that makes the sequence unusable, or None;
    "size", [height, width]; "digest" of the bytes; "damaged", names of files that are whole but
    damaged inside, which every toolkit decodes to the same pixels.
    """
    size: list[int] | None = None
    damaged: list[str] = []
    content = hashlib.sha256()
    for file in frames:
        try:
            data, size, hurt = _check(file, size)
        except (OSError, UserError) as error:
            return {"problem": str(error), "size": size, "digest": "", "damaged": []}
        content.update(hashlib.sha256(data).digest())
        if hurt:
            damaged.append(file.name)
    return {"problem": None, "size": size, "digest": content.hexdigest()[:16], "damaged": damaged}


def first_frame_only(video: Sequence) -> bool:
    """Whether the truth is given in the first frame alone, as in hidden test sets."""
    return len(video.frames) > 1 and len(video.boxes) > 0 and bool(np.isnan(video.boxes[1:]).all())


def box_problem(video: Sequence, size: list[int], empty_truth: bool) -> str | None:
    """The first box of a visible target that is wrong in an image of [height, width], or None. With
    `empty_truth` rows may be no box, but for the first.
    """
    judged = video.visible.copy()
    if first_frame_only(video):
        judged[1:] = False
    if not judged.any():
        return "the target is absent in every frame"
    required = judged & (np.arange(len(judged)) == 0) if empty_truth else judged
    outside = (beyond(video, size) == 2) & judged & video.valid
    tests = (
        (np.isinf(video.boxes).any(1) & judged, "not finite, and the frame is not marked absent"),
        (np.isnan(video.boxes).any(1) & required, "not finite, and the frame is not marked absent"),
        ((video.boxes[:, 2:] <= 0).any(1) & required, "width or height is not positive"),
        (outside, f"wholly outside the image of {size[1]}×{size[0]}"),
    )
    for test, what in tests:
        bad = np.flatnonzero(test)
        if len(bad):
            box = ", ".join(f"{value:g}" for value in video.boxes[bad[0]])
            more = f" ({len(bad)} such boxes)" if len(bad) > 1 else ""
            return f"box of frame {bad[0] + 1} is {box}: {what}{more}"
    return None


def beyond(video: Sequence, size: list[int]) -> np.ndarray:
    """(N,) 0 where a box is inside the image, 1 partly outside, 2 wholly outside."""
    low, high = video.boxes[:, :2], video.boxes[:, :2] + video.boxes[:, 2:]
    edge = np.array([size[1], size[0]], np.float64)
    partly = (low < 0).any(1) | (high > edge).any(1)
    return partly.astype(int) + ((high <= 0).any(1) | (low >= edge).any(1))
