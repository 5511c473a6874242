"""What the trainings of a profile would cost on GPUs: reckoned, none has to be there."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from siamla.data.layout import BOXES
from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.spec import Spec
from siamla.files import digest

if TYPE_CHECKING:
    from siamla.training.step import Recipe

GIB = 2**30
TFLOPS = 100.0  # 10^12 operations a second that a GPU sustains. Assumed.
FEW = 2  # pairs of a step of which the arithmetic alone counts
STEPS = 2  # that are tried: in the second there are the optimiser's moments, too
RESERVE = GIB
"""Bytes of a GPU that are no tensors: CUDA's own, workspaces, gaps. Assumed."""
LOADED = 879.0  # pairs a second and core (docs/training.md)
CROP = 45.4 * 2**10  # bytes of a crop (docs/training.md)


@dataclass(frozen=True)
class Gpus:
    """What is trained on: so many GPUs with `memory` bytes each, that sustain `tflops` each."""

    memory: int
    tflops: float
    count: int = 1


class Step(NamedTuple):
    """What a step of a training takes of one process's GPU."""

    memory: int  # the most bytes that its tensors hold at a time
    flop: int  # floating point operations, two for a multiplication with its addition


class Cost(NamedTuple):
    """A training's."""

    flop: float  # of all its steps
    peak: int  # bytes of a GPU, with `accumulate`
    accumulate: int
    rate: float  # pairs a second that the GPUs would take in the fastest of its phases


