"""The learning rate as a pure function of the step."""

import math

from siamla.training.settings import TrainingSettings


def learning_rate(step: int, steps: int, settings: TrainingSettings) -> float:
    """Learning rate of `step` (0-based) out of `steps`: lr_start at the first, lr_end at the last.

    Exponential decay as in section IV-A, or a half cosine; a linear warm-up multiplies the first
    steps.
    """
    progress = step / max(1, steps - 1)
    if settings.schedule == "exponential":
        rate = settings.lr_start * (settings.lr_end / settings.lr_start) ** progress
    else:
        rate = (
            settings.lr_end
            + (settings.lr_start - settings.lr_end) * (1 + math.cos(math.pi * progress)) / 2
        )
    return rate * min(1.0, (step + 1) / (settings.warmup_steps + 1))
