"""Collecting scores and making tables, from files that belong to the plan."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.experiment.plan import Job, Plan
from siamla.files import read_json, write_json
from siamla.report.collect import frames, write, write_sweeps
from siamla.report.render import Table
from siamla.report.tables.build import build, write_table
from siamla.report.tables.job import layout_of, table_job
from siamla.steps.perform import check_key, score_content, verified


def _consistent(scores: dict[Path, dict[str, Any]]) -> None:
    """UserError where two scores are of different models of one training, or of different data of
    one benchmark.
    """
    seen: dict[tuple[Any, ...], tuple[Path, str]] = {}
    facts: dict[tuple[Any, ...], str]
    for path, score in scores.items():
        names, inputs = score["record"]["names"], score["record"]["inputs"]
        facts = {("data", names["benchmark"]): inputs.get("data")}
        if score.get("training"):
            model = score["training"]  # a variant may have been trained in several ways
            facts["model", names["variant"], names["seed"], model["key"]] = model["content"]
        for what, value in facts.items():
            other, before = seen.setdefault(what, (path, value))
            if before != value:
                words = " ".join(map(str, what))
                raise UserError(
                    f"{path} and {other} are of different contents of one {words}; run the pipeline"
                    " again"
                )


def gather(jobs: Iterable[Job]) -> dict[Path, dict[str, Any]]:
    """The score files of these jobs, each checked against the plan and all against each other.

    UserError that names the file and what differs, in words.
    """
    scores = {}
    for job in jobs:
        verified(job)
        scores[job.folder] = score = dict(read_json(job.folder))
        if score_content(score) != score["record"]["content"]:
            told = f"delete it and run the pipeline again, or `{job.command}`"
            raise UserError(f"{job.folder} has changed since it was made; {told}")
    _consistent(scores)
    return scores


def collect(plan: Plan, folder: Path) -> int:
    """Write every score of the profile, its curves and attributes as long CSV files; the number of
    score files.
    """
    scores = gather(plan.scores())
    write(scores, folder)
    return len(scores)


def collect_sweeps(plan: Plan, path: Path) -> int:
    """Write the scores at every point of the profile's sweeps as one long CSV file; the number of
    score files.
    """
    scores = gather(plan.sweeps())
    write_sweeps(scores, {name: sweep.key for name, sweep in plan.experiment.sweeps.items()}, path)
    return len(scores)


def built(plan: Plan, job: Job, scores: dict[Path, dict[str, Any]]) -> Table:
    """A table of the plan as data, of gathered scores (others than its own do no harm)."""
    shown = job.identity.plain["shown"]
    return build(job.names["table"], *frames(scores), layout_of(plan), shown)


def table(plan: Plan, number: int, key: str | None = None) -> str:
    """Make one of the paper's tables with the list of what each of its numbers comes from; its
    Markdown.
    """
    job = table_job(plan, number)
    check_key(job, key)
    scores = gather(job.parents.values())
    text = write_table(built(plan, job, scores), job.folder.parent)
    sources = {}
    for path, score in scores.items():
        parts = {name: score["record"][name] for name in ("key", "content", "inputs")}
        parts |= {name: score.get(name) for name in ("training", "predictions")}
        sources[path.as_posix()] = parts
    path = job.folder.with_name(f"{job.folder.name}.sources.json")
    write_json(path, {"identity": job.identity.plain, "scores": sources})
    return text
