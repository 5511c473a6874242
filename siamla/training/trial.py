"""What a training will take, before it is started: some steps of it, of which nothing is kept."""

import io
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import torch

from siamla.errors import UserError
from siamla.training.batches import Source, batches
from siamla.training.course import KEPT, accidents, peak_memory
from siamla.training.distributed import Ranks
from siamla.training.features import Batch
from siamla.training.loop import take_step
from siamla.training.step import Learner, Recipe, Resources, set_up, start

ENDLESS = 10**6  # epochs
LEAST = 2  # timed steps
PREFETCHED = 2  # batches that a loading process holds ready
OVERFIT_STEPS = 100
MIB = 2**20


class Phase(NamedTuple):
    """The steps of one kind, as a line, their seconds in all, and bytes of shared memory."""

    line: str
    seconds: float
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


def _phase(learner: Learner, source: Source, epochs: int, frozen: bool, budget: float) -> Phase:
    """Measure a step with one batch repeated, the batches alone, and both together."""
    hardware, ranks = learner.resources.hardware, learner.resources.ranks
    recipe = _endless(learner.recipe, frozen)
    learner, settings = replace(learner, recipe=recipe), recipe.training
    cuda = hardware.torch_device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    waits: list[float] = []

    def step(pairs: Iterator[Batch]) -> None:
        row, _, waited = take_step(learner, pairs, 0, 0)
        if row["skipped"]:
            raise UserError(f"a step's loss is not usable ({row['total']:g}); lower lr_start")
        waits.append(waited)

    with closing(batches(source, recipe, learner.resources)) as stream:
        batch = next(stream)
        held = 0 if batch.frozen else PREFETCHED * source.workers
        model = _seconds(lambda: step(iter([batch])), ranks, budget, 1)
        loader = _seconds(lambda: next(stream), ranks, budget, held)
        waits.clear()
        both = _seconds(lambda: step(stream), ranks, budget, held)
    steps = settings.steps_per_epoch * epochs
    rates = [f"{settings.batch / seconds:.1f}" for seconds in (model, loader, both)]
    waiting = 100 * sum(waits) / len(waits) / both
    line = (
        f"{'frozen' if frozen else 'thawed'}: {steps} steps; pairs/s: model {rates[0]},"
        f" loader {rates[1]}, both {rates[2]}; waiting {waiting:.0f} %;"
        f" memory {peak_memory(hardware):,.0f} MiB a process"
    )
    shared = held * sum(x.nbytes for x in (*batch.template, *batch.search, batch.boxes))
    return Phase(line, steps * both, shared)


def _free(folder: Path) -> str:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return f"{shutil.disk_usage(folder).free / MIB:,.0f} MiB free"


def rehearse(
    recipe: Recipe, source: Source, resources: Resources, folder: Path, budget: float = 10.0
) -> list[str]:
    """Do steps of the training's phases, the thawed one first: lines that say what all of it would
    take. `folder`: where the state would be; `budget`: seconds of each of three measurements of a
    phase.
    """
    set_up(resources.hardware)
    settings, world = recipe.training, resources.ranks.world
    epochs = {False: settings.epochs - settings.frozen_epochs, True: settings.frozen_epochs}
    with accidents():
        learner = start(recipe, resources)
        phases = [
            _phase(learner, source, count, frozen, budget)
            for frozen, count in epochs.items()
            if count
        ]
    hours = sum(phase.seconds for phase in phases) / 3600
    shared = max(phase.shared for phase in phases) / MIB
    state = io.BytesIO()
    torch.save(learner.state(), state)
    disk = (KEPT + 1) * state.tell() / MIB
    return [
        *(phase.line for phase in phases),
        f"whole training: {hours:.3g} hours, {hours * world:.3g} process hours ({world} at work)",
        f"/dev/shm: {shared:,.0f} MiB a process; {_free(Path('/dev/shm'))}",
        f"disk: {disk:,.0f} MiB for {KEPT} states and one being written; {_free(folder)}",
    ]


def overfit(
    recipe: Recipe,
    source: Source,
    resources: Resources,
    count: int,
    tell: Callable[[str], None],
    steps: int = OVERFIT_STEPS,
) -> None:
    """Train on the first `count` batches again and again; UserError unless the loss falls."""
    set_up(resources.hardware)
    recipe = _endless(recipe, recipe.training.frozen_epochs > 0)
    losses: list[float] = []
    with accidents():
        learner = start(recipe, resources)
        with closing(batches(source, recipe, resources)) as stream:
            repeated = cycle(list(islice(stream, count)))
        for number in range(steps):
            row, *_ = take_step(learner, repeated, 0, number % count)
            losses.append(row["total"])
            if math.log2(number + 1).is_integer() or number + 1 == steps:
                values = ", ".join(f"{name} {value:.4g}" for name, value in row.items())
                tell(f"step {number + 1}: {values}")
    first, last = losses[0], losses[-1]
    if not last < first:
        raise UserError(f"--overfit: the loss went from {first:g} to {last:g} in {steps} steps")
    pairs = count * recipe.training.batch
    tell(f"on the same {pairs} pairs the loss fell from {first:.4g} to {last:.4g}")
