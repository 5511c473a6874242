"""What the pipeline would do: every job with its reason, and one job whole."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from siamla.errors import UserError
from siamla.experiment.plan import Job, Plan
from siamla.files import read_json
from siamla.provenance.record import differences
from siamla.report.drawing.jobs import figure_job, figure_names
from siamla.report.study.job import study_job
from siamla.report.tables.job import table_job
from siamla.settings import nearest
from siamla.steps.perform import brought, why

UNKNOWN = "no earlier run to go by"
SMALL = "efficientnet_lite0"
SOURCES = (
    "scores",
    "results",
    "sources",
    "maps",
    "alignment",
)  # under which views list what they were made from
RATES = {"train": (100, "pairs"), "predict": (150, "frames"), "maps": (150, "frames")}
"""What one core without AMX does in a second with the small frozen backbone; a guess where nothing
ran yet.
"""


def reasons(jobs: Sequence[Job]) -> dict[Path, list[str]]:
    """Folder of each job → why it would run, empty where it would not.

    `jobs` are in an order in which they can run. A result that is not here and that nothing needs
    is not made: who brought trained models and scores from elsewhere need not have the data.
    """
    found: dict[Path, list[str]] = {}
    for job in jobs:
        anew = [
            name
            for name, parent in job.parents.items()
            if found.get(parent.folder) and parent.record_path.exists()
        ]
        inputs = {}
        for name, parent in job.parents.items():
            if name not in anew and (record := parent.record()):
                inputs[name] = record["content"]
        inputs |= brought(job)
        found[job.folder] = why(job, inputs, look_inside=False) or [
            f"{name} is made anew" for name in anew
        ]
    wanted = {job.folder for job in jobs if job.step in ("score", "maps", "alignment")}
    for job in reversed(jobs):
        if found[job.folder] and (job.folder in wanted or job.record_path.exists()):
            wanted.update(parent.folder for parent in job.parents.values())
        elif found[job.folder] and job.folder not in wanted:
            found[job.folder] = []
    return found


def stale(plan: Plan) -> list[Job]:
    """The jobs with a result that does not belong to the plan, or is not of what it was made from."""
    jobs = plan.jobs()
    found = reasons(jobs)
    return [job for job in jobs if found[job.folder] and job.record_path.exists()]


def _told(job: Job) -> dict[str, Any] | None:
    """What a table, figure or study says that it was made from; None where it is not here."""
    path = job.folder.with_name(
        f"{job.folder.name}{'.sources' if job.step == 'table' else ''}.json"
    )
    try:
        return dict(read_json(path)) if path.is_file() else None
    except (UserError, ValueError, TypeError):  # damaged
        return {}


def view_reasons(job: Job) -> list[str]:
    """Why a table, figure or study would be made, in words: it is not here, settings or code
    changed, or it was made from other results than the plan's, or than those that are here.
    """
    told = _told(job)
    if told is None:
        return ["not made yet"]
    identity = told.get("identity")
    reasons = (
        differences(identity, job.identity.plain)
        if isinstance(identity, dict)
        else ["its sources are damaged"]
    )
    made_from: dict[str, Any] = {}
    for kind in SOURCES:
        made_from |= told.get(kind) or {}
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
    return _told(job) is not None and bool(view_reasons(job))


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _heading(job: Job) -> str:
    """Under what a job is listed: its step, the points of sweeps apart."""
    return f"{job.step}, sweep" if "sweep" in job.names else job.step


def cost(step: Sequence[Job], waiting: Sequence[Job]) -> str:
    """What the waiting jobs of a step may take, by the time that jobs of this step took before."""
    known = {job.folder: record["seconds"] for job in step if (record := job.record())}
    if not waiting or not known:
        return "" if not waiting else UNKNOWN
    mean = sum(known.values()) / len(known)
    return f"about {duration(sum(known.get(job.folder, mean) for job in waiting))} of one process"


def _amount(plan: Plan, job: Job) -> float | None:
    """Pairs or frames of a job of RATES; None where it is not known without data, or the network is
    another.
    """
    spec = plan.spec(job.names["variant"])
    if spec.model.backbone != SMALL or spec.training.frozen_epochs < spec.training.epochs:
        return None
    if job.step == "train":
        return float(spec.training.epochs * spec.training.pairs_per_epoch)
    entry = plan.datasets[job.names["benchmark"]]
    made = plan.fetch(job.names["benchmark"]).identity.plain["settings"]
    if not made:  # somebody's own folder
        return None
    frames = sum(min(count, entry.frames or count) for count in made["frames"]) / 2
    return float(made["sequences"] * frames)


def _guess(plan: Plan, waiting: Sequence[Job]) -> float:
    """Seconds that jobs of one step may take by RATES; 0 where that cannot be said."""
    if not waiting or waiting[0].step not in RATES:
        return 0.0
    amounts = [_amount(plan, job) for job in waiting]
    known = [amount for amount in amounts if amount is not None]
    return sum(known) / RATES[waiting[0].step][0] if len(known) == len(amounts) else 0.0


def _views(plan: Plan) -> list[str]:
    """Lines that tell which tables would be made, and which figures and study that are here would
    be made anew.
    """
    lines = []
    tables = [table_job(plan, number) for number in plan.profile.tables]
    views = []
    try:
        views = [*(figure_job(plan, name) for name in figure_names(plan)), study_job(plan)]
    except UserError as error:  # a view stops nothing
        lines.append(f"{'figures':14} {error}")
    for what, jobs in (
        ("table", tables),
        ("figure, study", [job for job in views if _told(job) is not None]),
    ):
        found = {
            job.title.removeprefix("table "): reasons
            for job in jobs
            if (reasons := view_reasons(job))
        }
        lines += [f"{what:14} {len(found):3} of {len(jobs):3} to make"] if jobs else []
        lines += [
            f"               {'; '.join(reasons[:3])}: {title}" for title, reasons in found.items()
        ]
    return lines


def outlook(plan: Plan) -> str:
    """What a run of the profile would do now, as text: per step how many jobs, which and why, and
    their cost.
    """
    jobs = plan.jobs()
    found = reasons(jobs)
    lines, guessed = [], 0.0
    for step in dict.fromkeys(_heading(job) for job in jobs):
        members = [job for job in jobs if _heading(job) == step]
        waiting = [job for job in members if found[job.folder]]
        told = cost(members, waiting)
        if told == UNKNOWN and (seconds := _guess(plan, waiting)):
            guessed += seconds
            rate, unit = RATES[waiting[0].step]
            told += f"; perhaps {duration(seconds)} of one process at {rate} {unit} a second"
        lines.append(
            f"{step:14} {len(waiting):3} of {len(members):3} to run{f', {told}' if told else ''}"
        )
        by_reason: dict[str, list[str]] = {}
        for job in waiting:
            by_reason.setdefault("; ".join(found[job.folder][:3]), []).append(
                job.title.removeprefix(f"{job.step} ")
            )
        for reason, titles in by_reason.items():
            more = f" and {len(titles) - 6} more" if len(titles) > 6 else ""
            lines.append(f"               {reason}: {' | '.join(titles[:6])}{more}")
    lines += _views(plan)
    if guessed:
        lines.append(
            f"in all perhaps {duration(guessed)} of one process; half of it on two cores, and a GPU"
            " is faster"
        )
    return "\n".join(lines)


def job_named(plan: Plan, words: Sequence[str]) -> Job:
    """The job of a step and its names, as `siamla plan` prints them; UserError with what is
    expected.
    """
    step, *names = words
    expected = {
        "fetch": ("dataset",),
        "curate": ("dataset",),
        "crops": ("variant",),
        "features": ("variant",),
        "train": ("variant", "seed"),
        "predict": ("benchmark", "variant", "seed"),
        "score": ("benchmark", "variant", "seed"),
        "maps": ("benchmark", "variant", "seed"),
        "alignment": ("benchmark", "variant", "seed"),
        "table": ("number",),
        "figure": ("name",),
        "study": (),
    }
    swept = step in ("predict", "score") and len(names) > 3 and names[0] in plan.experiment.sweeps
    if swept:
        expected[step] = ("sweep", "benchmark", "variant", "value", "seed")
    if step not in expected:
        raise UserError(f"plan: no step {step!r}; {nearest(step, list(expected))}")
    given = [name.removeprefix("seed").rstrip(",") for name in names if name not in ("seed", "")]
    if step == "crops" and len(given) == 2:  # of a variant that is trained on several data sets
        expected[step] = ("variant", "dataset")
    if len(given) != len(expected[step]):
        raise UserError(
            f"plan {step}: expected {' '.join(expected[step])}, found"
            f" {' '.join(names) or 'nothing'}"
        )
    values: list[Any] = []
    for name, text in zip(expected[step], given, strict=True):
        if name in ("seed", "number") and not text.isdigit():
            raise UserError(f"plan {step}: {name} is {text!r}, expected a whole number")
        values.append(int(text) if name in ("seed", "number") else text)
    if swept:
        sweep, benchmark, variant, value, seed = values
        values = [benchmark, variant, seed, plan.point(str(sweep), str(value))]
    if step == "study":
        return study_job(plan)
    if step == "table":
        return table_job(plan, *values)
    job = figure_job(plan, str(values[0])) if step == "figure" else getattr(plan, step)(*values)
    if job is None:
        raise UserError(
            f"plan {step}: {' '.join(given)} has no such job: it reads no cached features"
        )
    assert isinstance(job, Job)
    return job


def show_job(job: Job) -> str:
    """One job as text: command, place, key, parents, identity, and how the result that is there
    differs.
    """
    inputs = {
        name: record["content"]
        for name, parent in job.parents.items()
        if (record := parent.record())
    }
    head = {
        "job": job.title,
        "command": job.command,
        "result": job.folder.as_posix(),
        "key": job.key,
        "made from": [parent.title for parent in job.parents.values()],
        "identity": job.identity.plain,
    }
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=120)
    differs = (
        view_reasons(job)
        if job.step in ("table", "figure", "study")
        else why(job, inputs | brought(job))
    )
    return text + (
        "up to date\n"
        if not differs
        else "would run:\n" + "".join(f"- {line}\n" for line in differs)
    )
