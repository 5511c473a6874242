"""What all steps share: is the result there, may the folder be written to, work, record.

A result belongs to the plan when the record of the plan's key stands beside it, and its inputs are
what the parents' records say now. Snakemake is told of that file, and of nothing else.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.steps import STEPS
from siamla.files import atomic, date_back, digest, locked, sha256, write_json, write_text
from siamla.provenance.record import RECORDS, differences, make_record

SHOWN = 8  # differences that a message lists
OWNER = ".siamla"  # in a folder that a step made: its step, and what it is being made into
CUT_OFF = ".*.tmp"  # half a file of a killed process
# what may lie beside raw results, of the pipeline, of an import and of `siamla benchmark run`
NO_RESULT = (OWNER, "SOURCE.txt", ".lock", "run.json", "scores.csv")


@dataclass(frozen=True)
class Means:
    """What a job is done with, which decides no more than last digits."""

    cores: int = 1  # processes or threads here, of all processes of a training together
    workers: int | None = None
    """Processes that read pairs, for each process of a training; by default one less than its
    threads, none where all epochs read cached features.
    """
    accumulate: int = 1  # parts in which the backbone sees a batch
    validate: tuple[str, int] | None = None  # a data set to track, and after how many epochs
    allow_rejected: bool = False  # broken sequences are left out instead of stopping


@dataclass(frozen=True)
class Outcome:
    """What a step made."""

    content: str  # digest of it
    files: Mapping[str, str] = field(default_factory=dict)  # with their SHA-256
    state: Path | None = None  # of work that could go on; deleted once the record is written


Work = Callable[[Plan, Job, dict[str, Any], Means], Outcome]


# --- what is there ---


def result_files(folder: Path) -> list[str]:
    """The raw results of a folder by relative name."""
    names = []
    for path in folder.rglob("*"):
        beside = path.name in NO_RESULT or path.match(RECORDS)
        if path.is_file() and not beside:
            names.append(path.relative_to(folder).as_posix())
    return sorted(names)


def hashed(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files of a folder by their relative names."""
    return {name: sha256(folder / name) for name in sorted(names)}


def brought(job: Job) -> dict[str, str]:
    """Content digests of the results of others that a job reads, as far as they are here."""
    folders = {name: folder for name, folder in job.outside.items() if folder.is_dir()}
    return {name: digest(hashed(folder, result_files(folder))) for name, folder in folders.items()}


def planned(job: Job) -> dict[str, Any]:
    """The record of the plan's result. UserError where it is not there, with the command to type;
    where another result stands in its place, with what differs.
    """
    if record := job.record():
        return record
    former = job.former()
    if former is None:
        raise UserError(f"{job.folder}: not made yet; `{job.command}` comes first")
    lines = differences(former["identity"], job.identity.plain)
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    raise UserError(
        f"{job.folder} does not belong to the plan of profile {job.names['profile']}:"
        f" {'; '.join(lines[:SHOWN])}{more}. Run the pipeline again, or `{job.command}`"
    )


def changed_inputs(record: Mapping[str, Any], inputs: Mapping[str, str]) -> list[str]:
    """In words, which of these inputs are others than a result was made from."""
    before = record["inputs"]
    return [f"{name} has other content" for name in inputs if before.get(name) != inputs[name]]


def damaged(job: Job, record: Mapping[str, Any], names: Iterable[str] | None = None) -> str | None:
    """The first file of a result, or of `names` alone, that is not as recorded; None if all are."""
    for name in record["files"] if names is None else names:
        path = job.folder / name
        if not path.is_file():
            return f"{path} is missing"
        if sha256(path) != record["files"][name]:
            return f"{path} has changed since it was made"
    return None


def sound(job: Job, names: Iterable[str] | None = None) -> Path:
    """The folder of a result that is to be read. UserError where it is not the plan's, or where a
    file of it, or of `names` alone, is not what its record says.
    """
    problem = damaged(job, planned(job), names)
    if problem:
        raise UserError(
            f"{problem}; delete {job.record_path} and run the pipeline again, or `{job.command}`"
        )
    return job.folder


# --- where results are written ---


def _owner(folder: Path) -> list[str]:
    """The step that made a folder, and for which key."""
    path = folder / OWNER
    return path.read_text(encoding="utf-8").split() if path.is_file() else []


