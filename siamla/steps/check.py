"""What can be known before the first job: what would stop the experiment, and its cost."""

import os
import shutil
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from siamla.errors import UserError
from siamla.experiment.job import Identity, Job
from siamla.experiment.plan import Plan
from siamla.experiment.spec import plain
from siamla.experiment.step import pointer_digest
from siamla.files import digest, sha256
from siamla.model.settings import Weights
from siamla.report.tables.job import table_job
from siamla.settings import Mistakes
from siamla.steps.costs import brief

SLOW_STEPS = 20_000  # of one training, worth a warning: hours without a GPU with a small network
SPARE = 2 * 2**30  # bytes of free disk that README asks for, without the environment


WARNING = "warning: "  # begins a line that stops nothing


def _where(plan: Plan, name: str) -> str:
    return f"{'train' if name in plan.profile.train else 'benchmarks'}.{name}"


def missing_data(plan: Plan) -> Iterator[str]:
    """A line for each data set that a job reads and that is not there."""
    for name in plan.sets_in_use():
        entry = plan.datasets[name]
        if entry.dvc and not entry.rendered:
            try:
                pointer_digest(entry.dvc, entry.root)
            except UserError as error:
                yield f"{_where(plan, name)}.dvc: {error}"
        elif not entry.dvc and not entry.root.is_dir():
            what = "no such folder; put the data there, or name its place (docs/data.md)"
            yield f"{_where(plan, name)}.root: {entry.root}: {what}"


def _moved(plan: Plan) -> Iterator[str]:
    """Folders of which results are here that were made from another folder: it may hold other data,
    and only a look at every file tells.
    """
    for name in plan.sets_in_use():
        job, entry = plan.job("fetch", dataset=name), plan.datasets[name]
        before = None if entry.dvc else (job.record() or {}).get("folder")
        if before not in (None, digest(str(entry.root))):
            what = f"{entry.root}: another folder than when its content was noted"
            yield f"{what}; `{job.command}` looks at this one first"


def _contents(plan: Plan) -> Iterator[str]:
    """Folders of another layout, and parts of published sets; no image is read, and no set that
    is rendered or brought by DVC, which may come later.
    """
    from siamla.steps.curate import incomplete, listed

    for name in plan.sets_in_use():
        entry = plan.datasets[name]
        if entry.dvc or not entry.root.is_dir():
            continue
        try:
            parts = listed(entry)
        except UserError as error:
            yield f"{_where(plan, name)}.root, layout {entry.layout}: {error}"
            continue
        yield from (WARNING + line for line in incomplete(plan, name, {"parts": parts}))


def _weights(plan: Plan) -> Iterator[str]:
    from siamla.model.backbone import backbone_class

    where = "spec.model.weights"
    files: set[tuple[Path | None, str]] = set()
    for name in dict.fromkeys(chain.from_iterable(map(plan.models, plan.variants))):
        model = plan.spec(name).model
        if isinstance(model.weights, Weights):
            files.add((model.weights.path, model.weights.sha256))
        elif model.weights == "package" and not backbone_class(model.backbone).package_weights():
            yield f"{name}: model.weights: no package ships {model.backbone}"
    for path, expected in sorted(files, key=str):
        if set(expected) == {"0"}:
            yield f"{where}.sha256 is all zeros; fill in what `sha256sum {path or 'FILE'}` prints"
        if path and not path.is_file():
            yield f"{where}.path: {path}: no such file"
        elif path and set(expected) != {"0"} and sha256(path) != expected:
            yield f"{where}.path: {path}: its SHA-256 is not {expected}"


def _imported(plan: Plan) -> Iterator[str]:
    for tracker, entry in plan.profile.imported.items():
        for benchmark, folder in entry.results.items():
            if not folder.is_dir():
                what = "no such folder; `siamla results import` makes it"
                yield f"imported.{tracker}.results.{benchmark}: {folder}: {what}"


