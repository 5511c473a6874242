"""What else the machine did: a speed beside other work is no speed of the tracker."""

import os
import time
from collections.abc import Callable
from pathlib import Path

STATISTICS = Path("/proc/stat")  # its first line counts what all cores did since the start
BUSY = (0, 1, 2, 5, 6, 7)  # its columns user, nice, system, irq, softirq, steal


def _busy() -> float | None:
    """Seconds that all cores together were busy; None where that cannot be told."""
    try:
        columns = STATISTICS.read_text(encoding="utf-8").splitlines()[0].split()[1:]
        return sum(int(columns[index]) for index in BUSY) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def _own() -> float:
    """Seconds that this process and its ended children used."""
    return sum(os.times()[:4])


def other_work() -> Callable[[], float | None]:
    """A function: cores busy with other work since now, on average; None where unknown."""
    before, own, started = _busy(), _own(), time.monotonic()

    def cores() -> float | None:
        now, seconds = _busy(), time.monotonic() - started
        if before is None or now is None or seconds <= 0:
            return None
        return round(max(0.0, now - before - (_own() - own)) / seconds, 2)

    return cores
