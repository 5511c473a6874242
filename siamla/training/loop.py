"""The training loop. Equal settings, seed, data and hardware give equal bytes, also when killed.

What is shown, told and saved of a training stands in siamla.training.course and decides nothing.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from siamla.errors import UserError
from siamla.files import locked, write_csv
from siamla.model.checkpoint import save_model
from siamla.model.siamla import SiamLA
from siamla.stopping import stop_requests
from siamla.training.batches import Source, batches, negative_noise
from siamla.training.course import Course, Upkeep, accidents
from siamla.training.features import Batch
from siamla.training.settings import TrainingSettings
from siamla.training.step import (
    Learner,
    Progress,
    Recipe,
    Resources,
    optimise,
    set_up,
    start,
)


def learning_rate(step: int, steps: int, settings: TrainingSettings) -> float:
    """Learning rate of `step` (0-based) out of `steps`, from lr_start at the first to lr_end at the
    last: exponential as in section IV-A, or a half cosine; a linear warm-up multiplies the first.
    """
    start, end = settings.lr_start, settings.lr_end
    progress = step / max(1, steps - 1)
    if settings.schedule == "exponential":
        rate = start * (end / start) ** progress
    else:
        rate = end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
    return rate * min(1.0, (step + 1) / (settings.warmup_steps + 1))


def _rate(settings: TrainingSettings, epoch: int, step: int) -> float:
    per_epoch = settings.steps_per_epoch
    return learning_rate(epoch * per_epoch + step, settings.epochs * per_epoch, settings)


def take_step(
    learner: Learner, stream: Iterator[Batch], epoch: int, step: int
) -> tuple[dict[str, float], float, float]:
    """Learn from the stream's next batch: its row, seconds, and those of them in waiting for it."""
    recipe, settings = learner.recipe, learner.recipe.training
    part = learner.resources.ranks.part(settings.batch)
    begun = time.monotonic()
    batch, noise = next(stream), negative_noise(recipe.seed, epoch, step, settings, part)
    waited = time.monotonic() - begun
    learner.thaw(epoch)
    for group in learner.optimizer.param_groups:
        group["lr"] = _rate(settings, epoch, step) * group["scale"]
    row = optimise(learner, batch, noise, epoch)
    return row, time.monotonic() - begun, waited


def epoch_row(settings: TrainingSettings, progress: Progress) -> dict[str, float]:
    """The epoch's row: means over its steps; UserError when none had a usable loss."""
    per_epoch, epoch = settings.steps_per_epoch, progress.epoch
    used = [row for row in progress.rows if not row["skipped"]]
    if not used:
        last = progress.rows[-1]["total"]
        raise UserError(
            f"epoch {epoch + 1}: no step had a usable loss (last: {last:g}); lower lr_start"
        )
    names = [name for name in used[0] if name != "skipped"]
    return {
        "epoch": epoch + 1,
        "step": (epoch + 1) * per_epoch,
        "lr": _rate(settings, epoch, per_epoch - 1),
        **{name: float(np.mean([row[name] for row in used])) for name in names},
        "skipped": float(per_epoch - len(used)),
    }


def train(
    recipe: Recipe, source: Source, resources: Resources, upkeep: Upkeep
) -> tuple[SiamLA, Progress]:
    """Train from the saved state, or from the start when there is none, to the end.

    Raises Stopped, in all processes after the same step, when a signal asked one of them for it.
    UserError for a state that does not fit, unusable losses, too little memory, a dead process.
    """
    settings, per_epoch = recipe.training, recipe.training.steps_per_epoch
    with stop_requests() as asked, accidents():
        learner = start(recipe, resources)
        course = Course(learner, upkeep, asked)
        progress = course.progress
        stream = batches(source, recipe, resources, progress.epoch, progress.step)
        with course.bar, closing(stream):
            while progress.epoch < settings.epochs:
                while progress.step < per_epoch:
                    taken = take_step(learner, stream, progress.epoch, progress.step)
                    progress.rows.append(taken[0])
                    progress.step += 1
                    course.after_step(*taken)
                row = epoch_row(settings, progress) | course.measured()
                progress.close_epoch(row)
                course.after_epoch(row)
        return learner.trained(), progress


def train_model(
    recipe: Recipe,
    source: Source,
    resources: Resources,
    upkeep: Upkeep,
    folder: Path,
    label: str,
    tracker: Mapping[str, Any],
) -> Progress:
    """Train, or go on; the first process writes model.pt and history.csv. Raises as `train`."""
    set_up(resources.hardware)
    first = resources.ranks.first
    with locked(upkeep.state.with_suffix(".lock")) if first else nullcontext():
        model, progress = train(recipe, source, resources, upkeep)
        if first:
            # all rows: not every epoch is validated
            columns = list(dict.fromkeys(name for row in progress.history for name in row))
            write_csv(folder / "history.csv", columns, progress.history)
            save_model(folder / "model.pt", model.to("cpu"), label, tracker)
    return progress
