"""The report page from tables, figures, scores, records and stored boxes that belong to the
plan.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from siamla.benchmark import store
from siamla.data.curate import load_curated
from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.files import date_back, read_json, write_text
from siamla.report.differences import OVERALL, by_sequence, members
from siamla.report.drawing import jobs as drawing
from siamla.report.drawing.data import Data
from siamla.report.drawing.style import look
from siamla.report.page import build
from siamla.report.page.clips import clip
from siamla.report.page.job import page_job
from siamla.report.tables.job import caption, table_job
from siamla.steps.decision import view_reasons
from siamla.steps.figures import as_score
from siamla.steps.perform import check_key
from siamla.steps.report import built, gather, write_sources


def _figures(plan: Plan) -> list[dict[str, Any]]:
    found = []
    for name in drawing.figure_names(plan):
        job = drawing.figure_job(plan, name)
        made = job.folder.with_name(f"{name}.json")
        if not made.is_file():
            raise UserError(f"{made}: not found; `{job.command}` makes it")
        if reasons := view_reasons(job):
            raise UserError(
                f"{made}: not the plan's: {'; '.join(reasons[:3])}; `{job.command}` draws it again"
            )
        date_back([made])
        told = read_json(made)
        title = f"{told['paper']}: {told['title']}" if told["paper"] else told["title"]
        text = json.dumps(
            {key: told[key] for key in ("identity", "made_from")},
            indent=1,
            ensure_ascii=False,
        )
        found.append(
            {
                "name": name,
                "title": title,
                "notes": " ".join(told["notes"]),
                "key": job.key,
                "made": text,
                "picture": build.picture(job.folder, name, told["alt"]),
            }
        )
    return found


def _tables(plan: Plan, scores: Mapping[Path, Any], ours: str | None) -> list[build.Grid]:
    found = []
    for number in plan.profile.tables:
        job = table_job(plan, number)
        own = {
            path: scores[path]
            for parent in job.parents.values()
            if (path := parent.folder) in scores
        }
        found.append(build.table_grid(built(plan, job, own), ours))
    return found


def _clips(plan: Plan, data: Data, benchmark: str) -> list[dict[str, Any]]:
    """The sequence that ours tracks best and the one that it tracks worst, as far as boxes and
    images are here.
    """
    ours, baseline = data.role("ours"), data.role("baseline")
    info, groups = data.benchmarks[benchmark], data.of(benchmark)
    curated = plan.job("curate", dataset=benchmark)
    if ours not in groups or info["layout"] == "vot" or curated.record() is None:
        return []
    values = by_sequence(
        [s.content for s in groups[ours]],
        members([groups[ours][0].content], OVERALL),
        info["headline"],
    )
    names = members([groups[ours][0].content], OVERALL)
    order = sorted(zip(values.mean(0).tolist(), names, strict=True))
    videos = {video.name: video for video in load_curated(curated.folder)}
    shown = {
        name: plan.job(
            "predict", benchmark=benchmark, variant=name, seed=groups[name][0].seed
        ).folder
        for name in (baseline, ours)
        if name in groups
    }
    found = []
    for word, (score, name) in {"worst": order[0], "best": order[-1]}.items():
        stored = all(store.is_done(folder, name, info["layout"]) for folder in shown.values())
        if not stored or name not in videos or not videos[name].frames[0].is_file():
            continue
        boxes = {n: store.read_boxes(folder, name, info["layout"]) for n, folder in shown.items()}
        made = clip(videos[name], boxes, {n: look(data.trackers[n])["color"] for n in boxes})
        colours = ", ".join(
            f"{data.trackers[n]['label']} {'orange' if n == ours else 'blue'}" for n in boxes
        )
        metric = info["metrics"][info["headline"]]
        told = (
            f"{word} of {data.trackers[ours]['label']}: {name}, {metric['label']}"
            f" {score:.{metric['digits']}f}"
        )
        found.append(
            {
                **made._asdict(),
                "caption": f"The {told}. Truth white, {colours}.",
                "alt": f"Clip of the {told}.",
            }
        )
    return found


def _costs(plan: Plan) -> build.Grid:
    """Jobs, time and memory of each step, from the records and Snakemake's timings."""
    rows, places = [], set()
    jobs = plan.jobs()
    for step in dict.fromkeys(job.step for job in jobs):
        members = [job for job in jobs if job.step == step]
        records = [record for job in members if (record := job.record())]
        seconds = [record["seconds"] for record in records]
        places |= {", ".join(str(v) for v in r["place"].values()) for r in records if r["place"]}
        timings = Path("results", plan.name, "timings", step).rglob("*.tsv")
        memory = [pd.read_csv(path, sep="\t")["max_rss"].astype(float).max() for path in timings]
        most = max(memory, default=float("nan"))
        rows.append(
            build.row(
                [
                    build.cell(step),
                    build.cell(f"{len(records)} of {len(members)}", len(records)),
                    build.cell(f"{sum(seconds):.0f}", sum(seconds)),
                    build.cell(
                        f"{sum(seconds) / len(seconds):.1f}" if seconds else "–", sum(seconds)
                    ),
                    build.cell(f"{most:.0f}" if most == most else "–", most),
                ]
            )
        )
    note = "Times of single processes with others beside them, so not a measurement of speed."
    note += f" Places: {'; '.join(sorted(places))}." if places else ""
    heads = ["Step", "Results", "Seconds, sum", "Seconds, mean", "Memory, MiB at most"]
    return {
        "title": "What each step cost",
        "heads": heads,
        "rows": rows,
        "note": note,
        "sortable": True,
    }


