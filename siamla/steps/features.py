"""Computing the frozen backbone's features that trainings read."""

from typing import Any

from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.files import digest
from siamla.steps.perform import Means, Outcome, full_key, hashed, own, sound

MAKES = ("manifest.json", "chunk-*.bin", ".*.tmp")


def work(plan: Plan, job: Job, record: dict[str, Any], means: Means) -> Outcome:
    """Compute the features that a variant's training reads; killed, the same call goes on."""
    from siamla.training.features import build

    spec, key = plan.spec(job.names["variant"]), full_key(record)
    crops = sound(job.parents["crops"])
    own(job.folder, job.step, key, MAKES)
    build(crops, spec.pairs, spec.model, spec.training, job.folder, means.cores, key)
    chunks = hashed(job.folder, (path.name for path in job.folder.glob("chunk-*.bin")))
    return Outcome(digest(chunks), {**chunks, **hashed(job.folder, ("manifest.json",))})
