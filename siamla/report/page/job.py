"""What the report page is made from."""

from importlib.resources import files
from typing import Any

from siamla.experiment.plan import Plan
from siamla.files import digest
from siamla.report.drawing.jobs import figure_job, figure_names

PAGE = "siamla.report.page"


def page_key(plan: Plan) -> str:
    """Digest of what the page is made from: scores, figures, tables and its own code."""
    keys: list[list[Any]] = [[job.title, job.key] for job in plan.scores()]
    keys += [[name, figure_job(plan, name).key] for name in figure_names(plan)]
    keys += [[number, plan.table(number).key] for number in plan.profile.tables]
    names = ("page.html", "style.css", "script.js")
    texts = [(files(PAGE) / name).read_text(encoding="utf-8") for name in names]
    return digest([keys, texts, plan.code.digest(f"{PAGE}.build", f"{PAGE}.clips")])
