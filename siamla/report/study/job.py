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
from siamla.report.study.page import template
from siamla.report.tables.job import caption
from siamla.report.view import view_job
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
    """Pairs of all trainings of the paper's profile; None where that is not here, or its settings
    are being edited.
    """
    try:
        paper = Plan.load(profile, params)
        courses = [paper.spec(job.names["variant"]).training for job in paper.jobs_of("train")]
    except UserError:
        return None
    return sum(course.epochs * course.pairs_per_epoch for course in courses)


def _parents(plan: Plan, claims: Claims) -> list[Job]:
    """The scores of all variants, and of those that the figures compare the sweeps and maps."""
    figures = figures_of(plan)
    pair = (figures.ours, figures.baseline)
    sweeps = [name for name, one in plan.experiment.sweeps.items() if one.key == claims.swept]
    jobs = [job for job in plan.scores() if "tracker" not in job.names]
    for job in plan.jobs_of("score_sweep"):
        if job.names["sweep"] in sweeps and job.names["variant"] in pair:
            jobs.append(job)
    jobs += [job for job in plan.jobs_of("maps") if job.names["variant"] in pair]
    return [*jobs, *plan.jobs_of("alignment")]


def study_job(plan: Plan) -> Job:
    """The study of a profile; its parents are scores, sweeps, score maps, and what the models do on
    crops.
    """
    claims = claims_of(plan)
    labels = trackers(plan)
    keys = ("label", "headline", "metrics", "synthetic", "layout")
    looks = {name: {k: info[k] for k in keys} for name, info in benchmarks(plan).items()}
    shown: dict[str, Any] = {
        "variants": {name: {"label": labels[name]["label"]} for name in plan.variants},
        "benchmarks": looks,
        "baseline": figures_of(plan).baseline,
        "claims": plain(claims),
        "caption": caption(plan),
        "paper_pairs": _paper_pairs(claims.paper.profile, plan.params),
    }
    code = plan.code.digest("siamla.report.study.build:build", "siamla.report.study.page:markdown")
    code = digest([code, template()])
    folder = Path("reports", plan.name, "study")
    values = {"shown": shown, "code": code}
    return view_job(plan, ("study",), folder, values, _parents(plan, claims), ".json")
