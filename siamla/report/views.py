"""The table of views: what people read, made from results. The plan knows none of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.files import digest
from siamla.report.drawing.jobs import figure_job, figure_names
from siamla.report.study.job import study_job
from siamla.report.tables.job import table_job
from siamla.report.view import resource, view_job
from siamla.settings import Mistakes


def scores_job(plan: Plan) -> Job:
    """Every score of the profile in long CSV files."""
    values = {"code": plan.code.digest("siamla.report.collect")}
    return view_job(plan, ("collect",), Path("results", plan.name, "scores"), values, plan.scores())


def sweeps_job(plan: Plan) -> Job:
    """The scores at every point of the profile's sweeps in one long CSV file."""
    values = {"code": plan.code.digest("siamla.report.collect:write_sweeps")}
    swept = plan.jobs_of("score_sweep")
    return view_job(plan, ("sweeps",), Path("results", plan.name, "sweeps"), values, swept)


def page_job(plan: Plan) -> Job:
    """The page; its parents are the scores, and its figures and tables stand in its identity."""
    texts = [resource("page", name) for name in ("page.html", "style.css")]
    code = plan.code.digest(*(f"siamla.report.measured:{n}" for n in ("shown", "shared_notes")))
    values = {
        "figures": {name: figure_job(plan, name).key for name in figure_names(plan)},
        "tables": {str(number): table_job(plan, number).key for number in plan.profile.tables},
        "code": digest([texts, code]),
    }
    return view_job(plan, ("page",), Path("reports", plan.name, "index"), values, plan.scores())


class View(NamedTuple):
    """A kind of view: the job of one, of the plan and, of tables and figures, its name; and all of
    the profile.
    """

    job: Callable[..., Job]
    jobs: Callable[[Plan], list[Job]]


VIEWS: dict[str, View] = {
    "collect": View(scores_job, lambda plan: [scores_job(plan)]),
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
