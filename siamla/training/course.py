"""What goes along with a training: bar, messages, the saved state. None of it decides a weight.

No result depends on this module: an edit here trains nothing again (siamla.provenance.code).
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from siamla.errors import UserError
from siamla.model.siamla import SiamLA
from siamla.place import Place
from siamla.progress import progress as progress_bar
from siamla.training.batches import Source, pair_numbers, steps_per_epoch
from siamla.training.checkpoint import restore_state, save_state
from siamla.training.step import Learner, StepTaken

if TYPE_CHECKING:
    from tqdm import tqdm

IN_A_ROW = 20  # steps without a usable loss after which a training ends
UNUSABLE = "unusable.jsonl"  # beside the state: the pairs of those steps


class Stopped(KeyboardInterrupt):
    """The training was asked to stop, and its state is saved."""


def _ignore(row: dict[str, float]) -> None:
    pass


@dataclass(frozen=True)
class Upkeep:
    """How a training is kept, and who hears of it.

    Attributes:
        state: file of the resumable state. It is written after every epoch, every `save_minutes`,
            and when SIGTERM or SIGINT asks for an end. The states before it stand beside it.
        key: digest of all that the training depends on; a state with another key is refused.
        on_epoch: called by the first process with the row of every epoch, also with the rows of
            epochs that were done before a stop.
        validate: called by the first process with a copy of the model and the number of the epoch
            done. Its number, if it gives one, is `val_ao` of the epoch's row.
        save_minutes: time between two writings of the state within an epoch.
    """

    state: Path
    key: str
    on_epoch: Callable[[dict[str, float]], None] = _ignore
    validate: Callable[[SiamLA, int], float | None] | None = None
    save_minutes: float = 10.0


def peak_memory(place: Place) -> float:
    """The most memory in MiB that this process has held, of its GPU where it has one."""
    if place.torch_device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Course:
    """A training under way: where it stands, and what the first process writes and tells of it."""

    def __init__(
        self, learner: Learner, source: Source, upkeep: Upkeep, asked: Callable[[], bool]
    ) -> None:
        """Go on from the saved state. `asked` says whether somebody has asked for an end."""
        self.learner, self.upkeep, self.source = learner, upkeep, source
        self.progress = restore_state(upkeep.state, upkeep.key, learner)
        self.per_epoch = steps_per_epoch(learner.recipe.training)
        self._ranks = learner.resources.ranks
        self._asked = asked
        self._stop = False
        self._saved = time.monotonic()
        self._check_others()
        for row in self.progress.history if self._ranks.first else ():
            upkeep.on_epoch(row)
        steps = learner.recipe.training.epochs * self.per_epoch
        self.bar: tqdm[None] = progress_bar(
            steps, "train", "step", self._done, silent=not self._ranks.first
        )

    @property
    def _done(self) -> int:
        """Steps done since the first epoch."""
        return self.progress.epoch * self.per_epoch + self.progress.step

    def _check_others(self) -> None:
        """All processes stand at the same step, and how many they are is noted."""
        processes, world, state = self.progress.processes, self._ranks.world, self.upkeep.state
        if self._ranks.any(self._done != self._ranks.broadcast(self._done)):
            raise UserError(
                f"{state}: not the same file for all processes; a folder that all nodes share"
                " is needed"
            )
        if processes and processes[-1] != world and self._ranks.first:
            _say(
                f"{state}: {processes[-1]} processes so far, {world} from here; last digits may"
                " differ"
            )
        if processes[-1:] != [world]:
            processes.append(world)

    def after_step(self, taken: StepTaken) -> None:
        """Tell of a step and save if it is time; Stopped when that was asked for.

        UserError when too many steps in a row were not usable.
        """
        progress = self.progress
        progress.seconds += taken.seconds
        progress.waited += taken.waited
        self._count_unusable(taken.row)
        self._show(taken.row)
        self._stop = self._ranks.any(self._asked())
        waited = time.monotonic() - self._saved
        due = self._ranks.first and waited > 60 * self.upkeep.save_minutes
        if progress.step < self.per_epoch and (self._stop or due):
            self._save()

    def measured(self) -> dict[str, float]:
        """What the epoch's row says of the validation, of speed and of memory."""
        progress, validate, row = self.progress, self.upkeep.validate, {}
        if validate is not None and self._ranks.first:
            overlap = validate(self.learner.trained(), progress.epoch + 1)
            row = {} if overlap is None else {"val_ao": overlap}
        seconds = max(progress.seconds, 1e-9)
        return row | {
            "pairs_per_second": self.per_epoch * self.learner.recipe.training.batch / seconds,
            "wait_share": progress.waited / seconds,
            "memory_mib": peak_memory(self.learner.resources.place),
            "seconds": progress.seconds,
        }

    def after_epoch(self, row: dict[str, float]) -> None:
        """Save, and tell the row of the epoch."""
        self._save()
        if self._ranks.first:
            self.upkeep.on_epoch(row)

    def _save(self) -> None:
        """Write the state; Stopped when it was asked for and something is left to do."""
        progress, state = self.progress, self.upkeep.state
        if self._ranks.first:
            save_state(state, self.upkeep.key, self.learner, progress)
        self._saved = time.monotonic()
        if self._stop and progress.epoch < self.learner.recipe.training.epochs:
            if self._ranks.first:
                _say(
                    f"{state}: saved (epoch {progress.epoch + 1}, {progress.step} of"
                    f" {self.per_epoch} steps done); the same command goes on from here"
                )
            raise Stopped

    def _show(self, row: dict[str, float]) -> None:
        """Move the bar on, with what the line in the log says beside rate and time left."""
        progress, batch = self.progress, self.learner.recipe.training.batch
        seconds = max(progress.seconds, 1e-9)
        self.bar.set_postfix_str(
            f"epoch {progress.epoch + 1} loss {row['total']:.3f},"
            f" {progress.step * batch / seconds:.1f} pairs/s,"
            f" {100 * progress.waited / seconds:.0f} % waiting",
            refresh=False,
        )
        self.bar.update()

    def _count_unusable(self, row: dict[str, float]) -> None:
        progress = self.progress
        if not row["skipped"]:
            progress.unusable = 0
            return
        progress.unusable += 1
        if self._ranks.first:
            self._note_unusable(row)
        if progress.unusable == IN_A_ROW:
            raise UserError(
                f"epoch {progress.epoch + 1}: {IN_A_ROW} steps in a row had no usable loss (last:"
                f" {row['total']:g}); lower lr_start; {self.upkeep.state.with_name(UNUSABLE)} has"
                " their pairs"
            )

    def _note_unusable(self, row: dict[str, float]) -> None:
        """Tell and keep which pairs had no usable loss or gradient."""
        progress, recipe = self.progress, self.learner.recipe
        step = progress.step - 1  # the one that is just done, counted from 0
        numbers = {
            name: value if np.isfinite(value) else str(value)
            for name, value in row.items()
            if name != "skipped"
        }
        pairs = pair_numbers(recipe.seed, recipe.training, progress.epoch, step)
        line = {"epoch": progress.epoch + 1, "step": step + 1, **numbers, "pairs": [*pairs]}
        path = self.upkeep.state.with_name(UNUSABLE)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")
        _say(
            f"epoch {line['epoch']}, step {line['step']}: skipped (loss {row['total']:g}, gradient"
            f" {row['grad_norm']:g})"
        )


@contextmanager
def accidents(workers: int) -> Iterator[None]:
    """The death of a process that loads pairs, and a GPU without room, become a UserError."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"train: the GPU's memory is full ({str(error).partition('. ')[0]}); --accumulate 2, or"
            " more, passes the backbone a part of the batch at a time; --dry-run tries it"
        ) from None
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UserError(
            f"train: a process that loads pairs died (killed, or out of memory: {workers} were at"
            " work); run the same command again to go on"
        ) from None
