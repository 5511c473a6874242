"""Acceptance: code changed and numbers did not, so that results are taken over instead of being
made again.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from siamla.experiment.plan import Job, Plan
from siamla.files import read_json, write_json
from siamla.provenance.record import environment, flat
from siamla.steps import benchmark, data, training
from siamla.steps.perform import why, write_stamp

CODE = "the code of "


def _run(plan: Plan, job: Job) -> None:
    """Do a job again."""
    names = job.names
    if job.step in ("fetch", "curate"):
        getattr(data, job.step)(plan, names["dataset"])
    elif job.step == "crops":
        data.crops(plan, names["variant"], dataset=names.get("dataset"))
    elif job.step == "features":
        training.features(plan, names["variant"])
    elif job.step == "train":
        record = job.record()
        means = training.Means(record["place"]["threads"] if record else 1)
        training.train(plan, names["variant"], names["seed"], means)
    elif "tracker" in names:
        benchmark.score_imported(plan, names["benchmark"], names["tracker"])
    else:
        point = {"point": plan.point(names["sweep"], names["value"])} if "sweep" in names else {}
        getattr(benchmark, job.step)(
            plan, names["benchmark"], names["variant"], names["seed"], **point
        )


def _only_code(job: Job) -> bool:
    """Whether nothing but code stands between a result and the plan."""
    records = {name: parent.record() for name, parent in job.parents.items()}
    found = why(job, {name: record["content"] for name, record in records.items() if record})
    return bool(found) and all(line.startswith(CODE) for line in found)


def _same_again(plan: Plan, job: Job) -> bool:
    """Do a job again; whether it made what it had made."""
    before = job.content()
    _run(plan, job)
    return job.content() == before


def _take_over(job: Job, tried: Sequence[Job]) -> None:
    """Give a result the plan's identity, and say by what right."""
    whole = read_json(job.record_path)
    record: dict[str, Any] = whole["record"] if job.step == "score" else whole
    state = environment()
    record["identity"], record["key"] = job.identity.plain, job.key
    record["accepted"] = {
        "commit": state["git_commit"],
        "dirty": state["git_dirty"],
        "tried": [each.title for each in tried],
    }
    write_json(job.record_path, whole)
    if job.step != "score":
        write_stamp(job, record["content"])


def _aspects(job: Job) -> set[str]:
    """What may decide which code a job runs: each setting with its value, where that is no number."""
    leaves = {
        key: value
        for key, value in flat(job.identity.plain).items()
        if key.split(".")[-1] != "code"
    }
    numbers = (int, float)
    return {
        f"{key}:"
        f" {'a number' if isinstance(value, numbers) and not isinstance(value, bool) else value}"
        for key, value in leaves.items()
    }


def _covering(jobs: Sequence[Job]) -> list[Job]:
    """As few of the jobs as together have every aspect of all; of those that have as many new ones,
    the earlier.
    """
    left, chosen = {aspect for job in jobs for aspect in _aspects(job)}, []
    while left:
        best = max(jobs, key=lambda job: len(left & _aspects(job)))
        chosen.append(best)
        left -= _aspects(best)
    return chosen


def accept(plan: Plan) -> Iterator[str]:
    """Run some jobs of each kind whose code alone changed, and take over the others where all made
    the same bytes.

    A kind is a step with its old and its new code. Of each, as few jobs are run as together have
    every value of every setting that is no number, the quick ones first: what SiamCAR runs says
    nothing of LAFA's code. Yields a line for each kind: what was taken over, or that numbers
    changed ("not accepted: …"), and then the pipeline makes them again.
    """
    jobs = plan.jobs()
    for step in dict.fromkeys(job.step for job in jobs):
        kinds: dict[str, list[tuple[float, Job]]] = {}
        for job in (job for job in jobs if job.step == step and _only_code(job)):
            record = job.record()
            assert record is not None
            kind = f"{record['identity'].get('code')} {job.identity.plain.get('code')}"
            kinds.setdefault(kind, []).append((record["seconds"], job))
        for members in kinds.values():
            ordered = [job for _, job in sorted(members, key=lambda member: member[0])]
            tried = _covering(ordered)
            others = [job for job in ordered if job not in tried]
            changed = next((job for job in tried if not _same_again(plan, job)), None)
            if changed:
                yield (
                    f"not accepted: {changed.title} has other content now; what else is of its kind"
                    " is made again"
                )
                continue
            for job in others:
                _take_over(job, tried)
            names = ", ".join(job.title for job in tried)
            yield (
                f"accepted: {names} came out the same; {len(others)} others of its kind are taken"
                " over"
            )
