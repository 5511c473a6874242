"""Tracking a benchmark with a trained model; killed at any moment, the same command goes on."""

from typing import TYPE_CHECKING, Any

from siamla.benchmark.protocols import run_rules
from siamla.data.curate import load_curated
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.files import digest
from siamla.provenance.load import other_work
from siamla.settings import validate
from siamla.steps.perform import Means, Outcome, hashed, publish, result_files, sound, state_of
from siamla.tracker.settings import TrackerSettings

if TYPE_CHECKING:
    from siamla.hardware import Hardware

ORIGIN = ("key", "content", "inputs", "place", "environment", "started", "seconds")


def settings_of(job: Job) -> TrackerSettings:
    """The tracker's settings that the identity of a job that tracks has."""
    identity = job.identity.plain
    return validate(TrackerSettings, identity.get("predictions", identity)["tracker"], job.title)


def tracking_on(settings: TrackerSettings, record: dict[str, Any]) -> "Hardware":
    """Where the tracker computes, which goes into the record.

    One thread: threads must not decide the boxes, and sequences are spread over workers instead.
    """
    import cv2
    import torch

    from siamla.tracker.tracker import recorded, tracking_hardware

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    hardware = tracking_hardware(settings)
    record["place"] = recorded(settings, hardware)
    return hardware


def origin(record: dict[str, Any]) -> dict[str, Any]:
    """What a result keeps of the record of what it is made from."""
    kept = {name: record[name] for name in ORIGIN}
    return kept | {"other_cores": record.get("other_cores")}


def work(plan: Plan, job: Job, record: dict[str, Any], means: Means) -> Outcome:
    """Track a benchmark; the content is that of the boxes: no two runs take the same time."""
    from siamla.benchmark.tracking import track_benchmark

    benchmark = str(job.names["benchmark"])
    model = sound(job.parents["model"]) / "model.pt"
    trained = job.parents["model"].record()
    assert trained is not None
    record["training"] = origin(trained)
    settings, rules = settings_of(job), run_rules(plan.experiment.protocol(benchmark))
    hardware = tracking_on(settings, record)
    sequences = load_curated(job.parents["data"].folder)
    state = state_of(job, record)
    beside = other_work()
    track_benchmark(model, settings, hardware, sequences, state, rules, means.cores, benchmark)
    record["other_cores"] = beside()
    publish(state, job)
    files = hashed(job.folder, result_files(job.folder))
    boxes = {name: value for name, value in files.items() if not name.endswith("_time.txt")}
    return Outcome(digest(boxes), files, state)
