"""The study as a job of the plan: what it shows, and the stored results that it is made from."""

from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.spec import plain
from siamla.files import digest
from siamla.report.drawing.jobs import benchmarks, figures_of, trackers
from siamla.report.study.claims import Claims, load_claims
from siamla.report.tables.job import caption
from siamla.report.view import resource, view_job
from siamla.settings import Mistakes, nearest


def claims_of(plan: Plan) -> Claims:
    """params/claims.yaml; UserError for a variant that there is not, with the nearest."""
    claims = load_claims(plan.params)
    valid = list(plan.experiment.variants)
    mistakes = Mistakes()
    for number, claim in enumerate(claims.claims):
        for name in dict.fromkeys(name for part in claim.parts for name in part.weights):
            if name not in valid:
                where = f"{plan.params / 'claims.yaml'}: claims.{number}: no variant {name!r}"
                mistakes.add(f"{where}; {nearest(name, valid)}")
    mistakes.tell()
    return claims


def _paper_pairs(profile: str, params: Path) -> int | None:
    """Pairs of all trainings of the paper's profile; None where that cannot be read."""
    try:
        paper = Plan.load(profile, params)
        courses = [paper.spec(job.names["variant"]).training for job in paper.jobs_of("train")]
    except UserError:
        return None
    return sum(course.epochs * course.pairs_per_epoch for course in courses)


def study_job(plan: Plan) -> Job:
    """The study; its parents are scores, sweeps and maps of the two that it compares, and crops."""
    claims = claims_of(plan)
    figures = figures_of(plan)
    labels = trackers(plan)
    sweeps = [name for name, one in plan.experiment.sweeps.items() if one.key == claims.swept]
    keys = ("label", "headline", "metrics", "synthetic", "layout")
    looks = {name: {k: info[k] for k in keys} for name, info in benchmarks(plan).items()}
    shown: dict[str, Any] = {
        "variants": {name: {"label": labels[name]["label"]} for name in plan.variants},
        "benchmarks": looks,
        "baseline": figures.baseline,
        "claims": plain(claims),
        "caption": caption(plan),
        "paper_pairs": _paper_pairs(claims.paper.profile, plan.params),
    }
    code = plan.code.digest("siamla.report.study.build:build", "siamla.report.study.page:markdown")
    code = digest([code, resource("study", "page.md")])
    pair = [*plan.jobs_of("score_sweep"), *plan.jobs_of("maps")]
    pair = [job for job in pair if job.names["variant"] in (figures.ours, figures.baseline)]
    parents = [
        *plan.jobs_of("score"),
        *(job for job in pair if job.names.get("sweep") in (*sweeps, None)),
        *plan.jobs_of("alignment"),
    ]
    folder = Path("reports", plan.name, "study")
    return view_job(plan, ("study",), folder, {"shown": shown, "code": code}, parents, ".json")
