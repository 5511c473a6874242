"""Checking a data set, and writing its index."""

import sys
from typing import Any

from siamla.data.curate import curate, warnings
from siamla.data.formats import LAYOUTS
from siamla.data.sources import SOURCES, fragment
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.profile import Benchmark, TrainingSet
from siamla.files import read_json
from siamla.steps.perform import Means, Outcome, hashed, own


def work(plan: Plan, job: Job, record: dict[str, Any], means: Means) -> Outcome:
    """Check every sequence and write an index, or the table of a training set's boxes."""
    name = job.names["dataset"]
    entry = plan.datasets[name]
    own(job.folder, job.step, job.key)
    if isinstance(entry, TrainingSet) and entry.boxes:
        from siamla.data.sources.survey import curate_boxes

        report = curate_boxes(
            entry.root, entry.layout, name, job.folder, means.cores, means.allow_rejected
        )
        return Outcome(report["digest"], hashed(job.folder, ("boxes.parquet", "report.json")))
    report = curate(
        root=entry.root,
        layout=entry.layout,
        name=name,
        out=job.folder,
        frames_limit=entry.frames,
        jobs=means.cores,
        allow_rejected=means.allow_rejected,
    )
    files = ("index.parquet", "report.json", "rejected.csv")
    return Outcome(report["digest"], hashed(job.folder, files))


def listed(entry: TrainingSet | Benchmark) -> int:
    """How many parts a set has by its list or its folders; UserError for another layout."""
    if isinstance(entry, TrainingSet) and entry.boxes:
        return len(SOURCES[entry.layout].parts(entry.root)[0])
    return len(LAYOUTS[entry.layout].names(entry.root))


def summary(plan: Plan, job: Job) -> str:
    """What a person reads at the end."""
    name = job.names["dataset"]
    entry = plan.datasets[name]
    report = read_json(job.folder / "report.json")
    if isinstance(entry, TrainingSet) and not entry.rendered and entry.root.is_dir():
        for line in fragment(name, entry.layout, report | {"parts": listed(entry)}):
            print(f"warning: {line}", file=sys.stderr)
    if "tracks" in report:  # a table of boxes
        boxes = f"{report['kept']} of {report['boxes']} boxes kept, in {report['tracks']} tracks"
        return f"{name}: {boxes} -> {job.folder}"
    for line in warnings(report, plan.experiment.official(name)):
        print(f"warning: {line}", file=sys.stderr)
    return (
        f"{name}: {report['sequences']} sequences, {report['frames']} frames,"
        f" {report['absent']} without the target, {report['rejected']} sequences rejected ->"
        f" {job.folder}"
    )
