# The plan, and what Snakemake needs of it. What the experiment is, and which results are the plan's, siamla says.

import fcntl
import os
import shlex
import sys
import time
from functools import partial
from pathlib import Path

from snakemake.exceptions import WorkflowError

from siamla.cli import warm
from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.experiment.steps import STEPS
from siamla.report.views import VIEWS, view
from siamla.settings import nearest
from siamla.steps.check import check_job, missing_data
from siamla.steps.cluster import wait_for_jobs
from siamla.steps.decision import outdated, stale
from siamla.stopping import lead_jobs

# the commands of the environment that snakemake runs in, also where it is not activated
shell.prefix(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")


def asked(function, *arguments):
    """What a function says. A mistake of the user's is one line, and ends the run before anything is begun."""
    try:
        return function(*arguments)
    except UserError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)  # an exception would come with Snakemake's trace around it


PROFILE = config.get("profile", "mini")
CHECK = f"results/{PROFILE}/check.json"
PLAN = asked(Plan.load, PROFILE)
JOBS = {job.record_path.as_posix(): job for job in asked(PLAN.jobs)}
STALE = {job.record_path for job in asked(stale, PLAN)}
HELD = {}
LOCK = Path(".snakemake", f"siamla-{PROFILE}.lock")


def made_from(job, again):
    """The records of a job's parents, and the folders of others that it reads. The job runs where its own record is not
    there, or `again` says so; times, and what Snakemake remembers of a run, decide nothing. That takes the two names
    that it does not document: workflow.dag and workflow.dag_settings.
    """
    workflow.dag_settings.rerun_triggers = frozenset()
    workflow.dag_settings.force_incomplete = True
    workflow.dag.ignore_incomplete = True
    if again:
        workflow.dag.forcefiles.add(job.record_path.as_posix())
    paths = [path.as_posix() for path in job.read()]
    # of a job that runs they are no ancient ones: Snakemake asks nothing else of a job after one that runs
    return [ancient(path) for path in paths] if job.record_path.exists() and not again else paths


def record_of(step):
    """The pattern of the records of a step's results."""
    return f"{step.folder}/record-{{key}}.json"


def parents(step, wildcards):
    """What a step's job is made from."""
    job = JOBS[record_of(step).format(**wildcards)]
    return made_from(job, job.record_path in STALE)


def training_of(wildcards):
    """The record of the training that writes a model; one line where the profile has none such."""
    folder = f"results/{PROFILE}/train/{wildcards.variant}/seed{wildcards.seed}"
    jobs = {job.folder.as_posix(): job for job in JOBS.values() if job.step == "train"}
    if folder not in jobs:
        near = nearest(folder, list(jobs))
        print(f"{folder}: no training of profile {PROFILE}; {near}", file=sys.stderr, flush=True)
        os._exit(1)
    record = jobs[folder].record_path
    if record.exists() and record not in STALE:
        return ancient(record.as_posix())
    workflow.dag.forcefiles.add(f"{folder}/model.pt")  # it is of another training, or not there
    return record.as_posix()


def command(step, wildcards):
    """The command that does a step's job. How it is started decides no result:
    --config train="torchrun … siamla train run".
    """
    job, words = JOBS[record_of(step).format(**wildcards)], f"siamla {step.command}"
    return job.command.replace(words, config.get(step.name, words), 1)


def shown(kind, wildcards):
    """What a view or the check is made from. It is made again where it is of other results than the plan's, or of other
    expectations of the machine. Before the check is made, a look tells which data a run would not find.
    """
    name = wildcards.get("table") or wildcards.get("figure")
    job = check_job(PLAN) if kind == "check" else asked(view, PLAN, kind, name)
    again = outdated(job) or any(each.record_path in STALE for each in job.parents.values())
    if kind == "check" and "missing" not in HELD and (again or not job.record_path.exists()):
        HELD["missing"] = list(missing_data(PLAN))
        lines = [f"profile {PROFILE} cannot run yet:", *HELD["missing"]]
        if HELD["missing"]:
            print("\n- ".join(lines), file=sys.stderr, flush=True)
    return made_from(job, again)


def files_of(kind, suffix):
    """An input function: a file of each view of a kind."""
    jobs = VIEWS[kind].jobs
    return lambda wildcards: [f"{job.folder}{suffix}" for job in asked(jobs, PLAN)]


def holds(handle):
    """Whether this process now holds our own lock of the profile, which goes with it however it ends."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def begin():
    """What a run does before its first job, and a look does not."""
    HELD["lock"] = LOCK.open("w")
    for wait in (0.1, 0.5, 1, 1, 0):  # a look holds it for a moment
        if holds(HELD["lock"]):
            break
        time.sleep(wait)
    else:
        raise WorkflowError(f"another pipeline of profile {PROFILE} is running in {Path.cwd()}")
    lead_jobs()
    if wait_for_jobs(PROFILE):  # what they made is to be seen: from the start
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    # Snakemake's default limit wakes the driver once more a second after every job that ends, and each time it looks at
    # the inputs of all jobs that wait (its issue 2354): half a core after 120 jobs. A limit of one's own stays. No option
    # switches it off; workflow.scheduler is the third name that is not documented.
    limit = workflow.scheduler.job_rate_limiter
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None
    warm.start(PROFILE)


if "--mode" not in sys.argv:  # not in the process of a single job
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as handle:
        for left in LOCK.parent.glob("locks/*.lock") if holds(handle) else ():
            if f"/{PROFILE}/" in left.read_text():  # of a killed run of this profile
                left.unlink()
