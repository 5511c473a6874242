"""The crop cache: a data set's training crops in a few packed files with a manifest.

    manifest.json     written last: settings, sequence names, digests and sizes of the other files
    index.npy         one row per crop (ROW): sequence, frame, shard, offset, length, box in the
    crop shard-00000.bin   concatenated crops: JPEGs of which a window can be decoded
    (siamla.data.jpeg), or raw pixels skipped.csv       images that cannot be decoded, where that is
    allowed and there are any

A shard is a fixed slice of the list of crops, so its bytes depend on nothing else. While a build is
under way plan.json says what is being built and each finished shard has its rows beside it
(shard-00000.part.npz); a build that was stopped goes on with the shards that are missing. `.lock`
is held meanwhile.
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

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.data.crop import Image, tile, to_crop
from siamla.data.images import complete
from siamla.data.jpeg import Window, decode, encode
from siamla.data.settings import CropSettings
from siamla.data.track import Track
from siamla.errors import UserError
from siamla.files import (
    atomic,
    locked,
    parsed_by,
    read_json,
    regular,
    sha256,
    write_csv,
    write_json,
)
from siamla.geometry import Array, centre, padded_size
from siamla.grid import TEMPLATE
from siamla.parallel import in_parallel
from siamla.sequence import Sequence as Video
from siamla.settings import validate

FORMAT = 2
SHARDS, SHARD_CROPS = 64, (64, 2048)
"""A set is cut into so many shards, or more, or fewer, so that each has a number of crops between
these.
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
    """The crops of one packed file: their frames' files, boxes (N, 4) in the frame, and (sequence,
    frame) numbers.
    """

    number: int
    files: tuple[Path, ...]
    boxes: Array
    origin: NDArray[np.int64]

    @property
    def name(self) -> str:
        return f"shard-{self.number:05d}"


def usable_frames(video: Video, limit: int | None) -> NDArray[np.int64]:
    """Frame numbers that give a crop: target visible, box finite and not empty; at most `limit`,
    evenly spaced.
    """
    if len(video.frames) != len(video.boxes):
        raise UserError(
            f"{video.name}: {len(video.boxes)} boxes for {len(video.frames)} frames; curate the"
            " data first"
        )
    frames = np.flatnonzero(video.visible & video.valid)
    if limit is None or len(frames) <= limit:
        return frames
    return frames[np.unique(np.rint(np.linspace(0, len(frames) - 1, limit)).astype(np.int64))]


