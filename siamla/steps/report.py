"""Collecting scores and making tables, from files that belong to the plan."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.files import date_back, read_json, write_json
from siamla.report.collect import Score, write, write_sweeps
from siamla.report.measured import Table
from siamla.report.tables.build import build, write_table
from siamla.report.tables.job import layout_of, table_job
from siamla.report.views import VIEWS, scores_job, sweeps_job
from siamla.settings import Mistakes
from siamla.steps.decision import made
from siamla.steps.perform import damaged, hashed, planned, sound
from siamla.steps.score import SCORES

COLLECTED = ("sequences.csv", "curves.csv", "attributes.csv")  # beside scores.csv


def _consistent(scores: Iterable[Score]) -> None:
    """UserError where scores are of different models of a training, or data of a benchmark."""
    seen: dict[tuple[Any, ...], tuple[Path, str]] = {}
    facts: dict[tuple[Any, ...], str]
    for score in scores:
        facts = {("data", score.benchmark): score.content["record"]["inputs"].get("data")}
        if model := score.content.get(
            "training"
        ):  # a variant may have been trained in several ways
            facts["model", score.tracker, score.seed, model["key"]] = model["content"]
        for what, value in facts.items():
            other, before = seen.setdefault(what, (score.folder, value))
            if before != value:
                words = " ".join(map(str, what))
                both = f"{score.folder} and {other} are of different contents of one {words}"
                raise UserError(f"{both}; run the pipeline again")


def gather(jobs: Iterable[Job]) -> list[Score]:
    """The scores of these jobs, each checked against the plan and all against each other.

    UserError that names the file and what differs, in words.
    """
    scores = []
    for job in jobs:
        content = dict(read_json(sound(job) / SCORES)) | {"record": planned(job)}
        names, value = job.names, None
        with suppress(KeyError, ValueError):  # not swept, or by words
            value = float(names["value"])
        tracker = names.get("variant") or names["tracker"]
        seed = names.get("seed", 0)  # another tracker's results have no seed of ours
        scores.append(Score(names["benchmark"], tracker, seed, content, value, job.folder))
    _consistent(scores)
    return scores


def sources(job: Job) -> dict[str, Any]:
    """What a view is made from: its identity, and key and content of each result by its folder."""
    made_from = {}
    date_back(job.read())
    for parent in job.parents.values():
        record = planned(parent)
        named = {"key": record["key"], "content": record["content"]}
        made_from[parent.folder.as_posix()] = named
    return {"identity": job.identity.plain, "key": job.key, "made_from": made_from}


def view_files(job: Job) -> dict[str, str]:
    """SHA-256 of the files of a view by their names, but for that of its sources."""
    names = {path.name for path in job.folder.parent.glob(f"{job.folder.name}.*")}
    names |= set(COLLECTED if job.step == "collect" else ())
    return hashed(job.folder.parent, names - {job.record_path.name})


def write_sources(job: Job, **more: Any) -> None:
    """Write what a view is made from beside it, and the digests of its files."""
    write_json(job.record_path, sources(job) | {"files": view_files(job)} | more)


def verify_views(plan: Plan) -> tuple[list[str], int]:
    """A line for each view that has changed since it was made, and how many have not. A file that
    holds the sources itself (study.json) is not compared.
    """
    mistakes, whole = Mistakes(), 0
    for kind in VIEWS:
        jobs: list[Job] = []
        with mistakes.noted():
            jobs = VIEWS[kind].jobs(plan)
        for job in jobs:
            told = made(job)
            if told is None:
                continue
            problem: str | None = f"{job.record_path} has no digests: damaged, or made earlier"
            if told.get("files"):
                problem = damaged(replace(job, folder=job.folder.parent), told)
            if problem:
                mistakes.add(f"{problem}; `{job.command}` makes it")
            whole += problem is None
    return mistakes.lines, whole


def collect(plan: Plan) -> Path:
    """Write all scores, curves and attributes as long CSV files; the first of them."""
    job = scores_job(plan)
    write(gather(job.parents.values()), job.folder.parent)
    write_sources(job)
    return job.folder.with_suffix(".csv")


def collect_sweeps(plan: Plan) -> Path:
    """Write the scores at every point of the profile's sweeps as one long CSV file; its path."""
    job = sweeps_job(plan)
    keys = {name: sweep.key for name, sweep in plan.experiment.sweeps.items()}
    path = job.folder.with_suffix(".csv")
    write_sweeps(gather(job.parents.values()), keys, path)
    write_sources(job)
    return path


def built(plan: Plan, job: Job, scores: Iterable[Score]) -> Table:
    """A table of the plan as data, of gathered scores (others than its own do no harm)."""
    number, shown = job.names["table"], job.identity.plain["shown"]
    return build(number, scores, layout_of(plan).tables[number], shown)


def table(plan: Plan, number: int) -> str:
    """Make a table with the list of what each number comes from; its Markdown."""
    job = table_job(plan, number)
    scores = gather(job.parents.values())
    text = write_table(built(plan, job, scores), job.folder.parent)
    origins = {}
    for score in scores:
        named = {name: score.content.get(name) for name in ("training", "predictions")}
        origins[score.folder.as_posix()] = {"inputs": score.content["record"]["inputs"], **named}
    write_sources(job, origins=origins)
    return text
