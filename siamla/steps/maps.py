"""Storing the score maps of chosen frames."""

from typing import Any

from siamla.data.curate import load_curated
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.steps.perform import Means, Outcome, hashed, own, sound
from siamla.steps.predict import settings_of, tracking_on

MAPS = "maps.npz"


def work(plan: Plan, job: Job, record: dict[str, Any], means: Means) -> Outcome:
    """Store the score maps of the frames that the profile's rule chooses."""
    from siamla.benchmark.maps import choose, follow, write_maps
    from siamla.tracker.tracker import load_tracker

    rule = plan.experiment.map_rule
    assert rule is not None
    model, settings = sound(job.parents["model"]) / "model.pt", settings_of(job)
    tracker = load_tracker(model, settings, tracking_on(settings, record))
    chosen = choose(load_curated(job.parents["data"].folder), rule)
    root = plan.datasets[job.names["benchmark"]].root
    maps = []
    for sequence, frames in chosen:
        maps += follow(tracker, sequence, frames, root)
    own(job.folder, job.step, job.key)
    write_maps(job.folder / MAPS, maps)
    files = hashed(job.folder, (MAPS,))
    return Outcome(files[MAPS], files)
