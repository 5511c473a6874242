"""The table of views: what people read, made from results. The plan knows none of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from siamla.experiment.job import Identity, Job
from siamla.experiment.plan import Plan
from siamla.report.drawing.jobs import figure_job, figure_names
from siamla.report.page.job import page_key
from siamla.report.study.job import study_job
from siamla.settings import Mistakes


def collection_job(plan: Plan) -> Job:
    """Every score of the profile in long CSV files."""
    folder = Path("results", plan.name, "scores")
    code = plan.code.digest("siamla.report.collect")
    return Job(
        Identity("scores", {"code": code}),
        {"profile": plan.name},
        folder,
        f"siamla report collect --profile {plan.name}",
        "scores",
        "scores",
        {str(job.folder): job for job in plan.scores()},
        sources=folder.with_name(f"{folder.name}.sources.json"),
    )


def sweeps_job(plan: Plan) -> Job:
    """The scores at every point of the profile's sweeps in one long CSV file."""
    folder = Path("results", plan.name, "sweeps")
    code = plan.code.digest("siamla.report.collect:write_sweeps")
    return Job(
        Identity("sweeps", {"code": code}),
        {"profile": plan.name},
        folder,
        f"siamla report sweeps --profile {plan.name}",
        "sweeps",
        "sweeps",
        {str(job.folder): job for job in plan.jobs_of("score_sweep")},
        sources=folder.with_name(f"{folder.name}.sources.json"),
    )


def page_job(plan: Plan) -> Job:
    """The report page."""
    folder = Path("reports", plan.name, "index")
    return Job(
        Identity("page", {"shown": page_key(plan)}),
        {"profile": plan.name},
        folder,
        f"siamla report page --profile {plan.name}",
        "page",
        "page",
        {str(job.folder): job for job in plan.scores()},
        sources=folder.with_name(f"{folder.name}.sources.json"),
    )


def table_job(plan: Plan, number: int) -> Job:
    return plan.table(number)


class View(NamedTuple):
    """A kind of view.

    Attributes:
        job: the job of one, of the plan and, of tables and figures, its name.
        jobs: all of the profile.
    """

    job: Callable[..., Job]
    jobs: Callable[[Plan], list[Job]]


VIEWS: dict[str, View] = {
    "scores": View(collection_job, lambda plan: [collection_job(plan)]),
    "sweeps": View(sweeps_job, lambda plan: [sweeps_job(plan)]),
    "table": View(
        lambda plan, number: table_job(plan, int(number)),
        lambda plan: [table_job(plan, number) for number in plan.profile.tables],
    ),
    "figure": View(
        figure_job, lambda plan: [figure_job(plan, name) for name in figure_names(plan)]
    ),
    "study": View(study_job, lambda plan: [study_job(plan)]),
    "page": View(page_job, lambda plan: [page_job(plan)]),
}


def view(plan: Plan, kind: str, name: Any = None) -> Job:
    """The job of a view."""
    return VIEWS[kind].job(plan) if name is None else VIEWS[kind].job(plan, name)


def view_mistakes(plan: Plan) -> list[str]:
    """A line for each mistake that stops a figure, the study or the page, and no training."""
    mistakes = Mistakes()
    for kind in ("figure", "study", "page"):
        with mistakes.noted():
            VIEWS[kind].jobs(plan)
    return list(dict.fromkeys(mistakes.lines))
