"""Features of the frozen backbone, and trainings."""

from pathlib import Path
from typing import Any

from siamla.experiment.plan import Job, Plan, training_settings
from siamla.files import digest, write_json
from siamla.steps.perform import Outcome, full_key, hashed, own, perform, sound, state_of
from siamla.tracker.settings import stored

FEATURES = ("manifest.json", "chunk-*.bin", ".*.tmp")


def features(plan: Plan, variant: str, jobs: int = 1, key: str | None = None) -> Job | None:
    """Compute the features that a variant's training reads; None where it reads none."""
    job, spec = plan.features(variant), plan.spec(variant)
    if job is None:
        return None

    def work(record: dict[str, Any]) -> Outcome:
        from siamla.training.features import build

        crops = sound(job.parents["crops"])
        own(job.folder, job.step, full_key(record), FEATURES)
        build(crops, spec.pairs, spec.model, job.folder, jobs, full_key(record))
        chunks = hashed(job.folder, (path.name for path in job.folder.glob("chunk-*.bin")))
        return Outcome(digest(chunks), {**chunks, **hashed(job.folder, ("manifest.json",))})

    perform(job, key, work)
    return job


def train(
    plan: Plan, variant: str, seed: int, threads: int = 1, workers: int | None = None, key: str | None = None
) -> Job:
    """Train the model that a variant uses; killed at any moment, the same call goes on.

    workers: processes that read pairs; by default one less than threads, none where all epochs read cached features.
    """
    job = plan.train(variant, seed)
    name = str(job.names["variant"])  # siamla@five where a profile has several trainings
    spec, label = plan.spec(name), plan.experiment.variants[name.partition("@")[0]].label

    def work(record: dict[str, Any]) -> Outcome:
        from siamla.mlflow_view.live import LiveMirror
        from siamla.model.checkpoint import read_model
        from siamla.training.loop import Recipe
        from siamla.training.place import training_place
        from siamla.training.run import train_model

        cached = sound(job.parents["features"]) if "features" in job.parents else None
        images = cached is None or spec.training.frozen_epochs < spec.training.epochs
        made = [parent for parent in job.parents.values() if parent.step == "crops"]
        crops = [sound(parent) if images else parent.folder for parent in made]
        place = training_place(spec.model, spec.training, threads)
        record["place"] = place.plain
        state = state_of(job, record)
        own(job.folder, job.step, job.key)
        readers = (threads - 1 if images else 0) if workers is None else workers
        recipe = Recipe(spec.model, spec.labels, spec.loss, spec.training, seed)
        with LiveMirror(Path("results"), record) as mirror:
            train_model(
                recipe, crops, spec.pairs, cached, place, readers, state / "state.pt",
                full_key(record), job.folder, label, stored(spec.tracker), mirror.epoch,
            )  # fmt: skip
        write_json(job.folder / "spec.json", training_settings(spec))
        files = hashed(job.folder, ("model.pt", "history.csv", "spec.json"))
        # the content is that of the weights: label and tracker settings in the file change no box of the pipeline
        return Outcome(read_model(job.folder / "model.pt").digest, files, state)

    if perform(job, key, work):
        from siamla.mlflow_view.live import mirror_training

        mirror_training(job.folder, Path("results"))
    return job
