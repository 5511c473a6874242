"""The one decision: which results are the plan's, and why one is made again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.steps import STEPS
from siamla.files import read_json
from siamla.provenance.record import differences, flat
from siamla.steps.perform import brought, changed_inputs


def reasons(jobs: Sequence[Job]) -> dict[Path, list[str]]:
    """Folder of each job → why it would run, empty where its result is the plan's.

    A result is the plan's when the record of the plan's key is there, and what it was made from is
    what the parents' records say now, as far as these are here. `jobs` are in an order in which
    they can run.
    """
    records = {job.folder: job.record() for job in jobs}
    why: dict[Path, list[str]] = {}
    anew: set[Path] = set()  # results that are here and will be made again
    for job in jobs:
        record = records[job.folder]
        if record is None:
            former = job.former()
            lines = differences(former["identity"], job.identity.plain) if former else []
            why[job.folder] = lines or ["not made yet"]
            continue
        inputs = brought(job)
        for name, parent in job.parents.items():
            if made := records[parent.folder]:
                inputs[name] = made["content"]
        lines = changed_inputs(record, inputs)
        for name, parent in job.parents.items():
            if parent.folder in anew:
                lines.append(f"{name} is made anew")
        why[job.folder] = lines
        if lines:
            anew.add(job.folder)
    return why


def needed(plan: Plan, why: Mapping[Path, Sequence[str]]) -> set[Path]:
    """The folders of the jobs that a run would do. A result that is not here and that nothing needs
    is not made: who brought trained models and scores from elsewhere need not have the data.
    """
    wanted: set[Path] = set()
    for step in STEPS:
        if step != "train":
            wanted.update(job.folder for job in plan.jobs_of(step))
    running = set()
    for job in reversed(plan.jobs()):
        here = job.record_path.exists()
        if why[job.folder] and (job.folder in wanted or here):
            running.add(job.folder)
            wanted.update(parent.folder for parent in job.parents.values())
    return running


def stale(plan: Plan) -> list[Job]:
    """The jobs of which a record of the plan's key is here, but not of what the parents are now."""
    jobs = plan.jobs()
    why = reasons(jobs)
    return [job for job in jobs if why[job.folder] and job.record_path.exists()]


def made(job: Job) -> dict[str, Any] | None:
    """What a table, figure or study says that it was made from; None where it is not here."""
    try:
        return dict(read_json(job.record_path)) if job.record_path.is_file() else None
    except (UserError, ValueError, TypeError):  # damaged
        return {}


def _view_differences(found: Mapping[str, Any], job: Job) -> list[str]:
    """Where what a view shows differs, in words; a new row or column by its name alone."""
    planned = job.identity.plain
    row, column = ("row", "column") if job.step == "table" else ("variant", "benchmark")
    lines, told = [], []
    for kind, word in {"variants": row, "trackers": row, "benchmarks": column}.items():
        start = f"shown.{kind}."
        theirs, ours = (
            {key.split(".")[2] for key in flat(identity) if key.startswith(start)}
            for identity in (found, planned)
        )
        lines += [f"new {word} {name}" for name in sorted(ours - theirs)]
        lines += [f"no {word} {name} any more" for name in sorted(theirs - ours)]
        told += [f"{start}{name}." for name in ours ^ theirs]
    others = differences(found, planned)
    return lines + [line for line in others if not line.startswith(tuple(told))]


def view_reasons(job: Job) -> list[str]:
    """Why a table, figure or study would be made, in words; none where nothing has changed."""
    told = made(job)
    if told is None:
        return ["not made yet"]
    identity = told.get("identity")
    reasons = ["its sources are damaged"]
    if isinstance(identity, dict):
        reasons = _view_differences(identity, job)
    made_from: dict[str, Any] = told.get("made_from") or {}
    for folder, parent in job.parents.items() if not reasons else ():
        source = made_from.get(parent.folder.as_posix())
        if not isinstance(source, dict):
            reasons.append(f"it was made without {folder}")
        elif source.get("key") != parent.key:
            reasons.append(f"{folder} was of other settings or code")
        elif (record := parent.record()) and record["content"] != source.get("content"):
            reasons.append(f"{folder} has other content")
    known = {parent.folder.as_posix() for parent in job.parents.values()}
    return reasons or [f"it was made from {name}, too" for name in made_from if name not in known]


def outdated(job: Job) -> bool:
    """Whether a table, figure or study is here and would be made otherwise now."""
    return made(job) is not None and bool(view_reasons(job))
