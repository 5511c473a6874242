"""A whole generated set: clips rendered in parallel, written in the benchmark's official layout."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from siamla.data.formats import LAYOUTS, text
from siamla.data.synthetic.photos import PHOTOS, photo_path, scene_photos
from siamla.data.synthetic.scene import Clip, render
from siamla.data.synthetic.settings import Challenges, ClipSettings, SetSettings
from siamla.errors import UserError
from siamla.files import write_json
from siamla.parallel import in_parallel
from siamla.sequence import Sequence

MANIFEST = "synthetic.json"


def clip_settings(settings: SetSettings) -> list[ClipSettings]:
    """What every clip of a set is to show; shares are spread so that every challenge has its exact
    count.
    """
    rng = np.random.Generator(np.random.PCG64([settings.seed, 0]))
    count = settings.sequences

    def spread(share: float) -> set[int]:
        return set(rng.permutation(count)[: round(share * count)].tolist())

    shares = settings.challenges.model_dump()
    chosen = {name: spread(shares[name]) for name in Challenges.model_fields}
    region = spread(settings.region)
    lengths = rng.integers(settings.frames[0], settings.frames[1] + 1, count)
    scenes, order = scene_photos(settings.split), rng.permutation(count)
    of_things = scene_photos(settings.split, things=True) if settings.looks.segments else scenes

    def pick(names: tuple[str, ...], index: int) -> str:
        return names[order[index] % len(names)]

    return [
        ClipSettings(
            frames=int(lengths[index]),
            size=settings.size,
            split=settings.split,
            region=index in region,
            scene=pick(of_things if index in region else scenes, index),
            motion=settings.motion,
            challenges=frozenset(name for name, members in chosen.items() if index in members),
            looks=settings.looks,
        )
        for index in range(count)
    ]


def clip_seed(settings: SetSettings, index: int) -> np.random.SeedSequence:
    """The seed of clip `index` (from 0): its own, whatever the number of jobs or clips."""
    return np.random.SeedSequence(settings.seed, spawn_key=(1 + index,))


def _encode(clip: Clip, quality: int) -> Iterator[bytes]:
    for frame in clip.frames:
        yield cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def as_sequence(name: str, clip: Clip, layout: str) -> Sequence:
    """The clip's truth with the labels that the layout's benchmark knows; frame names are the
    writer's affair.
    """
    frames = tuple(Path(f"{number:08d}.jpg") for number in range(1, len(clip.frames) + 1))
    attributes = clip.attributes.get(layout, frozenset())
    tags = clip.frame_attributes if layout == "vot" else {}
    polygons = clip.polygons if layout == "vot" else None
    return Sequence(name, frames, clip.boxes, clip.visible, polygons, attributes, tags)


def _write_clip(item: tuple[int, ClipSettings], settings: SetSettings, root: Path) -> None:
    """Render one clip, given with its number, and write it under root."""
    index, clip = item
    rendered = render(clip, clip_seed(settings, index))
    sequence = as_sequence(settings.name.format(index + 1), rendered, settings.layout)
    if settings.first_frame_only:
        text.write_boxes(root / "anno_full" / f"{sequence.name}.txt", sequence.boxes, 0)
        sequence = Sequence(
            sequence.name, sequence.frames, sequence.boxes[:1], sequence.visible[:1]
        )
    LAYOUTS[settings.layout].write(root, sequence, _encode(rendered, settings.quality))


def _alive(folder: Path) -> bool:
    """Whether the process whose id is in the name of a temporary folder still runs."""
    number = folder.name.rsplit(".", 2)[1]
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _whole_folder(root: Path) -> Iterator[Path]:
    """A temporary folder beside `root` that takes its place when the block ends well and vanishes
    otherwise.

    What an earlier, killed run left is removed. A folder in the way is replaced if a manifest says
    that it was generated; UserError for any other content.
    """
    if root.is_dir() and any(root.iterdir()) and not (root / MANIFEST).is_file():
        raise UserError(
            f"{root}: the folder is not empty and was not generated ({MANIFEST} is missing)"
        )
    if root.exists() and not root.is_dir():
        raise UserError(f"{root}: is a file, expected a folder")
    root.parent.mkdir(parents=True, exist_ok=True)
    for left in root.parent.glob(f".{root.name}.*.tmp"):
        if not _alive(left):
            shutil.rmtree(left)
    temporary = root.with_name(f".{root.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        if root.exists():
            shutil.rmtree(root)
        temporary.replace(root)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def synthesize(name: str, settings: SetSettings, root: Path, jobs: int = 1) -> None:
    """Render the set `name` into the folder `root`, in its layout, on `jobs` processes.

    The bytes depend on the settings alone. `root` appears only when it is whole; an older generated
    set there is replaced. synthetic.json beside the sequences records settings and photos. Raises
    UserError for a folder that was not generated, fewer than one job and a full disk.
    """
    if jobs < 1:
        raise UserError(f"jobs: found {jobs}, expected at least 1")
    for photo in PHOTOS[settings.split]:
        photo_path(photo)
    try:
        with _whole_folder(root) as temporary:
            clips = list(enumerate(clip_settings(settings)))
            for _ in in_parallel(
                partial(_write_clip, settings=settings, root=temporary), clips, jobs, name, "clip"
            ):
                pass
            names = [settings.name.format(index + 1) for index in range(settings.sequences)]
            LAYOUTS[settings.layout].finish(temporary, names)
            manifest = {
                "name": name,
                "settings": settings.model_dump(mode="json"),
                "photos": PHOTOS[settings.split],
            }
            write_json(temporary / MANIFEST, manifest)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"{root}: the disk is full; nothing was written") from error
        raise
