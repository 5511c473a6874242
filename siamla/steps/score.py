"""Scoring stored predictions, of a variant or of another tracker."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from siamla.benchmark.score import score as score_stored
from siamla.benchmark.speed import speed
from siamla.data.curate import load_curated
from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.files import digest, write_json
from siamla.steps.perform import Means, Outcome, hashed, own, sound
from siamla.steps.predict import origin

SCORES = "score.json"


def _raw_results(job: Job) -> tuple[Path, Mapping[str, Any]]:
    """The folder of what is scored, and what the score keeps of how that was made."""
    if "predictions" not in job.parents:
        folder = job.outside["predictions"]
        if not folder.is_dir():
            where = f"imported.{job.names['tracker']}.results.{job.names['benchmark']}"
            raise UserError(f"{where}: {folder}: no such folder; `siamla results import`")
        return folder, {"predictions": None, "training": None}
    predicted = job.parents["predictions"]
    folder, tracked = sound(predicted), predicted.record()
    assert tracked is not None
    model = predicted.parents["model"]
    if (model.folder / "model.pt").exists() and model.record():
        sound(model)  # the weights may have stayed on another machine
    return folder, {"predictions": origin(tracked), "training": tracked["training"]}


def work(plan: Plan, job: Job, record: dict[str, Any], means: Means) -> Outcome:
    """Score by the benchmark's protocol; speed, never the same twice, is no content."""
    rules = plan.experiment.protocol(job.names["benchmark"])
    folder, origins = _raw_results(job)
    sequences = load_curated(job.parents["data"].folder)
    try:
        result = asdict(score_stored(sequences, folder, rules))
    except UserError as error:
        limit = plan.profile.benchmarks[job.names["benchmark"]].frames
        if limit is None or origins["predictions"]:
            raise
        what = f"`frames: {limit}` of the profile keeps the first frames, so results need as many"
        raise UserError(f"{error}; {what} rows") from None
    tracked = origins["predictions"]
    record["place"] = tracked["place"] if tracked else {}
    own(job.folder, job.step, job.key)
    write_json(job.folder / SCORES, {**origins, **result, "speed": speed(folder, sequences, rules)})
    return Outcome(digest(result), hashed(job.folder, (SCORES,)))