def refuse_foreign(folder: Path, step: str) -> None:
    """UserError when the folder holds anything and `step` did not make it; nothing is touched."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{folder}: expected a folder, found a file; nothing was touched")
    # killed before its name was written whole, a step has left half of it, and nothing else
    half = folder.glob(f".{OWNER}{CUT_OFF[1:]}")
    if not (folder / OWNER).is_file() and set(folder.iterdir()) - set(half):
        words = "is not empty and was not made by siamla; name another folder, nothing was touched"
        raise UserError(f"{folder}: {words}")
    before = _owner(folder)
    if before and before[0] != step:
        what = f"the result of another step ({before[0]}, expected {step})"
        raise UserError(f"{folder}: holds {what}; name another")


def own(folder: Path, step: str, key: str, makes: Iterable[str] = ()) -> None:
    """Make `folder` a place where `step` may write what `key` names.

    Records of what was there go first, since its files are about to change. Of what the same step
    left there for another key, the files that match the patterns `makes` go too. UserError for a
    folder that somebody else made.
    """
    refuse_foreign(folder, step)
    for path in folder.glob(RECORDS):
        path.unlink()
    before = _owner(folder)
    if before and before[1:] != [key]:
        for pattern in makes:
            for path in folder.glob(pattern):
                path.unlink()
    if before != [step, key]:
        write_text(folder / OWNER, f"{step} {key}\n")


def full_key(record: Mapping[str, Any]) -> str:
    """Digest of all that decides the bytes here and now: identity, inputs' contents and device.

    The CPU's threads change sums on a CPU alone.
    """
    hardware = dict(record["place"])
    if str(hardware.get("device", "")).startswith("cuda"):
        hardware.pop("threads", None)
    return digest([record["step"], record["key"], record["inputs"], hardware])


def state_of(job: Job, record: Mapping[str, Any]) -> Path:
    """The job's own folder for work that can be taken up again, by what decides the bytes; made if
    need be.

    Two jobs may be of one identity, as a point of a sweep is that has the plan's own value, and run
    at once.
    """
    key = full_key(record)
    name = f"{job.step}-{digest([key, job.folder.as_posix()])}"
    state = Path("results", job.names["profile"], "state", name)
    own(state, job.step, key)
    return state


def _sweep(folder: Path) -> None:
    """Delete what killed processes left; nobody else may be writing there."""
    for path in folder.rglob(CUT_OFF):
        path.unlink()


def publish(source: Path, job: Job) -> None:
    """Copy finished files into the job's folder, in place of those of the result before; they stay
    in `source`, so that a kill at any moment costs nothing.
    """
    _sweep(source)
    before = job.record() or job.former()
    own(job.folder, job.step, job.key)
    for name in before["files"] if before else ():
        (job.folder / name).unlink(missing_ok=True)
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.name != OWNER:
            with atomic(job.folder / path.relative_to(source)) as temporary:
                shutil.copyfile(path, temporary)


# --- doing it ---


def perform(
    plan: Plan,
    job: Job,
    key: str | None = None,
    means: Means | None = None,
    work: Work | None = None,
) -> bool:
    """Do a job, unless its result is there and belongs to the plan; whether it was done.

    key: as the caller expects it; None where somebody typed the command. work: in place of the
    step's own. UserError where the key or a parent's result is not the plan's, or the folder is
    somebody else's.
    """
    if key not in (None, job.key):
        what = "the plan is no longer what this was started for: settings or code have changed"
        raise UserError(f"{job.title}: {what}; start again")
    inputs = {name: planned(parent)["content"] for name, parent in job.parents.items()}
    inputs |= brought(job)
    date_back(job.read())
    refuse_foreign(job.folder, job.step)
    with locked(job.folder.with_name(f".{job.folder.name}.lock")):
        _sweep(job.folder)
        before = job.record()
        if before is not None and not changed_inputs(before, inputs):
            broken = damaged(job, before)
            if broken is None and not STEPS[job.entry].renew:
                return False
            if broken is not None:
                print(f"{broken}; it is made again", flush=True)
                # of no key: nothing of what is there is gone on with
                write_text(job.folder / OWNER, f"{job.step}\n")
        started = time.time()
        record = make_record(job.step, job.names, job.identity.plain, job.key, inputs, {}, started)
        work = work or import_module(f"siamla.steps.{job.step}").work
        outcome = work(plan, job, record, means or Means())
        record |= {"content": outcome.content, "files": dict(outcome.files)}
        record["seconds"] = round(time.time() - started, 3)
        write_json(job.record_path, record)
        if outcome.state is not None:
            # nothing may fail now: Snakemake deletes the record of a job that fails
            shutil.rmtree(outcome.state, ignore_errors=True)
    return True
