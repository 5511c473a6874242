"""Acceptance: code changed and numbers did not, so that results are taken over."""

from collections.abc import Iterator, Sequence
from typing import Any

from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.files import write_json
from siamla.provenance.record import RECORDS, differences, environment, flat
from siamla.steps.perform import Means, changed_inputs, perform

CODE = "the code of "


def _former_by_code(job: Job) -> dict[str, Any] | None:
    """The record of a result from which nothing but code differs, or None."""
    former = job.former()
    if former is None or job.record() is not None:
        return None
    lines = differences(former["identity"], job.identity.plain)
    inputs = {}
    for name, parent in job.parents.items():
        if record := parent.record():
            inputs[name] = record["content"]
    lines += changed_inputs(former, inputs)
    return former if all(line.startswith(CODE) for line in lines) else None


def _same_again(plan: Plan, job: Job, former: dict[str, Any]) -> bool:
    """Do a job again; whether it made what it had made."""
    perform(plan, job, means=Means(former["place"].get("threads", 1)))
    record = job.record()
    return record is not None and record["content"] == former["content"]


def _take_over(job: Job, former: dict[str, Any], tried: Sequence[Job]) -> None:
    """Give a result the plan's identity, and say by what right."""
    state = environment()
    accepted = {
        "commit": state["git_commit"],
        "dirty": state["git_dirty"],
        "tried": [each.title for each in tried],
    }
    record = former | {"identity": dict(job.identity.plain), "key": job.key, "accepted": accepted}
    write_json(job.record_path, record)
    for path in job.folder.glob(RECORDS):
        if path != job.record_path:
            path.unlink()


def _aspects(job: Job) -> set[str]:
    """What may decide which code a job runs: each setting, with its value if that is no number."""
    aspects = set()
    for key, value in flat(job.identity.plain).items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if key.split(".")[-1] != "code":
            aspects.add(f"{key}: {'a number' if number else value}")
    return aspects


def _covering(jobs: Sequence[Job]) -> list[Job]:
    """As few jobs as together have every aspect of all; of equal ones the earlier."""
    left: set[str] = set()
    for job in jobs:
        left |= _aspects(job)
    chosen = []
    while left:
        best = max(jobs, key=lambda job: len(left & _aspects(job)))
        chosen.append(best)
        left -= _aspects(best)
    return chosen


def _accept_kind(plan: Plan, jobs: Sequence[Job], formers: dict[Job, dict[str, Any]]) -> str:
    """Try some jobs of one kind and take over the others; the line that says so."""
    tried = _covering(jobs)
    for job in tried:
        if not _same_again(plan, job, formers[job]):
            return (
                f"not accepted: {job.title} has other content now; what else is of its kind is made"
                " again"
            )
    others = [job for job in jobs if job not in tried]
    for job in others:
        _take_over(job, formers[job], tried)
    names = ", ".join(job.title for job in tried)
    return f"accepted: {names} came out the same; {len(others)} others of its kind are taken over"


def accept(plan: Plan) -> Iterator[str]:
    """Run some jobs of each kind (a step with its old and its new code) whose code alone changed,
    and take over the others where all made the same bytes; a line for each kind.

    As few jobs are run as together have every value of every setting that is no number, the quick
    ones first: what SiamCAR runs says nothing of LAFA's code.
    """
    jobs = plan.jobs()
    for step in dict.fromkeys(job.step for job in jobs):
        formers: dict[Job, dict[str, Any]] = {}
        kinds: dict[str, list[Job]] = {}
        for job in (job for job in jobs if job.step == step):
            former = _former_by_code(job)
            if former is not None:
                formers[job] = former
                kind = f"{former['identity'].get('code')} {job.identity.plain.get('code')}"
                kinds.setdefault(kind, []).append(job)
        for members in kinds.values():
            quick_first = sorted(members, key=lambda job: formers[job]["seconds"])
            yield _accept_kind(plan, quick_first, formers)
