"""Work on many items over several processes, in order and with a progress bar."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from siamla.errors import UserError
from siamla.progress import progress

Item = TypeVar("Item")
Result = TypeVar("Result")


def _worker() -> None:
    """One thread, silent on an interrupt, and no life after the parent's: a killed build leaves no process behind."""
    import cv2

    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def follow() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def in_parallel(
    work: Callable[[Item], Result], items: Iterable[Item], jobs: int, label: str, unit: str = "it"
) -> Iterator[Result]:
    """work(item) of each item, in order, from `jobs` processes (1: from this one), with a progress bar."""
    todo = list(items)
    with progress(len(todo), label, unit) as bar:
        if jobs == 1 or len(todo) < 2:
            for item in todo:
                yield work(item)
                bar.update()
            return
        # spawn: a forked child of a process with OpenCV or torch threads can hang
        pool = ProcessPoolExecutor(min(jobs, len(todo)), multiprocessing.get_context("spawn"), _worker)
        try:
            for result in pool.map(work, todo):
                yield result
                bar.update()
        except BrokenProcessPool:
            raise UserError(f"{label}: a worker process died (out of memory?); run the same command again") from None
        finally:
            pool.shutdown(cancel_futures=True)
