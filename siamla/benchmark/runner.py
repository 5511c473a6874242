"""Run a tracker over a benchmark: sequences in parallel, finished ones never again, failures
collected.
"""

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Sequence as Many
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

import numpy as np

from siamla.benchmark import store
from siamla.benchmark.onepass import FrameError, Tracker, track_sequence
from siamla.benchmark.protocols import RunRules
from siamla.benchmark.supervised import run_supervised
from siamla.errors import UserError
from siamla.parallel import in_parallel
from siamla.progress import progress
from siamla.sequence import Sequence


@dataclass(frozen=True)
class Failure:
    """A sequence that could not be tracked: at which frame (index from 0), and what was raised."""

    sequence: str
    frame: int
    message: str


class TrackingFailed(UserError):
    """Some sequences could not be tracked; the others are finished and stored."""

    def __init__(self, failures: list[Failure], total: int) -> None:
        self.failures = failures
        super().__init__(
            f"{len(failures)} of {total} sequences failed: "
            + "; ".join(f"{f.sequence}, frame {f.frame + 1}: {f.message}" for f in failures[:5])
            + ("; …" if len(failures) > 5 else "")
        )


def _finished(folder: Path, sequence: Sequence, rules: RunRules, wanted: int) -> bool:
    done = [
        number
        for number in range(1, wanted + 1)
        if store.is_done(folder, sequence.name, rules.layout, number)
    ]
    if len(done) == wanted:
        return True
    stop = rules.early_stop
    return 0 < stop <= len(done) == max(done) and _equal(folder, sequence.name, rules.layout, stop)


def _equal(folder: Path, name: str, layout: str, count: int) -> bool:
    """True if the first `count` stored repetitions are the same bytes."""
    texts = {
        store.track_path(folder, name, layout, number).read_bytes()
        for number in range(1, count + 1)
    }
    return len(texts) == 1


def _run_sequence(
    tracker: Tracker, sequence: Sequence, folder: Path, rules: RunRules, timed: bool = True
) -> Failure | None:
    """All missing repetitions of one sequence, stored without times where a frame's time is not its
    own; what the tracker raises becomes a Failure.
    """
    wanted = 1 if tracker.deterministic else rules.repetitions
    unknown = {} if timed else {"seconds": np.full(len(sequence), np.nan)}
    for repetition in range(1, wanted + 1):
        if _finished(folder, sequence, rules, wanted):
            break
        if store.is_done(folder, sequence.name, rules.layout, repetition):
            continue
        try:
            if rules.gap is not None:
                run = run_supervised(tracker, sequence, rules)
                store.write_trajectory(folder, sequence.name, replace(run, **unknown), repetition)
            else:
                track = track_sequence(tracker, sequence)
                store.write_track(
                    folder, sequence.name, replace(track, **unknown), rules.layout, repetition
                )
        except FrameError as error:
            return Failure(sequence.name, error.frame, error.message)
    return None


class Meeting(Protocol):
    """Where trackers that work in threads put their crops together, as siamla.tracker.lockstep."""

    def taking_part(self) -> AbstractContextManager[None]:
        """While a thread tracks."""

    def stop(self) -> None:
        """Everybody ends as soon as they can."""


def _in_lock_step(
    meeting: Meeting, trackers: Many[Tracker], todo: Many[Sequence], folder: Path, rules: RunRules
) -> Iterator[Failure | None]:
    """Each sequence by the next tracker that is free."""
    free: SimpleQueue[Tracker] = SimpleQueue()
    for tracker in trackers:
        free.put(tracker)

    def work(sequence: Sequence) -> Failure | None:
        tracker = free.get()
        try:
            with meeting.taking_part():
                return _run_sequence(tracker, sequence, folder, rules, timed=False)
        finally:
            free.put(tracker)

    pool = ThreadPoolExecutor(len(trackers))
    try:
        for future in as_completed([pool.submit(work, sequence) for sequence in todo]):
            yield future.result()
    except BaseException:
        meeting.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


_tracker: Tracker | None = None  # this process's own


def _make(make_tracker: Callable[[], Tracker]) -> None:
    global _tracker
    _tracker = make_tracker()


def _work(sequence: Sequence, folder: Path, rules: RunRules) -> Failure | None:
    assert _tracker is not None
    return _run_sequence(_tracker, sequence, folder, rules)


def _todo(sequences: Many[Sequence], folder: Path, rules: RunRules) -> list[Sequence]:
    """Those that are not stored yet, the longest first. UserError where a first box cannot start a
    tracker.
    """
    for sequence in sequences:
        if (
            not len(sequence.boxes)
            or not np.isfinite(sequence.boxes[0]).all()
            or (sequence.boxes[0, 2:] <= 0).any()
        ):
            raise UserError(
                f"{sequence.name}: the first box {sequence.boxes[:1].tolist()} cannot start a"
                " tracker"
            )
    todo = [
        sequence
        for sequence in sequences
        if not _finished(folder, sequence, rules, rules.repetitions)
    ]
    return sorted(todo, key=lambda sequence: (-len(sequence), sequence.name))


def _raise(results: Iterable[Failure | None], total: int) -> None:
    """TrackingFailed where there are failures, when all the others are there."""
    failures = [failure for failure in results if failure]
    if failures:
        raise TrackingFailed(sorted(failures, key=lambda failure: failure.sequence), total)


def run_in_lock_step(
    load: Callable[[], tuple[Meeting, Many[Tracker]]],
    sequences: Many[Sequence],
    folder: Path,
    rules: RunRules,
    title: str = "track",
) -> None:
    """As `run`, with several trackers in threads of this process; their frames have no times.

    load: called where something is to be done; gives the trackers, and where their crops meet.
    """
    todo = _todo(sequences, folder, rules)
    if not todo:
        return
    meeting, trackers = load()
    failures = []
    with progress(len(sequences), title, "sequence", len(sequences) - len(todo)) as bar:
        for failure in _in_lock_step(meeting, trackers, todo, folder, rules):
            failures.append(failure)
            bar.update()
    _raise(failures, len(sequences))


def run(
    make_tracker: Callable[[], Tracker],
    sequences: Many[Sequence],
    folder: Path,
    rules: RunRules,
    workers: int = 1,
    title: str = "track",
) -> None:
    """Track every sequence that is not stored yet, the longest first.

    With workers > 1, sequences are spread over spawned processes with one thread each, and
    `make_tracker` must be picklable; otherwise everything happens in this process. `title` stands
    before the progress. Raises TrackingFailed (a UserError that lists sequence and frame of each
    failure) after the other sequences are finished.
    """
    todo = _todo(sequences, folder, rules)
    results = in_parallel(
        partial(_work, folder=folder, rules=rules),
        todo,
        workers,
        title,
        "sequence",
        initializer=partial(_make, make_tracker),
        ordered=False,
        done=len(sequences) - len(todo),
    )
    _raise(results, len(sequences))
