"""The process of which a pipeline's commands are forked (siamla.cli.warm)."""

import gc
import importlib
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from siamla.cli.main import MODULES, mend_streams, run
from siamla.experiment.plan import Plan
from siamla.experiment.steps import STEPS
from siamla.mlflow_sink.sink import quieten
from siamla.provenance.code import source_state

IMPORTED = (
    *(f"siamla.cli.{module}" for module in MODULES.split()),
    *(f"siamla.steps.{step.result}" for step in STEPS.values()),
    "siamla.steps.report",
    "siamla.training.loop",
    "siamla.benchmark.tracking",
    "siamla.mlflow_sink.sink",
    "pyarrow.parquet",
)
EVERY = 0.5  # seconds between two looks whether the pipeline is still there
LONGEST = 2**20  # bytes of a request


def _alone() -> bool:
    """Whether this process has one thread: a fork of another one can hang."""
    return len(os.listdir("/proc/self/task")) == 1


def _serve(address: str, pipeline: int, unchanged: Callable[[], bool]) -> socket.socket | None:
    """Fork for who asks: in each fork the connection; None when the pipeline has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks are not waited for
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        mask = os.umask(0o077)  # nobody else's commands
        listener.bind(address)
        os.umask(mask)
        listener.listen(64)
        listener.settimeout(EVERY)
        while os.getppid() == pipeline:
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                if _alone() and unchanged() and os.fork() == 0:
                    return connection
                connection.close()
    Path(address).unlink(missing_ok=True)
    return None


def _follow(connection: socket.socket) -> None:
    """End, as by SIGKILL, when the command is gone, which says nothing before."""
    with suppress(ConnectionResetError):
        connection.recv(1)
    os._exit(1)


def _receive(connection: socket.socket) -> list[str]:
    """Become the process of the command that asks; its words."""
    packet, streams, _, _ = socket.recv_fds(connection, LONGEST, 3)
    for stream, standard in zip(streams, (0, 1, 2), strict=True):
        os.dup2(stream, standard)
        os.close(stream)
    request = json.loads(packet)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection.send(str(os.getpid()).encode())
    threading.Thread(target=_follow, args=(connection,), daemon=True).start()
    return list(request["words"])


def main(profile: str, address: str, pipeline: str) -> int:
    """Import what jobs import, and serve; the exit status, in a fork that of its command."""
    mend_streams()  # once: a fork's are other files, which Python does not know
    before = source_state()
    for module in IMPORTED:
        importlib.import_module(module)
    try:
        quieten()
    except ImportError as error:  # a view that is broken says so where it is asked
        print(error, file=sys.stderr)
    Plan.load(profile).jobs()  # reads the sources, and remembers their digests
    gc.collect()
    gc.freeze()  # the pages stay shared with the forks
    connection = _serve(address, int(pipeline), lambda: source_state() == before)
    if connection is None:
        return 0
    words = _receive(connection)
    sys.argv = ["siamla", *words]
    try:
        status = run(words)
    except SystemExit as end:  # of argparse, or of a signal
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(bytes([status & 0xFF]))
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
