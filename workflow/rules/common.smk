"""The plan, and what Snakemake needs of it: paths as inputs, keys as parameters. What the experiment is, the plan says."""

import fcntl
import os
import shlex
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from snakemake.exceptions import WorkflowError
from snakemake.io import IOFile

from siamla.cli import warm
from siamla.errors import UserError
from siamla.steps.check import missing_data
from siamla.report.drawing.jobs import figure_job, figure_names, page_key
from siamla.experiment.plan import Plan
from siamla.report.study.job import study_job
from siamla.report.tables.job import collection_key, sweeps_key, table_job
from siamla.steps.cluster import wait_for
from siamla.steps.outlook import outdated, stale
from siamla.stopping import lead_jobs

# the commands of the environment that snakemake runs in, also where it is not activated
shell.prefix(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")

PROFILE = config.get("profile", "mini")
try:
    PLAN = Plan.load(PROFILE)
    JOBS = {job.stamp.as_posix(): job for job in PLAN.jobs()}
    TABLES = {number: table_job(PLAN, number) for number in PLAN.profile.tables}
except UserError as error:
    raise WorkflowError(f"\n{error}")
NAMES = {
    "dataset": list(PLAN.datasets),
    "benchmark": list(PLAN.profile.benchmarks),
    "variant": list(PLAN.experiment.models),
    "tracker": list(PLAN.profile.imported),
    "sweep": list(PLAN.experiment.sweeps),
    "value": list({job.names["value"]: None for job in PLAN.sweeps()}),
}


def key(path):
    """The digest of a job's identity: the one parameter that decides whether it runs again."""
    return lambda wildcards: JOBS[path.format(**wildcards)].key


def made_from(path):
    """The stamps of a job's parents. Times do not matter where a result is known to be made from what they hold."""

    def inputs(wildcards):
        made = JOBS[path.format(**wildcards)]
        stamps = [parent.stamp.as_posix() for parent in made.parents.values()]
        return [ancient(stamp) for stamp in stamps] if out_of_time(made) else stamps

    return inputs


def out_of_time(made):
    """Whether a result was made from its parents' contents, and files that were copied only look younger than it."""
    young = max(
        (p.stamp.stat().st_mtime for p in made.parents.values() if p.stamp.exists()),
        default=0,
    )
    return made.stamp.exists() and made.stamp.stat().st_mtime < young and made.settled()


@cache
def figure(name):
    """A figure as a job of the plan; like all views it is made when it is asked for."""
    return figure_job(PLAN, name)


def figures():
    """The figures of the profile."""
    return [figure(name) for name in figure_names(PLAN)]


@cache
def study():
    """The study as a job of the plan."""
    return study_job(PLAN)


def asked(view, *names):
    """What a view's function gives. A mistake in a view's settings or code is one line to who asks for it, and ends the
    run before anything is begun; the experiment and other views do not ask."""
    try:
        return view(*names)
    except UserError as error:
        leave(str(error))


def figure_files(suffix):
    """An input function: a file of each figure."""
    return lambda wildcards: [f"{job.folder}{suffix}" for job in asked(figures)]


def study_file(wildcards):
    """An input function: the study."""
    return f"{asked(study).folder}.md"


def leave(line):
    """End this process with one line; an exception would come with Snakemake's trace around it."""
    print(line, file=sys.stderr, flush=True)
    os._exit(1)


def variant_of(path):
    """The variant that names crops or features which several share."""
    return lambda wildcards: JOBS[path.format(**wildcards)].names["variant"]


def hold(wildcards):
    """What a run needs to know and to hold before it starts; an input function of the targets, evaluated when Snakemake
    knows its settings and has not yet decided what to run.

    - Results whose records do not belong to the plan run again, also where Snakemake has no memory of them: they may
      have been made in another place, and `.snakemake` does not travel.
    - A mark that a killed run left on an output asks for no more than to call the step again, which decides itself.
    - A run, not a look, takes away the locks of a killed run of this profile, and holds its own until it ends. It also
      sets the times of copied results right; a look takes them as `ancient`, but Snakemake does not go on below such
      an input when something above it has to run.
    """
    views = {f"{job.folder}.md": job for job in TABLES.values()}
    with suppress(UserError):  # told to who asks for it
        views |= {f"{job.folder}.png": job for job in figures()}
    with suppress(UserError):
        if Path("reports", PROFILE, "study.json").is_file():
            views |= {f"{study().folder}.md": study()}
    workflow.dag.forcefiles.update(
        [job.stamp.as_posix() for job in stale(PLAN)]
        + [path for path, job in views.items() if outdated(job)]
    )
    workflow.dag_settings.force_incomplete = True
    # --summary and the like have no executor
    looks = workflow.executor_plugin is None or workflow.dryrun
    if workflow.dryrun:
        tell_missing()
    if looks or not workflow.is_main_process or "lock" in HELD:
        return []
    folder = Path(".snakemake")
    folder.mkdir(exist_ok=True)
    HELD["lock"] = handle = (folder / f"siamla-{PROFILE}.lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        leave(
            f"another pipeline of profile {PROFILE} is running in {Path.cwd()}; wait until it ends"
        )
    for lock in folder.glob("locks/*.lock"):
        if f"/{PROFILE}/" in lock.read_text():
            lock.unlink()
    for made in JOBS.values():  # parents first
        if out_of_time(made):
            made.stamp.touch()
    lead_jobs()
    wait_for_cluster()
    return []


def tell_missing():
    """Say once, in one list, which data a run would not find."""
    if "missing" not in HELD:
        HELD["missing"] = missing_data(PLAN)
        lines = [
            f"profile {PROFILE} cannot run yet:",
            *(f"- {line}" for line in HELD["missing"]),
        ]
        if HELD["missing"]:
            print("\n".join(lines), file=sys.stderr, flush=True)


def wait_for_cluster():
    """Wait for the jobs that a killed run left on a cluster: their results count, and no job is there twice."""
    marked = SimpleNamespace(output=[IOFile(path) for path in JOBS])
    try:
        wait_for(workflow.persistence.external_jobids(marked))
    except UserError as error:
        raise WorkflowError(f"\n{error}")


HELD = (
    {}
)  # the lock goes with the process that holds it, however that ends; what was told once
