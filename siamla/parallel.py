"""Work on many items over several processes, with a progress bar.

Workers are spawned, because a forked child of a process with OpenCV or torch threads can hang. They
compute with one thread each, leave Ctrl-C to their parent, and do not outlive it.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import TypeVar

from siamla.errors import UserError
from siamla.progress import progress

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@contextmanager
def worker_launch() -> Iterator[None]:
    """Processes spawned in this block compute with one thread and hear no Ctrl-C."""
    before = {name: os.environ.get(name) for name in THREADS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def start_worker(parent: Connection | None = None) -> None:
    """Called first in a worker: one OpenCV thread, and an end when the parent closes `parent`."""
    import cv2

    cv2.setNumThreads(0)
    process = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.poll(None)  # returns when the other side is closed: nothing is ever sent
        elif process is not None:
            process.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


_failure: Exception | None = None  # why this worker's initializer failed


def _start(parent: Connection, initializer: Callable[[], object] | None) -> None:
    global _failure
    start_worker(parent)
    try:
        if initializer is not None:
            initializer()
    except Exception as error:  # raised here it would only break the pool; `_call` tells the parent
        _failure = error


def _call(work: Callable[[Item], Result], item: Item) -> Result:
    if _failure is not None:
        raise _failure
    return work(item)


def in_parallel(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    jobs: int,
    label: str,
    unit: str = "it",
    *,
    initializer: Callable[[], object] | None = None,
    ordered: bool = True,
    done: int = 0,
) -> Iterator[Result]:
    """work(item) of each item from `jobs` processes (1: from this one), which call `initializer`
    first; in order unless not `ordered`. UserError when a worker dies. Closed early, it stops the
    workers.
    """
    todo = list(items)
    with progress(done + len(todo), label, unit, done) as bar:
        if jobs == 1 or len(todo) < 2:
            if todo and initializer is not None:
                initializer()
            for item in todo:
                yield work(item)
                bar.update()
            return
        theirs, ours = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(min(jobs, len(todo)), context, _start, (theirs, initializer))
        try:
            call = partial(_call, work)
            with worker_launch():  # all workers start with the first item
                if ordered:
                    results = pool.map(call, todo)
                else:
                    futures = [pool.submit(call, item) for item in todo]
                    results = (future.result() for future in as_completed(futures))
            for result in results:
                yield result
                bar.update()
        except BrokenProcessPool:
            raise UserError(
                f"{label}: a worker process died (killed, or out of memory); run the same command"
                " again to go on"
            ) from None
        except (KeyboardInterrupt, GeneratorExit):
            ours.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            ours.close()
            theirs.close()