def _disk(_: Plan) -> Iterator[str]:
    for name in ("data", "results", "reports"):
        folder = Path(name) if Path(name).exists() else Path()
        if not os.access(folder, os.W_OK):
            yield f"{name}/: not writable"
    free = shutil.disk_usage(".").free
    if free < SPARE:
        yield f"{WARNING}only {free // 2**20} MiB of disk are free here"


def _length(plan: Plan) -> Iterator[str]:
    import torch

    waiting = [job for job in plan.jobs_of("train") if job.record() is None]
    courses = [plan.spec(job.names["variant"]).training for job in waiting]
    steps = [each.epochs * (each.pairs_per_epoch // each.batch) for each in courses]
    if max(steps, default=0) > SLOW_STEPS:
        said = "siamla: reckoning what the trainings take, some half a minute …"
        print(said, file=sys.stderr, flush=True)
        planned = f"{len(steps)} trainings of up to {max(steps):,} steps are planned"
        seen = "" if torch.cuda.is_available() else "no GPU is visible, and "
        yield f"{WARNING}{seen}{planned}: {brief(plan, waiting)}"


def _precision(plan: Plan) -> Iterator[str]:
    """The first training that is not done yet, in a precision that the device lacks."""
    from siamla.hardware import default_device, hardware_on

    for job in plan.jobs_of("train"):
        precision = plan.spec(job.names["variant"]).training.precision
        try:
            hardware_on(default_device(), precision, threads=1)
        except UserError as error:
            if job.record() is None:
                yield f"{job.title}: {error}"
                return


def _engines(plan: Plan) -> Iterator[str]:
    """Engines and precisions that tracking, after all training, would find missing."""
    from siamla.engine.engines import resolve_engine
    from siamla.hardware import tracking_device
    from siamla.tracker.loading import tracking_hardware
    from siamla.tracker.settings import TrackerSettings

    users: dict[tuple[Any, Any], Job] = {}
    for job in (job for job in plan.jobs() if job.step == "predict"):
        tracker = job.identity.plain["tracker"]
        users.setdefault((tracker["engine"], tracker["precision"]), job)
    for (engine, precision), job in users.items():
        try:
            tracking_hardware(TrackerSettings(engine=engine, precision=precision))
            resolve_engine(engine, tracking_device())
        except UserError as error:
            yield f"{job.title}: {error}"


def _tables(plan: Plan) -> Iterator[str]:
    mistakes = Mistakes()
    for number in plan.profile.tables:
        with mistakes.noted():
            table_job(plan, number)
    yield from dict.fromkeys(mistakes.lines)


def check_job(plan: Plan) -> Job:
    """The check as a job: it is made again where a profile expects other things of a machine."""
    sets = {name: [str(entry.root), entry.dvc] for name, entry in plan.datasets.items()}
    weights = {digest(plain(spec.model)["weights"]) for spec in plan.experiment.specs.values()}
    trackers = [job.identity.plain["tracker"] for job in plan.jobs() if job.step == "predict"]
    expected = {
        "sets": sets,
        "weights": sorted(weights),
        "imported": {name: plain(entry) for name, entry in plan.profile.imported.items()},
        "engines": sorted({f"{each['engine']} {each['precision']}" for each in trackers}),
    }
    path = Path("results", plan.name, "check.json")
    return Job(
        identity=Identity("check", expected),
        names={"profile": plan.name},
        folder=path.with_suffix(""),
        command=f"siamla config check --profile {plan.name} --stamp",
        title="check",
        entry="check",
        sources=path,
    )


FILES = (missing_data, _moved, _contents, _weights, _imported, _tables)
MACHINE = (_disk, _length, _precision, _engines)


class Findings(NamedTuple):
    """problems stop the experiment, warnings do not."""

    problems: list[str]
    warnings: list[str]


def check(plan: Plan) -> Findings:
    """What would stop the experiment on this machine, all at once; nothing is changed."""
    lines = [line for look in (*FILES, *MACHINE) for line in look(plan)]
    problems = [line for line in lines if not line.startswith(WARNING)]
    warnings = [line.removeprefix(WARNING) for line in lines if line.startswith(WARNING)]
    return Findings(problems, warnings)
