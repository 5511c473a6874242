"""A training as it goes on, in MLflow. Whatever happens there costs seconds at the most, and one
line.
"""

import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from siamla.mlflow_view.entries import entry_of_record, entry_of_training, history_of
from siamla.mlflow_view.runs import (
    CURRENT,
    ENDED,
    Logged,
    alive,
    create,
    fill,
    find,
    log_metrics,
    log_parameters,
    log_tags,
    logged,
)
from siamla.mlflow_view.view import View, open_view

# seconds: a server that answers, and takes longer than this for one epoch, is not asked again
SLOW = 10.0


@contextmanager
def _termination_as_exit() -> Iterator[None]:
    """SIGTERM leaves the block like any other end, where nobody else handles it."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    mine = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if mine:
        signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _asking(view: View, lost: str) -> Iterator[None]:
    """A block that asks MLflow: an exception, or more time than it may take, closes the view."""
    began = time.monotonic()
    try:
        yield
    except Exception as error:
        view.close(error, lost)
        return
    if (seconds := time.monotonic() - began) > SLOW:
        view.close(TimeoutError(f"it took {seconds:.1f} s to answer"), lost)


class LiveMirror:
    """Shows a running training in MLflow, epoch by epoch: `with LiveMirror(results, record) as
    live: live.epoch(row)`.

    The first failure of MLflow is a warning and ends the view, never the training;
    `mirror_training` or a later sync logs what was missed. A training that goes on after a kill
    goes on in its run, and no epoch is logged twice. The run ends FINISHED, FAILED by an exception,
    or KILLED by a signal; sync ends the run of a process that could not.
    """

    def __init__(self, results: Path, record: Mapping[str, Any]) -> None:
        """record: the training's record as it is when it starts."""
        self._results, self._record = results, record
        self._present: Logged = {}
        self._known: set[str] | None = (
            set()
        )  # metrics whose logged points were read; None: the run is new
        self._stack = ExitStack()
        self._run_id = ""

    def __enter__(self) -> Self:
        self._view = open_view(self._results, self._record["names"]["profile"])
        if not self._view.closed:
            with _asking(self._view, "this training is not shown live"):
                self._begin()
        self._stack.enter_context(_termination_as_exit())
        return self

    def _begin(self) -> None:
        entry = entry_of_record(self._record)
        run = find(self._view, entry.key)
        if run is None:
            self._run_id, self._known, parameters, tags = create(self._view, entry), None, {}, {}
        else:
            self._run_id, parameters, tags = run.info.run_id, run.data.params, run.data.tags
            self._view.client.update_run(self._run_id, status="RUNNING")
            if ENDED in tags:
                self._view.client.delete_tag(self._run_id, ENDED)
        self._stack.enter_context(alive(self._view, self._run_id))
        log_parameters(self._view, self._run_id, entry.parameters, parameters)
        log_tags(self._view, self._run_id, {**entry.tags, CURRENT: "true"}, tags)

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Log one row of history.csv: epoch, and further numbers."""
        if self._view.closed:
            return
        with _asking(self._view, f"epoch {row.get('epoch')} and later ones are not shown"):
            points = history_of([row])
            if self._known is not None and (unknown := set(points) - self._known):
                self._present.update(logged(self._view, self._run_id, unknown))
                self._known |= unknown
            log_metrics(self._view, self._run_id, points, self._present)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            if self._view.closed:
                return
            status = (
                "FINISHED"
                if error is None
                else "FAILED"
                if isinstance(error, Exception)
                else "KILLED"
            )
            with _asking(self._view, f"its run is not marked as {status}"):
                if error is not None:
                    text = f"{type(error).__name__}: {error}"
                    log_tags(self._view, self._run_id, {ENDED: text[:500]}, {})
                self._view.client.set_terminated(self._run_id, status)


def mirror_training(run_dir: Path, results: Path) -> bool:
    """Show a finished training in MLflow; False, after a warning, where MLflow fails (a later sync
    makes up for it).

    UserError when a file of the training is missing or broken.
    """
    entry = entry_of_training(run_dir)
    view = open_view(results, entry.tags["profile"])
    if view.closed:
        return False
    with _asking(view, f"{run_dir} may not be wholly shown"):
        fill(view, entry, find(view, entry.key))
    return view.closed is None
