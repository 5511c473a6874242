"""The table of steps: what the experiment does, one entry a step.

An entry says what the step varies over, where its results stand, what they are made from, which
settings and which code decide them, for which names the profile wants them, and what a job asks of
the machine. The plan, the commands, acceptance, the outlook and the workflow's rules read it. The
work itself is the function `work` of the module siamla.steps.RESULT.
"""

from siamla.experiment.step import Step
from siamla.experiment.tracking_steps import (
    Alignment,
    Maps,
    Predict,
    PredictSweep,
    Score,
    ScoreImported,
    ScoreSweep,
)
from siamla.experiment.training_steps import Crops, Curate, Features, Fetch, Train

STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        Fetch(),
        Curate(),
        Crops(),
        Features(),
        Train(),
        Predict(),
        PredictSweep(),
        Maps(),
        Alignment(),
        Score(),
        ScoreSweep(),
        ScoreImported(),
    )
}
"""In an order in which they can run."""
