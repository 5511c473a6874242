"""What a step takes of a GPU, before there is one: memory and arithmetic, as PyTorch counts them on
a GPU that is pretended.
"""

from typing import NamedTuple

import torch

from siamla.grid import SCORE, SEARCH, TEMPLATE
from siamla.training.features import Batch
from siamla.training.pretence import pretended, pretended_gpu
from siamla.training.step import Recipe, Resources, optimise, start

STEPS = 2  # in the second there are the optimiser's moments, too


class Step(NamedTuple):
    """What a step of a training takes of one process's GPU."""

    memory: int
    """The most bytes that its tensors hold at a time."""
    flop: int
    """Floating point operations, two for a multiplication with its addition."""


def measured(recipe: Recipe, pairs: int, accumulate: int = 1, frozen: bool = False) -> Step:
    """A step with so many pairs, whose backbone sees them in `accumulate` parts, and learns unless
    it is frozen. UserError where this PyTorch cannot pretend.
    """
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
