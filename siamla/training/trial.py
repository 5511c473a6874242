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
from siamla.training.batches import Source, batches, steps_per_epoch
from siamla.training.checkpoint import KEPT
from siamla.training.course import accidents, peak_memory
from siamla.training.distributed import Ranks
from siamla.training.features import Batch
from siamla.training.loop import take_step
from siamla.training.step import Learner, Recipe, Resources, set_up, start

ENDLESS = 10**6  # epochs
LEAST = 2  # timed steps
PREFETCHED = 2  # batches that a loading process holds ready
OVERFIT_STEPS = 100


@dataclass(frozen=True)
class Phase:
    """The steps of one kind, and the seconds that one of them takes.

    Attributes:
        steps: that the training has of them.
        model, loader, both: seconds a step with one batch repeated, of the batches alone, and of
            both together.
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


def _endless(recipe: Recipe, frozen: bool) -> Recipe:
    """An endless training of steps of one kind, at the first learning rate."""
    changes = {
        "epochs": ENDLESS,
        "frozen_epochs": ENDLESS if frozen else 0,
        "lr_end": recipe.training.lr_start,
        "warmup_steps": 0,
    }
    return replace(recipe, training=recipe.training.model_copy(update=changes))


def _size(values: Any) -> int:
    """Bytes of all tensors in nested data."""
    if isinstance(values, Tensor):
        return values.nbytes
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, list | tuple):
        return 0
    return sum(_size(value) for value in values)


def _seconds(work: Callable[[], object], ranks: Ranks, budget: float, warm: int) -> float:
    """Mean seconds that `work` takes, over at least LEAST calls and `budget` seconds."""
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


def _epochs(recipe: Recipe, frozen: bool) -> int:
    """Epochs with a frozen or with a thawed backbone."""
    settings = recipe.training
    return settings.frozen_epochs if frozen else settings.epochs - settings.frozen_epochs


def _phase(learner: Learner, source: Source, frozen: bool, budget: float) -> Phase:
    place, ranks = learner.resources.place, learner.resources.ranks
    recipe, endless = learner.recipe, _endless(learner.recipe, frozen)
    learner = replace(learner, recipe=endless)
    cuda = place.torch_device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    waits: list[float] = []
    part = ranks.part(recipe.training.batch)
    with closing(batches(source, recipe.seed, endless.training, pinned=cuda, part=part)) as stream:
        batch = next(stream)

        def step(pairs: Iterator[Batch]) -> None:
            taken = take_step(learner, pairs, 0, 0)
            if taken.row["skipped"]:
                loss = taken.row["total"]
                raise UserError(f"a step's loss is not usable ({loss:g}); lower lr_start")
            waits.append(taken.waited)

        held = 0 if batch.frozen else PREFETCHED * source.workers
        model = _seconds(lambda: step(iter([batch])), ranks, budget, 1)
        loader = _seconds(lambda: next(stream), ranks, budget, held)
        waits.clear()
        both = _seconds(lambda: step(stream), ranks, budget, held)
    return Phase(
        name="frozen" if frozen else "thawed",
        steps=steps_per_epoch(recipe.training) * _epochs(recipe, frozen),
        model=model,
        loader=loader,
        both=both,
        wait=sum(waits) / len(waits) / both,
        memory=peak_memory(place),
        shared=held * _size([batch.template, batch.search, batch.boxes]),
    )


def rehearse(
    recipe: Recipe, source: Source, resources: Resources, budget: float = 10.0
) -> tuple[list[Phase], int]:
    """Steps of the training's phases, and the bytes of a state.

    The thawed phase comes first: in it memory would run out. `budget`: seconds for each of the
    three measurements of a phase. UserError where memory does not suffice.
    """
    set_up(resources.place)
    with accidents(source.workers):
        learner = start(recipe, resources)
        phases = [
            _phase(learner, source, frozen, budget)
            for frozen in (False, True)
            if _epochs(recipe, frozen)
        ]
        return phases, _size(learner.state())


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
        lines.append(
            f"{phase.name}: {phase.steps} steps; pairs/s: model {batch / phase.model:.1f},"
            f" loader {batch / phase.loader:.1f}, both {batch / phase.both:.1f};"
            f" waiting {100 * phase.wait:.0f} %; memory {phase.memory:,.0f} MiB a process"
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
    resources: Resources,
    count: int,
    tell: Callable[[str], None],
    steps: int = OVERFIT_STEPS,
) -> tuple[float, float]:
    """Train on the first `count` batches again and again; the loss of the first step and of the
    last.

    `tell` is given a line now and then. UserError when the loss has not fallen: then something is
    wrong that more data will not mend.
    """
    set_up(resources.place)
    endless = _endless(recipe, recipe.training.frozen_epochs > 0)
    with accidents(source.workers):
        learner = start(endless, resources)
        part = resources.ranks.part(endless.training.batch)
        with closing(batches(source, endless.seed, endless.training, part=part)) as stream:
            repeated = cycle(list(islice(stream, count)))
        losses: list[float] = []
        for number in range(steps):
            row = take_step(learner, repeated, 0, number % count).row
            losses.append(row["total"])
            if math.log2(number + 1).is_integer() or number + 1 == steps:
                values = ", ".join(f"{name} {value:.4g}" for name, value in row.items())
                tell(f"step {number + 1}: {values}")
    if not losses[-1] < losses[0]:
        raise UserError(
            f"--overfit: the loss has not fallen, from {losses[0]:g} to {losses[-1]:g} in {steps}"
            " steps"
        )
    return losses[0], losses[-1]
