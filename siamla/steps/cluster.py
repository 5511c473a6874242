"""Jobs that a killed pipeline left on a Slurm cluster."""

import getpass
import subprocess
import time
from collections.abc import Iterable

from siamla.errors import UserError


def queued(jobs: Iterable[str]) -> list[str]:
    """Those of these Slurm jobs that wait or run; UserError when Slurm does not answer."""
    command = ["squeue", "--noheader", "--format=%i %A", f"--user={getpass.getuser()}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # not on a cluster: a folder that was copied from one
        return []
    if done.returncode:
        raise UserError(
            f"squeue does not answer ({done.stderr.strip()}); whether earlier jobs still run is"
            " unknown"
        )
    return sorted(set(jobs) & set(done.stdout.split()))


def wait_for(jobs: Iterable[str], every: float = 10.0) -> None:
    """Wait until none of these Slurm jobs is left, and say so."""
    jobs = set(jobs)
    left = queued(jobs) if jobs else []
    if left:
        named = f"{', '.join(left[:20])}{' …' if len(left) > 20 else ''}"
        print(
            f"Waiting for {len(left)} jobs of an earlier run on the cluster: {named}; scancel ends"
            " them",
            flush=True,
        )
    while left:
        time.sleep(every)
        left = queued(jobs)
