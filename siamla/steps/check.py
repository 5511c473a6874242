"""What can be known before the first job: what would stop the experiment, and its cost."""

import os
import shutil
import sys
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.experiment.job import Identity, Job
from siamla.experiment.plan import Plan
from siamla.experiment.spec import plain
from siamla.experiment.step import GENERATOR, pointer_digest
from siamla.files import digest, sha256
from siamla.model.settings import Weights
from siamla.report.tables.job import table_job
from siamla.settings import Mistakes
from siamla.steps.costs import brief

SLOW_STEPS = 20_000  # of one training, worth a warning: hours without a GPU with a small network
SPARE = 2 * 2**30  # bytes of free disk that README asks for, without the environment


@dataclass
class Findings:
    """problems stop the experiment, warnings do not; checked: what was looked at."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    checked: dict[str, Any] = field(default_factory=dict)


def missing_data(plan: Plan) -> list[str]:
    """A line for each data set that a job reads and that is not there."""
    findings = Findings()
    _data(plan, findings)
    return findings.problems


def _data(plan: Plan, findings: Findings) -> None:
    for name in plan.sets_in_use():
        entry = plan.datasets[name]
        where = f"{'train' if name in plan.profile.train else 'benchmarks'}.{name}"
        findings.checked[where] = entry.root.as_posix()
        if entry.dvc and not entry.dvc.startswith(GENERATOR):
            try:
                pointer_digest(entry.dvc, entry.root)
            except UserError as error:
                findings.problems.append(f"{where}.dvc: {error}")
        elif not entry.dvc and not entry.root.is_dir():
            what = "no such folder; put the data there, or name its place (docs/data.md)"
            findings.problems.append(f"{where}.root: {entry.root}: {what}")


def _moved(plan: Plan, findings: Findings) -> None:
    """Folders of which results are here that were made from another folder: it may hold other data,
    and only a look at every file tells.
    """
    for name in plan.sets_in_use():
        job, entry = plan.job("fetch", dataset=name), plan.datasets[name]
        before = None if entry.dvc else (job.record() or {}).get("folder")
        if before not in (None, digest(str(entry.root))):
            what = f"{entry.root}: another folder than when its content was noted"
            findings.problems.append(f"{what}; `{job.command}` looks at this one first")


def _contents(plan: Plan, findings: Findings) -> None:
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
            where = f"{'train' if name in plan.profile.train else 'benchmarks'}.{name}"
            findings.problems.append(f"{where}.root, layout {entry.layout}: {error}")
            continue
        findings.warnings += incomplete(plan, name, {"parts": parts})


def _weights(plan: Plan, findings: Findings) -> None:
    from siamla.model.backbone import backbone_class

    where = "spec.model.weights"
    files: set[tuple[Path | None, str]] = set()
    for name in dict.fromkeys(chain.from_iterable(map(plan.models, plan.variants))):
        model = plan.spec(name).model
        if isinstance(model.weights, Weights):
            files.add((model.weights.path, model.weights.sha256))
        elif model.weights == "package" and not backbone_class(model.backbone).package_weights():
            findings.problems.append(f"{name}: model.weights: no package ships {model.backbone}")
    for path, expected in sorted(files, key=str):
        findings.checked[where] = path.as_posix() if path else "a URL"
        if set(expected) == {"0"}:
            help_ = f"fill in what `sha256sum {path or 'FILE'}` prints"
            findings.problems.append(f"{where}.sha256 is all zeros; {help_}")
        if path and not path.is_file():
            findings.problems.append(f"{where}.path: {path}: no such file")
        elif path and set(expected) != {"0"} and sha256(path) != expected:
            findings.problems.append(f"{where}.path: {path}: its SHA-256 is not {expected}")


def _imported(plan: Plan, findings: Findings) -> None:
    for tracker, entry in plan.profile.imported.items():
        for benchmark, folder in entry.results.items():
            if not folder.is_dir():
                where = f"imported.{tracker}.results.{benchmark}"
                what = "no such folder; `siamla results import` makes it"
                findings.problems.append(f"{where}: {folder}: {what}")


def _disk(_: Plan, findings: Findings) -> None:
    for name in ("data", "results", "reports"):
        folder = Path(name) if Path(name).exists() else Path()
        if not os.access(folder, os.W_OK):
            findings.problems.append(f"{name}/: not writable")
    free = shutil.disk_usage(".").free
    findings.checked["free disk"] = f"{free // 2**30} GiB"
    if free < SPARE:
        findings.warnings.append(f"only {free // 2**20} MiB of disk are free here")


def _device(plan: Plan, findings: Findings) -> None:
    import torch

    visible = torch.cuda.is_available()
    findings.checked["device"] = torch.cuda.get_device_name() if visible else "cpu"
    waiting = [job for job in plan.jobs_of("train") if job.record() is None]
    courses = [plan.spec(job.names["variant"]).training for job in waiting]
    steps = [each.epochs * (each.pairs_per_epoch // each.batch) for each in courses]
    if max(steps, default=0) > SLOW_STEPS:
        said = "siamla: reckoning what the trainings take, some half a minute …"
        print(said, file=sys.stderr, flush=True)
        planned = f"{len(steps)} trainings of up to {max(steps):,} steps are planned"
        seen = "" if visible else "no GPU is visible, and "
        findings.warnings.append(f"{seen}{planned}: {brief(plan, waiting)}")


def _precision(plan: Plan, findings: Findings) -> None:
    """Trainings that are not done yet, in a precision that the device lacks."""
    from siamla.hardware import default_device, hardware_on

    for job in plan.jobs_of("train"):
        precision = plan.spec(job.names["variant"]).training.precision
        try:
            hardware_on(default_device(), precision, threads=1)
        except UserError as error:
            if job.record() is None:
                findings.problems.append(f"{job.title}: {error}")
                return


def _engines(plan: Plan, findings: Findings) -> None:
    """Engines and precisions that tracking, after all training, would find missing."""
    from siamla.engine.engines import resolve_engine
    from siamla.hardware import tracking_device
    from siamla.tracker.loading import tracking_hardware
    from siamla.tracker.settings import TrackerSettings

    users: dict[tuple[Any, Any], Job] = {}
    for job in (job for job in plan.jobs() if job.step == "predict"):
        tracker = job.identity.plain["tracker"]
        users.setdefault((tracker["engine"], tracker["precision"]), job)
    findings.checked["engines"] = {}
    for (engine, precision), job in users.items():
        try:
            tracking_hardware(TrackerSettings(engine=engine, precision=precision))
            findings.checked["engines"][engine] = resolve_engine(engine, tracking_device())
        except UserError as error:
            findings.problems.append(f"{job.title}: {error}")


def _tables(plan: Plan, findings: Findings) -> None:
    mistakes = Mistakes()
    for number in plan.profile.tables:
        with mistakes.noted():
            table_job(plan, number)
    findings.problems += dict.fromkeys(mistakes.lines)


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


def check(plan: Plan) -> Findings:
    """What would stop the experiment on this machine, all at once; nothing is changed."""
    findings = Findings()
    looks = (
        _data,
        _moved,
        _contents,
        _weights,
        _imported,
        _disk,
        _device,
        _precision,
        _engines,
        _tables,
    )
    for look in looks:
        look(plan, findings)
    return findings