def measured(recipe: "Recipe", pairs: int, accumulate: int = 1, frozen: bool = False) -> Step:
    """A step with so many pairs, whose backbone sees them in `accumulate` parts, and learns unless
    it is frozen, as PyTorch counts it on a GPU that is pretended. UserError where it cannot.
    """
    import torch

    from siamla.grid import SCORE, SEARCH, TEMPLATE
    from siamla.training.features import Batch
    from siamla.training.pretence import pretended, pretended_gpu
    from siamla.training.step import Resources, optimise, start

    with pretended() as gpu:
        resources = Resources(pretended_gpu(recipe.training.precision), accumulate=accumulate)
        learner = start(recipe, resources)
        learner.thaw(-1 if frozen else recipe.training.frozen_epochs)
        for _ in range(STEPS):
            template, search = (
                torch.zeros(pairs, 3, side, side, dtype=torch.uint8) for side in (TEMPLATE, SEARCH)
            )
            batch = Batch((template,), (search,), torch.zeros(pairs, 4), frozen=False)
            optimise(learner, batch, torch.zeros(pairs, SCORE, SCORE), 0)
        return Step(gpu.peak, gpu.flop // STEPS)


_KNOWN: dict[str, Step] = {}  # each network is measured once in a process


def step(spec: Spec, pairs: int, accumulate: int = 1, frozen: bool = False) -> Step:
    """A step of the training with so many pairs of one process."""
    from siamla.training.step import Recipe

    model = spec.model.model_copy(update={"weights": "random"})
    parts = [model.model_dump(mode="json"), spec.training.precision, spec.training.optimizer]
    key = digest([*parts, spec.training.thaw, pairs, accumulate, frozen])
    if key not in _KNOWN:
        recipe = Recipe(model, spec.labels, spec.loss, spec.training, seed=0)
        _KNOWN[key] = measured(recipe, pairs, accumulate, frozen)
    return _KNOWN[key]


def flop_of(spec: Spec, pairs: int = FEW, accumulate: int = 1) -> float:
    """Floating point operations of a whole training, whose steps see so many pairs at a time in a
    process.
    """
    course = spec.training
    thawed = course.epochs - course.frozen_epochs
    total = 0.0
    if thawed:
        total += thawed * step(spec, pairs, accumulate).flop / pairs
    if course.frozen_epochs:
        total += course.frozen_epochs * step(spec, FEW, frozen=True).flop / FEW
    return total * course.pairs_per_epoch


def cost(name: str, spec: Spec, gpus: Gpus) -> Cost:
    """The cost of the training of this name, with the least `accumulate` that fits.

    UserError where none does, and where there are more GPUs than pairs in a batch.
    """
    course = spec.training
    if gpus.count > course.batch:
        raise UserError(
            f"--gpus {gpus.count}: {name} has {course.batch} pairs in a batch; at most"
            f" {course.batch} share them"
        )
    pairs = math.ceil(course.batch / gpus.count)
    frozen = course.frozen_epochs == course.epochs
    for accumulate in (2**power for power in range(pairs.bit_length())):
        peak = step(spec, pairs, accumulate, frozen).memory
        if peak + RESERVE <= gpus.memory:
            easiest = step(spec, FEW, frozen=course.frozen_epochs > 0).flop / FEW
            rate = gpus.count * gpus.tflops * 1e12 / easiest
            return Cost(flop_of(spec, pairs, accumulate), peak, accumulate, rate)
    raise UserError(
        f"--gpu {gpus.memory / GIB:.3g}GiB: {name} takes {(peak + RESERVE) / GIB:.2f} GiB with"
        f" --accumulate {accumulate}; more GPUs (--gpus) have fewer pairs each"
    )


def _disk(plan: Plan) -> str:
    """What the crops of all training sets take."""
    boxes = {name: BOXES.get(entry.layout) for name, entry in plan.profile.train.items()}
    rendered = {
        name for name in boxes if plan.job("fetch", dataset=name).identity.plain["settings"]
    }
    known = {name: count for name, count in boxes.items() if count and name not in rendered}
    gib = sum(known.values()) * CROP / GIB
    lines = [f"about {gib:,.0f} GiB of {', '.join(known)}"] if known else []
    if others := [name for name in boxes if name not in known]:
        lines.append(f"not known of {', '.join(others)}")
    return f"disk of crops: {'; '.join(lines)}"


def _days(flop: float, tflops: float) -> str:
    return f"{flop / tflops / 1e12 / 86400:.1f} GPU days at {tflops:g} TFLOP/s"


def brief(plan: Plan, trainings: Sequence[Job]) -> str:
    """What trainings would cost, in a line."""
    flop = sum(flop_of(plan.spec(job.names["variant"])) for job in trainings)
    more = f"`siamla plan --gpu 24GiB --profile {plan.name}` says more"
    return f"{_days(flop, TFLOPS)}, which are assumed; {_disk(plan)}; {more}"


def costs(plan: Plan, gpus: Gpus) -> str:
    """A Markdown table of the profile's trainings, their sum, and what is assumed."""
    lines = [
        "| training | seeds | memory, GiB | `--accumulate` | FLOP | hours | pairs/s | cores |",
        "|:--|--:|--:|--:|--:|--:|--:|--:|",
    ]
    total, speed = 0.0, gpus.count * gpus.tflops * 1e12
    seeds = Counter(job.names["variant"] for job in plan.jobs_of("train"))
    for name, count in seeds.items():
        one = cost(name, plan.spec(name), gpus)
        total += one.flop * count
        memory = f"{(one.peak + RESERVE) / GIB:.1f} | {one.accumulate}"
        loading = f"{one.rate:,.0f} | {math.ceil(one.rate / LOADED)}"
        hours = one.flop / speed / 3600
        lines.append(f"| {name} | {count} | {memory} | {one.flop:.2e} | {hours:.1f} | {loading} |")
    lines += [
        "",
        f"all trainings: {total:.3g} FLOP, {_days(total, gpus.tflops)}",
        _disk(plan),
        f"assumed: {gpus.tflops:g} TFLOP/s that a GPU sustains (--tflops); {RESERVE / GIB:g} GiB"
        f" beside the tensors; that GPUs share the work without loss. A core loads {LOADED:g}"
        " pairs/s (an AMD EPYC, docs/training.md); a set has about its published boxes of"
        f" {CROP / 2**10:.1f} KiB. Memory and FLOP are PyTorch's own count on a GPU that is not"
        " there (docs/gpu.md)",
    ]
    return "\n".join(lines)
