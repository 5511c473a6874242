"""A tracker on a benchmark: sequence by sequence in several processes, or several in lock step;
finished ones never again, failures collected.
"""

import threading
from collections.abc import Callable, Iterable
from collections.abc import Sequence as Many
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from siamla.benchmark import store
from siamla.benchmark.onepass import FrameError, Track, Tracker, step, track_sequence
from siamla.benchmark.protocols import RunRules
from siamla.benchmark.region import region_overlap
from siamla.benchmark.store import FAILED, INITIALISED, SKIPPED, TRACKED, Trajectory
from siamla.errors import UserError
from siamla.geometry import corners
from siamla.hardware import Hardware
from siamla.parallel import in_parallel
from siamla.progress import progress
from siamla.sequence import Sequence
from siamla.tracker.settings import TrackerSettings


def run_supervised(tracker: Tracker, sequence: Sequence, rules: RunRules) -> Trajectory:
    """VOT's supervised run: a tracker that loses its target is started again a few frames later, on
    the truth's equal-area rectangle, padded. FrameError as `step`.
    """
    truth, count = store.truth_regions(sequence), len(sequence)
    if len(truth) < count:
        raise FrameError(f"{sequence.name}, frame {len(truth) + 1}: the annotation ends before it")
    codes, seconds = np.full(count, TRACKED, np.int8), np.zeros(count)
    regions, confidence = np.full((count, 8), np.nan), np.full(count, np.nan)
    annotated = np.asarray(np.isfinite(truth).all(1))
    padding = np.array([0, 0, 1, 1]) * (rules.init_padding if sequence.polygons is not None else 0)
    start = 0  # the next frame to initialise on
    for index in range(count):
        if index < start or (index == start and not annotated[index]):
            codes[index], start = SKIPPED, max(start, index + 1)
            continue
        first = sequence.boxes[index] + padding if index == start else None
        box, seconds[index], confidence[index], size = step(tracker, sequence, index, first)
        if index == start:
            codes[index], start = INITIALISED, -1
            continue
        region = corners(box)
        if annotated[index] and not region_overlap(region[None], truth[index][None], size)[0] > 0:
            codes[index], start = FAILED, index + (rules.gap or 0)
        else:
            regions[index] = region
    return Trajectory(codes, regions, seconds, confidence)


def _run_sequence(
    tracker: Tracker, sequence: Sequence, folder: Path, rules: RunRules, timed: bool = True
) -> str | None:
    """Track and store a sequence; returns what failed. timed: whether a frame's time is its own."""
    unknown = {} if timed else {"seconds": np.full(len(sequence), np.nan)}
    try:
        if rules.gap is None:
            track: Track = replace(track_sequence(tracker, sequence), **unknown)
            store.write_track(folder, sequence.name, track, rules.layout)
        else:
            run = replace(run_supervised(tracker, sequence, rules), **unknown)
            store.write_trajectory(folder, sequence.name, run)
    except FrameError as error:
        return str(error)
    return None


_tracker: Tracker | None = None  # this process's own


def _make(make_tracker: Callable[[], Tracker]) -> None:
    global _tracker
    _tracker = make_tracker()


def _work(sequence: Sequence, folder: Path, rules: RunRules) -> str | None:
    assert _tracker is not None
    return _run_sequence(_tracker, sequence, folder, rules)


def _todo(sequences: Many[Sequence], folder: Path, rules: RunRules) -> list[Sequence]:
    """Those not stored yet, the longest first. UserError where a box cannot start a tracker."""
    for sequence in sequences:
        first = sequence.boxes[:1]
        if not (len(first) and np.isfinite(first).all() and (first[:, 2:] > 0).all()):
            what = f"the first box {first.tolist()} cannot start a tracker"
            raise UserError(f"{sequence.name}: {what}")
    todo = [each for each in sequences if not store.is_done(folder, each.name, rules.layout)]
    return sorted(todo, key=lambda sequence: (-len(sequence), sequence.name))


def _raise(results: Iterable[str | None], total: int) -> None:
    """UserError where there are failures, when all the others are there."""
    failures = sorted(filter(None, results))
    if failures:
        text = "; ".join([*failures[:5], *(["…"] if len(failures) > 5 else [])])
        raise UserError(f"{len(failures)} of {total} sequences failed: {text}")


def run(
    make_tracker: Callable[[], Tracker],
    sequences: Many[Sequence],
    folder: Path,
    rules: RunRules,
    workers: int = 1,
    title: str = "track",
) -> None:
    """Track every sequence that is not stored yet, the longest first, in `workers` spawned
    processes with one thread each (1: in this one). UserError with each failure after the others
    are finished.
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


def track_benchmark(
    model: Path,
    settings: TrackerSettings,
    hardware: Hardware,
    sequences: Many[Sequence],
    folder: Path,
    rules: RunRules,
    workers: int = 1,
    title: str = "track",
) -> None:
    """`run` with a model file; in lock step in threads of this process, without times."""
    from siamla.tracker.loading import load_lock_step, load_tracker  # they need PyTorch

    if settings.batch == 1:
        make = partial(load_tracker, model, settings, hardware)
        run(make, sequences, folder, rules, workers, title)
        return
    todo = _todo(sequences, folder, rules)
    if not todo:
        return
    meeting, trackers = load_lock_step(model, settings, hardware)
    thread = threading.local()

    def take() -> None:
        thread.tracker = trackers.pop()

    def work(sequence: Sequence) -> str | None:
        with meeting.taking_part():
            return _run_sequence(thread.tracker, sequence, folder, rules, timed=False)

    failures = []
    pool = ThreadPoolExecutor(len(trackers), initializer=take)
    with progress(len(sequences), title, "sequence", len(sequences) - len(todo)) as bar:
        try:
            for future in as_completed([pool.submit(work, sequence) for sequence in todo]):
                failures.append(future.result())
                bar.update()
        finally:
            meeting.stop()
            pool.shutdown(cancel_futures=True)
    _raise(failures, len(sequences))
