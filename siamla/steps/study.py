"""Making the study from stored results that belong to the plan, and its page."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siamla.benchmark.maps import read_maps
from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.files import free_for_output, read_json, write_json, write_text
from siamla.report.collect import Score
from siamla.report.drawing import style
from siamla.report.drawing.data import Run
from siamla.report.measured import place_told
from siamla.report.study.build import GENERATED, build, markdown
from siamla.report.study.figure import draw_doses, draw_readings
from siamla.report.study.grids import Dose, Measured, Reading
from siamla.report.study.job import claims_of, study_job
from siamla.steps.alignment import CROPS
from siamla.steps.figures import checked
from siamla.steps.maps import MAPS
from siamla.steps.report import gather, sources, view_files


def _complete(job: Job) -> None:
    """UserError, in one line, where results of the study are not there yet."""
    every = job.parents.values()
    missing = [each for each in every if not each.record_path.is_file() and each.former() is None]
    if missing:
        profile = job.names["profile"]
        raise UserError(
            f"the study of profile {profile}: {len(missing)} of {len(every)} results are"
            f" missing, the first {missing[0].record_path} ({missing[0].title}); `snakemake --cores"
            f" all --config profile={profile} -- reproduce_study` goes on where it stopped"
        )


def beside_paper(plan: Plan) -> list[dict[str, str]]:
    """What the study does not share with the paper: here, and in the paper."""
    paper = claims_of(plan).paper
    specs = [plan.spec(variant) for variant in plan.variants]
    epochs = ", ".join(map(str, sorted({spec.training.epochs for spec in specs})))
    sizes = ", ".join(map(str, sorted({spec.training.pairs_per_epoch for spec in specs})))
    sets = []
    for name in sorted({name for spec in specs for name in spec.pairs.parts}):
        kind = "rendered" if plan.job("fetch", dataset=name).identity.plain["settings"] else "real"
        sets.append(f"{name} ({kind})")
    frozen = all(spec.training.frozen_epochs >= spec.training.epochs for spec in specs)
    backbones = ", ".join(sorted({spec.model.backbone for spec in specs}))
    backbones += ", frozen" if frozen else ", trained after some epochs"
    real = [entry.label or name for name, entry in plan.profile.benchmarks.items() if not entry.dvc]
    videos = f"real: {', '.join(real)}" if real else "no real video"
    here = f"{epochs} epochs of {sizes} pairs"
    rows = [
        ("Length of the training", here, f"{paper.epochs} epochs"),
        ("Training data", ", ".join(sets), paper.data),
        ("Backbone", backbones, paper.backbone),
        ("Benchmarks", videos, paper.benchmarks),
    ]
    return [dict(zip(("what", "here", "paper"), row, strict=True)) for row in rows]


def _measured(job: Job, scores: list[Score]) -> Measured:
    """The results of the study's parents. scores: those of its score files, checked."""
    runs = []
    crops = []
    for parent in (parent for parent in job.parents.values() if parent.step != "score"):
        checked(parent)
        names = (parent.names["benchmark"], parent.names["variant"], parent.names["seed"])
        if parent.step == "maps":
            runs.append(Run(*names, maps=read_maps(parent.folder / MAPS)))
        else:
            crops.append(Score(*names, {"per_sequence": read_json(parent.folder / CROPS)}))
    shown = job.identity.plain["shown"]
    return Measured(
        shown["variants"],
        shown["benchmarks"],
        scores=[score for score in scores if score.value is None],
        swept=[score for score in scores if score.value is not None],
        runs=runs,
        crops=crops,
        doses=[Dose(**dose) for dose in shown["design"]["doses"]],
        beside=shown["design"]["beside"],
        readings=[Reading(**reading) for reading in shown["design"]["readings"]],
        switches=shown["design"]["switches"],
    )


def _work(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Of some runs how many there are, and their hours, each counted for every thread that it had;
    the same run twice counts once, also where it was taken over under another key.
    """
    runs = {(one["content"], one["started"]): one for one in records if one.get("seconds")}
    seconds = [one["seconds"] * one.get("place", {}).get("threads", 1) for one in runs.values()]
    return {"runs": len(runs), "hours": sum(seconds) / 3600}


def _state(contents: list[Mapping[str, Any]], job: Job) -> dict[str, Any]:
    """What the study is made from. contents: of its score files."""
    environments = [content["record"]["environment"] for content in contents]
    places = {}
    for done, key in (("trained", "training"), ("tracked", "record")):
        told = {place_told(content[key].get("place", {})) for content in contents}
        places[done] = sorted(told - {""})
    return {
        **sources(job),
        "profile": job.names["profile"],
        "caption": job.identity.plain["shown"]["caption"],
        "commits": sorted({str(one.get("git_commit")) for one in environments}),
        "dirty": any(one.get("git_dirty") for one in environments),
        "places": places,
        "work": {
            "trainings": _work([content["training"] for content in contents]),
            "predictions": _work([content["predictions"] for content in contents]),
        },
        "counts": Counter(parent.step for parent in job.parents.values()),
    }


def study(plan: Plan, page: Path | None = None, overwrite: bool = False) -> Path:
    """Write reports/PROFILE/study.json and study.md, and the page also to `page`; the path without
    a suffix.

    UserError, and nothing written, where a result is missing or does not belong to the plan, and
    where `page` is there and no earlier study wrote it, unless it is to be overwritten.
    """
    job = study_job(plan)
    if page is not None:
        ours = page.is_file() and page.read_text(encoding="utf-8").startswith(GENERATED)
        free_for_output(page, overwrite or ours)
    _complete(job)
    scores = gather(parent for parent in job.parents.values() if parent.step == "score")
    shown = job.identity.plain["shown"]
    measured, baseline = _measured(job, scores), shown["baseline"]
    content = build(measured, claims_of(plan), baseline)
    content |= _state([score.content for score in scores], job)
    content["differences"] = beside_paper(plan)
    text = markdown(content)
    write_text(job.folder.with_suffix(".md"), text)
    content["files"] = view_files(job)
    write_json(job.folder.with_suffix(".json"), content)
    if page is not None:
        write_text(page, text)
    figures = {}
    with style.applied():
        if measured.readings:
            figures[f"study_{plan.name}"] = draw_readings(content["contrasts"])
        elif content["doses"]["tables"]:
            label = shown["variants"].get(baseline, {}).get("label", baseline)
            figures["study_doses"] = draw_doses(content["doses"], label)
        for folder in (job.folder.parent, *([] if page is None else [page.parent])):
            for name, figure in figures.items():
                style.save(figure, folder / "images" / f"{name}.svg")
    return job.folder
