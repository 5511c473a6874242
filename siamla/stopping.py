"""When a command has to end: asked by a signal, or because the pipeline that started it is gone."""

import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

PIPELINE = "SIAMLA_PIPELINE"  # host and process id of the pipeline, for its jobs
ENDINGS = (signal.SIGTERM, signal.SIGINT)
PATIENCE = 5.0  # seconds after which a second signal ends the process where it stands


@contextmanager
def stop_requests(*signals: signal.Signals) -> Iterator[Callable[[], bool]]:
    """A function that says whether one of the signals (ENDINGS by default) has come in the block.

    They do nothing else; a second one, PATIENCE seconds or more later, raises KeyboardInterrupt.
    Outside the main thread the answer is always no.
    """
    first: list[float] = []

    def note(number: int, frame: FrameType | None) -> None:
        first.append(time.monotonic())
        if first[-1] - first[0] > PATIENCE:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before: dict[int, Any] = {number: signal.signal(number, note) for number in signals or ENDINGS}
    try:
        yield lambda: bool(first)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def lead_jobs() -> None:
    """For the pipeline's process: what it started hears its SIGINT, and its jobs its end."""
    os.environ[PIPELINE] = f"{platform.node()} {os.getpid()}"

    def pass_on(number: int, frame: FrameType | None) -> None:
        import psutil  # type: ignore[import-untyped]  # snakemake brings it

        for child in psutil.Process().children(recursive=True):
            try:
                child.send_signal(number)
            except psutil.NoSuchProcess:  # it has just ended
                continue
        signal.default_int_handler(number, frame)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, pass_on)


def follow_pipeline(every: float = 1.0) -> None:
    """SIGTERM to this process once the pipeline of this host that started it is gone."""
    host, _, pipeline = os.environ.get(PIPELINE, "").partition(" ")
    if host != platform.node() or not pipeline.isdecimal():
        return

    def watch() -> None:
        while not gone(int(pipeline)):
            time.sleep(every)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def gone(process: int) -> bool:
    """Whether there is no such process on this machine, or only a zombie; False on Windows, where
    to ask would be to interrupt.
    """
    if os.name == "nt":
        return False
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return True
    except OSError:  # another user's, or a system without /proc
        return False
    return state in "ZX"
