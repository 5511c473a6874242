"""What goes along with a training: bar, messages, the saved states. None of it decides a weight.

No result depends on this module: an edit here trains nothing again (siamla.provenance.code).
"""

import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from siamla import system
from siamla.errors import UserError
from siamla.files import atomic
from siamla.hardware import Hardware
from siamla.model.siamla import SiamLA
from siamla.progress import progress as progress_bar
from siamla.training.batches import pair_numbers
from siamla.training.step import Learner, Progress

KEPT = 3  # states: should the disk lose the last one, the one before it is there
IN_A_ROW = 20  # steps without a usable loss after which a training ends
UNUSABLE = "unusable.jsonl"  # beside the state: the pairs of those steps


class Stopped(KeyboardInterrupt):
    """The training was asked to stop, and its state is saved."""


@dataclass(frozen=True)
class Upkeep:
    """How a training is kept, and who hears of it; the first process makes the calls."""

    state: Path  # written after an epoch, every `save_minutes`, and when a signal asks for an end
    key: str  # digest of all that the training depends on; a state with another key is refused
    # takes the row of every epoch, also of epochs that were done before a stop
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None
    # takes the model and the number of the epoch done; may give `val_ao` of the epoch's row
    validate: Callable[[SiamLA, int], float | None] | None = None
    save_minutes: float = 10.0


def _states(path: Path) -> list[Path]:
    """Where the last states stand: the newest, as `path`, first."""
    return [path, *(path.with_name(f"{path.stem}.{age}{path.suffix}") for age in range(1, KEPT))]


def _save_state(upkeep: Upkeep, learner: Learner, progress: Progress) -> None:
    """Write the state; those before it stay beside it, and a kill leaves at least one."""
    buffer, path = io.BytesIO(), upkeep.state
    torch.save({"key": upkeep.key, **learner.state(), "progress": asdict(progress)}, buffer)
    new = path.with_name(f"{path.stem}.new{path.suffix}")
    with atomic(new) as temporary:
        temporary.write_bytes(buffer.getvalue())
    states = _states(path)
    for older, newer in zip(states[:0:-1], states[-2::-1], strict=True):
        if newer.exists():
            newer.replace(older)
    new.replace(path)


def _restore_state(upkeep: Upkeep, learner: Learner) -> Progress:
    """Load the newest state; UserError for a damaged one or another training's."""
    states = [state for state in _states(upkeep.state) if state.exists()]
    if not states:
        return Progress()
    newest, *older = states
    try:
        state = torch.load(newest, map_location="cpu", weights_only=True)
        key, progress = state["key"], Progress(**state["progress"])
    except Exception as error:  # of any kind, on damaged input
        onward = f"go on from {older[0].name}" if older else "start afresh"
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{newest}: damaged training state ({reason}); delete it to {onward}"
        ) from None
    if key != upkeep.key:
        raise UserError(
            f"{newest}: belongs to another training ({key}, expected {upkeep.key}); delete it"
        )
    learner.restore(state)
    return progress


def peak_memory(hardware: Hardware) -> float:
    """The most memory in MiB that this process has held, of its GPU where it has one."""
    if hardware.torch_device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return system.peak_memory()


