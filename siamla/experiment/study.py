"""The study as a job of the plan: what it shows, and the stored scores, sweeps and score maps that it is made from; and
what decides what a benchmark's models do on crops, which the study shows where it was measured."""

from pathlib import Path
from typing import Any

from siamla.experiment import identity
from siamla.experiment.drawing import benchmarks, figures_of, trackers
from siamla.experiment.plan import Job, Plan, engine_code
from siamla.files import digest
from siamla.provenance.code import code_digest

WINDOW = "window"
"""The tracker setting of Fig. 14: the study reads the sweeps that vary it."""
CROPS, SEED = 16, 0
"""Search crops a sequence, and what draws their shifts and scales."""


def crops_path(plan: Plan, benchmark: str) -> Path:
    """Where the numbers of a benchmark's crops stand."""
    return Path("results", plan.name, "alignment", f"{benchmark}.json")


def crops_benchmarks(plan: Plan) -> list[str]:
    """The benchmarks whose truth can be cropped around: not those of another protocol than one pass."""
    return [name for name in plan.profile.benchmarks if not plan.experiment.protocol(name).supervised]


def crops_models(plan: Plan, benchmark: str) -> dict[str, dict[int, Job]]:
    """Variant → seed → the training whose model a benchmark is run with."""
    runs = plan.experiment.runs(benchmark)
    return {
        name: {seed: plan.train(plan.experiment.model(name, benchmark), seed) for seed in plan.experiment.seeds(name)}
        for name in runs
    }


def crops_identity(plan: Plan, benchmark: str) -> dict[str, Any]:
    """All that decides the numbers of a benchmark's crops: models, clips, crops and code."""
    models = crops_models(plan, benchmark)
    trackers = {name: plan.experiment.tracker(name, benchmark) for name in models}
    engines = sorted({code for settings in trackers.values() for code in engine_code(settings.engine)})
    return {
        "models": {name: {str(seed): job.key for seed, job in own.items()} for name, own in models.items()},
        "data": plan.curate(benchmark).key,
        "precision": {name: settings.precision for name, settings in trackers.items()},
        "crops": CROPS,
        "seed": SEED,
        "code": code_digest("siamla.benchmark.alignment:alignment", "siamla.benchmark.alignment:cut", *engines),
    }


def crops_key(plan: Plan, benchmark: str) -> str:
    """Digest of `crops_identity`."""
    return digest(crops_identity(plan, benchmark))


def crops_inputs(plan: Plan, benchmark: str) -> list[str]:
    """The stamps of what has to be there before a benchmark's crops are measured."""
    models = [job for own in crops_models(plan, benchmark).values() for job in own.values()]
    return sorted({job.stamp.as_posix() for job in [plan.curate(benchmark), *models]})


def study_job(plan: Plan) -> Job:
    """The study of a profile; its parents are the scores of its variants, of sweeps of the window, and score maps."""
    figures = figures_of(plan)
    pair = (figures.ours, figures.baseline)
    sweeps = [name for name, sweep in plan.experiment.sweeps.items() if sweep.key == WINDOW]
    jobs = [job for job in plan.scores() if "tracker" not in job.names]
    jobs += [job for job in plan.sweeps() if job.names["sweep"] in sweeps and job.names["variant"] in pair]
    jobs += [job for job in plan.map_jobs() if job.names["variant"] in pair]
    every, looks = trackers(plan), benchmarks(plan)
    shown: dict[str, Any] = {
        "variants": {name: {"label": every[name]["label"]} for name in plan.variants},
        "benchmarks": {
            name: {key: info[key] for key in ("label", "headline", "metrics", "synthetic", "layout")}
            for name, info in looks.items()
        },
        "caption": plan.caption(),
    }
    code = code_digest("siamla.report.study.build:build", "siamla.report.study.page:markdown")
    folder = Path("reports", plan.name, "study")
    return Job(identity.Study(shown, code), {"profile": plan.name}, folder, {str(job.folder): job for job in jobs})
