"""Real clips: frames of videos that packages ship, in the plain layout, with the boxes of clips/.

A file clips/VIDEO-TARGET.txt has a row for each key frame: its number in the video, from 0, and x,
y, w, h in pixels counted from 0 (siamla.geometry), of the whole target where something hides a part
of it. Between key frames boxes are interpolated linearly. From a row `NUMBER absent` on there is no
box until the next key frame. The clip reaches from its first row to its last. passes.csv has the
boxes of two passes, made apart, for some of the key frames.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field

from siamla.data.crop import Image
from siamla.data.formats.text import read_text, write_boxes
from siamla.data.real import packages
from siamla.errors import UserError
from siamla.files import whole_folder, write_json
from siamla.geometry import Array
from siamla.settings import Line, Settings, read_yaml, validate

HERE = Path(__file__).parent
Split = Literal["validation", "test"]
QUALITY = 95  # of the JPEGs
REAL = "real.json"  # what a folder of real clips holds


class Video(Settings):
    """A video in a package: an entry of videos.yaml, which says what the fields mean."""

    split: Split
    archive: Line
    get: Line
    member: Line
    first: int = Field(0, ge=0)
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    frames: int = Field(ge=1)
    size: tuple[int, int]
    licence: Line

    def files(self) -> list[str]:
        """The names of its files in the package: one, or one for each image."""
        if "%" not in self.member:
            return [self.member]
        return [self.member % (self.first + number) for number in range(self.frames)]


def load_videos() -> dict[str, Video]:
    """The videos of videos.yaml, by name."""
    path = HERE / "videos.yaml"
    return validate(dict[str, Video], read_yaml(path), str(path))


def load_clip(path: Path) -> tuple[int, Array]:
    """The number of a clip's first frame in its video, and its boxes (N, 4), NaN where the target
    is absent. UserError for rows that are none, or in another order.
    """
    numbers, rows = list[int](), list[list[float]]()
    for line, text in enumerate(read_text(path).splitlines(), 1):
        words = text.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            numbers.append(int(words[0]))
            rows.append([np.nan] * 4 if words[1:] == ["absent"] else [*map(float, words[1:])])
        except ValueError:
            rows.append([])
        if len(rows[-1]) != 4 or numbers[-2:] != sorted(set(numbers[-2:])):
            what = "expected a later frame with x, y, w, h or the word absent"
            raise UserError(f"{path}, line {line}: found {text.strip()[:60]!r}, {what}")
    if not rows:
        raise UserError(f"{path}: no boxes")
    frames, keys = np.arange(numbers[0], numbers[-1] + 1), np.array(rows)
    # np.interp makes every box beside an absent row NaN; the key frame itself is kept
    boxes = np.stack([np.interp(frames, numbers, column) for column in keys.T], 1)
    boxes[np.array(numbers) - numbers[0]] = keys
    return numbers[0], boxes


def clips_of(video: str) -> dict[str, tuple[int, Array]]:
    """The clips of a video, by name."""
    paths = sorted((HERE / "clips").glob(f"{video}-*.txt"))
    return {path.stem: load_clip(path) for path in paths}


def _images(video: Video, data: Mapping[str, bytes]) -> Iterator[Image]:
    """The frames (H, W, 3) BGR of a video, of the content of its files."""
    if "%" in video.member:
        for content in data.values():
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            if image is not None:
                yield np.asarray(image, np.uint8)
        return
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # its lines say nothing to a user
    (content,) = data.values()
    with tempfile.NamedTemporaryFile(suffix=Path(video.member.removesuffix(".gz")).suffix) as file:
        file.write(content)
        file.flush()
        capture = cv2.VideoCapture(file.name)
        while (image := capture.read()[1]) is not None:
            yield np.asarray(image, np.uint8)
        capture.release()


def _write(name: str, video: Video, data: Mapping[str, bytes], root: Path) -> None:
    """Write the clips of a video; UserError for another video than the annotated one."""
    content = hashlib.sha256()
    for part in data.values():
        content.update(part)
    if content.hexdigest() != video.sha256:
        what = "its package holds another video of this name than the annotated one"
        raise UserError(f"{video.member}: {what}; {video.get}")
    clips, count = clips_of(name), 0
    for clip in clips:
        (root / clip).mkdir()
    for count, image in enumerate(_images(video, data), 1):
        if image.shape[1::-1] != video.size:
            sizes = [f"{width}×{height}" for width, height in (image.shape[1::-1], video.size)]
            what = f"frame {count - 1} is {sizes[0]}, expected {sizes[1]}"
            raise UserError(f"{video.member}: {what}")
        for clip, (start, boxes) in clips.items():
            if 0 < (number := count - start) <= len(boxes):
                # not cv2.imwrite, which says nothing of a full disk but False
                jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
                (root / clip / f"{number:08d}.jpg").write_bytes(jpeg.tobytes())
    if count != video.frames:
        what = f"OpenCV decodes {count} frames, expected {video.frames}"
        raise UserError(f"{video.member}: {what}; its boxes would be of other frames")
    for clip, (_, boxes) in clips.items():
        write_boxes(root / clip / "groundtruth.txt", np.nan_to_num(boxes), 0, "%.1f")


def extract(split: Split, root: Path, folder: Path) -> list[str]:
    """Write the clips of a split to `root`, in the plain layout, from packages that are installed
    or lie in `folder`. Clips of a package that is missing are left out: a line for each of these
    is returned, with the command that brings it. real.json names each video's package, licence and
    digest.

    UserError, and nothing is written, where `root` is not empty, none of the packages is there, or
    one holds another video.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UserError(f"{root}: is there already; delete it or name another folder")
    lacking, found = dict[str, list[str]](), dict[str, Video]()
    with whole_folder(root) as temporary:
        for name, video in load_videos().items():
            if video.split != split:
                continue
            data = packages.read(folder, video.archive, video.files())
            if data is None:
                how = f"no {video.archive}; `{video.get}` in {folder} brings it"
                lacking.setdefault(how, []).append(name)
                continue
            _write(name, video, data, temporary)
            found[name] = video
        missing = [f"left out {', '.join(names)}: {how}" for how, names in lacking.items()]
        if not found:
            raise UserError("; ".join(missing))
        about = {name: video.model_dump(mode="json") for name, video in found.items()}
        write_json(temporary / REAL, {"split": split, "videos": about})
    return missing
