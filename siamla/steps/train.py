"""Trainings, and what tries how one would go."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.spec import Spec
from siamla.experiment.step import training_settings
from siamla.files import write_json
from siamla.settings import nearest
from siamla.steps.perform import (
    Means,
    Outcome,
    full_key,
    hashed,
    perform,
    planned,
    publish,
    sound,
    state_of,
)
from siamla.tracker.settings import stored

if TYPE_CHECKING:
    from siamla.hardware import Hardware
    from siamla.model.siamla import SiamLA
    from siamla.training.batches import Source
    from siamla.training.distributed import Ranks
    from siamla.training.step import Recipe, Resources


Orders = dict[str, str]  # where the state is, and its key: for the processes that follow


def _spec(plan: Plan, job: Job) -> Spec:
    return plan.spec(str(job.names["variant"]))  # siamla@five where a profile has several trainings


def _tools(
    plan: Plan, job: Job, means: Means, ranks: "Ranks", look: Callable[[Job], Path]
) -> "tuple[Recipe, Source, Resources]":
    """What a training is done with, on a GPU where there is one; `look` says of a job where its
    result stands.
    """
    from siamla.hardware import default_device, hardware_on
    from siamla.training.batches import Source
    from siamla.training.step import Recipe, Resources

    spec, cached = _spec(plan, job), job.parents.get("features")
    reads_crops = cached is None or spec.training.cached_epochs < spec.training.epochs
    parents = [parent for parent in job.parents.values() if parent.step == "crops"]
    crops = [look(each) if reads_crops else each.folder for each in parents]
    # torchrun may have started others here
    threads = max(1, means.cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    workers = means.workers
    if workers is None:
        workers = threads - 1 if reads_crops else 0
    source = Source.open(crops, spec.pairs, look(cached) if cached else None, workers)
    hardware = hardware_on(default_device(), spec.training.precision, threads)
    recipe = Recipe(spec.model, spec.labels, spec.loss, spec.training, job.names["seed"])
    return recipe, source, Resources(hardware, ranks, means.accumulate)


def _validator(
    plan: Plan, spec: Spec, means: Means, hardware: "Hardware"
) -> "Callable[[SiamLA, int], float | None] | None":
    """What tracks held-out sequences now and then: their AO, the mean of mean IoU."""
    if means.validate is None:
        return None
    name, every = means.validate
    if name not in plan.datasets:
        near = nearest(name, [*plan.datasets])
        raise UserError(f"--validate {name}: no such data set in profile {plan.name}; {near}")
    if name in spec.pairs.parts:
        raise UserError(f"--validate {name}: the training sees it; name a set that is held out")
    from siamla.data.curate import load_curated

    sequences = load_curated(sound(plan.job("curate", dataset=name)))
    settings = spec.tracker.model_copy(update={"engine": "torch", "precision": "fp32"})

    def overlap(model: "SiamLA", epoch: int) -> float | None:
        import numpy as np

        from siamla.benchmark.onepass import track_sequence
        from siamla.geometry import iou
        from siamla.tracker.loading import tracker_of

        if epoch % every:
            return None
        tracker = tracker_of(model, settings, hardware=replace(hardware, precision="fp32"))
        means = []
        for sequence in sequences:
            later = np.arange(len(sequence)) > 0  # the first is given
            seen = later & np.isfinite(sequence.boxes).all(axis=1)
            if seen.any():
                boxes = track_sequence(tracker, sequence).boxes
                means.append(float(iou(sequence.boxes[seen], boxes[seen]).mean()))
        return float(np.mean(means))

    return overlap


def _work(
    plan: Plan,
    job: Job,
    record: dict[str, Any],
    means: Means,
    ranks: "Ranks",
    announce: Callable[[Orders], None],
) -> Outcome:
    from siamla.mlflow_sink.sink import LiveTraining
    from siamla.model.checkpoint import read_model
    from siamla.training.course import Upkeep
    from siamla.training.loop import train_model

    spec = _spec(plan, job)
    label = plan.experiment.variants[str(job.names["variant"]).partition("@")[0]].label
    recipe, source, resources = _tools(plan, job, means, ranks, sound)
    validate = _validator(plan, spec, means, resources.hardware)
    record["place"] = resources.hardware.plain
    state, whole = state_of(job, record), full_key(record)
    result = state / "result"
    announce({"state": str(state / "state.pt"), "key": whole})
    with LiveTraining(Path("results"), record) as live:
        upkeep = Upkeep(state / "state.pt", whole, live.epoch, validate)
        tracker = stored(spec.tracker)
        progress = train_model(recipe, source, resources, upkeep, result, label, tracker)
    # they may change last digits, and no key: a training may go on with fewer processes
    if progress.processes != [1]:
        record["place"]["processes"] = progress.processes
    if means.accumulate > 1:
        record["place"]["accumulate"] = means.accumulate
    write_json(result / "spec.json", training_settings(spec))
    publish(result, job)
    # the content is that of the weights: label and tracker settings in the file change no box
    content = read_model(job.folder / "model.pt").digest
    return Outcome(content, hashed(job.folder, ("model.pt", "history.csv", "spec.json")), state)


def work(plan: Plan, job: Job, record: dict[str, Any], means: Means) -> Outcome:
    """Train the model that a variant uses, in this process alone."""
    from siamla.training.distributed import ALONE

    return _work(plan, job, record, means, ALONE, lambda orders: None)


def train(plan: Plan, job: Job, means: Means, key: str | None = None) -> bool:
    """Train the model that a variant uses; killed at any moment, the same call goes on.

    Started by torchrun, the processes train together: the first one does the job, the others follow
    it. Returns whether this process is the first.
    """
    from siamla.training.distributed import joined

    with joined() as ranks:
        if not ranks.first:
            _follow(ranks, plan, job, means)
            return False
        announced: list[Orders] = []

        def announce(orders: Orders) -> None:
            announced.append(orders)
            ranks.broadcast(orders)

        def together(plan: Plan, job: Job, record: dict[str, Any], means: Means) -> Outcome:
            return _work(plan, job, record, means, ranks, announce)

        try:
            perform(plan, job, key, means, together)
        finally:
            if not announced:
                ranks.broadcast(None)  # nothing to do, or not to be done
    return True


def _follow(ranks: "Ranks", plan: Plan, job: Job, means: Means) -> None:
    """Train along with the first process; where it has nothing to do, nothing is done."""
    from siamla.training.course import Upkeep
    from siamla.training.loop import train_model

    orders = ranks.broadcast(None)
    if orders is None:
        return
    tools = _tools(plan, job, means, ranks, lambda parent: parent.folder)
    train_model(*tools, Upkeep(Path(orders["state"]), orders["key"]), job.folder, "", {})


def _trial(
    plan: Plan, job: Job, means: Means, ranks: "Ranks"
) -> "tuple[Recipe, Source, Resources]":
    """What a training of the variant would be done with."""
    for parent in job.parents.values():
        planned(parent)  # or the command that comes first is named
    return _tools(plan, job, means, ranks, lambda parent: parent.folder)


def dry_run(
    plan: Plan, job: Job, means: Means, tell: Callable[[str], None], budget: float = 10
) -> None:
    """Do some steps of a training of which nothing is kept, and tell what all of it would take."""
    from siamla.training.distributed import joined
    from siamla.training.trial import rehearse

    with joined() as ranks:
        lines = rehearse(*_trial(plan, job, means, ranks), Path("results", plan.name), budget)
        for line in lines if ranks.first else ():
            tell(line)


def overfit(plan: Plan, job: Job, means: Means, count: int, tell: Callable[[str], None]) -> None:
    """Train on the same few batches, and tell how the loss falls; nothing is kept."""
    from siamla.training import trial
    from siamla.training.distributed import joined

    with joined() as ranks:
        said = tell if ranks.first else lambda line: None
        trial.overfit(*_trial(plan, job, means, ranks), count, said)
