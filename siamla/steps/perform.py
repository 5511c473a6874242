"""What all steps share: is the result there, may the folder be written to, work, record, stamp.

Snakemake deletes the outputs that a rule declares before it runs the rule again, and knows nothing
of results that came from elsewhere. So it is told of the stamp alone, and the step itself decides
by the record beside the result: a result that belongs to the plan is stamped and not made again.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.experiment.plan import Job
from siamla.files import (
    atomic,
    canonical_json,
    digest,
    locked,
    read_json,
    sha256,
    write_json,
    write_text,
)
from siamla.provenance.record import RECORD, differences, make_record

SHOWN = 8  # differences that a message lists
OWNER = ".siamla"  # in a folder that a step made: its step, and what it is being made into
CUT_OFF = ".*.tmp"  # half a file of a killed process
# what may lie beside raw results, of the pipeline, of an import and of `siamla benchmark run`
NO_RESULT = (OWNER, RECORD, "stamp", "SOURCE.txt", ".lock", "run.json", "scores.csv")
BESIDE = (
    "record",
    "predictions",
    "training",
    "speed",
)  # in a score file, and no part of its content


@dataclass(frozen=True)
class Outcome:
    """What a step made.

    Attributes:
        content: digest of it.
        files: its files with their SHA-256.
        state: the folder of work that could be taken up again; it goes when the record is written,
            and not before.
    """

    content: str
    files: Mapping[str, str] = field(default_factory=dict)
    state: Path | None = None


def result_files(folder: Path) -> list[str]:
    """The raw results of a folder by relative name."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name not in NO_RESULT)
    return sorted(path.relative_to(folder).as_posix() for path in found)


def brought(job: Job) -> dict[str, str]:
    """Content digests of the results of others that a job reads, as far as they are here."""
    folders = {name: folder for name, folder in job.outside.items() if folder.is_dir()}
    return {name: digest(hashed(folder, result_files(folder))) for name, folder in folders.items()}


def planned_inputs(job: Job) -> dict[str, str]:
    """Content digests of all that a job reads; UserError, with the command to type, where a
    parent's is missing.
    """
    return {name: parent.content() for name, parent in job.parents.items()} | brought(job)


def score_content(score: Mapping[str, Any]) -> str:
    """Digest of what a score file says: no two runs take the same time, so that speed is told
    beside it.
    """
    return digest({name: value for name, value in score.items() if name not in BESIDE})


def damaged(job: Job, record: Mapping[str, Any], names: Iterable[str] | None = None) -> str | None:
    """The first file of a result that is not what the record says; None when all are. names: look
    at these alone.
    """
    if job.step == "score":
        same = score_content(read_json(job.folder)) == record["content"]
        return None if same else f"{job.folder} has changed since it was made"
    for name, expected in record["files"].items():
        if names is not None and name not in names:
            continue
        path = job.folder / name
        if not path.is_file():
            return f"{path} is missing"
        if sha256(path) != expected:
            return f"{path} has changed since it was made"
    return None


def sound(job: Job, names: Iterable[str] | None = None) -> Path:
    """The folder of a result that is to be read; UserError where a file of it, or of `names` alone,
    is not what its record says.
    """
    record = job.record()
    problem = damaged(job, record, names) if record else None
    if problem:
        raise UserError(
            f"{problem}; delete {job.stamp} and run the pipeline again, or `{job.command}`"
        )
    return job.folder


def why(job: Job, inputs: Mapping[str, str], look_inside: bool = True) -> list[str]:
    """Why the job has to run, in words; empty when its result is there and belongs to the plan."""
    try:
        record = job.record()
    except UserError as error:
        return [str(error)]
    if record is None:
        return ["not made yet"]
    reasons = differences(record["identity"], job.identity.plain)
    reasons += [
        f"{name} has other content"
        for name, value in inputs.items()
        if record["inputs"].get(name) != value
    ]
    broken = damaged(job, record) if look_inside and not reasons else None
    return reasons + ([broken] if broken else [])


def check_key(job: Job, key: str | None) -> None:
    """UserError when a caller's key is not the plan's: settings or code changed since the caller
    read them.
    """
    if key is None or key == job.key:
        return
    record = job.record()
    same = record is not None and record["key"] == key
    what = (
        differences(record["identity"], job.identity.plain)
        if record and same
        else ["settings or code have changed"]
    )
    raise UserError(
        f"{job.title}: the plan is no longer what this was started for: {'; '.join(what)}; start"
        " again"
    )


