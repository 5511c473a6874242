"""A trained tracker on a benchmark: sequence by sequence in several processes, or several in lock
step.
"""

from collections.abc import Sequence as Many
from functools import partial
from pathlib import Path

from siamla.benchmark.protocols import RunRules
from siamla.benchmark.runner import run, run_in_lock_step
from siamla.hardware import Hardware
from siamla.sequence import Sequence
from siamla.tracker.lockstep import load_lock_step
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.tracker import load_tracker


def track_benchmark(
    model: Path,
    settings: TrackerSettings,
    place: Hardware,
    sequences: Many[Sequence],
    folder: Path,
    rules: RunRules,
    workers: int = 1,
    title: str = "track",
) -> None:
    """Track every sequence that is not stored yet; UserError as runner.run. In lock step there is
    one process.
    """
    if settings.batch > 1:
        run_in_lock_step(
            partial(load_lock_step, model, settings, place), sequences, folder, rules, title
        )
    else:
        run(partial(load_tracker, model, settings, place), sequences, folder, rules, workers, title)
