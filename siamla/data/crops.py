"""The crop cache: a data set's training crops in a few packed files with a manifest.

    manifest.json     written last: settings, sequence names, digests and sizes of the other files
    index.npy         one row per crop (ROW): where it lies and the box in it
    shard-00000.bin   concatenated crops: JPEGs (siamla.data.jpeg), or raw pixels
    skipped.csv       images that cannot be decoded, where that is allowed and there are any

A shard is a fixed slice of the list of crops. While a build is under way each finished shard has
its rows beside it (shard-00000.part.npz); a build that was stopped goes on with those that have
none.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import FileIO
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamla.data.crop import Image, tile, to_crop
from siamla.data.images import read_image
from siamla.data.jpeg import Window, decode, encode
from siamla.data.settings import CropSettings
from siamla.errors import UserError
from siamla.files import atomic, read_json, sha256, write_csv, write_json
from siamla.geometry import Array, centre, padded_size
from siamla.grid import TEMPLATE
from siamla.parallel import in_parallel
from siamla.sequence import Sequence as Video

SHARDS = 64
SHARD_CROPS = (64, 2048)
"""A set is cut into SHARDS shards, or more, or fewer, so that each has a number of crops between
these two.
"""
OPEN = 128  # shards that a reader keeps open; a training on several sets has a reader for each
ROW = np.dtype(
    [
        ("sequence", "i4"),
        ("frame", "i4"),
        ("shard", "i4"),
        ("length", "i4"),
        ("offset", "i8"),
        ("box", "f8", (4,)),
    ]
)


@dataclass(frozen=True)
class Shard:
    """The crops of a packed file: images, boxes (N, 4) in them, (sequence, frame) numbers."""

    number: int
    files: tuple[Path, ...]
    boxes: Array
    origin: NDArray[np.int64]

    @property
    def name(self) -> str:
        return f"shard-{self.number:05d}"


def usable_frames(video: Video, limit: int | None) -> NDArray[np.int64]:
    """The frames with a visible target and a valid box; at most `limit`, evenly spaced."""
    frames = np.flatnonzero(video.visible & video.valid)
    if limit is None or len(frames) <= limit:
        return frames
    return frames[np.unique(np.rint(np.linspace(0, len(frames) - 1, limit)).astype(np.int64))]


def plan_shards(
    videos: Sequence[Video], settings: CropSettings, shard_crops: int | None = None
) -> list[Shard]:
    """All crops in order, cut into shards of `shard_crops`, or as many as their number asks for."""
    files: list[Path] = []
    boxes: list[Array] = []
    origins: list[NDArray[np.int64]] = []
    for index, video in enumerate(videos):
        frames = usable_frames(video, settings.max_frames)
        numbers = frames if video.numbers is None else video.numbers[frames]
        files += [video.frames[frame] for frame in frames]
        boxes.append(video.boxes[frames])
        origins.append(np.column_stack([np.full(len(frames), index), numbers]))
    if not files:
        raise UserError("no frame with a visible target; nothing to crop")
    step = shard_crops or int(np.clip(-(-len(files) // SHARDS), *SHARD_CROPS))
    box, origin = np.concatenate(boxes), np.concatenate(origins)
    parts = [slice(start, start + step) for start in range(0, len(files), step)]
    return [
        Shard(number, tuple(files[part]), box[part], origin[part])
        for number, part in enumerate(parts)
    ]


def cut(image: Image, box: Array, settings: CropSettings) -> tuple[bytes, Array]:
    """The crop around a box (4,) of an image as it is packed, and the box in the crop."""
    side = float(padded_size(box[2], box[3])) * settings.size / TEMPLATE
    view, middle = tile(image, centre(box), side, settings.size)
    packed = view.tobytes() if settings.form == "raw" else encode(view, settings.quality)
    return packed, to_crop(box, middle, side, settings.size)


def write_shard(
    shard: Shard, settings: CropSettings, folder: Path, skip: bool = False
) -> dict[str, str]:
    """Write shard-N.bin and then its rows. Returns file → why of the images that cannot be decoded;
    without `skip` the first is an error.
    """
    skipped: dict[str, str] = {}
    rows = np.zeros(len(shard.files), ROW)
    rows["sequence"], rows["frame"] = shard.origin.T
    rows["shard"] = shard.number
    content = hashlib.sha256()
    with atomic(folder / f"{shard.name}.bin") as temporary, temporary.open("wb") as handle:
        # boxes of one image stand together
        for file, numbers in groupby(range(len(rows)), shard.files.__getitem__):
            try:
                image = read_image(file)
            except UserError as error:
                if not skip:
                    raise
                skipped[str(file)] = str(error)
                continue
            for number in numbers:
                packed, rows[number]["box"] = cut(image, shard.boxes[number], settings)
                rows[number]["offset"] = handle.tell()
                rows[number]["length"] = len(packed)
                handle.write(packed)
                content.update(packed)
    with atomic(folder / f"{shard.name}.part.npz") as temporary, temporary.open("wb") as handle:
        np.savez(
            handle,
            rows=rows[rows["length"] > 0],
            sha256=np.array(content.hexdigest()),
            skipped=np.array(list(skipped.items()), str),
        )
    return skipped


def _finished(shard: Shard, folder: Path) -> bool:
    """Whether a shard and its rows are there, with all images: others may have been mended."""
    part = folder / f"{shard.name}.part.npz"
    if not (part.is_file() and (folder / f"{shard.name}.bin").is_file()):
        return False
    with np.load(part, allow_pickle=False) as written:
        return not len(written["skipped"])


def _refuse(skipped: Mapping[str, str], images: int, most: float, folder: Path) -> None:
    """List the images that were left out; UserError for more than the share `most` of all."""
    rows = [{"file": file, "reason": reason} for file, reason in skipped.items()]
    write_csv(folder / "skipped.csv", ("file", "reason"), rows)
    if len(skipped) > most * images:
        counts = f"{len(skipped)} of {images} images cannot be decoded, more than {most:.0%}"
        raise UserError(f"{counts} (see {folder / 'skipped.csv'}), first {rows[0]['reason']}")


def _finish(
    folder: Path, settings: CropSettings, videos: Sequence[Video], shards: Sequence[Shard]
) -> None:
    """Join the rows of all shards and write the manifest."""
    rows: list[NDArray[Any]] = []
    entries: list[dict[str, Any]] = []
    for shard in shards:
        with np.load(folder / f"{shard.name}.part.npz", allow_pickle=False) as part:
            rows.append(part["rows"])
            entry = {"file": f"{shard.name}.bin", "sha256": str(part["sha256"])}
        size = int(rows[-1]["length"].sum())
        entries.append(entry | {"bytes": size, "crops": len(rows[-1])})
    index = folder / "index.npy"
    with atomic(index) as temporary, temporary.open("wb") as handle:
        np.save(handle, np.concatenate(rows))
    manifest = {
        "settings": settings.model_dump(mode="json"),
        "sequences": [video.name for video in videos],
        "crops": sum(map(len, rows)),
        "bytes": sum(entry["bytes"] for entry in entries),
        "index": sha256(index),
        "shards": entries,
    }
    write_json(folder / "manifest.json", manifest)


def build(
    videos: Sequence[Video],
    settings: CropSettings,
    folder: Path,
    jobs: int = 1,
    shard_crops: int | None = None,
    skip: float = 0.0,
) -> None:
    """Write the crop cache of these sequences; frames without the target are left out.

    `folder` must hold nothing of other settings or data. Stopped at any moment, the same call goes
    on and ends with the same bytes. `skip`: the share of images that may be unreadable; skipped.csv
    lists them, and more are a UserError.
    """
    shards = plan_shards(videos, settings, shard_crops)
    if not (folder / "manifest.json").exists():
        (folder / "skipped.csv").unlink(missing_ok=True)
        missing = [shard for shard in shards if not _finished(shard, folder)]
        images = sum(len(set(shard.files)) for shard in shards)
        skipped: dict[str, str] = {}
        work = partial(write_shard, settings=settings, folder=folder, skip=skip > 0)
        for left_out in in_parallel(work, missing, jobs, "crops"):
            skipped |= left_out
            if left_out:  # a set that is broken is told of before all of it is cut
                _refuse(skipped, images, skip, folder)
        _finish(folder, settings, videos, shards)
    for part in folder.glob("*.part.npz"):
        part.unlink()


class CropCache:
    """A finished crop cache, or a UserError; cheap to open and to send to another process. `frames`
    (N,) are the crops' frame numbers, `starts` (S + 1,) the first row of each sequence that has
    any, and N: an array, since a set may have a million tracks.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "manifest.json").is_file():
            what = "not a finished crop cache (no manifest.json)"
            raise UserError(f"{folder}: {what}; run `siamla data crops`")
        self.manifest = read_json(folder / "manifest.json")
        self.size: int = self.manifest["settings"]["size"]
        self._raw = self.manifest["settings"]["form"] == "raw"
        self._rows = np.asarray(np.load(folder / "index.npy", mmap_mode="r", allow_pickle=False))
        self._shards: dict[int, FileIO] = {}
        self.frames = np.ascontiguousarray(self._rows["frame"])
        self._numbers, starts = np.unique(self._rows["sequence"], return_index=True)
        self.starts = np.append(starts, len(self._rows))

    @property
    def sequences(self) -> dict[str, range]:
        """The rows of each sequence that has any, by name, in order."""
        names, starts = self.manifest["sequences"], self.starts.tolist()
        spans = zip(self._numbers.tolist(), starts[:-1], starts[1:], strict=True)
        return {names[number]: range(start, end) for number, start, end in spans}

    def __len__(self) -> int:
        return len(self._rows)

    def __reduce__(self) -> tuple[type["CropCache"], tuple[Path]]:
        return CropCache, (self.folder,)  # another process opens its own files

    def _shard(self, number: int) -> int:
        """The descriptor of a shard; there may be more than a process may have open."""
        if number not in self._shards:
            if len(self._shards) >= OPEN:
                for handle in self._shards.values():
                    handle.close()
                self._shards.clear()
            self._shards[number] = FileIO(self.folder / self.manifest["shards"][number]["file"])
        return self._shards[number].fileno()

    def read(self, row: int, window: Window) -> tuple[Image, tuple[float, float, float, float]]:
        """A window (H, W, 3) uint8 BGR of a crop, and the box (4,) in it; UserError for damage."""
        _, _, shard, length, offset, (x, y, width, height) = self._rows[row].item()
        left, top, right, bottom = window
        try:
            file = self._shard(shard)
            if self._raw:  # the rows that the window touches
                stride = 3 * self.size
                data = os.pread(file, stride * (bottom - top), offset + stride * top)
                rows = np.frombuffer(data, np.uint8).reshape(bottom - top, self.size, 3)
                image = rows[:, left:right]
            else:

                def part(count: int, start: int) -> bytes:
                    return os.pread(file, min(count, length - start), offset + start)

                image = decode(part, self.size, window)
        except OSError as error:
            what = f"crop {row} cannot be read ({error.strerror})"
            raise UserError(f"{self.folder}: {what}") from None
        except ValueError:
            what = f"crop {row} cannot be decoded; delete the folder and build it again"
            raise UserError(f"{self.folder}: {what}") from None
        return image, (x - left, y - top, width, height)

    def __getitem__(self, row: int) -> tuple[Image, Array]:
        """The whole crop (size, size, 3) of a row and the target's box (4,) in it."""
        image, box = self.read(row, (0, 0, self.size, self.size))
        return image, np.array(box)