def own(folder: Path, step: str, key: str, makes: Iterable[str] = ()) -> None:
    """Make `folder` a place where `step` may write what `key` names.

    What the same step left there for another key is removed, as far as it matches the patterns
    `makes`. UserError when the folder holds anything and no step of ours made it; nothing is
    touched then.
    """
    owner = folder / OWNER
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: expected a folder, found a file; nothing was touched")
    # killed before its name was written whole, a step has left half of it, and nothing else
    if (
        folder.exists()
        and not owner.is_file()
        and set(folder.iterdir()) - set(folder.glob(f".{OWNER}{CUT_OFF[1:]}"))
    ):
        raise UserError(
            f"{folder}: is not empty and was not made by siamla; name another folder, nothing was"
            " touched"
        )
    before = owner.read_text(encoding="utf-8").split() if owner.is_file() else []
    if before and before[0] != step:
        raise UserError(
            f"{folder}: holds the result of another step ({before[0]}, expected {step}); name"
            " another"
        )
    if before and before[1:] != [key]:
        for pattern in makes:
            for path in folder.glob(pattern):
                path.unlink()
    if before != [step, key]:
        write_text(owner, f"{step} {key}\n")


def full_key(record: Mapping[str, Any]) -> str:
    """Digest of all that decides the bytes here and now: identity, inputs' contents and place.

    The CPU's threads change sums on a CPU alone.
    """
    place = dict(record["place"])
    if str(place.get("device", "")).startswith("cuda"):
        place.pop("threads", None)
    return digest([record["step"], record["key"], record["inputs"], place])


def state_of(job: Job, record: Mapping[str, Any]) -> Path:
    """The job's own folder for work that can be taken up again, by what decides the bytes; made if
    need be.

    Two jobs may be of one identity, as a point of a sweep is that has the plan's own value, and run
    at once.
    """
    key = full_key(record)
    state = Path(
        "results",
        job.names["profile"],
        "state",
        f"{job.step}-{digest([key, job.folder.as_posix()])}",
    )
    own(state, job.step, key)
    return state


def _sweep(folder: Path) -> None:
    """Delete what killed processes left; nobody else may be writing there."""
    for path in folder.rglob(CUT_OFF):
        path.unlink()


def publish(state: Path, job: Job) -> None:
    """Copy finished files from their working folder into the job's, in place of those of the result
    before.

    They are small, and as long as they stay in `state` too, a kill at any moment costs nothing.
    """
    _sweep(state)
    before = job.record()
    (job.folder / RECORD).unlink(missing_ok=True)
    for name in before["files"] if before else ():
        (job.folder / name).unlink(missing_ok=True)
    for path in sorted(state.rglob("*")):
        if path.is_file() and path.name != OWNER:
            with atomic(job.folder / path.relative_to(state)) as temporary:
                shutil.copyfile(path, temporary)


def write_stamp(job: Job, content: str) -> None:
    """Tell Snakemake which result is there: the file follows from the identity and the content
    alone.
    """
    write_text(job.stamp, canonical_json({"content": content, "key": job.key}) + "\n")


def verified(job: Job) -> dict[str, Any]:
    """The record of a result that belongs to the plan; UserError that names what differs, in words."""
    record = job.record()
    if record is None:
        raise UserError(f"{job.record_path}: not found; `{job.command}` makes it")
    found = differences(record["identity"], job.identity.plain)
    if found:
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise UserError(
            f"{job.folder} does not belong to the plan of profile {job.names['profile']}: "
            f"{'; '.join(found[:SHOWN])}{more}. Run the pipeline again"
        )
    return record


def hashed(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files of a folder by their relative names."""
    return {name: sha256(folder / name) for name in sorted(names)}


def perform(
    job: Job, key: str | None, work: Callable[[dict[str, Any]], Outcome], always: bool = False
) -> bool:
    """Do a job whose result is a folder, unless that is there and belongs to the plan; whether it
    was done.

    Args:
        key: the identity's digest that the caller expects; None where somebody typed the command.
        work: is given the record as it stands at the start (it may fill in `place`) and returns
            what it made.
        always: do it even so (bringing data is quick where nothing changed).

    Raises:
        UserError: inputs are missing, the key is not the plan's, or the folder is somebody else's.
    """
    check_key(job, key)
    inputs = planned_inputs(job)
    if job.folder.exists() and not (job.folder / OWNER).is_file():
        own(
            job.folder, job.step, ""
        )  # says no to a foreign folder before anything is written into it
    with locked(job.folder.with_name(f".{job.folder.name}.lock")):
        _sweep(job.folder)
        reasons = why(job, inputs, look_inside=False)
        if not reasons and (broken := damaged(job, job.record() or {"files": {}})):
            reasons = [broken]
            write_text(
                job.folder / OWNER, f"{job.step}\n"
            )  # of no key: nothing of what is there is gone on with
        if reasons or always:
            started = time.time()
            record = make_record(
                job.step, job.names, job.identity.plain, job.key, inputs, {}, started
            )
            outcome = work(record)
            record |= {"content": outcome.content, "files": dict(outcome.files)}
            write_json(job.record_path, record | {"seconds": round(time.time() - started, 3)})
            if outcome.state is not None:
                shutil.rmtree(outcome.state)
        write_stamp(job, job.content())
    return bool(reasons)
