"""Checking a data set, and writing its index."""

import sys
from collections.abc import Mapping
from typing import Any

from siamla.data.curate import curate, warnings
from siamla.data.formats import LAYOUTS
from siamla.data.layout import WHOLE
from siamla.data.sources import SOURCES
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


def incomplete(plan: Plan, name: str, counts: Mapping[str, int]) -> list[str]:
    """A line where a set is a part of the published one of its name, by its counts of parts,
    records and boxes, as far as they are known. A set with a name of its own is none.
    """
    entry = plan.datasets[name]
    count, whole, of = "parts", plan.experiment.official(name), "sequences"
    if isinstance(entry, TrainingSet) and name.startswith(entry.layout):
        count, whole, of = WHOLE.get(entry.layout, (count, whole, of))
    found = counts.get(count, whole)
    enough = found == whole if count == "parts" else found >= 0.99 * whole  # some are damaged
    if enough or not whole:
        return []
    so = "not comparable with published results, which are of all"
    return [f"{name}: {found:,} of {whole:,} {of}: {so}"]


def summary(plan: Plan, job: Job) -> str:
    """What a person reads at the end."""
    name = job.names["dataset"]
    entry = plan.datasets[name]
    report = read_json(job.folder / "report.json")
    sequences = "tracks" not in report  # or a table of boxes
    counts = {"parts": report["sequences"]} if sequences else report
    lines = [] if name in plan.profile.train and entry.rendered else incomplete(plan, name, counts)
    for line in lines + (warnings(report) if sequences else []):
        print(f"warning: {line}", file=sys.stderr)
    if not sequences:
        boxes = f"{report['kept']} of {report['boxes']} boxes kept, in {report['tracks']} tracks"
        return f"{name}: {boxes} -> {job.folder}"
    return (
        f"{name}: {report['sequences']} sequences, {report['frames']} frames,"
        f" {report['absent']} without the target, {report['rejected']} sequences rejected ->"
        f" {job.folder}"
    )
