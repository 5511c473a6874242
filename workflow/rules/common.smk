"""The plan, and what Snakemake needs of it: paths as inputs, keys as parameters. What the experiment is, the plan says."""

import fcntl
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from siamla.errors import UserError
from siamla.experiment.drawing import figure_job, figure_names, page_key
from siamla.experiment.plan import Plan
from siamla.steps.outlook import stale
from siamla.stopping import lead_jobs

# the commands of the environment that snakemake runs in, also where it is not activated
shell.prefix(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")

PROFILE = config.get("profile", "mini")
try:
    PLAN = Plan.load(PROFILE)
    JOBS = {job.stamp.as_posix(): job for job in PLAN.jobs()}
    TABLES = {number: PLAN.table(number) for number in PLAN.profile.tables}
    FIGURES = {name: figure_job(PLAN, name) for name in figure_names(PLAN)}
except UserError as error:
    raise WorkflowError(f"\n{error}")
NAMES = {
    "dataset": list(PLAN.datasets),
    "benchmark": list(PLAN.profile.benchmarks),
    "variant": PLAN.variants,
    "tracker": list(PLAN.profile.imported),
    "figure": list(FIGURES),
}


def key(path):
    """The digest of a job's identity: the one parameter that decides whether it runs again."""
    return lambda wildcards: JOBS[path.format(**wildcards)].key


def made_from(path):
    """The stamps of a job's parents."""
    return lambda wildcards: [
        parent.stamp.as_posix()
        for parent in JOBS[path.format(**wildcards)].parents.values()
    ]


def variant_of(path):
    """The variant that names crops or features which several share."""
    return lambda wildcards: JOBS[path.format(**wildcards)].names["variant"]


def hold(wildcards):
    """What a run needs to know and to hold before it starts; an input function of the targets, evaluated when Snakemake
    knows its settings and has not yet decided what to run.

    - Results whose records do not belong to the plan run again, also where Snakemake has no memory of them: they may
      have been made in another place, and `.snakemake` does not travel.
    - A mark that a killed run left on an output asks for no more than to call the step again, which decides itself.
    - A run, not a look, takes away the locks of a killed run of this profile, and holds its own until it ends.
    """
    workflow.dag.forcefiles.update(job.stamp.as_posix() for job in stale(PLAN))
    workflow.dag_settings.force_incomplete = True
    if workflow.dryrun or not workflow.is_main_process or "lock" in HELD:
        return []
    folder = Path(".snakemake")
    folder.mkdir(exist_ok=True)
    HELD["lock"] = handle = (folder / f"siamla-{PROFILE}.lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError(
            f"\nanother pipeline of profile {PROFILE} is running in {Path.cwd()}; wait until it ends"
        )
    for lock in folder.glob("locks/*.lock"):
        if f"/{PROFILE}/" in lock.read_text():
            lock.unlink()
    lead_jobs()
    return []


HELD = {}  # the lock goes with the process that holds it, however that ends
