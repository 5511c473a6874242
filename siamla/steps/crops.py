"""Cutting the crops of a training set into a few files."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from siamla.data.crops import CropCache, build
from siamla.data.curate import load_curated
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.profile import TrainingSet
from siamla.files import digest
from siamla.sequence import Sequence as Video
from siamla.steps.perform import Means, Outcome, full_key, hashed, own

SKIPPED = 0.01  # of the images of a table of boxes, which are first decoded when they are cut
MAKES = (
    "manifest.json",
    "index.npy",
    "skipped.csv",
    "shard-*.bin",
    "shard-*.part.npz",
    ".*.tmp",
)


def _videos(entry: TrainingSet, folder: Path) -> Sequence[Video]:
    if entry.boxes is None:
        return load_curated(folder)
    from siamla.data.sources.survey import load_tracks

    return load_tracks(folder)


def work(plan: Plan, job: Job, record: dict[str, Any], means: Means) -> Outcome:
    """Cut the training crops that a variant uses; killed at any moment, the same call goes on."""
    curated = job.parents["data"]
    entry = plan.profile.train[curated.names["dataset"]]
    crops = plan.spec(job.names["variant"]).crops
    own(job.folder, job.step, full_key(record), MAKES)
    videos = _videos(entry, curated.folder)
    build(videos, crops, job.folder, means.cores, skip=SKIPPED if entry.boxes else 0)
    manifest = CropCache(job.folder).manifest
    shards = {shard["file"]: shard["sha256"] for shard in manifest["shards"]}
    content = digest([manifest["index"], list(shards.values()), manifest["sequences"]])
    return Outcome(content, {**shards, **hashed(job.folder, ("manifest.json", "index.npy"))})


def summary(plan: Plan, job: Job) -> str:
    """What a person reads at the end."""
    cache = CropCache(job.folder)
    skipped = job.folder / "skipped.csv"
    if skipped.is_file():
        print(f"warning: {skipped} lists images left out", file=sys.stderr)
    return f"{len(cache)} crops of {len(cache.sequences)} sequences -> {job.folder}"
