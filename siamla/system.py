"""What operating systems do each in their own way: locks, memory, the cores that may be used."""

import os
import sys
import time
from typing import IO, Any

try:
    import fcntl
    import resource
except ImportError:  # Windows
    fcntl = resource = None  # type: ignore[assignment]

MIB = 2**20


def lock(handle: IO[Any], wait: bool) -> None:
    """Lock an open file for this process alone, until it is closed or the process ends.

    BlockingIOError where another process holds it and this one does not `wait`; OSError where the
    file system has no locks.
    """
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return
    import msvcrt

    windows: Any = msvcrt  # other systems' type checkers do not know what is in it
    while True:
        try:
            windows.locking(handle.fileno(), windows.LK_NBLCK, 1)
            return
        except OSError as error:
            if not wait:
                raise BlockingIOError(error.errno, "held by another process") from None
        time.sleep(0.5)


def peak_memory() -> float:
    """The most memory in MiB that this process has held; NaN where that is not known."""
    if resource is None:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 2**10
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB)


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
