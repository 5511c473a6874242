"""Tracking a benchmark with a trained model, and scoring what was stored."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamla.benchmark.protocols import Protocol, run_rules
from siamla.benchmark.score import Curves
from siamla.benchmark.score import score as score_stored
from siamla.benchmark.speed import speed
from siamla.benchmark.store import time_path
from siamla.data.curate import load_curated
from siamla.errors import UserError
from siamla.experiment.identity import Curate, Identity, Plain
from siamla.experiment.plan import Job, Plan
from siamla.experiment.spec import plain
from siamla.experiment.sweeps import Point
from siamla.files import digest, sha256, write_json
from siamla.provenance.load import OtherWork
from siamla.provenance.record import make_record, read_record
from siamla.settings import validate
from siamla.steps.perform import (
    Outcome,
    check_key,
    hashed,
    own,
    perform,
    planned_inputs,
    publish,
    result_files,
    score_content,
    sound,
    state_of,
)
from siamla.tracker.settings import TrackerSettings

if TYPE_CHECKING:
    from siamla.place import Place

MAPS = "maps.npz"
CROPS = "crops.json"


@dataclass(frozen=True)
class ModelRun(Identity):
    """A model file of somebody's own on a benchmark. model: its SHA-256."""

    step = "predict"
    model: str
    data: Curate
    tracker: Plain
    run: Plain
    code: str


def _place(model: Path, settings: TrackerSettings, record: dict[str, Any]) -> "Place":
    """Where the tracker computes, which goes into the record.

    One thread: threads must not decide the boxes, and sequences are spread over workers instead.
    """
    import cv2
    import torch

    from siamla.tracker.tracker import recorded, tracking_place

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    place = tracking_place(settings)
    record["place"] = recorded(settings, place)
    return place


def _predict(plan: Plan, job: Job, key: str | None, model: Path, workers: int) -> None:
    benchmark = str(job.names["benchmark"])
    rules, settings = run_rules(plan.experiment.protocol(benchmark)), settings_of(job)

    def work(record: dict[str, Any]) -> Outcome:
        from siamla.benchmark.tracking import track_benchmark

        place = _place(model, settings, record)
        sequences = load_curated(job.parents["data"].folder)
        state = state_of(job, record)
        beside = OtherWork()
        track_benchmark(model, settings, place, sequences, state, rules, workers, benchmark)
        record["other_cores"] = beside.cores()
        own(job.folder, job.step, job.key)
        publish(state, job)
        files = hashed(job.folder, result_files(job.folder))
        # the content is that of the boxes: no two runs take the same time
        return Outcome(
            digest({k: v for k, v in files.items() if not k.endswith("_time.txt")}), files, state
        )

    perform(job, key, work)


def settings_of(job: Job) -> TrackerSettings:
    """The tracker's settings that the identity of a job that tracks has."""
    identity = job.identity.plain
    return validate(TrackerSettings, identity.get("predictions", identity)["tracker"], job.title)


def predict(
    plan: Plan,
    benchmark: str,
    variant: str,
    seed: int,
    workers: int = 1,
    key: str | None = None,
    point: Point | None = None,
) -> Job:
    """Track every sequence of a benchmark; killed at any moment, the same call goes on with the
    missing ones.

    At a `point` of a sweep it tracks with the variant's own model and that value.
    """
    job = plan.predict(benchmark, variant, seed, point)
    _predict(plan, job, key, sound(job.parents["model"]) / "model.pt", workers)
    return job


def predict_with(
    plan: Plan, benchmark: str, variant: str, model: Path, out: Path, workers: int = 1
) -> Job:
    """Track a benchmark with a model file of somebody's own and a variant's tracker settings, into
    a folder.

    The folder is new, empty, or from this command; else UserError. It can be named under `imported`
    in a profile.
    """
    if not model.is_file():
        raise UserError(f"{model}: not found; expected a model file that siamla wrote")
    ordinary = plan.predict(benchmark, variant, plan.experiment.seeds(variant)[0])
    data, settings = ordinary.parents["data"], plan.experiment.tracker(variant, benchmark)
    assert isinstance(data.identity, Curate)
    rules = plain(run_rules(plan.experiment.protocol(benchmark)))
    identity = ModelRun(
        sha256(model), data.identity, plain(settings), rules, ordinary.identity.plain["code"]
    )
    names = {"profile": plan.name, "benchmark": benchmark, "model": model.name}
    job = Job(identity, names, out, {"data": data})
    _predict(plan, job, None, model, workers)
    return job


