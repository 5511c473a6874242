"""Bringing a data set."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.step import pointer_digest
from siamla.files import atomic, digest, locked, sha256
from siamla.steps.perform import Means, Outcome, own

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
LOCK, KEPT = (
    Path("dvc.lock"),
    Path(".dvc", "tmp", "siamla-kept"),
)  # a copy of it for each stage that is being made


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


def _changed_alone(now: bytes, before: bytes, stage: str) -> bool:
    """Whether nothing has changed in dvc.lock but the entry of one stage, or DVC was killed while
    it wrote the file.
    """
    try:
        found, known = (yaml.safe_load(text)["stages"] for text in (now, before))
        return all(known.get(name) == entry for name, entry in found.items() if name != stage)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):  # of half a file
        return True


def _put_back(stage: str) -> None:
    """Let dvc.lock say of a stage what it said before this stage was made; what else has changed in
    it since stays.
    """
    kept = KEPT / stage
    before, now = kept.read_bytes(), LOCK.read_bytes() if LOCK.is_file() else b""
    if now != before and _changed_alone(now, before, stage):
        with atomic(LOCK) as temporary:
            temporary.write_bytes(before)
        print(f"dvc.lock is kept as it was; `dvc repro {stage}` would renew its entry", flush=True)
    kept.unlink()


@contextmanager
def _dvc_alone() -> Iterator[int]:
    """Be the only one to use DVC, with dvc.lock as it was before a run that was killed; the lock's
    descriptor.
    """
    with locked(
        Path(".dvc", "tmp", "siamla.lock")
    ) as lock:  # DVC itself gives up after three seconds
        for kept in KEPT.glob("[!.]*"):
            _put_back(kept.name)
        yield lock


def _by_dvc(source: str, root: Path) -> str:
    """Have DVC pull or render a set; the digest of what it brought.

    dvc.lock says what the set was when it was committed. It stays as it is, so that a run does not
    change the tree that its records describe; after a kill the next run puts it back.
    """
    command = ["pull", source] if source.endswith(".dvc") else ["repro", "--single-item", source]
    with _dvc_alone() as lock:
        if LOCK.is_file() and command[0] == "repro":
            with atomic(KEPT / source) as temporary:
                temporary.write_bytes(LOCK.read_bytes())
        try:
            # DVC holds the lock, too: killed alone, this process leaves it at work
            status = subprocess.run(["dvc", *command], check=False, pass_fds=(lock,)).returncode
            if status:
                raise UserError(
                    f"dvc {' '.join(command)} failed with status {status}; its message is above"
                )
            return pointer_digest(source, root)
        finally:
            if (KEPT / source).is_file():
                _put_back(source)


def work(plan: Plan, job: Job, record: dict[str, Any], means: Means) -> Outcome:
    """Bring a data set by DVC, or find it where the user put it."""
    dataset = job.names["dataset"]
    entry = plan.datasets[dataset]
    content = _by_dvc(entry.dvc, entry.root) if entry.dvc else ""
    if not entry.root.is_dir():
        raise UserError(
            f"{entry.root}: no such folder; the root of {dataset} in profile {plan.name} must exist"
        )
    own(job.folder, job.step, job.key)
    return Outcome(content or listing_digest(entry.root))
