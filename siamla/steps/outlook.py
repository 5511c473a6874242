"""What the pipeline would do: every job with its reason, and one job whole."""

import json
import re
from collections.abc import Sequence

import yaml

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.steps import STEPS
from siamla.report.views import VIEWS
from siamla.settings.base import closest
from siamla.steps.decision import made, needed, reasons, view_reasons

UNKNOWN = "no earlier run to go by"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def cost(step: Sequence[Job], waiting: Sequence[Job]) -> str:
    """What the waiting jobs of a step may take, by the time that jobs of this step took before."""
    known = {job.folder: record["seconds"] for job in step if (record := job.record())}
    if not waiting or not known:
        return "" if not waiting else UNKNOWN
    mean = sum(known.values()) / len(known)
    return f"about {duration(sum(known.get(job.folder, mean) for job in waiting))} of one process"


def _views(plan: Plan) -> list[str]:
    """Which tables would be made, and which figures and study that are here, anew."""
    lines = []
    others = []
    try:
        others = [*VIEWS["figure"].jobs(plan), *VIEWS["study"].jobs(plan)]
    except UserError as error:  # a view stops nothing
        lines.append(f"{'figures':14} {error}")
    here = [job for job in others if made(job) is not None]
    for what, jobs in (("table", VIEWS["table"].jobs(plan)), ("figure, study", here)):
        waiting = {job.title: because for job in jobs if (because := view_reasons(job))}
        if jobs:
            lines.append(f"{what:14} {len(waiting):3} of {len(jobs):3} to make")
        for title, because in waiting.items():
            lines.append(f"               {title}: {'; '.join(because[:3])}")
    return lines


def outlook(plan: Plan) -> str:
    """What a run would do now, as text: of each step how many jobs, which, why, their cost."""
    jobs = plan.jobs()
    why = reasons(jobs)
    running = needed(plan, why)
    lines = []
    for step in dict.fromkeys(job.entry for job in jobs):
        members = [job for job in jobs if job.entry == step]
        waiting = [job for job in members if job.folder in running]
        time = cost(members, waiting)
        after = f", {time}" if time else ""
        lines.append(f"{step:14} {len(waiting):3} of {len(members):3} to run{after}")
        by_reason: dict[str, list[str]] = {}
        for job in waiting:
            title = job.title.removeprefix(f"{job.step} ")
            by_reason.setdefault("; ".join(why[job.folder][:3]), []).append(title)
        for reason, titles in by_reason.items():
            more = f" and {len(titles) - 6} more" if len(titles) > 6 else ""
            lines.append(f"               {reason}: {' | '.join(titles[:6])}{more}")
    lines += _views(plan)
    return "\n".join(lines)


def _words(title: str) -> str:
    """ "score otb100 siamla 1" of "score otb100 siamla, seed 1"."""
    return " ".join(re.sub(r",|\bseed ?(?=\d)", " ", title).split())


def job_named(plan: Plan, words: Sequence[str]) -> Job:
    """The job that words as `siamla plan` prints them name; UserError with the nearest."""
    view = VIEWS.get(words[0])
    named = {_words(job.title): job for job in (view.jobs(plan) if view else plan.jobs())}
    asked = _words(" ".join(words))
    if asked not in named:
        close = closest(asked, list(named))
        near = f"did you mean {close!r}?" if close else f"steps: {', '.join([*STEPS, *VIEWS])}"
        raise UserError(f"plan: no job {asked!r} in profile {plan.name}; {near}")
    return named[asked]


def show_job(plan: Plan, job: Job) -> str:
    """One job as text: command, folder, key, parents, identity, and why it would run."""
    lines = view_reasons(job) if job.step in VIEWS else reasons(plan.jobs())[job.folder]
    head = {
        "job": job.title,
        "command": job.command,
        "result": job.folder.as_posix(),
        "key": job.key,
        "made from": [parent.title for parent in job.parents.values()],
        "identity": job.identity.plain,
    }
    whole = json.loads(json.dumps(head))  # what two parents share is shown twice, without anchors
    text = yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=120)
    if not lines:
        return f"{text}up to date\n"
    return f"{text}would run:\n" + "".join(f"- {line}\n" for line in lines)
