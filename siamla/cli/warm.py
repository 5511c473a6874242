"""Commands that start warm: a pipeline's jobs are forked from a process that has imported the
libraries once, which take a job seconds.

That process (siamla.cli.prefork) computes nothing and has one thread. A command hands over its
words, environment, folder and streams. So every job is a process of its own, with its own log, and
ends when its command is killed. A command does its work itself where there is no such process:
typed by hand, on another host, in a job of a cluster, with more than one thread (libraries read
that number when they are imported), or where the package has changed meanwhile.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

# names the socket, relative to the project, since a name may have a hundred characters; and the
# cluster's job that the pipeline runs in
ADDRESS = "SIAMLA_WARM"
JOB = "SLURM_JOB_ID"
THREADS = "OMP_NUM_THREADS"
ONE_THREAD = {
    **dict.fromkeys((THREADS, "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow's allocator would start a thread
}


def ask(words: Sequence[str]) -> int | None:
    """Have a command done by a fork; its exit status, or None where it is to be done here."""
    address, _, job = os.environ.get(ADDRESS, "").partition(" ")
    # a cluster's job keeps to its own node, memory and time
    if not address or job != os.environ.get(JOB, "") or os.environ.get(THREADS) != "1":
        return None
    request = {"words": list(words), "environment": dict(os.environ), "folder": os.getcwd()}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        try:
            connection.connect(address)
            socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
            fork = connection.recv(20)
        except OSError:  # nobody listens, or the request is too long for a packet
            return None
        return _attend(connection, int(fork)) if fork else None


def _attend(connection: socket.socket, fork: int) -> int:
    """Wait for the fork's exit status, and pass signals on to it."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(fork, number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    status = b""
    with suppress(ConnectionResetError):
        status = connection.recv(1)
    if not status:
        print("siamla: the process that did this was killed", file=sys.stderr)
    return status[0] if status else 1


def start(profile: str) -> None:
    """Start the warm process of a pipeline, in whose process this is called."""
    folder = Path(".snakemake")
    # of a killed run: one pipeline of a profile runs at a time
    for left in folder.glob(f"siamla-{profile}.*.sock"):
        left.unlink()
    pipeline = str(os.getpid())
    address = folder / f"siamla-{profile}.{pipeline}.sock"
    os.environ[ADDRESS] = f"{address.as_posix()} {os.environ.get(JOB, '')}"
    command = [sys.executable, "-m", "siamla.cli.prefork", profile, address.as_posix(), pipeline]
    environment = {**os.environ, **ONE_THREAD}
    with (folder / f"siamla-{profile}.log").open("wb") as log:
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
