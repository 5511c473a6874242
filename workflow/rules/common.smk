# The plan, and what Snakemake needs of it. What the experiment is, and which results are the plan's, siamla says.

import fcntl
import os
import shlex
import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError

from siamla.cli import warm
from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.experiment.steps import STEPS
from siamla.report.views import VIEWS, view
from siamla.steps.check import check_job, missing_data
from siamla.steps.cluster import wait_for_jobs
from siamla.steps.decision import outdated, stale
from siamla.stopping import lead_jobs

# the commands of the environment that snakemake runs in, also where it is not activated
shell.prefix(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")

PROFILE = config.get("profile", "mini")
try:
    PLAN = Plan.load(PROFILE)
    JOBS = {job.record_path.as_posix(): job for job in PLAN.jobs()}
    STALE = {job.record_path for job in stale(PLAN)}
except UserError as error:
    raise WorkflowError(f"\n{error}")
NAMES = {
    "dataset": list(PLAN.datasets),
    "benchmark": list(PLAN.profile.benchmarks),
    "variant": list(PLAN.experiment.models),
    "tracker": list(PLAN.profile.imported),
    "sweep": list(PLAN.experiment.sweeps),
    "value": list({job.names["value"]: None for job in PLAN.jobs_of("score_sweep")}),
}


def decide(path, again):
    """Make a file again where `again` says so. Else nothing but its absence makes it: results are written whole, so
    that a killed run's mark on one means nothing. One of the two undocumented names: workflow.dag.
    """
    workflow.dag.ignore_incomplete = True
    if again:
        workflow.dag.forcefiles.add(path.as_posix())


def forget_what_ran():
    """Let no parameter, code or job id that Snakemake recorded decide anything: its memory does not travel. The other
    undocumented name: workflow.dag_settings.
    """
    workflow.dag_settings.rerun_triggers = frozenset()
    workflow.dag_settings.force_incomplete = True


def made_from(job, again):
    """The records of a job's parents, and the folders of others that it reads. Their times never make a result again.
    Where the job runs anyway they are no ancient ones: Snakemake asks nothing else of a job after one that runs.
    """
    forget_what_ran()
    decide(job.record_path, again)
    paths = [path.as_posix() for path in job.read()]
    here = job.record_path.exists() and not again
    return [ancient(path) for path in paths] if here else paths


def record_of(step):
    """The pattern of the records of a step's results."""
    return f"{step.folder}/record-{{key}}.json"


def beside(step, kind, suffix):
    """The pattern of a file for each result of a step, in a folder of its kind: log or timing."""
    names = step.folder.split("/", 3)[3]
    return f"results/{{profile}}/{kind}/{step.name}/{names}-{{key}}.{suffix}"


def parents_of(step):
    """An input function: what a step's job is made from."""
    pattern = record_of(step)

    def inputs(wildcards):
        job = JOBS[pattern.format(**wildcards)]
        return made_from(job, job.record_path in STALE)

    return inputs


def command_of(step):
    """A parameter: the command that does a job."""
    pattern = record_of(step)
    words = f"siamla {step.command}"
    # --config train="torchrun … siamla train run": how a step's command is started decides no result
    start = config.get(step.name, words)

    def command(wildcards):
        return JOBS[pattern.format(**wildcards)].command.replace(words, start, 1)

    return command


def asked(function, *arguments):
    """What a function says. A mistake of the user's is one line, and ends the run before anything is begun: an
    exception would come with Snakemake's trace around it.
    """
    try:
        return function(*arguments)
    except UserError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)


def view_of(kind):
    """A function of wildcards: the job of a table, a figure, the study, the page or a collection.

    A mistake in a view's settings or code is one line to who asks for it. The experiment and other views do not ask.
    """

    def job(wildcards):
        names = dict(wildcards.items())
        return asked(view, PLAN, kind, names.get("table") or names.get("figure"))

    return job


def shown_in(kind):
    """An input function: what a view is made from. It is made again where it is of other results than the plan's."""

    def inputs(wildcards):
        job = view_of(kind)(wildcards)
        anew = any(parent.record_path in STALE for parent in job.parents.values())
        return made_from(job, anew or outdated(job))

    return inputs


def expected(wildcards):
    """An input function: nothing. The check is made again where the profile expects other things of the machine. Before
    it is made, a look tells which data a run would not find.
    """
    job = check_job(PLAN)
    again = outdated(job)
    missing = missing_data(PLAN) if again or not job.record_path.exists() else []
    if missing and "missing" not in HELD:
        lines = [
            f"profile {PROFILE} cannot run yet:",
            *(f"- {line}" for line in missing),
        ]
        print("\n".join(lines), file=sys.stderr, flush=True)
        HELD["missing"] = missing
    return made_from(job, again)


def files_of(kind, suffix):
    """An input function: a file of each view of a kind."""
    return lambda wildcards: [
        f"{job.folder}{suffix}" for job in asked(VIEWS[kind].jobs, PLAN)
    ]


def clear_locks():
    """Take away the locks that a killed run of this profile left. A run holds our own lock, which goes with it however
    it ends.
    """
    folder = Path(".snakemake")
    folder.mkdir(exist_ok=True)
    with (folder / f"siamla-{PROFILE}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        for lock in folder.glob("locks/*.lock"):
            if f"/{PROFILE}/" in lock.read_text():
                lock.unlink()


def begin():
    """What a run does before its first job, and a look does not."""
    HELD["lock"] = handle = Path(f".snakemake/siamla-{PROFILE}.lock").open("w")
    for wait in (0.1, 0.5, 1, 1):  # a look holds it for a moment
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(wait)
    else:
        raise WorkflowError(
            f"another pipeline of profile {PROFILE} is running in {Path.cwd()}"
        )
    lead_jobs()
    if wait_for_jobs(PROFILE):  # what they made is to be seen: from the start
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    warm.start(PROFILE)


HELD = {}
if "--mode" not in sys.argv:  # not in the process of a single job
    clear_locks()