def maps(plan: Plan, benchmark: str, variant: str, seed: int, key: str | None = None) -> Job:
    """Store the score maps of the frames that the profile's rule chooses; the tracker runs up to
    the last of them.
    """
    job, rule = plan.maps(benchmark, variant, seed), plan.experiment.map_rule
    assert rule is not None
    model, settings = sound(job.parents["model"]) / "model.pt", settings_of(job)

    def work(record: dict[str, Any]) -> Outcome:
        from siamla.benchmark.maps import choose, follow, write_maps
        from siamla.tracker.tracker import load_tracker

        tracker = load_tracker(model, settings, _place(model, settings, record))
        own(job.folder, job.step, job.key)
        chosen = choose(load_curated(job.parents["data"].folder), rule)
        root = plan.datasets[benchmark].root
        found = [
            part for sequence, frames in chosen for part in follow(tracker, sequence, frames, root)
        ]
        write_maps(job.folder / MAPS, found)
        files = hashed(job.folder, (MAPS,))
        return Outcome(files[MAPS], files)

    perform(job, key, work)
    return job


def alignment(plan: Plan, benchmark: str, variant: str, seed: int, key: str | None = None) -> Job:
    """Measure a variant's model on crops around the truth, by siamla.benchmark.alignment.measure."""
    job, settings = (
        plan.alignment(benchmark, variant, seed),
        plan.experiment.tracker(variant, benchmark),
    )
    model, crops = sound(job.parents["model"]) / "model.pt", job.identity.plain["crops"]

    def work(record: dict[str, Any]) -> Outcome:
        from siamla.benchmark.alignment import measure
        from siamla.model.checkpoint import load_model

        _place(model, settings, record)
        own(job.folder, job.step, job.key)
        sequences = load_curated(sound(job.parents["data"]))
        numbers = measure(load_model(model), sequences, crops["count"], crops["seed"], settings)
        write_json(job.folder / CROPS, numbers)
        files = hashed(job.folder, (CROPS,))
        return Outcome(files[CROPS], files)

    perform(job, key, work)
    return job


def _write_score(
    job: Job, inputs: Mapping[str, str], rules: Protocol, results: Path, **origin: Any
) -> None:
    """Score stored predictions and write the score file. origin: records of the predictions and of
    the training.
    """
    started, sequences = time.time(), load_curated(job.parents["data"].folder)
    tracked, trained = origin.get("predictions"), origin.get("training")
    place = tracked["place"] if tracked else {}
    record = make_record(job.step, job.names, job.identity.plain, job.key, inputs, place, started)
    scores = score_stored(sequences, results, rules)
    timed = all(time_path(results, sequence.name, rules.layout).is_file() for sequence in sequences)
    result = {
        "overall": scores.overall,
        "per_sequence": {
            row["sequence"]: {k: v for k, v in row.items() if k != "sequence"}
            for row in scores.per_sequence
        },
        "per_attribute": scores.per_attribute,
        "beside": scores.beside,
        "curves": _plain_curves(scores.curves),
        "attribute_curves": {
            name: _plain_curves(curves) for name, curves in scores.attribute_curves.items()
        },
        "attributes_of": scores.attributes_of,
    }
    timing = {"speed": speed(results, sequences, rules) if timed else {}}
    record |= {"content": score_content(result), "seconds": round(time.time() - started, 3)}
    parts = {
        name: _origin(value) for name, value in (("predictions", tracked), ("training", trained))
    }
    write_json(job.folder, {"record": record, **parts, **result, **timing})


def _plain_curves(curves: Curves) -> dict[str, dict[str, list[float]]]:
    return {name: {"x": x.tolist(), "y": y.tolist()} for name, (x, y) in curves.items()}


def _origin(record: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a score keeps of the record of what it is made from; the identity is nested in its own."""
    if record is None:
        return None
    names = ("key", "content", "inputs", "place", "environment", "started", "seconds")
    return {name: record[name] for name in names} | {"other_cores": record.get("other_cores")}


def score(
    plan: Plan,
    benchmark: str,
    variant: str,
    seed: int,
    key: str | None = None,
    point: Point | None = None,
) -> Job:
    """Score the stored predictions of a variant, or those at a point of a sweep."""
    job, rules = plan.score(benchmark, variant, seed, point), plan.experiment.protocol(benchmark)
    check_key(job, key)
    inputs, predicted = planned_inputs(job), job.parents["predictions"]
    records = {"predictions": predicted, "training": predicted.parents["model"]}
    origin = {name: read_record(parent.record_path) for name, parent in records.items()}
    if (
        records["training"].folder / "model.pt"
    ).exists():  # the weights may have stayed on another machine
        sound(records["training"])
    _write_score(job, inputs, rules, sound(predicted), **origin)
    return job


def score_imported(plan: Plan, benchmark: str, tracker: str, key: str | None = None) -> Job:
    """Score another tracker's raw results, which `siamla results import` copied."""
    job, rules = plan.score_imported(benchmark, tracker), plan.experiment.protocol(benchmark)
    check_key(job, key)
    folder = job.outside["predictions"]
    if not folder.is_dir():
        raise UserError(
            f"imported.{tracker}.results.{benchmark}: {folder}: no such folder; `siamla results"
            " import`"
        )
    _write_score(job, planned_inputs(job), rules, folder)
    return job
