"""Bringing a data set."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.step import generator_code, pointer_digest
from siamla.files import digest, locked, sha256
from siamla.miniatures.settings import SetSettings
from siamla.provenance.code import sources
from siamla.steps.perform import Means, Outcome, own
from siamla.system import cores

IMAGES = (".jpeg", ".jpg", ".png")
VIDEOS = (".avi", ".mkv", ".mov", ".mp4", ".webm")
BULKY = (*IMAGES, *VIDEOS, ".7z", ".gz", ".tgz", ".zip")
"""Ends of the names of compressed files. They are too large to be read whenever a data set is
looked at, and other content gives another end.
"""
TAIL = 4096  # bytes at the end of a compressed file


def _files(folder: str, above: tuple[str, ...] = ()) -> Iterator[os.DirEntry[str]]:
    """Every file below a folder, also through links, but for one that leads back."""
    place = os.path.realpath(folder)
    if place in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(entry.path, (*above, place))
            elif entry.is_file():
                yield entry


def fingerprint(path: Path) -> str:
    """The SHA-256 of a file; of compressed ones, which are large, of its size and its end."""
    if not path.name.lower().endswith(BULKY):
        return sha256(path)
    size = path.stat().st_size
    with path.open("rb") as handle:
        handle.seek(max(0, size - TAIL))
        return f"{size} {hashlib.sha256(handle.read()).hexdigest()}"


def listing_digest(root: Path) -> str:
    """Digest of the names of all files with the fingerprint of each.

    Any edit of an annotation changes it, and nearly any edit of an image. The times of files are no
    part, so that a copy has the digest of its original.
    """
    paths = [Path(entry.path) for entry in _files(str(root))]
    return digest(sorted((path.relative_to(root).as_posix(), fingerprint(path)) for path in paths))


def dvc(command: str, target: str | Path) -> None:
    """Run a command of DVC for one target, such as a pointer; UserError when it fails.

    DVC allows one writer and gives up after three seconds, so that all wait for a lock of ours. DVC
    holds it, too: killed alone, this process leaves DVC at work.
    """
    words = ["dvc", command, str(target)]
    with locked(Path(".dvc", "tmp", "siamla.lock")) as lock:
        status = subprocess.run(words, check=False, pass_fds=(lock,)).returncode
    if status:
        raise UserError(f"{' '.join(words)} failed with status {status}; its message is above")


def render(name: str, settings: SetSettings, root: Path, jobs: int = 1) -> str:
    """Render a set of params/synthetic.yaml into `root`, unless it is there, by these settings and
    this code and with all files as they were then; the digest of its files. An older set makes way.

    Raises:
        UserError: anything lies in the folder that the set did not write; it stays.
    """
    from siamla.miniatures.dataset import content, synthesize  # packages that take seconds to load

    code = sources().digest(*generator_code(settings.layout))
    with locked(root.with_name(f".{root.name}.lock")):
        if not content(root, settings, code):
            synthesize(name, settings, root, jobs, code)
        return content(root, settings, code)


def _bring(plan: Plan, dataset: str) -> str:
    """Render a data set, have DVC bring it, or find it; its content digest."""
    entry = plan.datasets[dataset]
    if entry.rendered:
        return render(entry.rendered, plan.generated_set(entry.rendered), entry.root, cores())
    if entry.dvc:
        dvc("pull", entry.dvc)
    if not entry.root.is_dir():
        where = f"the root of {dataset} in profile {plan.name}"
        raise UserError(f"{entry.root}: no such folder; {where} must exist")
    return pointer_digest(entry.dvc, entry.root) if entry.dvc else listing_digest(entry.root)


def work(plan: Plan, job: Job, record: dict[str, Any], means: Means) -> Outcome:
    """Bring a data set, or find it where the user put it. Where that is stands in the record as a
    digest, and in no identity: the check asks for another look at another folder.
    """
    content = _bring(plan, job.names["dataset"])
    record["folder"] = digest(str(plan.datasets[job.names["dataset"]].root))
    own(job.folder, job.step, job.key)
    return Outcome(content)


def summary(plan: Plan, job: Job) -> str:
    """What a person reads at the end."""
    name = job.names["dataset"]
    return f"{name}: {plan.datasets[name].root}"
