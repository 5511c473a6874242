"""Plans after changes, how two of them differ, and results as steps leave them."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from conftest import REPOSITORY

from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.spec import merge
from siamla.files import digest, write_json, write_text
from siamla.provenance.code import sources
from siamla.provenance.record import make_record
from siamla.report.tables.job import table_job
from siamla.steps.perform import OWNER, brought, hashed

Change = Callable[..., Plan]


def changed_plan(params: Path, **files: dict) -> Plan:
    """The smoke profile's plan after changes, each laid over a file of the repository."""
    for name, over in files.items():
        source = next((REPOSITORY / "params").rglob(f"{name}.yaml"))
        settings = merge(yaml.safe_load(source.read_text()), over)
        path = params / source.relative_to(REPOSITORY / "params")
        path.write_text(yaml.safe_dump(settings, sort_keys=False))
    plan = Plan.load("smoke")
    plan.code = sources()  # parsed once for all tests
    keys(plan)  # now, before the files change once more
    return plan


def keys(plan: Plan) -> dict[str, str]:
    """Every job's key by its title without the first seed, tables included."""
    jobs = [*plan.jobs(), *(table_job(plan, number) for number in plan.profile.tables)]
    return {job.title.removesuffix(", seed 1"): job.key for job in jobs}


def differing(before: Plan, after: Plan) -> set[str]:
    """The titles of the jobs that both plans have, with another key."""
    old, new = keys(before), keys(after)
    return {title for title in old.keys() & new.keys() if old[title] != new[title]}


def titles(plan: Plan, *patterns: str) -> set[str]:
    """The titles of a plan that match a pattern such as "score * siamla"."""
    return {title for title in keys(plan) if any(fnmatch(title, pattern) for pattern in patterns)}


SCORE = {"overall": {}, "per_sequence": {}, "training": {"key": "k", "content": "model"}}


@cache
def blank() -> dict[str, Any]:
    """A record of nothing; once, since it asks git and the machine."""
    return make_record("", {}, {}, "", {}, {}, 0.0) | {"seconds": 1.0}


def finish(job: Job, names: Iterable[str], **changes: Any) -> Job:
    """The record of a result as its step leaves it, of files that are there, with what the parents'
    records say now.

    Args:
        changes: of the record.
    """
    write_text(job.folder / OWNER, f"{job.step} {job.key}\n")
    inputs = brought(job)
    for each, parent in job.parents.items():
        if made := parent.record():
            inputs[each] = made["content"]
    record = blank() | {"step": job.step, "names": dict(job.names), "key": job.key}
    record |= {"identity": job.identity.plain, "inputs": inputs, "content": job.key}
    record["files"] = hashed(job.folder, names)
    write_json(job.record_path, merge(record, changes))
    return job


def fake(job: Job, data: Mapping[str, Any] = SCORE, **changes: Any) -> Job:
    """A result: a file with `data`, and its record after changes."""
    name = "score.json" if job.step == "score" else "model.pt"
    write_json(job.folder / name, data)
    return finish(job, [name], **{"content": digest(data), **changes})


def fake_all(jobs: Iterable[Job]) -> None:
    """Results of jobs, in an order in which they can run."""
    for job in jobs:
        fake(job)
