"""Making the study from stored results that belong to the plan, and its page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from siamla.benchmark.maps import read_maps
from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.files import free_for_output, read_json, write_json, write_text
from siamla.report.drawing.data import Run, Score
from siamla.report.measured import place_told
from siamla.report.study.build import Measured, build
from siamla.report.study.job import PAPER, study_job
from siamla.report.study.page import GENERATED, markdown, sentence
from siamla.steps.alignment import CROPS
from siamla.steps.figures import as_score, checked
from siamla.steps.maps import MAPS
from siamla.steps.outlook import UNKNOWN, duration
from siamla.steps.perform import check_key
from siamla.steps.report import gather, sources

FRAME, PASSES = (
    1.1,
    3,
)  # docs/performance.md: s of one core for a frame with ResNet-50; forth and back, in frames


def _complete(job: Job) -> None:
    """UserError, in one line, where results of the study are not there yet."""
    missing = [parent for parent in job.parents.values() if not parent.record_path.is_file()]
    if missing:
        profile = job.names["profile"]
        raise UserError(
            f"the study of profile {profile}: {len(missing)} of {len(job.parents)} results are"
            f" missing, the first {missing[0].record_path} ({missing[0].title}); `snakemake --cores"
            f" all --config profile={profile} -- reproduce_study` goes on where it stopped"
        )


def _seconds(jobs: Sequence[Job]) -> float:
    return float(sum(record["seconds"] for job in jobs if (record := job.record())))


def _paper_cost(pairs: int | None) -> str:
    """What training as the paper does would take, of so many pairs in all."""
    if pairs is None:
        return UNKNOWN
    days = pairs * FRAME * PASSES / 86400
    return (
        f"some {days:,.0f} days of one core, reckoned from {FRAME} s a frame; for GPUs, on which it"
        " was not timed"
    )


def differences(plan: Plan, job: Job) -> list[dict[str, str]]:
    """What the study does not share with the paper: here, in the paper, and what it would cost to
    test.
    """
    specs = [plan.spec(variant) for variant in plan.variants]
    trainings = plan.jobs_of("train")
    paper = _paper_cost(job.identity.plain["shown"]["paper_pairs"])
    estimate = (
        f"unknown ({paper})"
        if paper == UNKNOWN
        else f"all trainings of the profile `{PAPER}`: {paper}"
    )
    courses = [spec.training for spec in specs]
    epochs = sorted({course.epochs for course in courses})
    spent = _seconds(trainings)
    longer = (
        f"the trainings here took {duration(spent)} of one process; 50 epochs of the same size,"
        " about "
    )
    longer += duration(spent * 50 / max(epochs))
    sizes = sorted({course.pairs_per_epoch for course in courses})
    sets = sorted({name for spec in specs for name in spec.pairs.parts})
    rendered = {name: plan.job("fetch", dataset=name).identity.plain["settings"] for name in sets}
    sets = [f"{name} ({'rendered' if rendered[name] else 'real'})" for name in sets]
    backbones = sorted({spec.model.backbone for spec in specs})
    frozen = all(course.frozen_epochs >= course.epochs for course in courses)
    real = [entry.label or name for name, entry in plan.profile.benchmarks.items() if not entry.dvc]
    return [
        {
            "what": "Length of the training",
            "paper": "50 epochs",
            "here": f"{', '.join(map(str, epochs))} epochs of {', '.join(map(str, sizes))} pairs",
            "cost": longer if spent else f"unknown ({UNKNOWN})",
        },
        {
            "what": "Training data",
            "here": ", ".join(sets),
            "paper": (
                "GOT-10k alone, or YouTube-BB, ImageNet VID and DET, GOT-10k and COCO together"
            ),
            "cost": estimate,
        },
        {
            "what": "Backbone",
            "here": (
                f"{', '.join(backbones)}, {'frozen' if frozen else 'trained after some epochs'}"
            ),
            "paper": "ResNet-50, its later stages trained after five epochs",
            "cost": estimate,
        },
        {
            "what": "Benchmarks",
            "here": f"real: {', '.join(real)}" if real else "no real video",
            "paper": "OTB100, GOT-10k and four more, all real",
            "cost": (
                "no training: one entry of the profile for each, and tracking it with every model"
            ),
        },
    ]


def _state(scores: dict[Path, Any], job: Job) -> dict[str, Any]:
    """What the study is made from."""
    environments = [score["record"]["environment"] for score in scores.values()]
    places = {
        "trained": [score["training"] for score in scores.values()],
        "tracked": [score["record"] for score in scores.values()],
    }
    return {
        **sources(job),
        "profile": job.names["profile"],
        "caption": job.identity.plain["shown"]["caption"],
        "commits": sorted({str(found.get("git_commit")) for found in environments}),
        "dirty": any(found.get("git_dirty") for found in environments),
        "places": {
            done: sorted({place_told(record.get("place", {})) for record in records} - {""})
            for done, records in places.items()
        },
    }


def study(
    plan: Plan, key: str | None = None, page: Path | None = None, overwrite: bool = False
) -> Path:
    """Write reports/PROFILE/study.json and study.md, and the page also to `page`; the path without
    a suffix.

    UserError, and nothing written, where a result is missing or does not belong to the plan, and
    where `page` is there and no earlier study wrote it, unless it is to be overwritten.
    """
    job = study_job(plan)
    check_key(job, key)
    if page is not None:
        ours = page.is_file() and page.read_text(encoding="utf-8").startswith(GENERATED)
        free_for_output(page, overwrite or ours)
    _complete(job)
    jobs = {parent.folder: parent for parent in job.parents.values()}
    scores = gather(parent for parent in jobs.values() if parent.step == "score")
    stored = [as_score(jobs[path], content) for path, content in scores.items()]
    runs, crops = [], []
    for parent in (parent for parent in jobs.values() if parent.step in ("maps", "alignment")):
        checked(parent)
        names = (parent.names["benchmark"], parent.names["variant"], parent.names["seed"])
        if parent.step == "maps":
            runs.append(Run(*names, maps=read_maps(parent.folder / MAPS)))
        else:
            crops.append(Score(*names, {"per_sequence": read_json(parent.folder / CROPS)}))
    shown = job.identity.plain["shown"]
    measured = Measured(
        shown["variants"],
        shown["benchmarks"],
        [score for score in stored if score.value is None],
        [score for score in stored if score.value is not None],
        runs,
        crops,
    )
    content = build(measured) | _state(scores, job) | {"differences": differences(plan, job)}
    content["sentence"] = sentence(content)
    text = markdown(content)
    write_text(job.folder.with_suffix(".md"), text)
    write_json(job.folder.with_suffix(".json"), content)
    if page is not None:
        write_text(page, text)
    return job.folder