def _provenance(
    jobs: Mapping[Path, Job], scores: Mapping[Path, Any], data: Data
) -> list[dict[str, Any]]:
    """For each benchmark and tracker its score files, their identity and how to make them."""
    groups: dict[tuple[str, str], list[Path]] = {}
    for path, job in jobs.items():
        groups.setdefault(
            (job.names["benchmark"], job.names.get("variant", job.names.get("tracker"))), []
        ).append(path)
    found = []
    for (benchmark, tracker), paths in groups.items():
        results = []
        for path in paths:
            record = scores[path]["record"]
            place = ", ".join(str(v) for v in record["place"].values()) or "imported"
            commit = (record["environment"].get("git_commit") or "none")[:12]
            about = f"scored {record['started']}, commit {commit}, tracked on {place}"
            results.append(
                {
                    "path": path.as_posix(),
                    "key": record["key"],
                    "content": record["content"],
                    "about": about,
                    "command": jobs[path].command,
                }
            )
        found.append(
            {
                "anchor": build.anchor(benchmark, tracker),
                "results": results,
                "title": (
                    f"{data.trackers[tracker]['label']} on {data.benchmarks[benchmark]['label']}"
                ),
                "identity": json.dumps(
                    scores[paths[0]]["record"]["identity"], indent=1, ensure_ascii=False
                ),
            }
        )
    return found


def _environments(scores: Mapping[Path, Any]) -> str:
    told = set()
    for score in scores.values():
        found = score["record"]["environment"]
        versions = ", ".join(
            f"{name} {number}" for name, number in found.get("versions", {}).items()
        )
        dirty = " with uncommitted changes" if found.get("git_dirty") else ""
        told.add(
            f"commit {(found.get('git_commit') or 'none')[:12]}{dirty}; Python"
            f" {found.get('python')}, {versions}"
        )
    return "Scored with " + "; ".join(sorted(told)) + "."


def page(plan: Plan, key: str | None = None) -> Path:
    """Write reports/{profile}/index.html; its path. `key`: the page's as the caller has it."""
    job = page_job(plan)
    check_key(job, key)
    jobs = {parent.folder: parent for parent in job.parents.values()}
    scores = gather(jobs.values())
    named = {job.names.get("variant", job.names.get("tracker")) for job in jobs.values()}
    data = Data(
        trackers={
            name: tracker for name, tracker in drawing.trackers(plan).items() if name in named
        },
        benchmarks=drawing.benchmarks(plan),
        scores=[as_score(job, scores[path]) for path, job in jobs.items()],
    )
    results, overview = build.overview(data)
    sequences = []
    for benchmark in data.benchmarks:
        if grid := build.sequence_grid(data, benchmark):
            sequences.append(grid | {"clips": _clips(plan, data, benchmark)})
    again = "\n".join(
        [
            f"make report PROFILE={plan.name}",
            f"snakemake --cores all --config profile={plan.name} -- reproduce_all",
            f"siamla plan --profile {plan.name}        # what would run, and why",
        ]
    )
    context = {
        "title": f"SiamLA, profile {plan.name}",
        "profile": plan.name,
        "caption": caption(plan),
        "results": results,
        "overview": overview,
        "tables": _tables(plan, scores, data.role("ours")),
        "figures": _figures(plan),
        "sequences": sequences,
        "costs": _costs(plan),
        "provenance": _provenance(jobs, scores, data),
        "environments": _environments(scores),
        "again": again,
        "synthetic": any(info["synthetic"] for info in data.benchmarks.values()),
    }
    path = Path("reports", plan.name, "index.html")
    text = build.render(context)
    try:
        write_text(path, text)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None
    write_sources(job)
    return path
