"""The resumable training loop. The same settings, seed, data and place give the same bytes, also
when killed.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from siamla.errors import UserError
from siamla.model.siamla import SiamLA
from siamla.place import Place
from siamla.progress import progress as progress_bar
from siamla.stopping import stop_requests
from siamla.training.batches import Source, batches, negative_noise, pair_numbers, steps_per_epoch
from siamla.training.checkpoint import restore_state, save_state
from siamla.training.distributed import ALONE, Ranks
from siamla.training.features import Batch
from siamla.training.schedule import learning_rate
from siamla.training.step import Learner, Recipe, optimise, start

if TYPE_CHECKING:
    from tqdm import tqdm

IN_A_ROW = 20  # steps without a usable loss after which a training ends
UNUSABLE = "unusable.jsonl"  # beside the state: the pairs of those steps


class Trained(NamedTuple):
    """The model, the history (one row an epoch), and how many processes trained together, each time
    this changed.
    """

    model: SiamLA
    history: list[dict[str, float]]
    processes: list[int]


class Stopped(KeyboardInterrupt):
    """The training was asked to stop, and its state is saved."""


def rate(recipe: Recipe, epoch: int, step: int) -> float:
    """The learning rate of a step of an epoch, both counted from 0."""
    per_epoch = steps_per_epoch(recipe.training)
    return learning_rate(
        epoch * per_epoch + step, recipe.training.epochs * per_epoch, recipe.training
    )


def take_step(
    learner: Learner, stream: Iterator[Batch], recipe: Recipe, epoch: int, step: int, place: Place
) -> tuple[dict[str, float], float]:
    """One step of the course: what `optimise` says, and the seconds in which it waited for pairs."""
    part = learner.ranks.part(recipe.training.batch)
    clock = time.monotonic()
    batch, noise = next(stream), negative_noise(recipe.seed, epoch, step, recipe.training, part)
    waited = time.monotonic() - clock
    learner.model.backbone.requires_grad_(epoch >= recipe.training.frozen_epochs)
    for group in learner.optimizer.param_groups:
        group["lr"] = rate(recipe, epoch, step) * group["scale"]
    return optimise(learner, batch, noise, recipe, epoch, place), waited


def peak_memory(place: Place) -> float:
    """The most memory in MiB that this process has held, of its GPU where it has one."""
    if place.torch_device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        2**20 if sys.platform == "darwin" else 2**10
    )


class _Course:
    """A training under way: what has been done of it, and what is written and told of it, by the
    first process.
    """

    def __init__(
        self, recipe: Recipe, source: Source, place: Place, learner: Learner, state: Path, key: str
    ) -> None:
        self.recipe, self.source, self.place, self.learner = recipe, source, place, learner
        self.ranks, self.state, self.key = learner.ranks, state, key
        self.per_epoch = steps_per_epoch(recipe.training)
        self.progress = restore_state(state, key, learner)
        self.stop, self.saved = False, time.monotonic()
        self._check_others()

    def _check_others(self) -> None:
        """All processes stand at the same step, and how many they are is noted."""
        progress, world = self.progress, self.ranks.world
        done = progress.epoch * self.per_epoch + progress.step
        if self.ranks.any(done != self.ranks.told(done)):
            raise UserError(
                f"{self.state}: not the same file for all processes; a folder that all nodes share"
                " is needed"
            )
        if progress.processes and progress.processes[-1] != world and self.ranks.first:
            said = (
                f"{progress.processes[-1]} processes so far, {world} from here; last digits may"
                " differ"
            )
            print(f"{self.state}: {said}", file=sys.stderr, flush=True)
        if progress.processes[-1:] != [world]:
            progress.processes.append(world)

    def save(self) -> None:
        """Write the state; Stopped when it was asked for and something is left to do."""
        progress = self.progress
        if self.ranks.first:
            save_state(self.state, self.key, self.learner, progress)
        self.saved = time.monotonic()
        if self.stop and progress.epoch < self.recipe.training.epochs:
            if self.ranks.first:
                where = (
                    f"epoch {progress.epoch + 1}, {progress.step} of {self.per_epoch} steps done"
                )
                print(
                    f"{self.state}: saved ({where}); the same command goes on from here",
                    file=sys.stderr,
                    flush=True,
                )
            raise Stopped

    def step(self, stream: Iterator[Batch]) -> dict[str, float]:
        """Do the next step; UserError when too many in a row were not usable."""
        progress, clock = self.progress, time.monotonic()
        row, waited = take_step(
            self.learner, stream, self.recipe, progress.epoch, progress.step, self.place
        )
        if row["skipped"]:
            self._note(row)
        progress.unusable = progress.unusable + 1 if row["skipped"] else 0
        if progress.unusable == IN_A_ROW:
            raise UserError(
                f"epoch {progress.epoch + 1}: {IN_A_ROW} steps in a row had no usable loss (last:"
                f" {row['total']:g}); lower lr_start; {self.state.with_name(UNUSABLE)} has their"
                " pairs"
            )
        progress.rows.append(row)
        progress.step += 1
        progress.seconds += time.monotonic() - clock
        progress.waited += waited
        return row

    def _note(self, row: dict[str, float]) -> None:
        """Tell and keep which pairs had no usable loss or gradient."""
        progress, settings = self.progress, self.recipe.training
        if not self.ranks.first:
            return
        pairs = pair_numbers(self.recipe.seed, settings, progress.epoch, progress.step)
        found = {
            name: value if np.isfinite(value) else str(value)
            for name, value in row.items()
            if name != "skipped"
        }
        where = {"epoch": progress.epoch + 1, "step": progress.step + 1}
        self.state.parent.mkdir(parents=True, exist_ok=True)
        with self.state.with_name(UNUSABLE).open("a", encoding="utf-8") as handle:
            handle.write(json.dumps({**where, **found, "pairs": pairs}) + "\n")
        shown = f"loss {row['total']:g}, gradient {row['grad_norm']:g}"
        print(
            f"epoch {where['epoch']}, step {where['step']}: skipped ({shown})",
            file=sys.stderr,
            flush=True,
        )

    def close_epoch(
        self, validate: Callable[[SiamLA, int], float | None] | None
    ) -> dict[str, float]:
        """The row of the epoch that is done: means over its steps, also those done before a stop."""
        progress, per_epoch, epoch = self.progress, self.per_epoch, self.progress.epoch
        used = [row for row in progress.rows if not row["skipped"]]
        if not used:
            last = progress.rows[-1]["total"]
            raise UserError(
                f"epoch {epoch + 1}: no step had a usable loss (last: {last:g}); lower lr_start"
            )
        course = {
            "epoch": epoch + 1,
            "step": (epoch + 1) * per_epoch,
            "lr": rate(self.recipe, epoch, per_epoch - 1),
        }
        means = {
            name: float(np.mean([row[name] for row in used]))
            for name in used[0]
            if name != "skipped"
        }
        row = {**course, **means, "skipped": float(per_epoch - len(used))}
        if validate is not None and self.ranks.first:
            overlap = validate(self.learner.trained(), epoch + 1)
            row |= {} if overlap is None else {"val_ao": overlap}
        row |= {
            "pairs_per_second": (
                per_epoch * self.recipe.training.batch / max(progress.seconds, 1e-9)
            ),
            "wait_share": progress.waited / max(progress.seconds, 1e-9),
            "memory_mib": peak_memory(self.place),
            "seconds": progress.seconds,
        }
        progress.close_epoch(row)
        return row

    def tell(self, bar: "tqdm[None]", row: dict[str, float]) -> None:
        """Move the bar on, with what the line in the log says beside rate and time left."""
        progress = self.progress
        speed = progress.step * self.recipe.training.batch / max(progress.seconds, 1e-9)
        wait = 100 * progress.waited / max(progress.seconds, 1e-9)
        said = (
            f"epoch {progress.epoch + 1} loss {row['total']:.3f}, {speed:.1f} pairs/s, {wait:.0f} %"
            " waiting"
        )
        bar.set_postfix_str(said, refresh=False)
        bar.update()


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


def train(
    recipe: Recipe,
    source: Source,
    place: Place,
    state: Path,
    key: str,
    on_epoch: Callable[[dict[str, float]], None],
    save_minutes: float = 10.0,
    ranks: Ranks = ALONE,
    accumulate: int = 1,
    validate: Callable[[SiamLA, int], float | None] | None = None,
) -> Trained:
    """Train from the saved state, or from the start when there is none, to the end.

    Args:
        state: file that holds the resumable state; written after every epoch, every `save_minutes`,
            and at the next step when SIGTERM or SIGINT asks for an end. The states before it stand
            beside it.
        key: digest of all that the training depends on; a state with another key is refused.
        on_epoch: called with every finished epoch's row, also with the rows of epochs done before a
            stop.
        ranks: the processes that train together. The first one writes, and calls `on_epoch` and
            `validate`.
        accumulate: parts in which the backbone sees a batch; more take less memory.
        validate: called with a copy of the model and the number of the epoch done; its number, if
            it gives one, is `val_ao` of the epoch's row.

    Raises Stopped, in all processes after the same step, when a signal asked one of them for it,
    and UserError for a state that does not fit, losses that are not usable, too little memory, and
    a loading process or another rank that died.
    """
    with stop_requests() as asked, accidents(source.workers):
        epochs = recipe.training.epochs
        learner = start(recipe, place, ranks, accumulate)
        course = _Course(recipe, source, place, learner, state, key)
        progress, per_epoch = course.progress, course.per_epoch
        for row in progress.history if ranks.first else ():
            on_epoch(row)
        initial = progress.epoch * per_epoch + progress.step
        pinned, part = place.torch_device.type == "cuda", ranks.part(recipe.training.batch)
        stream = batches(
            source, recipe.seed, recipe.training, progress.epoch, progress.step, pinned, part
        )
        bar = progress_bar(epochs * per_epoch, "train", "step", initial, silent=not ranks.first)
        with bar, closing(stream):
            while progress.epoch < epochs:
                while progress.step < per_epoch:
                    row = course.step(stream)
                    course.tell(bar, row)
                    course.stop = ranks.any(asked())
                    due = ranks.first and time.monotonic() - course.saved > 60 * save_minutes
                    if progress.step < per_epoch and (course.stop or due):
                        course.save()
                row = course.close_epoch(validate)
                course.save()
                if ranks.first:
                    on_epoch(row)
        return Trained(learner.trained(), progress.history, progress.processes)
