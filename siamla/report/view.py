"""A view as a job: what people read, made from results. The plan knows none of them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from siamla.experiment.job import Identity, Job
from siamla.experiment.plan import Plan

SOURCES = ".sources.json"  # the end of the name of what a view is made from


def view_job(
    plan: Plan,
    words: tuple[str, ...],
    folder: Path,
    values: Mapping[str, Any],
    parents: Iterable[Job],
    suffix: str = SOURCES,
) -> Job:
    """The job of a view.

    Args:
        words: its kind and, of tables and figures, its name.
        folder: the path of its files without their suffixes.
        values: all that decides it beside the results that it shows.
        suffix: the end of the name of the file that says what it is made from.
    """
    kind = words[0]
    names: dict[str, Any] = {"profile": plan.name}
    if len(words) > 1:
        names[kind] = int(words[1]) if words[1].isdigit() else words[1]
    return Job(
        identity=Identity(kind, values),
        names=names,
        folder=folder,
        command=f"siamla report {' '.join(words)} --profile {plan.name}",
        title=" ".join(words),
        entry=kind,
        parents={str(job.folder): job for job in parents},
        sources=folder.with_name(folder.name + suffix),
    )
