"""MLflow's web server for as long as this process lives, and no longer."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from siamla.errors import UserError

HOST = "127.0.0.1"
STARTING = (
    180.0  # seconds: it imports half of Python's world, from a cold disk on a busy machine, say
)
ENDING = 5.0  # seconds that it may take to end by itself
ENDS = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C, `kill`, and the terminal that goes
# runs and artefacts are all that is asked of it: no runner of jobs beside it
OPTIONS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def check_port(port: int) -> None:
    """UserError where a server could not listen on a port."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as the server does: what just ended is no hindrance
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"port {port} of this machine: {error.strerror}; `--port` takes another one"
            ) from None


class _Ended(BaseException):
    """A signal asked for the end."""


@contextmanager
def _signals_as_ended() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        for name in ENDS:  # a second Ctrl-C does not cut the end short
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        raise _Ended

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[str, Any] = {name: signal.signal(getattr(signal, name), end) for name in ENDS}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started: they are a process group of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + ENDING
        try:
            os.killpg(process.pid, number)
            while time.monotonic() < until:
                process.poll()  # collects it, so that the group can be empty
                os.killpg(process.pid, 0)
                time.sleep(0.05)
        except ProcessLookupError:
            return


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5):
            return True
    except OSError:
        return False


def _said(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def serve(store: str, port: int, log: Path, ready: Callable[[str], None]) -> None:
    """Let MLflow's server show `store` until it ends or a signal comes: SIGINT, SIGTERM or SIGHUP.

    `ready` is called with the address of its page once it answers. Its own output goes to the file
    `log`. However this ends, no process of the server is left, unless this process is killed
    without a chance to say so. UserError where the port is taken, and where the server ends by
    itself.
    """
    check_port(port)
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        HOST,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    # the store is not an argument, which others could read: it may hold a password
    environment = {**OPTIONS, **os.environ, "MLFLOW_BACKEND_STORE_URI": store}
    address = f"http://localhost:{port}"
    try:
        with _signals_as_ended(), log.open("wb") as output:
            process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=output, start_new_session=True
            )
            try:
                until = time.monotonic() + STARTING
                while process.poll() is None and not _answers(address):
                    if time.monotonic() > until:
                        raise UserError(
                            f"MLflow's server does not answer after {STARTING:.0f} s; {log} has its"
                            " words"
                        )
                    time.sleep(0.2)
                if process.poll() is None:
                    ready(address)
                process.wait()
                raise UserError(f"MLflow's server ended: {_said(log)} ({log} has all of it)")
            finally:
                _end(process)
    except _Ended:
        return
