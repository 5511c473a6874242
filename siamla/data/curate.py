"""Curation: every sequence of a data set opened and checked, and one index of those that are sound."""

import hashlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from siamla.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")


def _worker() -> None:
    """One thread, and no life after the parent's: a killed build leaves no process behind."""
    import cv2

    cv2.setNumThreads(0)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def in_parallel(work: Callable[[Item], Result], items: Iterable[Item], jobs: int, label: str) -> Iterator[Result]:
    """work(item) of each item, in order, from `jobs` processes (1: from this one), with a progress bar."""
    from tqdm import tqdm

    todo = list(items)
    with tqdm(total=len(todo), desc=label, disable=None, mininterval=1) as bar:
        if jobs == 1 or len(todo) < 2:
            for item in todo:
                yield work(item)
                bar.update()
            return
        pool = ProcessPoolExecutor(min(jobs, len(todo)), multiprocessing.get_context("spawn"), _worker)
        try:
            for result in pool.map(work, todo):
                yield result
                bar.update()
        except BrokenProcessPool:
            raise UserError(f"{label}: a worker process died (out of memory?); run the same command again") from None
        finally:
            pool.shutdown(cancel_futures=True)
