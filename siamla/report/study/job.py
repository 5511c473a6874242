"""The study as a job of the plan: what it shows, and the stored scores, sweeps, score maps and
numbers of crops that it is made from.
"""

from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.experiment.job import Identity, Job
from siamla.experiment.plan import Plan
from siamla.report.drawing.jobs import benchmarks, figures_of, trackers

WINDOW = "window"
"""The tracker setting of Fig. 14: the study reads the sweeps that vary it."""
PAPER = "paper"
"""The profile of the paper's own experiments, whose cost the study tells."""


def _paper_pairs(params: Path) -> int | None:
    """Pairs of all trainings of the paper's profile; None where that is not here, or its settings
    are being edited.
    """
    try:
        paper = Plan.load(PAPER, params)
        courses = [paper.spec(job.names["variant"]).training for job in paper.jobs_of("train")]
    except UserError:
        return None
    return sum(course.epochs * course.pairs_per_epoch for course in courses)


def study_job(plan: Plan) -> Job:
    """The study of a profile; its parents are the scores of its variants, of sweeps of the window,
    score maps, and what the models do on crops.
    """
    figures = figures_of(plan)
    pair = (figures.ours, figures.baseline)
    sweeps = [name for name, sweep in plan.experiment.sweeps.items() if sweep.key == WINDOW]
    jobs = [job for job in plan.scores() if "tracker" not in job.names]
    jobs += [
        job
        for job in plan.jobs_of("score_sweep")
        if job.names["sweep"] in sweeps and job.names["variant"] in pair
    ]
    jobs += [job for job in plan.jobs_of("maps") if job.names["variant"] in pair]
    jobs += plan.jobs_of("alignment")
    every, looks = trackers(plan), benchmarks(plan)
    shown: dict[str, Any] = {
        "variants": {name: {"label": every[name]["label"]} for name in plan.variants},
        "benchmarks": {
            name: {
                key: info[key] for key in ("label", "headline", "metrics", "synthetic", "layout")
            }
            for name, info in looks.items()
        },
        "caption": plan.caption(),
        "paper_pairs": _paper_pairs(plan.params),
    }
    code = plan.code.digest("siamla.report.study.build:build", "siamla.report.study.page:markdown")
    folder = Path("reports", plan.name, "study")
    return Job(
        Identity("study", {"shown": shown, "code": code}),
        {"profile": plan.name},
        folder,
        f"siamla report study --profile {plan.name}",
        "study",
        "study",
        {str(job.folder): job for job in jobs},
        sources=folder.with_name("study.json"),
    )
