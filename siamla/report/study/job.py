"""The paper's claims, params/claims.yaml, and the study of them as a job of the plan."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.spec import plain
from siamla.files import digest
from siamla.report.drawing.jobs import benchmarks, figures_of, trackers
from siamla.report.tables.job import caption
from siamla.report.view import resource, view_job
from siamla.settings import Chosen, Mistakes, Settings, nearest, read_yaml, validate

Kind = Literal["scores", "drop", "pearson", "spearman", "pearson inside", "spearman inside"]
"""Of what: of scores; of the losses from a sweep's best value to its largest (drop); of the
correlations of confidence and IoU, over all cells or inside the target.
"""


class Part(Settings):
    """One thing that a claim says, put so that a value above 0 is in its favour.

    Attributes:
        weights: variant → its weight in the difference.
        decides: false where it stands beside the verdict.
    """

    words: str
    weights: dict[str, float]
    kind: Kind = "scores"
    decides: bool = True


class Claim(Settings):
    """What is claimed; all parts that decide must hold.

    Attributes:
        paper: where the paper says it, with its numbers.
        gains: the paper's differences of the first part.
        benchmarks, metric: default all of the profile, each by its headline.
    """

    claim: str
    paper: str
    gains: str | None = None
    benchmarks: Chosen | None = None
    metric: str | None = None
    parts: list[Part] = Field(min_length=1)


class Paper(Settings):
    """The paper's own experiments."""

    epochs: int
    data: str
    backbone: str
    benchmarks: str


class Claims(Settings):
    """params/claims.yaml; `swept` is the tracker setting whose sweeps parts of kind drop read."""

    swept: str
    paper: Paper
    claims: list[Claim] = Field(min_length=1)


def claims_of(plan: Plan) -> Claims:
    """params/claims.yaml; UserError for a variant that there is not, with the nearest."""
    path = plan.params / "claims.yaml"
    claims = validate(Claims, read_yaml(path), str(path))
    valid = list(plan.experiment.variants)
    mistakes = Mistakes()
    for number, claim in enumerate(claims.claims):
        for name in dict.fromkeys(name for part in claim.parts for name in part.weights):
            if name not in valid:
                where = f"{path}: claims.{number}"
                mistakes.add(f"{where}: no variant {name!r}; {nearest(name, valid)}")
    mistakes.tell()
    return claims


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
    }
    build = "siamla.report.study.build"
    code = plan.code.digest(f"{build}:build", f"{build}:markdown")
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
