"""Everything that can be known before the first job: what would stop the experiment later, and what
it will cost.
"""

import os
import shutil
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.experiment.plan import GENERATOR, Job, Plan, pointer_digest
from siamla.files import sha256
from siamla.model.settings import Weights
from siamla.report.drawing.jobs import figure_job, figure_names, page_key
from siamla.report.study.job import study_job
from siamla.report.tables.job import table_job
from siamla.settings import Mistakes

SLOW_STEPS = 20_000
"""Training steps of one variant that are worth a warning where there is no GPU: hours with the
smallest network.
"""
SPARE = 2 * 2**30
"""Bytes of free disk below which a run is warned of: what README asks for without the environment,
which is here.
"""


@dataclass
class Findings:
    """problems stop the experiment, views a figure, study or page alone, warnings nothing; checked:
    what was seen.
    """

    problems: list[str] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    checked: dict[str, Any] = field(default_factory=dict)


def missing_data(plan: Plan) -> list[str]:
    """A line for each data set that a job reads and that is not there; quick, so that a look at the
    plan can tell.
    """
    found = Findings()
    _data(plan, found)
    return found.problems


def _data(plan: Plan, found: Findings) -> None:
    for name in plan.sets_in_use():
        entry = plan.datasets[name]
        where = f"{'train' if name in plan.profile.train else 'benchmarks'}.{name}"
        found.checked[where] = entry.root.as_posix()
        if entry.dvc and not entry.dvc.startswith(GENERATOR):
            try:
                pointer_digest(entry.dvc, entry.root)
            except UserError as error:
                found.problems.append(f"{where}.dvc: {error}")
        elif not entry.dvc and not entry.root.is_dir():
            found.problems.append(
                f"{where}.root: {entry.root}: no such folder; put the data there, or name its place"
                " (docs/data.md)"
            )


def _weights(plan: Plan, found: Findings) -> None:
    from siamla.model.backbone import BACKBONES

    seen: dict[tuple[str | None, str], None] = {}
    for variant in chain.from_iterable(plan.models(variant) for variant in plan.variants):
        model = plan.spec(variant).model
        if isinstance(model.weights, Weights):
            seen[
                model.weights.path.as_posix() if model.weights.path else None, model.weights.sha256
            ] = None
        elif model.weights == "package" and BACKBONES[model.backbone].package_weights() is None:
            found.problems.append(f"{variant}: model.weights: no package ships {model.backbone}")
    for path, expected in seen:
        where = "spec.model.weights"
        found.checked[where] = path or "a URL"
        if set(expected) == {"0"}:
            found.problems.append(
                f"{where}.sha256 is all zeros; fill in what `sha256sum {path or 'FILE'}` prints"
            )
        if path is None:
            continue
        if not Path(path).is_file():
            found.problems.append(f"{where}.path: {path}: no such file")
        elif set(expected) != {"0"} and sha256(Path(path)) != expected:
            found.problems.append(f"{where}.path: {path}: its SHA-256 is not {expected}")


def _imported(plan: Plan, found: Findings) -> None:
    for tracker, entry in plan.profile.imported.items():
        for benchmark, folder in entry.results.items():
            if not folder.is_dir():
                where = f"imported.{tracker}.results.{benchmark}"
                found.problems.append(
                    f"{where}: {folder}: no such folder; `siamla results import` makes it"
                )


def _writable(found: Findings) -> None:
    for name in ("data", "results", "reports"):
        place = Path(name)
        place = place if place.exists() else Path()
        if not os.access(place, os.W_OK):
            found.problems.append(f"{name}/: not writable")
    free = shutil.disk_usage(".").free
    found.checked["free disk"] = f"{free // 2**30} GiB"
    if free < SPARE:
        found.warnings.append(f"only {free // 2**20} MiB of disk are free here")


def _device(plan: Plan, found: Findings) -> None:
    import torch

    if torch.cuda.is_available():
        found.checked["device"] = torch.cuda.get_device_name()
        return
    found.checked["device"] = "cpu"
    for job in plan.trainings():
        course = plan.spec(job.names["variant"]).training
        steps = course.epochs * (course.pairs_per_epoch // course.batch)
        if steps > SLOW_STEPS:
            count = len(list(plan.trainings()))
            found.warnings.append(
                f"no GPU is visible, and {count} trainings of {steps:,} steps are planned; on a CPU"
                " they take weeks"
            )
            return


def _engines(plan: Plan, found: Findings) -> None:
    """What nothing but the tracking itself, after all training, would find missing."""
    from siamla.engine.engines import resolve_engine
    from siamla.place import default_device

    users: dict[Any, Job] = {}
    for job in (job for job in plan.jobs() if job.step == "predict"):
        users.setdefault(job.identity.plain["tracker"]["engine"], job)
    found.checked["engines"] = {}
    for engine, job in users.items():
        try:
            found.checked["engines"][engine] = resolve_engine(engine, default_device())
        except UserError as error:
            found.problems.append(f"{job.title}: {error}")


def _tables(plan: Plan, found: Findings) -> None:
    mistakes = Mistakes()
    for number in plan.profile.tables:
        with mistakes.noted():
            table_job(plan, number)
    found.problems += dict.fromkeys(mistakes.lines)


def _views(plan: Plan, found: Findings) -> None:
    mistakes = Mistakes()
    with mistakes.noted():
        for name in figure_names(plan):
            with mistakes.noted():
                figure_job(plan, name)
    for make in (study_job, page_key):
        with mistakes.noted():
            make(plan)
    found.views += dict.fromkeys(line for line in mistakes.lines if line not in found.problems)


def check(plan: Plan) -> Findings:
    """What stops or will stop the experiment on this machine, all at once; nothing is run or
    changed.
    """
    found = Findings()
    _data(plan, found)
    _weights(plan, found)
    _imported(plan, found)
    _writable(found)
    _device(plan, found)
    _engines(plan, found)
    _tables(plan, found)
    _views(plan, found)
    return found
