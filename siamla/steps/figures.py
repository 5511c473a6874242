"""Drawing a figure from results that belong to the plan."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from siamla.benchmark.maps import read_maps
from siamla.data.curate import load_curated
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.report.collect import Score
from siamla.report.drawing.data import Data, Run
from siamla.report.drawing.jobs import figure_job, figures_of
from siamla.report.drawing.style import write
from siamla.report.measured import place_notes
from siamla.steps.perform import sound
from siamla.steps.report import gather, write_sources


def checked(job: Job) -> Path:
    """The folder of a sound result; the weights of a training may be on another machine."""
    return sound(job, ["history.csv"] if job.step == "train" else None)


def _runs(plan: Plan, jobs: Iterable[Job]) -> list[Run]:
    """A run for each benchmark, tracker and seed of which there are predictions, maps or losses."""
    folders: dict[tuple[str, str, int], Path] = {}
    maps = {}
    for job in jobs:
        names = job.names
        benchmark = names.get("benchmark", "")
        if job.step == "maps":
            maps[benchmark, names["variant"], names["seed"]] = read_maps(checked(job) / "maps.npz")
        elif job.step in ("predict", "train"):
            folders[benchmark, names["variant"], names["seed"]] = checked(job)
        elif "tracker" in names:
            results = plan.profile.imported[names["tracker"]].results
            folders[benchmark, names["tracker"], 0] = results[benchmark]
    every = dict.fromkeys([*folders, *maps])
    return [Run(*key, folder=folders.get(key), maps=maps.get(key, ())) for key in every]


def _sources(plan: Plan, job: Job, scores: Sequence[Score]) -> list[str]:
    """The lines of a caption that say what the figure is made from."""
    shown = job.identity.plain["shown"]
    seeds: dict[str, set[int]] = {}
    for names in (parent.names for parent in job.parents.values()):
        if "seed" in names:
            seeds.setdefault(names["variant"], set()).add(names["seed"])
    sequences: dict[str, set[str]] = {}
    keys = []
    for score in scores:
        label = shown["benchmarks"][score.benchmark]["label"]
        sequences.setdefault(label, set()).update(score.content["per_sequence"])
        keys.append(f"{score.folder.as_posix()} {score.content['record']['key']}")
    parts = [f"{name} {', '.join(map(str, sorted(values)))}" for name, values in seeds.items()]
    counts = [f"{label} {len(names)}" for label, names in sequences.items()]
    lines = [shown["caption"].strip(), f"Profile: {plan.name}"]
    lines += [f"Seeds: {'; '.join(parts)}"] if parts else []
    lines += [f"Sequences: {', '.join(counts)}"] if counts else []
    lines += place_notes(scores)
    lines.append(f"Figure {job.names['figure']}, identity {job.key}")
    lines += [f"Made from {len(keys)} scores: {'; '.join(sorted(keys))}"] if keys else []
    return [line for line in lines if line]


def figure(plan: Plan, name: str) -> Path:
    """Draw a figure; its path without a suffix."""
    job = figure_job(plan, name)
    entry = figures_of(plan).figures[name]
    shown = job.identity.plain["shown"]
    jobs = list(job.parents.values())
    scores = gather(parent for parent in jobs if parent.step == "score")
    data = Data(
        trackers=shown["trackers"],
        benchmarks=shown["benchmarks"],
        scores=scores,
        runs=_runs(plan, jobs),
        videos={p.names["dataset"]: load_curated(checked(p)) for p in jobs if p.step == "curate"},
        facts=shown["facts"],
    )
    drawn = write(job.folder, entry, data, _sources(plan, job, scores))
    write_sources(job, title=entry.title, paper=entry.paper, alt=drawn.alt, notes=[*drawn.notes])
    return job.folder
