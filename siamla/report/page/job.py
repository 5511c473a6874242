"""The report page as a job of the plan."""

from importlib.resources import files
from pathlib import Path

from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.files import digest
from siamla.report.drawing.jobs import figure_job, figure_names
from siamla.report.tables.job import table_job
from siamla.report.view import view_job

PAGE = "siamla.report.page"


def page_job(plan: Plan) -> Job:
    """The page; its parents are the scores, and its figures and tables stand in its identity."""
    names = ("page.html", "style.css", "script.js")
    texts = [(files(PAGE) / name).read_text(encoding="utf-8") for name in names]
    values = {
        "figures": {name: figure_job(plan, name).key for name in figure_names(plan)},
        "tables": {str(number): table_job(plan, number).key for number in plan.profile.tables},
        "code": digest([texts, plan.code.digest(f"{PAGE}.build", f"{PAGE}.clips")]),
    }
    return view_job(plan, ("page",), Path("reports", plan.name, "index"), values, plan.scores())
