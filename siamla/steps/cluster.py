"""Jobs that a killed pipeline left on a Slurm cluster."""

import getpass
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from siamla.errors import UserError

PREFIX = "siamla_"  # of the jobs' names: slurm-jobname-prefix of workflow/profiles/slurm*
TRIES = 7  # of a question, before a Slurm that is silent is told
LOGS = Path(".snakemake", "slurm_logs")  # made with the first job that is submitted
FORMAT = "%A|%j|%k|%Z"  # id, name, comment (rule and wildcards), folder in which it was submitted


def queued(profile: str) -> list[str]:
    """The Slurm jobs of this folder's pipeline of a profile that wait or run; UserError when Slurm
    does not answer.
    """
    command = ["squeue", "--noheader", "--array", f"--format={FORMAT}"]
    command.append(f"--user={getpass.getuser()}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        silent = f"squeue does not answer ({done.stderr.strip()})"
        raise UserError(f"{silent}; whether earlier jobs still run is unknown")
    jobs = set()
    for line in done.stdout.splitlines():
        number, name, comment, folder = line.split("|", 3)
        ours = name.startswith(PREFIX) and Path(folder) == Path.cwd()
        # a group, such as a prediction with its score, names its rules alone, and no profile
        if ours and ("_wildcards_" not in comment or f"_wildcards_{profile}_" in f"{comment}_"):
            jobs.add(number)
    return sorted(jobs)


def _answer(profile: str, every: float) -> list[str]:
    """What `queued` says; asked again where Slurm does not answer for a minute."""
    for _ in range(TRIES - 1):
        with suppress(UserError):
            return queued(profile)
        time.sleep(every)
    return queued(profile)


def wait_for_jobs(profile: str, every: float = 10.0) -> bool:
    """Wait until no job is left that an earlier run of the profile submitted; whether there were
    any. Nobody is asked without Slurm, or where this folder has submitted nothing to it.
    """
    if not LOGS.is_dir() or shutil.which("squeue") is None:
        return False
    left = _answer(profile, every)
    if not left:
        return False
    named = f"{', '.join(left[:20])}{' …' if len(left) > 20 else ''}"
    waiting = f"Waiting for {len(left)} jobs of an earlier run on the cluster"
    print(f"{waiting}: {named}; scancel ends them", flush=True)
    while left:
        time.sleep(every)
        left = _answer(profile, every)
    return True
