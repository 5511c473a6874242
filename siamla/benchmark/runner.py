"""Run a tracker over a benchmark: sequences in parallel, finished ones never again, failures collected."""

from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from siamla.benchmark import store
from siamla.benchmark.onepass import FrameError, Tracker, track_sequence
from siamla.benchmark.protocols import RunRules
from siamla.benchmark.supervised import run_supervised
from siamla.errors import UserError
from siamla.parallel import in_parallel
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
        first = failures[0]
        self.failures = failures
        super().__init__(
            f"{len(failures)} of {total} sequences failed: "
            + "; ".join(f"{f.sequence}, frame {f.frame + 1}: {f.message}" for f in failures[:5])
            + ("; …" if len(failures) > 5 else "")
        )
        self.first = first


def _finished(folder: Path, sequence: Sequence, rules: RunRules, wanted: int) -> bool:
    done = [number for number in range(1, wanted + 1) if store.is_done(folder, sequence.name, rules.layout, number)]
    if len(done) == wanted:
        return True
    stop = rules.early_stop
    return 0 < stop <= len(done) == max(done) and _equal(folder, sequence.name, rules.layout, stop)


def _equal(folder: Path, name: str, layout: str, count: int) -> bool:
    """True if the first `count` stored repetitions are the same bytes."""
    texts = {store.track_path(folder, name, layout, number).read_bytes() for number in range(1, count + 1)}
    return len(texts) == 1


def _run_sequence(tracker: Tracker, sequence: Sequence, folder: Path, rules: RunRules) -> Failure | None:
    """All missing repetitions of one sequence; what the tracker raises becomes a Failure."""
    wanted = 1 if tracker.deterministic else rules.repetitions
    for repetition in range(1, wanted + 1):
        if _finished(folder, sequence, rules, wanted):
            break
        if store.is_done(folder, sequence.name, rules.layout, repetition):
            continue
        try:
            if rules.gap is not None:
                run = run_supervised(tracker, sequence, rules)
                store.write_trajectory(folder, sequence.name, run, repetition)
            else:
                track = track_sequence(tracker, sequence)
                store.write_track(folder, sequence.name, track, rules.layout, repetition)
        except FrameError as error:
            return Failure(sequence.name, error.frame, error.message)
    return None


_tracker: Tracker | None = None  # this process's own


def _make(make_tracker: Callable[[], Tracker]) -> None:
    global _tracker
    _tracker = make_tracker()


def _work(sequence: Sequence, folder: Path, rules: RunRules) -> Failure | None:
    assert _tracker is not None
    return _run_sequence(_tracker, sequence, folder, rules)


def run(
    make_tracker: Callable[[], Tracker],
    sequences: Many[Sequence],
    folder: Path,
    rules: RunRules,
    workers: int = 1,
    title: str = "track",
) -> list[Failure]:
    """Track every sequence that is not stored yet, the longest first; an empty list when all went well.

    With workers > 1, sequences are spread over spawned processes with one thread each, and `make_tracker` must be
    picklable; otherwise everything happens in this process. `title` stands before the progress. Raises TrackingFailed
    (a UserError that lists sequence and frame of each failure) after the other sequences are finished.
    """
    for sequence in sequences:
        if not len(sequence.boxes) or not np.isfinite(sequence.boxes[0]).all() or (sequence.boxes[0, 2:] <= 0).any():
            raise UserError(f"{sequence.name}: the first box {sequence.boxes[:1].tolist()} cannot start a tracker")
    todo = [sequence for sequence in sequences if not _finished(folder, sequence, rules, rules.repetitions)]
    todo.sort(key=lambda sequence: (-len(sequence), sequence.name))
    if not todo:
        return []
    results = in_parallel(
        partial(_work, folder=folder, rules=rules), todo, workers, title, "sequence",
        initializer=partial(_make, make_tracker), ordered=False, done=len(sequences) - len(todo),
    )  # fmt: skip
    failures = [failure for failure in results if failure]
    if failures:
        raise TrackingFailed(sorted(failures, key=lambda failure: failure.sequence), len(sequences))
    return []
