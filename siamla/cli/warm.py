"""Commands that start warm: a pipeline's jobs are forked from a process that has imported the libraries once.

torch, OpenCV, MLflow and the sources' digests take a job seconds before it begins, and many jobs of a small profile take
no longer themselves. The pipeline starts one process that imports all of that, computes nothing and has one thread; a
`siamla` command that the pipeline starts hands over its words, environment, folder and streams, and lets a fork of that
process do the work. So every job is a process of its own as before, with its own log, and ends when its command is
killed. A command does its work itself where there is no such process: typed by hand, on another host, with more than
one thread (libraries read that number when they are imported), or where the package has changed meanwhile.
"""

import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

ADDRESS = "SIAMLA_WARM"  # the socket, relative to the project: the name of one may have a hundred characters
THREADS = "OMP_NUM_THREADS"
ONE_THREAD = {
    **dict.fromkeys((THREADS, "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow's allocator would start a thread
}
MODULES = (
    "siamla.cli.main", "siamla.cli.benchmark", "siamla.cli.train", "siamla.cli.data", "siamla.cli.report",
    "siamla.steps.benchmark", "siamla.steps.training", "siamla.steps.data", "siamla.steps.report",
    "siamla.training.run", "siamla.training.place", "siamla.benchmark.runner", "siamla.tracker.tracker",
    "siamla.tracker.place", "siamla.mlflow_view.live", "pyarrow.parquet",
)  # fmt: skip
EVERY = 0.5  # seconds between two looks whether the pipeline is still there


# --- the command ---


def ask(words: Sequence[str]) -> int | None:
    """Have a command done by a fork of the warm process; its exit status, or None where it is to be done here."""
    address = os.environ.get(ADDRESS)
    if not address or os.environ.get(THREADS) != "1":
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(address)
            socket.send_fds(connection, [b"3"], [0, 1, 2])
            request = {"words": list(words), "environment": dict(os.environ), "folder": os.getcwd()}
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = connection.makefile()
            process = answer.readline()
        except OSError:
            return None
        return _attend(int(process), answer) if process else None


def _attend(process: int, answer: TextIO) -> int:
    """Wait for the fork. SIGTERM is passed on to it; SIGINT reaches it as it reaches all of the pipeline."""
    signal.signal(signal.SIGTERM, lambda number, frame: os.kill(process, number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = answer.readline()
    if not status:
        print("siamla: the process that did this was killed", file=sys.stderr)
    return int(status or 1)


# --- the warm process ---


def start(profile: str) -> None:
    """Start the warm process of a pipeline; to be called in the pipeline's own process, which it does not outlive."""
    folder = Path(".snakemake")
    for left in folder.glob(f"siamla-{profile}.*.sock"):  # of a killed run: one pipeline of a profile runs at a time
        left.unlink()
    address = folder / f"siamla-{profile}.{os.getpid()}.sock"
    os.environ[ADDRESS] = address.as_posix()
    command = [sys.executable, "-m", "siamla.cli.warm", profile, address.as_posix()]
    with (folder / f"siamla-{profile}.log").open("wb") as log:
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **ONE_THREAD})


def _alone() -> bool:
    """Whether this process has one thread: a fork of another one can hang."""
    return len(os.listdir("/proc/self/task")) == 1


def _connections(address: str) -> Iterator[socket.socket]:
    """Those who ask, until the parent is gone."""
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX) as listener:
        mask = os.umask(0o077)  # nobody else's commands
        listener.bind(address)
        os.umask(mask)
        listener.listen(64)
        listener.settimeout(EVERY)
        while os.getppid() == parent:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.setblocking(True)
            yield connection


def _follow(connection: socket.socket) -> None:
    """End this process, as SIGKILL would, when the command that it works for is gone."""

    def watch() -> None:
        connection.recv(1)  # nothing is ever sent
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _receive(connection: socket.socket) -> list[str]:
    """Become the process of the command that asks; its words."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    for stream, own in zip(streams, (0, 1, 2), strict=True):
        os.dup2(stream, own)
        os.close(stream)
    with connection.makefile() as lines:
        request = json.loads(lines.readline())
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection.sendall(f"{os.getpid()}\n".encode())
    _follow(connection)
    return list(request["words"])


def _serve(address: str, unchanged: Callable[[], bool]) -> socket.socket | None:
    """Fork for everyone who asks. Returns in each fork, with its connection; and None when the pipeline has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks are not waited for
    for connection in _connections(address):
        if _alone() and unchanged() and os.fork() == 0:
            return connection
        connection.close()
    Path(address).unlink(missing_ok=True)
    return None


def main(profile: str, address: str) -> int:
    """Import, read the profile's plan for the digests of its sources, and serve."""
    from siamla.experiment.plan import Plan
    from siamla.mlflow_view.view import quieten
    from siamla.provenance.code import source_state

    before = source_state()
    for module in MODULES:
        importlib.import_module(module)
    try:
        quieten()
    except ImportError as error:  # a view that is broken says so where it is asked
        print(error, file=sys.stderr)
    for job in Plan.load(profile).jobs():
        job.key
    gc.collect()
    gc.freeze()  # the pages stay shared with the forks
    connection = _serve(address, lambda: source_state() == before)
    if connection is None:
        return 0
    from siamla.cli.main import run

    words = _receive(connection)
    sys.argv = ["siamla", *words]
    status = run(words)
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(f"{status}\n".encode())
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
