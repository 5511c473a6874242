"""Measuring a variant's model on crops around the truth."""

from typing import Any

from siamla.data.curate import load_curated
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.files import write_json
from siamla.steps.perform import Means, Outcome, hashed, own, sound
from siamla.steps.predict import tracking_on

CROPS = "crops.json"


def work(plan: Plan, job: Job, record: dict[str, Any], means: Means) -> Outcome:
    """Measure a model by siamla.benchmark.alignment.measure."""
    from siamla.benchmark.alignment import measure
    from siamla.model.checkpoint import load_model

    settings = plan.experiment.tracker(job.names["variant"], job.names["benchmark"])
    model, crops = sound(job.parents["model"]) / "model.pt", job.identity.plain["crops"]
    tracking_on(settings, record)
    sequences = load_curated(sound(job.parents["data"]))
    numbers = measure(load_model(model), sequences, crops["count"], crops["seed"], settings)
    own(job.folder, job.step, job.key)
    write_json(job.folder / CROPS, numbers)
    files = hashed(job.folder, (CROPS,))
    return Outcome(files[CROPS], files)
