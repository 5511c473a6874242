"""The paper's claims, params/claims.yaml, and the study of them as a job of the plan."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.profile import Benchmark
from siamla.experiment.spec import plain
from siamla.files import digest
from siamla.provenance.record import flat
from siamla.report.drawing.jobs import benchmarks, figures_of, trackers
from siamla.report.study.switches import design_matrix, switches_of
from siamla.report.tables.job import caption
from siamla.report.view import resource, view_job
from siamla.settings import Mistakes, Settings, nearest, read_yaml, validate

Kind = Literal["scores", "drop", "pearson", "spearman", "pearson inside", "spearman inside"]
"""Of what: of scores; of the losses from a sweep's best value to its largest (drop); of the
correlations of confidence and IoU, over all cells or inside the target.
"""


class Part(Settings):
    """One thing that a claim says, put so that a value above 0 is in its favour.

    Attributes:
        weights: variant → its weight in the difference.
        decides: false where it stands beside the verdict.
        dose: at the largest dose of training, or the slope over the profile's doses.
    """

    words: str
    weights: dict[str, float]
    kind: Kind = "scores"
    decides: bool = True
    dose: Literal["largest", "slope"] | None = None


class Claim(Settings):
    """What is claimed; all parts that decide must hold.

    Attributes:
        paper: where the paper says it, with its numbers.
        gains: the paper's differences of the first part.
    """

    claim: str
    paper: str
    gains: str | None = None
    parts: list[Part] = Field(min_length=1)

    @property
    def dosed(self) -> bool:
        """Whether it is about doses."""
        return self.parts[0].dose is not None

    @model_validator(mode="after")
    def of_one_kind(self) -> "Claim":
        if len({part.dose is None for part in self.parts}) > 1:
            raise ValueError("parts: some have a dose and some not; make two claims of them")
        return self


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
    """params/claims.yaml, those about doses where the profile has doses; UserError for a variant
    that there is not, with the nearest.
    """
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
    if plan.profile.doses:
        return claims
    kept = [claim for claim in claims.claims if not claim.dosed]
    return claims.model_copy(update={"claims": kept})


def _key(entry: Benchmark) -> tuple[Any, ...]:
    """What says that benchmarks show the same sequences."""
    return entry.layout, entry.root, entry.frames


def _steps(plan: Plan, training: str | None, benchmark: str, what: str) -> int:
    """The steps of a training; UserError where the rows of its benchmark differ in steps or
    seeds.
    """
    variants = plan.experiment.runs(benchmark)
    models = [f"{variant}@{training}" if training else variant for variant in variants]
    trainings = [plan.spec(model).training for model in models]
    steps = [one.epochs * (one.pairs_per_epoch // one.batch) for one in trainings]
    seeds = [plan.experiment.seeds(model) for model in models]
    for other, found in (("steps", steps), ("seeds", seeds)):
        if any(one != found[0] for one in found):
            each = ", ".join(f"{model} {one}" for model, one in zip(models, found, strict=True))
            raise UserError(f"profile {plan.name}: {what}: other {other} by row: {each}")
    return steps[0]


def _roots(entries: Mapping[str, Benchmark]) -> dict[tuple[Any, ...], str]:
    """The first benchmark of each set of sequences."""
    first: dict[tuple[Any, ...], str] = {}
    for name, entry in entries.items():
        first.setdefault(_key(entry), name)
    return first


def _of_training(plan: Plan, training: str | None, what: str) -> dict[str, str]:
    """Of each set of sequences the first benchmark → that of a training, with the same tracker;
    UserError where there is none.
    """
    entries = plan.profile.benchmarks
    named = {}
    for key, base in _roots(entries).items():
        wanted = (key, training, entries[base].tracker)
        same = [
            name
            for name, entry in entries.items()
            if (_key(entry), entry.training, entry.tracker) == wanted
        ]
        if not same:
            want = f"no benchmark of {entries[base].root} with training: {training}"
            raise UserError(f"profile {plan.name}: {what}: {base} has {want}")
        named[base] = same[0]
    return named


def _doses(plan: Plan) -> list[dict[str, Any]]:
    """The lengths of training, the shortest first; UserError for equal ones."""
    shown = []
    for dose in (None, *plan.profile.doses) if plan.profile.doses else ():
        named = _of_training(plan, dose, "doses")
        steps = _steps(plan, dose, next(iter(named.values())), "doses")
        shown.append({"steps": steps, "benchmarks": named})
    if len({dose["steps"] for dose in shown}) < len(shown):
        counts = [dose["steps"] for dose in shown]
        raise UserError(f"profile {plan.name}: doses: equal numbers of steps: {counts}")
    return sorted(shown, key=lambda dose: dose["steps"])


def _readings(plan: Plan) -> dict[str, Any]:
    """readings: each with its level of every switch and its benchmarks; switches: their levels.

    UserError where rows of a reading differ in seeds, and where there are too few readings for
    their switches, or some switches change together.
    """
    if not plan.profile.readings:
        return {"readings": [], "switches": {}}
    baseline = figures_of(plan).baseline
    settings = {}
    benchmarks = {}
    for name in plan.profile.readings:
        settings[name] = flat(plain(plan.spec(f"{baseline}@{name}")))
        benchmarks[name] = _of_training(plan, name, "readings")
        _steps(plan, name, next(iter(benchmarks[name].values())), "readings")
    switches = switches_of(settings, flat(plain(plan.spec(baseline))))
    matrix = design_matrix([*settings.values()], switches)
    if np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        raise UserError(
            f"profile {plan.name}: readings: {len(settings)} of them cannot tell these switches"
            f" apart, as some change together or there are too few readings: {', '.join(switches)}"
        )
    shown = []
    for name, own in settings.items():
        levels = {key: own[key] for key in switches}
        shown.append({"name": name, "settings": levels, "benchmarks": benchmarks[name]})
    return {"readings": shown, "switches": switches}


def design(plan: Plan) -> dict[str, Any]:
    """doses: the lengths of training, each with its steps and its benchmark for every one of the
    shortest; beside: label → benchmarks that show the same sequences with a tracker of their own;
    readings, and the switches in which they differ.

    UserError where a dose or a reading lacks a benchmark, or cannot be compared with the others.
    """
    entries = plan.profile.benchmarks
    first = _roots(entries)
    beside: dict[str, list[str]] = {}
    for name, entry in entries.items():
        own = entries[first[_key(entry)]]
        if entry.tracker != own.tracker and entry.training == own.training:
            words = ", ".join(f"{key} {value}" for key, value in entry.tracker.items())
            beside.setdefault(f"one tracker for all rows: {words}", []).append(name)
    return {"doses": _doses(plan), "beside": beside, **_readings(plan)}


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
        "design": design(plan),
    }
    build = "siamla.report.study.build"
    code = plan.code.digest(f"{build}:build", f"{build}:markdown")
    texts = [resource("study", name) for name in ("page.md", "readings.md", "made.md")]
    code = digest([code, texts])
    pair = [*plan.jobs_of("score_sweep"), *plan.jobs_of("maps")]
    pair = [job for job in pair if job.names["variant"] in (figures.ours, figures.baseline)]
    parents = [
        *plan.jobs_of("score"),
        *(job for job in pair if job.names.get("sweep") in (*sweeps, None)),
        *plan.jobs_of("alignment"),
    ]
    folder = Path("reports", plan.name, "study")
    return view_job(plan, ("study",), folder, {"shown": shown, "code": code}, parents, ".json")
