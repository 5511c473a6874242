"""Features of the frozen backbone, and trainings."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamla.errors import UserError
from siamla.experiment.plan import Job, Plan, training_settings
from siamla.experiment.spec import Spec
from siamla.files import digest, write_json
from siamla.settings import nearest
from siamla.steps.perform import Outcome, full_key, hashed, own, perform, sound, state_of
from siamla.tracker.settings import stored

if TYPE_CHECKING:
    from siamla.model.siamla import SiamLA
    from siamla.place import Place
    from siamla.training.batches import Inputs
    from siamla.training.distributed import Ranks
    from siamla.training.step import Recipe, Resources

FEATURES = ("manifest.json", "chunk-*.bin", ".*.tmp")


@dataclass(frozen=True)
class Means:
    """What a training is done with, which decides no more than last digits.

    Attributes:
        threads: of all the processes of this machine that train together.
        workers: processes that read pairs, for each; by default one less than its threads, none
            where all epochs read cached features.
        accumulate: parts in which the backbone sees a batch.
        validate: a data set to track with the model now and then, and after how many epochs each
            time.
    """

    threads: int = 1
    workers: int | None = None
    accumulate: int = 1
    validate: tuple[str, int] | None = None

    @property
    def own_threads(self) -> int:
        """Those of this process, beside the others that torchrun started here."""
        return max(1, self.threads // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


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


def _name(job: Job) -> str:
    return str(job.names["variant"])  # siamla@five where a profile has several trainings


def _recipe(spec: Spec, seed: int) -> "Recipe":
    from siamla.training.step import Recipe

    return Recipe(spec.model, spec.labels, spec.loss, spec.training, seed)


def _inputs(job: Job, spec: Spec, workers: int, look: Callable[[Job], Path]) -> "Inputs":
    """What a training reads; `look` says of a job where its result stands."""
    from siamla.training.batches import Inputs

    cached = look(job.parents["features"]) if "features" in job.parents else None
    parents = [parent for parent in job.parents.values() if parent.step == "crops"]
    crops = [look(each) if _reads_crops(job, spec) else each.folder for each in parents]
    return Inputs(crops, spec.pairs, cached, workers)


def _reads_crops(job: Job, spec: Spec) -> bool:
    """Whether an epoch reads crops, and not cached features."""
    return "features" not in job.parents or spec.training.frozen_epochs < spec.training.epochs


def _workers(job: Job, spec: Spec, means: Means) -> int:
    if means.workers is not None:
        return means.workers
    return means.own_threads - 1 if _reads_crops(job, spec) else 0


def _resources(spec: Spec, means: Means, ranks: "Ranks") -> "Resources":
    """What to train with: a GPU where there is one."""
    from siamla.place import default_device, place_on
    from siamla.training.step import Resources

    place = place_on(default_device(), spec.training.precision, means.own_threads)
    return Resources(place, ranks, means.accumulate)


def _validator(
    plan: Plan, spec: Spec, means: Means, place: "Place"
) -> "Callable[[SiamLA, int], float | None] | None":
    """What tracks the held-out sequences after every so many epochs: their AO, the mean over
    sequences of mean IoU.
    """
    if means.validate is None:
        return None
    name, every = means.validate
    if name not in plan.datasets:
        raise UserError(
            f"--validate {name}: no such data set in profile {plan.name};"
            f" {nearest(name, [*plan.datasets])}"
        )
    if name in spec.pairs.parts:
        raise UserError(f"--validate {name}: the training sees it; name a set that is held out")
    from siamla.data.curate import load_curated

    sequences = load_curated(sound(plan.curate(name)))
    settings = spec.tracker.model_copy(update={"engine": "torch", "precision": "fp32"})

    def overlap(model: "SiamLA", epoch: int) -> float | None:
        import numpy as np

        from siamla.benchmark.metrics import overlap as iou
        from siamla.benchmark.onepass import track_sequence
        from siamla.tracker.tracker import SiamTracker

        if epoch % every:
            return None
        tracker, found = SiamTracker(model, settings, place=replace(place, precision="fp32")), []
        for sequence in sequences:
            seen = np.isfinite(sequence.boxes).all(axis=1) & (
                np.arange(len(sequence)) > 0
            )  # the first is given
            if seen.any():
                found.append(
                    float(
                        iou(
                            sequence.boxes[seen], track_sequence(tracker, sequence).boxes[seen]
                        ).mean()
                    )
                )
        return float(np.mean(found))

    return overlap


def train(
    plan: Plan, variant: str, seed: int, means: Means | None = None, key: str | None = None
) -> Job | None:
    """Train the model that a variant uses; killed at any moment, the same call goes on.

    Started by torchrun, the processes train together: the first one does the job, the others follow
    it and get None.
    """
    from siamla.training.course import Upkeep
    from siamla.training.distributed import joined
    from siamla.training.run import Output, train_model

    job, means = plan.train(variant, seed), means or Means()
    spec, label = (
        plan.spec(_name(job)),
        plan.experiment.variants[_name(job).partition("@")[0]].label,
    )
    workers, recipe = _workers(job, spec, means), _recipe(spec, seed)
    with joined() as ranks:
        resources = _resources(spec, means, ranks)
        if not ranks.first:
            _follow(resources, job, spec, recipe, workers)
            return None
        started = False

        def work(record: dict[str, Any]) -> Outcome:
            from siamla.mlflow_view.live import LiveMirror
            from siamla.model.checkpoint import read_model

            nonlocal started
            inputs, place = _inputs(job, spec, workers, sound), resources.place
            validate = _validator(plan, spec, means, place)
            record["place"] = place.plain
            state, whole = state_of(job, record), full_key(record)
            own(job.folder, job.step, job.key)
            started = True
            ranks.broadcast({"state": str(state / "state.pt"), "key": whole})
            with LiveMirror(Path("results"), record) as mirror:
                upkeep = Upkeep(state / "state.pt", whole, mirror.epoch, validate)
                output = Output(job.folder, label, stored(spec.tracker))
                trained = train_model(recipe, inputs, resources, upkeep, output)
            # they may change last digits, and no key: a training may go on with fewer processes
            used = {"processes": trained.processes} if trained.processes != [1] else {}
            record["place"] |= used | (
                {"accumulate": means.accumulate} if means.accumulate > 1 else {}
            )
            write_json(job.folder / "spec.json", training_settings(spec))
            files = hashed(job.folder, ("model.pt", "history.csv", "spec.json"))
            # the content is that of the weights: label and tracker settings in the file change no
            # box of the pipeline
            return Outcome(read_model(job.folder / "model.pt").digest, files, state)

        try:
            made = perform(job, key, work)
        finally:
            if not started:
                ranks.broadcast(None)
    if made:
        from siamla.mlflow_view.live import mirror_training

        mirror_training(job.folder, Path("results"))
    return job


def _follow(resources: "Resources", job: Job, spec: Spec, recipe: "Recipe", workers: int) -> None:
    """Train along with the first process; where it has nothing to do, nothing is done."""
    from siamla.training.course import Upkeep
    from siamla.training.run import Output, train_model

    orders = resources.ranks.broadcast(None)
    if orders is None:
        return
    inputs = _inputs(job, spec, workers, lambda parent: parent.folder)
    upkeep = Upkeep(Path(orders["state"]), orders["key"])
    train_model(recipe, inputs, resources, upkeep, Output(job.folder, "", {}))


def _trial(
    plan: Plan, variant: str, seed: int, means: Means, ranks: "Ranks"
) -> "tuple[Recipe, Inputs, Resources]":
    """What a training of the variant would be done with."""
    job = plan.train(variant, seed)
    spec = plan.spec(_name(job))
    for parent in job.parents.values():
        parent.content()  # or the command that comes first is named
    inputs = _inputs(job, spec, _workers(job, spec, means), lambda parent: parent.folder)
    return _recipe(spec, seed), inputs, _resources(spec, means, ranks)


def dry_run(
    plan: Plan,
    variant: str,
    seed: int,
    means: Means,
    tell: Callable[[str], None],
    budget: float = 10,
) -> None:
    """Do some steps of a training of which nothing is kept, and tell what all of it would take."""
    from siamla.training.distributed import joined
    from siamla.training.trial import rehearse, report

    with joined() as ranks:
        recipe, inputs, resources = _trial(plan, variant, seed, means, ranks)
        phases, state = rehearse(recipe, inputs.open(), resources, budget)
        if ranks.first:
            for line in report(
                phases, state, recipe.training.batch, ranks, Path("results", plan.name)
            ):
                tell(line)


def overfit(
    plan: Plan, variant: str, seed: int, means: Means, count: int, tell: Callable[[str], None]
) -> None:
    """Train on the same few batches again and again, of which nothing is kept, and tell how the
    loss falls.
    """
    from siamla.training import trial
    from siamla.training.distributed import joined

    with joined() as ranks:
        recipe, inputs, resources = _trial(plan, variant, seed, means, ranks)
        said = tell if ranks.first else lambda line: None
        first, last = trial.overfit(recipe, inputs.open(), resources, count, said)
        said(
            f"on the same {count * recipe.training.batch} pairs the loss fell from {first:.4g} to"
            f" {last:.4g}"
        )
