"""A whole generated set: clips rendered in parallel, written in the benchmark's official layout."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from siamla.data.formats import plain
from siamla.data.formats.text import images as read_images
from siamla.data.formats.text import write_boxes
from siamla.errors import UserError
from siamla.files import digest, read_json, sha256, whole_folder, write_json
from siamla.miniatures.photos import PHOTOS, photo_path, scene_photos
from siamla.miniatures.scene import render
from siamla.miniatures.settings import Challenges, ClipSettings, SetSettings
from siamla.miniatures.writers import GOT10K, LASOT, OTB, PLAIN, TNL2K, TRACKINGNET, VOT, Writer
from siamla.parallel import in_parallel
from siamla.sequence import Sequence

MANIFEST = "synthetic.json"
WRITERS: dict[str, Writer] = {
    "otb": OTB,
    "got10k": GOT10K,
    "lasot": LASOT,
    "trackingnet": TRACKINGNET,
    "tnl2k": TNL2K,
    "vot": VOT,
    "plain": PLAIN,
}
"""Layouts that a set can be rendered in."""


def _films(settings: SetSettings) -> list[tuple[Path, ...]]:
    """For each clip a part, as long as it, of a video of the settings' film; none without one.

    Videos that are shorter than the longest clip are left out; UserError where none is longer.
    """
    if settings.film is None:
        return []
    most, count = settings.frames[1], settings.sequences
    every = (read_images(settings.film / name) for name in plain.names(settings.film))
    videos = [video for video in every if len(video) >= most]
    if not videos:
        raise UserError(f"{settings.film}: no video has the {most} frames of a clip")
    rng = np.random.Generator(np.random.PCG64([settings.seed, 1]))
    order = rng.permutation(count) % len(videos)
    starts = (int(rng.integers(len(videos[index]) - most + 1)) for index in order)
    parts = zip(order, starts, strict=True)
    return [videos[index][start : start + most] for index, start in parts]


def clip_settings(settings: SetSettings) -> list[ClipSettings]:
    """What every clip of a set is to show; every challenge has its exact count."""
    rng = np.random.Generator(np.random.PCG64([settings.seed, 0]))
    count = settings.sequences

    def spread(share: float) -> set[int]:
        return set(rng.permutation(count)[: round(share * count)].tolist())

    shares = settings.challenges.model_dump()
    chosen = {name: spread(shares[name]) for name in Challenges.model_fields}
    # a part of a photo would be blurred, or the frame larger than the photo, were it tiny
    large = [index for index in rng.permutation(count).tolist() if index not in chosen["tiny"]]
    region = set(large[: round(settings.region * count)])
    lengths = rng.integers(settings.frames[0], settings.frames[1] + 1, count)
    order = rng.permutation(count)
    films = _films(settings)
    clips = []
    for index in range(count):
        names = scene_photos(settings.split, things=index in region)
        first = order[index] % len(names)
        clip = ClipSettings(
            frames=int(lengths[index]),
            size=settings.size,
            split=settings.split,
            region=index in region,
            scene=names[first],
            others=names[first + 1 :] + names[:first],
            motion=settings.motion,
            challenges=frozenset(name for name, members in chosen.items() if index in members),
            looks=settings.looks,
            film=films[index] if films else (),
        )
        clips.append(clip)
    return clips


def clip_seed(settings: SetSettings, index: int) -> np.random.SeedSequence:
    """The seed of clip `index` (from 0): its own, whatever the number of jobs or clips."""
    return np.random.SeedSequence(settings.seed, spawn_key=(1 + index,))


def _write_clip(item: tuple[int, ClipSettings], settings: SetSettings, root: Path) -> None:
    """Render one clip, given with its number, and write it under root."""
    index, clip = item
    rendered = render(clip, clip_seed(settings, index))
    sequence = Sequence(
        settings.name.format(index + 1),
        (),  # the writer names the frames
        rendered.boxes,
        rendered.visible,
        rendered.polygons,
        rendered.attributes.get(settings.layout, frozenset()),
        rendered.frame_attributes,
    )
    if settings.first_frame_only:
        write_boxes(root / "anno_full" / f"{sequence.name}.txt", sequence.boxes, 0)
        sequence = replace(sequence, boxes=sequence.boxes[:1], visible=sequence.visible[:1])
    options = [cv2.IMWRITE_JPEG_QUALITY, settings.quality]
    images = (cv2.imencode(".jpg", frame, options)[1].tobytes() for frame in rendered.frames)
    WRITERS[settings.layout].write(root, sequence, images)


def _names(root: Path) -> set[str]:
    """The files of a set but its manifest, relative to its folder; a link is one."""
    paths = (path for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
    return {path.relative_to(root).as_posix() for path in paths} - {MANIFEST}


def _hashes(root: Path) -> dict[str, str]:
    """SHA-256 of every file of a set but its manifest, by relative name."""
    return {name: sha256(root / name) for name in sorted(_names(root))}


def _manifest(root: Path) -> dict[str, Any]:
    """The manifest of a set that is there; empty where there is none.

    UserError for a folder that was not rendered, or by an older version, and for one in which
    anything lies that was not: nothing is touched then.
    """
    if root.exists() and not root.is_dir():
        raise UserError(f"{root}: is a file, expected a folder")
    if not root.is_dir() or not any(root.iterdir()):
        return {}
    if not (root / MANIFEST).is_file():
        why = f"the folder is not empty and was not generated ({MANIFEST} is missing)"
        raise UserError(f"{root}: {why}")
    manifest = read_json(root / MANIFEST)
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict):
        why = "lists no files, as those of an older version"
        raise UserError(f"{root / MANIFEST}: {why}; delete {root}, and the set is rendered again")
    if foreign := sorted(_names(root).difference(files)):
        more = f" and {len(foreign) - 1} more" if foreign[1:] else ""
        why = f"holds {foreign[0]}{more}, which the set did not write"
        advice = "move it away or name another folder, nothing was touched"
        raise UserError(f"{root}: {why}; {advice}")
    return dict(manifest)


def content(root: Path, settings: SetSettings, code: str) -> str:
    """Digest of all files of a set; empty unless it was rendered by these settings and this code,
    and every file is as it was then. UserError for a folder that `synthesize` refuses.
    """
    manifest = _manifest(root)
    origin = {"settings": settings.model_dump(mode="json"), "code": code}
    if any(manifest.get(name) != value for name, value in origin.items()):
        return ""
    return digest(manifest["files"]) if manifest["files"] == _hashes(root) else ""


def synthesize(name: str, settings: SetSettings, root: Path, jobs: int = 1, code: str = "") -> None:
    """Render the set `name` into the folder `root`, in its layout, on `jobs` processes.

    The bytes depend on the settings alone. `root` appears only when it is whole; a generated set
    that is there is replaced. synthetic.json records settings, photos, `code` (a digest of what
    renders) and the SHA-256 of every file. UserError where the folder holds anything that was not
    generated.
    """
    _manifest(root)
    for photo in PHOTOS[settings.split]:
        photo_path(photo)
    with whole_folder(root) as temporary:
        clips = list(enumerate(clip_settings(settings)))
        work = partial(_write_clip, settings=settings, root=temporary)
        for _ in in_parallel(work, clips, jobs, name, "clip"):
            pass
        names = [settings.name.format(index + 1) for index in range(settings.sequences)]
        WRITERS[settings.layout].finish(temporary, names)
        manifest = {
            "name": name,
            "settings": settings.model_dump(mode="json"),
            "photos": PHOTOS[settings.split],
            "code": code,
            "files": _hashes(temporary),
        }
        write_json(temporary / MANIFEST, manifest)
