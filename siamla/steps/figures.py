"""Drawing a figure from results that belong to the plan."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from siamla.benchmark.maps import read_maps
from siamla.data.curate import load_curated
from siamla.experiment.figures import Figure, Frames, Ranking
from siamla.experiment.plan import Job, Plan
from siamla.files import write_json
from siamla.report.drawing.jobs import figure_job, figures_of, published
from siamla.report.figures.data import Data, Run, Score
from siamla.report.figures.make import write
from siamla.report.measured import place_told
from siamla.steps.perform import check_key, sound, verified
from siamla.steps.report import gather

HISTORY = "history.csv"


def checked(job: Job) -> Path:
    """The folder of a result that belongs to the plan and is as it was made. Of a training a figure
    reads the course alone; its weights may have stayed on another machine.
    """
    verified(job)
    return sound(job, [HISTORY] if job.step == "train" else None)


def origin(jobs: Iterable[Job]) -> dict[str, dict[str, str]]:
    """Folder → key and content of the results of these jobs."""
    records = {job.folder.as_posix(): verified(job) for job in jobs}
    return {
        folder: {name: record[name] for name in ("key", "content")}
        for folder, record in records.items()
    }


def as_score(job: Job, content: dict[str, Any]) -> Score:
    """A score of the plan as figures take it."""
    names = job.names
    tracker, value = names.get("variant", names.get("tracker")), names.get("value")
    assert tracker is not None
    return Score(
        names["benchmark"],
        tracker,
        names.get("seed", 0),
        content,
        None if value is None else float(value),
    )


def _runs(plan: Plan, entry: Figure, jobs: list[Job]) -> list[Run]:
    """A run for each benchmark, tracker and seed of which there are predictions or maps."""
    found: dict[tuple[str, str, int], Run] = {}
    for job in (job for job in jobs if job.step in ("predict", "maps", "train")):
        names = job.names
        key, folder = (names.get("benchmark", ""), names["variant"], names["seed"]), checked(job)
        before = found.get(key, Run(*key))
        if job.step == "maps":
            found[key] = Run(*key, folder=before.folder, maps=read_maps(folder / "maps.npz"))
        else:
            found[key] = Run(*key, folder=folder, maps=before.maps)
    for job in (job for job in jobs if isinstance(entry, Frames) and "tracker" in job.names):
        benchmark, tracker = job.names["benchmark"], job.names["tracker"]
        found[benchmark, tracker, 0] = Run(
            benchmark, tracker, 0, plan.profile.imported[tracker].results[benchmark]
        )
    return list(found.values())


def _mixed(scores: dict[Path, dict[str, Any]]) -> list[str]:
    """Lines that say where the scores were made, if not all in the same precision and on the same
    kind of device.
    """
    lines = []
    for done, key in (("Trained", "training"), ("Tracked", "record")):
        parts = [score[key] for score in scores.values() if score.get(key)]
        counts = Counter(told for part in parts if (told := place_told(part.get("place", {}))))
        if len(counts) > 1:
            lines.append(
                f"{done} on"
                f" {'; '.join(f'{told}: {count} scores' for told, count in sorted(counts.items()))}"
            )
    return lines


def _sources(plan: Plan, job: Job, scores: dict[Path, dict[str, Any]]) -> list[str]:
    """The lines of a caption that say what the figure is made from."""
    shown = job.identity.plain["shown"]
    seeds: dict[str, set[int]] = {}
    for parent in job.parents.values():
        if "seed" in parent.names:
            seeds.setdefault(parent.names["variant"], set()).add(parent.names["seed"])
    told = "; ".join(f"{name} {', '.join(map(str, sorted(own)))}" for name, own in seeds.items())
    names: dict[str, set[str]] = {}
    for score in scores.values():
        names.setdefault(score["record"]["names"]["benchmark"], set()).update(score["per_sequence"])
    counts = ", ".join(
        f"{shown['benchmarks'][name]['label']} {len(own)}" for name, own in names.items()
    )
    lines = [shown["caption"].strip(), f"Profile: {plan.name}", f"Seeds: {told}" if told else ""]
    lines += [f"Sequences: {counts}" if counts else "", *_mixed(scores)]
    lines.append(f"Figure {job.names['figure']}, identity {job.key}")
    if scores:
        keys = sorted(
            f"{path.as_posix()} {score['record']['key']}" for path, score in scores.items()
        )
        lines.append(f"Made from {len(keys)} scores: {'; '.join(keys)}")
    return [line for line in lines if line]


def figure(plan: Plan, name: str, key: str | None = None) -> Path:
    """Draw a figure; its path without a suffix. `key`: the identity's digest that the caller
    expects.
    """
    job = figure_job(plan, name)
    check_key(job, key)
    entry, shown = figures_of(plan).figures[name], job.identity.plain["shown"]
    jobs = list(job.parents.values())
    scores = gather(parent for parent in jobs if parent.step == "score")
    by_folder = {parent.folder: parent for parent in jobs}
    data = Data(
        trackers=shown["trackers"],
        benchmarks=shown["benchmarks"],
        scores=[as_score(by_folder[path], content) for path, content in scores.items()],
        runs=_runs(plan, entry, jobs),
        videos={p.names["dataset"]: load_curated(checked(p)) for p in jobs if p.step == "curate"},
        published=published(entry) if isinstance(entry, Ranking) else {},
        sweep=shown.get("sweep", {}),
        synthetic=shown.get("synthetic", False),
    )
    drawn = write(job.folder, entry, data, _sources(plan, job, scores))
    made = {
        "identity": job.identity.plain,
        "key": job.key,
        "title": entry.title,
        "paper": entry.paper,
        "alt": drawn.alt,
        "notes": list(drawn.notes),
        "scores": origin(p for p in jobs if p.step == "score"),
        "results": origin(p for p in jobs if p.step != "score"),
    }
    write_json(job.folder.with_name(f"{name}.json"), made)
    return job.folder
