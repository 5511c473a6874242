"""Whether image files are whole and boxes lie inside them; what was found in the images is
remembered.
"""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from siamla.data.crop import Image
from siamla.errors import UserError
from siamla.files import canonical_json, regular
from siamla.sequence import Sequence

PNG = b"\x89PNG\r\n\x1a\n"
_DAMAGE = (b"Corrupt JPEG data", b"Premature end of JPEG")  # how libjpeg's warnings begin


def complete(data: bytes) -> bool:
    """Whether an encoded JPEG or PNG reaches its end; OpenCV decodes a truncated JPEG with a mere
    warning.

    In a JPEG the marker bytes cannot occur inside compressed data, so the last end-of-image marker
    must follow a start-of-scan marker, and none follow it. A PNG is a chain of chunks with their
    lengths. Bytes after the end, which some cameras append, do no harm.
    """
    if data[:2] == b"\xff\xd8":
        end = data.rfind(b"\xff\xd9")
        return 0 <= data.find(b"\xff\xda") < end and data.find(b"\xff\xda", end) < 0
    return data[:8] != PNG or _png_ends(data)


def _png_ends(data: bytes) -> bool:
    """Whether the chunks of a PNG lead to its end chunk."""
    place = len(PNG)
    while place + 12 <= len(data):
        length, kind = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        place += 12 + length
        if kind == b"IEND":
            return True
    return False


def decode(data: bytes) -> tuple[Image | None, bool]:
    """The image (H, W, 3) BGR of an encoded file, or None, and whether the decoder found damage
    inside it.

    libjpeg fills what it cannot read and says so only on the process's error stream, which is
    therefore caught while it works; whatever else was written there is passed on.
    """
    with tempfile.TemporaryFile() as caught:
        kept = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        caught.seek(0)
        lines = caught.readlines()
    other = b"".join(line for line in lines if not line.startswith(_DAMAGE))
    if other:
        os.write(2, other)
    return None if image is None else np.asarray(image, np.uint8), any(
        line.startswith(_DAMAGE) for line in lines
    )


def read_image(file: Path) -> Image:
    """The image of a file; UserError for one that is not there, cut short or none."""
    try:
        data = regular(file).read_bytes()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None
    image = (
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if data and complete(data)
        else None
    )
    if image is None:
        raise UserError(f"{file}: not a readable image")
    return np.asarray(image, np.uint8)


def check_images(frames: Iterable[Path]) -> dict[str, Any]:
    """Read and decode all frames of a sequence.

    Returns:
        "problem": the first that makes the sequence unusable, or None; "size": [height, width];
        "digest": of the bytes; "damaged": names of the files that are whole but damaged inside.
        Those are kept: every toolkit decodes them to the same pixels, and a published benchmark
        without one of its frames would be another benchmark.
    """
    size: list[int] | None = None
    damaged: list[str] = []
    content = hashlib.sha256()
    for file in frames:
        try:
            data = regular(file).read_bytes()
        except OSError as error:
            return _broken(f"{file.name}: {error.strerror}", size)
        except UserError as error:
            return _broken(str(error), size)
        content.update(hashlib.sha256(data).digest())
        if not data:
            return _broken(f"{file.name}: the file is empty", size)
        image, hurt = decode(data) if complete(data) else (None, False)
        if image is None:
            return _broken(f"{file.name}: truncated or not an image ({len(data)} bytes)", size)
        found = [int(value) for value in image.shape[:2]]
        if size is not None and found != size:
            expected = f"expected {size[1]}×{size[0]} as in the first frame"
            return _broken(f"{file.name}: {found[1]}×{found[0]} pixels, {expected}", size)
        size = found
        if hurt:
            damaged.append(file.name)
    return {"problem": None, "size": size, "digest": content.hexdigest()[:16], "damaged": damaged}


def _broken(problem: str, size: list[int] | None) -> dict[str, Any]:
    return {"problem": problem, "size": size, "digest": "", "damaged": []}


def first_frame_only(video: Sequence) -> bool:
    """Whether the truth is given in the first frame alone, as in the hidden test sets (GOT-10k,
    TrackingNet).
    """
    return len(video.frames) > 1 and len(video.boxes) > 0 and bool(np.isnan(video.boxes[1:]).all())


def box_problem(video: Sequence, size: list[int], empty_truth: bool) -> str | None:
    """The first box that is wrong in an image of [height, width], or None. Frames without the
    target are not judged.

    With `empty_truth` the benchmark has a rule for frames whose row is no box; a tracker must still
    find one to start on, and a row that reaches to infinity is no way to say that there is none.
    """
    judged = video.visible.copy()
    if first_frame_only(video):
        judged[1:] = False
    if not judged.any():
        return "the target is absent in every frame"
    required = judged & (np.arange(len(judged)) == 0) if empty_truth else judged
    for test, what in (
        (np.isinf(video.boxes).any(1) & judged, "not finite, and the frame is not marked absent"),
        (np.isnan(video.boxes).any(1) & required, "not finite, and the frame is not marked absent"),
        ((video.boxes[:, 2:] <= 0).any(1) & required, "width or height is not positive"),
        (
            (beyond(video, size) == 2) & judged & video.valid,
            f"wholly outside the image of {size[1]}×{size[0]}",
        ),
    ):
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


class Memory:
    """Results of image checks in a file of one JSON line each, appended as they come; a cut last
    line is ignored.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        self._known: dict[str, dict[str, Any]] = {}
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                if "damaged" in entry["images"]:
                    self._known[entry["name"]] = {"key": entry["key"], "images": entry["images"]}
            except (json.JSONDecodeError, KeyError, TypeError):
                continue
        self._gap = "\n" if text and not text.endswith("\n") else ""

    def of(self, name: str) -> dict[str, Any]:
        """{"key": of the files that were checked, "images": the result} of a sequence; empty when
        there is none.
        """
        return self._known.get(name, {})

    def add(self, name: str, key: str, images: dict[str, Any]) -> None:
        """Keep a result, unless it is known; UserError when the disk is full."""
        if self.of(name).get("key") == key:
            return
        self._known[name] = {"key": key, "images": images}
        line = self._gap + canonical_json({"name": name, **self._known[name]}) + "\n"
        self._gap = ""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as handle:
                handle.write(line)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise UserError(f"{self.path}: the disk is full; nothing else was written") from error
