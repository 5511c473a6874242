"""What the pipeline would do: every job with its reason, and one job whole."""

import json
from collections.abc import Sequence
from typing import Any

import yaml

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.steps import STEPS
from siamla.report.views import VIEWS, view
from siamla.settings import nearest
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


def _view_named(plan: Plan, words: Sequence[str]) -> Job:
    """The job of a view: table NUMBER, figure NAME or study."""
    step, *names = words
    if len(names) != (step in ("table", "figure")):
        what = {"table": "a number", "figure": "a name"}.get(step, "nothing more")
        raise UserError(f"plan {step}: expected {what}, found {' '.join(names) or 'nothing'}")
    if step == "table" and not names[0].isdigit():
        raise UserError(f"plan table: number is {names[0]!r}, expected a whole number")
    return view(plan, step, *names)


def job_named(plan: Plan, words: Sequence[str]) -> Job:
    """The job that words as `siamla plan` prints them name; UserError with what is expected."""
    step, *rest = words
    if step in VIEWS:
        return _view_named(plan, words)
    entries = [entry for entry in STEPS.values() if step in (entry.name, entry.result)]
    if not entries:
        raise UserError(f"plan: no step {step!r}; {nearest(step, [*STEPS, *VIEWS])}")
    given = [word.removeprefix("seed").rstrip(",") for word in rest if word not in ("seed", "")]
    for entry in entries:
        for names in (entry.names, [name for name in entry.names if name not in entry.optional]):
            if len(given) == len(names):
                values: dict[str, Any] = dict(zip(names, given, strict=True))
                if "seed" in values:
                    if not values["seed"].isdigit():
                        seed = f"seed is {values['seed']!r}"
                        raise UserError(f"plan {step}: {seed}, expected a whole number")
                    values["seed"] = int(values["seed"])
                if "tracker" in names and values["tracker"] not in plan.profile.imported:
                    continue
                return plan.job(entry.name, **values)
    expected = " or ".join(" ".join(entry.names) for entry in entries)
    raise UserError(f"plan {step}: expected {expected}, found {' '.join(rest) or 'nothing'}")


def _not_planned(plan: Plan, job: Job) -> UserError:
    """Which of a job's names is not one that the profile runs, and those that are."""
    others = [other.names for other in plan.jobs() if other.entry == job.entry]
    said = f"{job.title}: not in profile {plan.name}"
    for kind in STEPS[job.entry].names if others else ():
        values = dict.fromkeys(str(names[kind]) for names in others)
        others = [names for names in others if names[kind] == job.names[kind]]
        if not others:
            return UserError(f"{said} ({kind}s: {', '.join(values)})")
    return UserError(said)


def show_job(plan: Plan, job: Job) -> str:
    """One job as text: command, folder, key, parents, identity, and why it would run; UserError for
    one that the profile does not run.
    """
    lines = view_reasons(job) if job.step in VIEWS else reasons(plan.jobs()).get(job.folder)
    if lines is None:
        raise _not_planned(plan, job)
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