def plan_shards(
    videos: Sequence[Video], settings: CropSettings, shard_crops: int | None = None
) -> list[Shard]:
    """All crops in order, cut into shards of `shard_crops`, or as many as their number asks for."""
    chosen = [usable_frames(video, settings.max_frames) for video in videos]
    files = [
        video.frames[frame]
        for video, frames in zip(videos, chosen, strict=True)
        for frame in frames
    ]
    if not files:
        raise UserError("no frame with a visible target; nothing to crop")
    boxes = np.concatenate(
        [video.boxes[frames] for video, frames in zip(videos, chosen, strict=True)]
    )
    numbers = [
        video.numbers[frames] if isinstance(video, Track) else frames
        for video, frames in zip(videos, chosen, strict=True)
    ]
    origin = np.array(
        [(number, frame) for number, frames in enumerate(numbers) for frame in frames]
    )
    shard_crops = shard_crops or int(np.clip(-(-len(files) // SHARDS), *SHARD_CROPS))
    slices = [slice(start, start + shard_crops) for start in range(0, len(files), shard_crops)]
    return [
        Shard(i, tuple(files[part]), boxes[part], origin[part]) for i, part in enumerate(slices)
    ]


def _read(file: Path) -> Image:
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


def cut(image: Image, box: Array, settings: CropSettings) -> tuple[bytes, Array]:
    """The crop around a box (4,) of an image in the form in which it is packed, and the box in the
    crop.
    """
    side = float(padded_size(box[2], box[3], settings.context)) * settings.size / TEMPLATE
    view, middle = tile(image, centre(box), side, settings.size)
    packed = view.tobytes() if settings.form == "raw" else encode(view, settings.quality)
    return packed, to_crop(box, middle, side, settings.size)


def write_shard(
    shard: Shard, settings: CropSettings, folder: Path, skip: bool = False
) -> dict[str, str]:
    """Write shard-N.bin and then its rows; each is complete or not there.

    Returns file → why, of the images that were left out because they cannot be decoded; without
    `skip` the first of them is a UserError.
    """
    skipped: dict[str, str] = {}
    sound = np.ones(len(shard.files), bool)
    rows = np.zeros(len(shard.files), ROW)
    rows["sequence"], rows["frame"], rows["shard"] = (
        shard.origin[:, 0],
        shard.origin[:, 1],
        shard.number,
    )
    path, content = folder / f"{shard.name}.bin", hashlib.sha256()
    with atomic(path) as temporary, temporary.open("wb") as handle:
        for file, places in groupby(
            range(len(rows)), shard.files.__getitem__
        ):  # boxes of one image stand together
            try:
                image = _read(file)
            except UserError as error:
                if not skip:
                    raise
                skipped[str(file)] = str(error)
                sound[list(places)] = False
                continue
            for place in places:
                packed, rows[place]["box"] = cut(image, shard.boxes[place], settings)
                rows[place]["offset"], rows[place]["length"] = handle.tell(), len(packed)
                handle.write(packed)
                content.update(packed)
    told: dict[str, Any] = {"skipped": np.array(list(skipped.items()))} if skipped else {}
    with atomic(folder / f"{shard.name}.part.npz") as temporary, temporary.open("wb") as handle:
        size = np.array(path.stat().st_size)
        np.savez(handle, rows=rows[sound], sha256=np.array(content.hexdigest()), bytes=size, **told)
    return skipped


def _finished(shard: Shard, folder: Path) -> bool:
    """Whether a shard and its rows are there; only a shard's rows prove that its file is whole."""
    part, path = folder / f"{shard.name}.part.npz", folder / f"{shard.name}.bin"
    if not (part.is_file() and path.is_file()):
        return False
    try:
        with (
            parsed_by("numpy", part, "the rows of a shard"),
            np.load(part, allow_pickle=False) as found,
        ):
            # with images left out it is cut again: they may have been mended
            return "skipped" not in found and int(found["bytes"]) == path.stat().st_size
    except UserError:
        return False


def _plan(
    videos: Sequence[Video], settings: CropSettings, source: str, shards: Sequence[Shard]
) -> dict[str, Any]:
    """What identifies a build: equal plans give equal bytes."""
    content = hashlib.sha256()
    for shard in shards:
        content.update(
            "\n".join(f"{file.parent.name}/{file.name}" for file in shard.files).encode()
        )
        content.update(shard.origin.tobytes() + np.round(shard.boxes, 6).tobytes())
    return {
        "format": FORMAT,
        "settings": settings.model_dump(mode="json"),
        "source": source,
        "content": content.hexdigest(),
        "sequences": [video.name for video in videos],
    }


def _check_same(path: Path, plan: dict[str, Any]) -> None:
    """UserError when the folder holds a cache, finished or not, of other settings or other data."""
    found = read_json(path)
    for group in ("settings", "format", "source", "content", "sequences"):
        if found.get(group) == plan[group]:
            continue
        if group == "settings":
            theirs = found.get("settings", {})
            pairs = [
                (key, theirs.get(key), value)
                for key, value in plan[group].items()
                if theirs.get(key) != value
            ]
            what = "; ".join(f"{key} is {there}, expected {value}" for key, there, value in pairs)
        else:
            what = f"another {group}"
        raise UserError(
            f"{path}: the folder holds crops of other settings or data ({what}); delete it or use"
            " another"
        )


def _refuse(skipped: Mapping[str, str], images: int, most: float, folder: Path) -> None:
    """List the images that were left out; UserError when they are more than the share `most` of
    all.
    """
    if skipped:
        write_csv(
            folder / "skipped.csv",
            ("file", "reason"),
            [{"file": f, "reason": r} for f, r in skipped.items()],
        )
    if len(skipped) > most * images:
        told = f"{len(skipped)} of {images} images cannot be decoded, more than {most:.0%}"
        raise UserError(
            f"{told} (see {folder / 'skipped.csv'}), first {next(iter(skipped.values()))}"
        )


def _finish(
    folder: Path, plan: dict[str, Any], shards: Sequence[Shard], images: int, most: float
) -> None:
    """Join the rows of all shards, then write the manifest."""
    rows: list[NDArray[Any]] = []
    skipped: dict[str, str] = {}
    entries: list[dict[str, Any]] = []
    for shard in shards:
        with np.load(folder / f"{shard.name}.part.npz", allow_pickle=False) as part:
            rows.append(part["rows"])
            entry = {
                "file": f"{shard.name}.bin",
                "bytes": int(part["bytes"]),
                "sha256": str(part["sha256"]),
            }
            entries.append({**entry, "crops": len(part["rows"])})
            skipped |= dict(part["skipped"].tolist()) if "skipped" in part else {}
    _refuse(skipped, images, most, folder)
    index = folder / "index.npy"
    with atomic(index) as temporary, temporary.open("wb") as handle:
        np.save(handle, np.concatenate(rows))
    counts = {"crops": sum(map(len, rows)), "bytes": sum(entry["bytes"] for entry in entries)}
    write_json(
        folder / "manifest.json", {**plan, **counts, "index": sha256(index), "shards": entries}
    )


def _tidy(folder: Path, *patterns: str) -> None:
    for pattern in patterns:
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def build(
    videos: Sequence[Video],
    settings: CropSettings,
    folder: Path,
    jobs: int = 1,
    source: str = "",
    shard_crops: int | None = None,
    skip: float = 0.0,
) -> None:
    """Write the crop cache of these sequences; frames without the target are left out.

    Stopped at any moment, the same call goes on with the shards that are missing and ends with the
    same bytes; called on a finished cache it does nothing.

    Args:
        source: digest of the data that the boxes do not show (the curated index's), kept in the
            manifest.
        skip: share of the images that may be left out because they cannot be decoded; skipped.csv
            lists them.

    Raises:
        UserError: the folder holds crops of other settings or data, more images than `skip` allows
            cannot be decoded, the disk is full.
    """
    shards = plan_shards(videos, settings, shard_crops)
    plan = _plan(videos, settings, source, shards)
    for name in ("manifest.json", "plan.json"):
        if (folder / name).exists():
            _check_same(folder / name, plan)
    with locked(folder / ".lock"):
        if not (folder / "manifest.json").exists():
            _tidy(folder, ".*.tmp", "skipped.csv")
            write_json(folder / "plan.json", plan)
            missing = [shard for shard in shards if not _finished(shard, folder)]
            images, skipped = sum(len(set(shard.files)) for shard in shards), dict[str, str]()
            work = partial(write_shard, settings=settings, folder=folder, skip=skip > 0)
            for found in in_parallel(work, missing, jobs, "crops"):
                skipped |= found
                if found:  # a set that is broken is told of before all of it is cut
                    _refuse(skipped, images, skip, folder)
            _finish(folder, plan, shards, images, skip)
        _tidy(folder, ".*.tmp", "*.part.npz", "plan.json")


class CropCache:
    """A finished crop cache; cheap to open and to send to another process.

    Attributes:
        folder: where it lies.
        manifest: the content of manifest.json.
        size: side of a crop in pixels.
        frames: (N,) the frame number of each crop in its sequence.
        starts: (S + 1,) the first row of each sequence that has any, in order, and N. Arrays, since
            a set may have a million tracks, and every process that loads pairs opens the cache.

    Raises:
        UserError: the folder is no finished cache, or a file does not have the size that the
            manifest states.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "manifest.json").is_file():
            raise UserError(
                f"{folder}: not a finished crop cache (no manifest.json); run `siamla data crops`"
            )
        self.manifest = read_json(folder / "manifest.json")
        version = self.manifest.get("format") if isinstance(self.manifest, dict) else None
        if version != FORMAT:
            told = f"format {version}, expected {FORMAT}"
            raise UserError(
                f"{folder / 'manifest.json'}: {told}; delete the folder and build it again"
            )
        whole = {"file", "bytes", "sha256", "crops"}
        if not all(
            isinstance(self.manifest.get(name), list) for name in ("shards", "sequences")
        ) or not all(
            isinstance(entry, dict) and whole <= set(entry) for entry in self.manifest["shards"]
        ):
            raise UserError(
                f"{folder / 'manifest.json'}: no list of shards and of sequences; delete the folder"
            )
        settings = validate(
            CropSettings, self.manifest.get("settings"), f"{folder / 'manifest.json'}: settings"
        )
        self.size, self._raw = settings.size, settings.form == "raw"
        for entry in self.manifest["shards"]:
            path = folder / entry["file"]
            size = path.stat().st_size if path.is_file() else None
            if size != entry["bytes"]:
                raise UserError(
                    f"{path}: {size or 'no'} bytes, expected {entry['bytes']}; delete the folder"
                )
        with parsed_by("numpy", folder / "index.npy", "the index of crops"):
            self._rows = np.asarray(
                np.load(folder / "index.npy", mmap_mode="r", allow_pickle=False).view(ROW)
            )
        self._shards: dict[int, FileIO] = {}
        self.frames = np.ascontiguousarray(self._rows["frame"])
        numbers, starts = np.unique(self._rows["sequence"], return_index=True)
        self.starts = np.append(starts, len(self._rows))
        self._numbers = numbers

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
        """The descriptor of a shard; a training may read more shards than a process may have
        open.
        """
        if number not in self._shards:
            if len(self._shards) >= OPEN:
                for handle in self._shards.values():
                    handle.close()
                self._shards.clear()
            self._shards[number] = FileIO(self.folder / self.manifest["shards"][number]["file"])
        return self._shards[number].fileno()

    def read(self, row: int, window: Window) -> tuple[Image, tuple[float, float, float, float]]:
        """A window (H, W, 3) uint8 BGR of the crop of a row, and the target's box (4,) in it,
        continuous xywh.

        The window lies inside the crop. UserError when the crop is damaged.
        """
        _, _, shard, length, offset, (x, y, width, height) = self._rows[row].item()
        left, top, right, bottom = window
        try:
            file = self._shard(shard)
            if self._raw:  # the rows that the window touches
                stride = 3 * self.size
                data = os.pread(file, stride * (bottom - top), offset + stride * top)
                image = np.frombuffer(data, np.uint8).reshape(bottom - top, self.size, 3)[
                    :, left:right
                ]
            else:

                def part(count: int, start: int) -> bytes:
                    return os.pread(file, min(count, length - start), offset + start)

                image = decode(part, self.size, window)
        except OSError as error:
            raise UserError(
                f"{self.folder}: crop {row} cannot be read ({error.strerror})"
            ) from None
        except ValueError:
            told = f"crop {row} cannot be decoded"
            raise UserError(
                f"{self.folder}: {told}; delete the folder and build it again"
            ) from None
        return image, (x - left, y - top, width, height)

    def __getitem__(self, row: int) -> tuple[Image, Array]:
        """The whole crop (size, size, 3) of a row and the target's box (4,) in it."""
        image, box = self.read(row, (0, 0, self.size, self.size))
        return image, np.array(box)
