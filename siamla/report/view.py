"""A view, what people read, as a job, which the plan does not know; and its text by a template."""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from siamla.experiment.job import Identity, Job
from siamla.experiment.plan import Plan


def resource(*path: str) -> str:
    """The text of a file beside this one."""
    return files("siamla.report").joinpath(*path).read_text(encoding="utf-8")


def filled(*path: str, filters: Mapping[str, Any], html: bool = False, **context: Any) -> str:
    """The text of a jinja template, filled in."""
    environment = Environment(
        autoescape=html, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.keep_trailing_newline = True
    environment.filters |= filters
    return environment.from_string(resource(*path)).render(**context)


def view_job(
    plan: Plan,
    words: tuple[str, ...],
    folder: Path,
    values: Mapping[str, Any],
    parents: Iterable[Job],
    suffix: str = ".sources.json",
) -> Job:
    """The job of a view.

    Args:
        words: its kind and, of tables and figures, its name.
        folder: the path of its files without their suffixes.
        values: all that decides it beside the results that it shows.
        suffix: the end of the name of the file that says what it is made from.
    """
    kind = words[0]
    name = words[-1]
    names = {kind: int(name) if name.isdigit() else name} if len(words) > 1 else {}
    return Job(
        identity=Identity(kind, values),
        names={"profile": plan.name, **names},
        folder=folder,
        command=f"siamla report {' '.join(words)} --profile {plan.name}",
        title=" ".join(words),
        entry=kind,
        parents={str(job.folder): job for job in parents},
        sources=folder.with_name(folder.name + suffix),
    )
