"""Bringing, checking and cutting data sets."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from siamla.data.crops import CropCache
from siamla.data.crops import build as build_crops
from siamla.data.curate import curate as check_set
from siamla.data.curate import load_curated
from siamla.errors import UserError
from siamla.experiment.plan import GENERATOR, Job, Plan, pointer_digest
from siamla.experiment.profile import TrainingSet
from siamla.files import digest, locked, sha256
from siamla.miniatures.settings import load_sets
from siamla.sequence import Sequence as Video
from siamla.steps.perform import Outcome, full_key, hashed, own, perform

SKIPPED = 0.01  # of the images of a table of boxes, which are first decoded when they are cut
BULKY = (
    ".bmp",
    ".jpeg",
    ".jpg",
    ".pgm",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".avi",
    ".mkv",
    ".mov",
    ".mp4",
    ".webm",
    ".7z",
    ".tar",
    ".tar.gz",
    ".tgz",
    ".zip",
)
"""Ends of the names of files too large to be read whenever a data set is looked at."""
CROPS = (
    "manifest.json",
    "index.npy",
    "skipped.csv",
    "shard-*.bin",
    "shard-*.part.npz",
    ".*.tmp",
)


def _files(folder: str, above: tuple[str, ...] = ()) -> Iterator[os.DirEntry[str]]:
    """Every file below a folder, through links to folders too, as the readers go; not through one
    that leads back.
    """
    place = os.path.realpath(folder)
    if place in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(entry.path, (*above, place))
            elif entry.is_file():
                yield entry


def listing_digest(root: Path) -> str:
    """Digest of the names of all files with the SHA-256 of each, of images, videos and archives
    with the size alone.

    Quick even where millions of images lie, and any edit of an annotation changes it; the times of
    files are no part, so that a copy has the digest of its original.
    """
    files = sorted(
        (
            Path(entry.path).relative_to(root).as_posix(),
            (
                entry.stat().st_size
                if entry.name.lower().endswith(BULKY)
                else sha256(Path(entry.path))
            ),
        )
        for entry in _files(str(root))
    )
    return digest(files)


def _pull(source: str) -> None:
    """Have DVC bring what a pointer or dvc.lock names; UserError when it fails.

    DVC allows one writer and gives up after three seconds, so that all wait for a lock of ours. DVC
    holds it, too: killed alone, this process leaves DVC at work.
    """
    with locked(Path(".dvc", "tmp", "siamla.lock")) as lock:
        command = ["dvc", "pull", source]
        status = subprocess.run(command, check=False, pass_fds=(lock,)).returncode
    if status:
        raise UserError(f"dvc pull {source} failed with status {status}; its message is above")


def _bring(plan: Plan, dataset: str) -> str:
    """Render a data set, have DVC bring it, or find it where the user put it; its content
    digest.
    """
    entry = plan.datasets[dataset]
    source = entry.dvc or ""
    if source.startswith(GENERATOR):
        from siamla.steps.generated import render  # needs packages that take seconds to load

        name = source.removeprefix(GENERATOR)
        settings = load_sets(plan.params / "synthetic.yaml")[name]
        return render(name, settings, entry.root, len(os.sched_getaffinity(0)))
    if source:
        _pull(source)
    if not entry.root.is_dir():
        raise UserError(
            f"{entry.root}: no such folder; the root of {dataset} in profile {plan.name} must exist"
        )
    return pointer_digest(source, entry.root) if source else listing_digest(entry.root)


def fetch(plan: Plan, dataset: str, key: str | None = None) -> bool:
    """Bring a data set, or find it where the user put it."""
    job = plan.fetch(dataset)

    def work(record: dict[str, Any]) -> Outcome:
        own(job.folder, job.step, job.key)
        return Outcome(_bring(plan, dataset))

    return perform(job, key, work, always=True)


def curate(
    plan: Plan, dataset: str, jobs: int = 1, allow_rejected: bool = False, key: str | None = None
) -> Job:
    """Check every sequence of a data set and write its index, or the table of a training set's
    boxes.
    """
    job, entry = plan.curate(dataset), plan.datasets[dataset]

    def work(record: dict[str, Any]) -> Outcome:
        own(job.folder, job.step, job.key)
        if isinstance(entry, TrainingSet) and entry.boxes:
            from siamla.data.sources.survey import curate_boxes

            report = curate_boxes(
                entry.root, entry.layout, dataset, job.folder, jobs, allow_rejected
            )
            return Outcome(report["digest"], hashed(job.folder, ("boxes.parquet", "report.json")))
        report = check_set(
            root=entry.root,
            layout=entry.layout,
            name=dataset,
            out=job.folder,
            frames_limit=entry.frames,
            jobs=jobs,
            allow_rejected=allow_rejected,
        )
        return Outcome(
            report["digest"], hashed(job.folder, ("index.parquet", "report.json", "rejected.csv"))
        )

    perform(job, key, work)
    return job


def _videos(entry: TrainingSet, folder: Path) -> Sequence[Video]:
    if entry.boxes is None:
        return load_curated(folder)
    from siamla.data.sources.tracks import load_tracks

    return load_tracks(folder)


def crops(
    plan: Plan, variant: str, jobs: int = 1, key: str | None = None, dataset: str | None = None
) -> Job:
    """Cut the training crops that a variant uses; `dataset`: the set, where it is trained on
    several.
    """
    job, spec = plan.crops(variant, dataset), plan.spec(variant)
    (curated,) = job.parents.values()
    entry = plan.profile.train[curated.names["dataset"]]

    def work(record: dict[str, Any]) -> Outcome:
        own(job.folder, job.step, full_key(record), CROPS)
        skip = SKIPPED if entry.boxes else 0
        videos = _videos(entry, curated.folder)
        build_crops(videos, spec.crops, job.folder, jobs, skip=skip)
        manifest = CropCache(job.folder).manifest
        shards = {shard["file"]: shard["sha256"] for shard in manifest["shards"]}
        content = digest([manifest["index"], [*shards.values()], manifest["sequences"]])
        return Outcome(content, {**shards, **hashed(job.folder, ("manifest.json", "index.npy"))})

    perform(job, key, work)
    return job