class Course:
    """A training under way: where it stands, and what the first process writes and tells of it."""

    def __init__(self, learner: Learner, upkeep: Upkeep, asked: Callable[[], bool]) -> None:
        """Go on from the saved state. `asked` says whether somebody has asked for an end."""
        self.learner, self.upkeep = learner, upkeep
        self.progress = _restore_state(upkeep, learner)
        self.per_epoch = learner.recipe.training.steps_per_epoch
        self._ranks = learner.resources.ranks
        self._asked = asked
        self._stop = False
        self._saved = time.monotonic()
        done = self.progress.epoch * self.per_epoch + self.progress.step
        self._check_others(done)
        for row in self.progress.history if self._ranks.first else ():
            upkeep.on_epoch(row)
        steps = learner.recipe.training.epochs * self.per_epoch
        self.bar = progress_bar(steps, "train", "step", done, silent=not self._ranks.first)

    def _say(self, line: str) -> None:
        if self._ranks.first:
            print(line, file=sys.stderr, flush=True)

    def _check_others(self, done: int) -> None:
        """All processes stand at the same step, and how many they are is noted."""
        processes, world, state = self.progress.processes, self._ranks.world, self.upkeep.state
        if self._ranks.any(done != self._ranks.broadcast(done)):
            raise UserError(
                f"{state}: not the same file for all processes; a shared folder is needed"
            )
        if processes and processes[-1] != world:
            self._say(
                f"{state}: {processes[-1]} processes so far, {world} from here; last digits may"
                " differ"
            )
        if processes[-1:] != [world]:
            processes.append(world)

    def after_step(self, row: dict[str, float], seconds: float, waited: float) -> None:
        """Tell of a step and save if it is time; Stopped when that was asked for; UserError for too
        many unusable steps in a row.
        """
        progress = self.progress
        progress.seconds += seconds
        progress.waited += waited
        progress.unusable = progress.unusable + 1 if row["skipped"] else 0
        if row["skipped"]:
            self._note_unusable(row)
        seconds = max(progress.seconds, 1e-9)  # of the epoch
        speed = progress.step * self.learner.recipe.training.batch / seconds
        self.bar.set_postfix_str(
            f"epoch {progress.epoch + 1} loss {row['total']:.3f}, {speed:.1f} pairs/s,"
            f" {100 * progress.waited / seconds:.0f} % waiting",
            refresh=False,
        )
        self.bar.update()
        self._stop = self._ranks.any(self._asked())
        due = time.monotonic() - self._saved > 60 * self.upkeep.save_minutes
        if progress.step < self.per_epoch and (self._stop or (due and self._ranks.first)):
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
            "memory_mib": peak_memory(self.learner.resources.hardware),
            "seconds": progress.seconds,
        }

    def after_epoch(self, row: dict[str, float]) -> None:
        """Save, and tell the row of the epoch."""
        self._save()
        if self._ranks.first:
            self.upkeep.on_epoch(row)

    def _save(self) -> None:
        """Write the state; Stopped when it was asked for and something is left to do."""
        progress = self.progress
        if self._ranks.first:
            _save_state(self.upkeep, self.learner, progress)
        self._saved = time.monotonic()
        if self._stop and progress.epoch < self.learner.recipe.training.epochs:
            self._say(
                f"{self.upkeep.state}: saved (epoch {progress.epoch + 1}, {progress.step} of"
                f" {self.per_epoch} steps done); the same command goes on from here"
            )
            raise Stopped

    def _note_unusable(self, row: dict[str, float]) -> None:
        """Tell and keep which pairs had no usable loss or gradient; UserError after IN_A_ROW."""
        progress, recipe = self.progress, self.learner.recipe
        path, epoch = self.upkeep.state.with_name(UNUSABLE), progress.epoch + 1
        if self._ranks.first:
            pairs = pair_numbers(recipe.seed, recipe.training, progress.epoch, progress.step - 1)
            numbers = {
                name: value if np.isfinite(value) else str(value)
                for name, value in row.items()
                if name != "skipped"
            }
            line = {"epoch": epoch, "step": progress.step, **numbers, "pairs": [*pairs]}
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(line) + "\n")
        self._say(
            f"epoch {epoch}, step {progress.step}: skipped (loss {row['total']:g}, gradient"
            f" {row['grad_norm']:g})"
        )
        if progress.unusable == IN_A_ROW:
            raise UserError(
                f"epoch {epoch}: {IN_A_ROW} steps in a row had no usable loss (last:"
                f" {row['total']:g}); lower lr_start; {path} has their pairs"
            )


@contextmanager
def accidents() -> Iterator[None]:
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
            "train: a process that loads pairs died (out of memory?); the same command goes on"
        ) from None
