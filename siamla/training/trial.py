"""What a training will take, before it is started: some steps of it, of which nothing is kept."""

import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from siamla.errors import UserError
from siamla.place import Place
from siamla.training.batches import Source, batches, steps_per_epoch
from siamla.training.checkpoint import KEPT
from siamla.training.distributed import ALONE, Ranks
from siamla.training.features import Batch
from siamla.training.loop import accidents, peak_memory, take_step
from siamla.training.step import Learner, Recipe, set_up, start

ENDLESS = 10**6  # epochs
LEAST = 2  # timed steps
PREFETCHED = 2  # batches that a loading process holds ready
OVERFIT_STEPS = 100


@dataclass(frozen=True)
class Phase:
    """The steps of one kind, and the seconds that one of them takes.

    Attributes:
        steps: that the training has of them. model, loader, both: seconds a step with one batch
        repeated, of the batches alone, and of both together.
        wait: share of `both` in which the model waits for pairs.
        memory: the most MiB held so far by this process, or by its GPU in this phase.
        shared: bytes in shared memory, of all loading processes.
    """

    name: str
    steps: int
    model: float
    loader: float
    both: float
    wait: float
    memory: float
    shared: int


def _course(recipe: Recipe, frozen: bool) -> Recipe:
    """An endless training of steps of one kind, at the first learning rate."""
    rates = {"lr_end": recipe.training.lr_start, "warmup_steps": 0}
    update = {"epochs": ENDLESS, "frozen_epochs": ENDLESS if frozen else 0, **rates}
    return replace(recipe, training=recipe.training.model_copy(update=update))


def _size(values: Any) -> int:
    """Bytes of all tensors in nested data."""
    if isinstance(values, Tensor):
        return values.nbytes
    inner = (
        values.values()
        if isinstance(values, dict)
        else values
        if isinstance(values, list | tuple)
        else ()
    )
    return sum(_size(value) for value in inner)


def _seconds(work: Callable[[], object], ranks: Ranks, budget: float, warm: int) -> float:
    """Seconds that `work` takes, in the mean over at least LEAST calls and over `budget` seconds."""
    begun = time.monotonic()
    for _ in range(max(1, warm)):
        work()
        if ranks.any(time.monotonic() - begun > budget):
            break
    calls, begun = 0, time.monotonic()
    while calls < LEAST or not ranks.any(time.monotonic() - begun > budget):
        work()
        calls += 1
    return (time.monotonic() - begun) / calls


def _phase(
    learner: Learner, recipe: Recipe, source: Source, place: Place, frozen: bool, budget: float
) -> Phase:
    ranks, course, cuda = learner.ranks, _course(recipe, frozen), place.torch_device.type == "cuda"
    steps = steps_per_epoch(recipe.training)
    epochs = (
        recipe.training.frozen_epochs
        if frozen
        else recipe.training.epochs - recipe.training.frozen_epochs
    )
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    waits: list[float] = []
    stream = batches(
        source, recipe.seed, course.training, 0, 0, cuda, ranks.part(recipe.training.batch)
    )
    with closing(stream):
        batch = next(stream)

        def step(pairs: Iterator[Batch]) -> None:
            row, waited = take_step(learner, pairs, course, 0, 0, place)
            if row["skipped"]:
                raise UserError(f"a step's loss is not usable ({row['total']:g}); lower lr_start")
            waits.append(waited)

        held = 0 if batch.frozen else PREFETCHED * source.workers
        model = _seconds(lambda: step(iter([batch])), ranks, budget, 1)
        loader = _seconds(lambda: next(stream), ranks, budget, held)
        waits.clear()
        both = _seconds(lambda: step(stream), ranks, budget, held)
    shared = held * _size([batch.template, batch.search, batch.boxes])
    name = "frozen" if frozen else "thawed"
    wait = sum(waits) / len(waits) / both
    return Phase(name, steps * epochs, model, loader, both, wait, peak_memory(place), shared)


def rehearse(
    recipe: Recipe,
    source: Source,
    place: Place,
    ranks: Ranks = ALONE,
    accumulate: int = 1,
    budget: float = 10.0,
) -> tuple[list[Phase], int]:
    """Steps of the training's phases, the thawed one first, in which memory would run out; and the
    bytes of a state.

    `budget`: seconds for each of the three measurements of a phase. UserError where memory does not
    suffice.
    """
    set_up(place)
    with accidents(source.workers):
        learner = start(recipe, place, ranks, accumulate)
        frozen = [
            kind
            for kind in (False, True)
            if (recipe.training.frozen_epochs if kind else _thaws(recipe))
        ]
        phases = [_phase(learner, recipe, source, place, kind, budget) for kind in frozen]
        return phases, _size(learner.state())


def _thaws(recipe: Recipe) -> bool:
    return recipe.training.frozen_epochs < recipe.training.epochs


def _free(folder: Path) -> str:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return (
        f"{shutil.disk_usage(folder).free / 2**20:,.0f} MiB free"
        if folder.exists()
        else "not there"
    )


def report(phases: list[Phase], state: int, batch: int, ranks: Ranks, folder: Path) -> list[str]:
    """What `rehearse` measured, in lines. folder: where the state would be written."""
    lines = []
    for phase in phases:
        speeds = {"model": phase.model, "loader": phase.loader, "both": phase.both}
        shown = ", ".join(f"{name} {batch / seconds:.1f}" for name, seconds in speeds.items())
        lines.append(
            f"{phase.name}: {phase.steps} steps; pairs/s: {shown}; waiting {100 * phase.wait:.0f}"
            f" %; memory {phase.memory:,.0f} MiB a process"
        )
    hours = sum(phase.steps * phase.both for phase in phases) / 3600
    lines.append(
        f"whole training: {hours:.3g} hours, {hours * ranks.world:.3g} process hours ({ranks.world}"
        " at work)"
    )
    shared = max(phase.shared for phase in phases) / 2**20
    lines.append(f"/dev/shm: {shared:,.0f} MiB a process; {_free(Path('/dev/shm'))}")
    disk = (KEPT + 1) * state / 2**20
    lines.append(f"disk: {disk:,.0f} MiB for {KEPT} states and one being written; {_free(folder)}")
    return lines


def overfit(
    recipe: Recipe,
    source: Source,
    place: Place,
    count: int,
    tell: Callable[[str], None],
    ranks: Ranks = ALONE,
    accumulate: int = 1,
    steps: int = OVERFIT_STEPS,
) -> tuple[float, float]:
    """Train on the first `count` batches again and again; the loss of the first step and of the
    last.

    `tell` is given a line now and then. UserError when the loss has not fallen: then something is
    wrong that more data will not mend.
    """
    set_up(place)
    course = _course(recipe, recipe.training.frozen_epochs > 0)
    with accidents(source.workers):
        learner = start(course, place, ranks, accumulate)
        part = ranks.part(course.training.batch)
        with closing(batches(source, course.seed, course.training, 0, 0, part=part)) as stream:
            repeated = cycle(list(islice(stream, count)))
        losses: list[float] = []
        for number in range(steps):
            row, _ = take_step(learner, repeated, course, 0, number % count, place)
            losses.append(row["total"])
            if math.log2(number + 1).is_integer() or number + 1 == steps:
                tell(
                    f"step {number + 1}: "
                    + ", ".join(f"{name} {value:.4g}" for name, value in row.items())
                )
    if not losses[-1] < losses[0]:
        raise UserError(
            f"--overfit: the loss has not fallen, from {losses[0]:g} to {losses[-1]:g} in {steps}"
            " steps"
        )
    return losses[0], losses[-1]
