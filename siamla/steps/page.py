"""The report page from tables, figures, scores, records and boxes that are the plan's."""

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
from siamla.report.tables.job import caption, table_job
from siamla.report.views import page_job
from siamla.steps.decision import view_reasons
from siamla.steps.figures import as_score
from siamla.steps.perform import check_key
from siamla.steps.report import built, gather, write_sources

Scores = Mapping[Path, dict[str, Any]]


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False)


def _figures(plan: Plan) -> list[dict[str, Any]]:
    figures = []
    for name in drawing.figure_names(plan):
        job = drawing.figure_job(plan, name)
        if reasons := view_reasons(job):
            words = "; ".join(reasons[:3])
            raise UserError(f"{job.record_path}: {words}; `{job.command}` makes it")
        date_back([job.record_path])
        drawn = read_json(job.record_path)
        title = f"{drawn['paper']}: {drawn['title']}" if drawn["paper"] else drawn["title"]
        figure = {"name": name, "title": title, "notes": " ".join(drawn["notes"]), "key": job.key}
        figure["made"] = _json({key: drawn[key] for key in ("identity", "made_from")})
        figure["picture"] = build.picture(job.folder, name, drawn["alt"])
        figures.append(figure)
    return figures


def _clips(plan: Plan, data: Data, benchmark: str) -> list[dict[str, Any]]:
    """The sequences that ours tracks worst and best, as far as boxes and images are here."""
    ours, baseline = data.role("ours"), data.role("baseline")
    layout, groups = data.benchmarks[benchmark]["layout"], data.of(benchmark)
    curated = plan.job("curate", dataset=benchmark)
    if ours not in groups or layout == "vot" or curated.record() is None:
        return []
    metric, described = data.headline(benchmark)
    contents = [score.content for score in groups[ours]]
    names = members(contents, OVERALL)
    means = by_sequence(contents, names, metric).mean(0).tolist()
    order = sorted(zip(means, names, strict=True))
    videos = {video.name: video for video in load_curated(curated.folder)}
    folders = {}
    for name in (tracker for tracker in (baseline, ours) if tracker in groups):
        seed = groups[name][0].seed
        folders[name] = plan.job("predict", benchmark=benchmark, variant=name, seed=seed).folder
    clips = []
    for word, (mean, name) in (("worst", order[0]), ("best", order[-1])):
        stored = all(store.is_done(folder, name, layout) for folder in folders.values())
        if not stored or name not in videos or not videos[name].frames[0].is_file():
            continue
        boxes = {
            look(data.trackers[tracker])["color"]: store.read_boxes(folder, name, layout)
            for tracker, folder in folders.items()
        }
        colours = [f"{data.label(n)} {'orange' if n == ours else 'blue'}" for n in folders]
        number = f"{described['label']} {mean:.{described['digits']}f}"
        text = f"{word} of {data.label(ours)}: {name}, {number}"
        words = {"alt": f"Clip of the {text}."}
        words["caption"] = f"The {text}. Truth white, {', '.join(colours)}."
        clips.append(build.clip(videos[name], boxes) | words)
    return clips


def _costs(plan: Plan) -> build.Grid:
    """Jobs, time and memory of each step, from the records and Snakemake's timings."""
    rows = []
    places = set()
    jobs = plan.jobs()
    for step in dict.fromkeys(job.step for job in jobs):
        group = [job for job in jobs if job.step == step]
        records = [record for job in group if (record := job.record())]
        places |= {", ".join(str(v) for v in r["place"].values()) for r in records if r["place"]}
        seconds = sum(record["seconds"] for record in records)
        mean = f"{seconds / len(records):.1f}" if records else build.ABSENT
        timings = Path("results", plan.name, "timings", step).rglob("*.tsv")
        memory = [pd.read_csv(path, sep="\t")["max_rss"].astype(float).max() for path in timings]
        most = f"{max(memory):.0f}" if memory else build.ABSENT
        done = f"{len(records)} of {len(group)}"
        rows.append(build.row([step, done, f"{seconds:.0f}", mean, most]))
    note = "Times of single processes with others beside them, so not a measurement of speed."
    note += f" Places: {'; '.join(sorted(places))}." if places else ""
    heads = ["Step", "Results", "Seconds, sum", "Seconds, mean", "Memory, MiB at most"]
    title = "What each step cost"
    return {"title": title, "heads": heads, "rows": rows, "note": note, "sortable": True}


def _commit(environment: Mapping[str, Any]) -> str:
    return f"commit {(environment.get('git_commit') or 'none')[:12]}"


def _provenance(jobs: Mapping[Path, Job], scores: Scores, data: Data) -> list[dict[str, Any]]:
    """For each benchmark and tracker its score files, their identity and how to make them."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for path, job in jobs.items():
        record = scores[path]["record"]
        place = ", ".join(str(v) for v in record["place"].values()) or "imported"
        result = {"path": path.as_posix(), "command": job.command}
        result |= {"key": record["key"], "content": record["content"]}
        commit = _commit(record["environment"])
        result["about"] = f"scored {record['started']}, {commit}, tracked on {place}"
        score = as_score(job, scores[path])
        title = f"{data.label(score.tracker)} on {data.benchmarks[score.benchmark]['label']}"
        new: dict[str, Any] = {
            "anchor": build.anchor(score.benchmark, score.tracker),
            "title": title,
        }
        new |= {"results": [], "identity": _json(record["identity"])}
        groups.setdefault((score.benchmark, score.tracker), new)["results"].append(result)
    return list(groups.values())


def _environments(scores: Scores) -> str:
    texts = set()
    for score in scores.values():
        environment = score["record"]["environment"]
        versions = [f"{name} {number}" for name, number in environment.get("versions", {}).items()]
        dirty = " with uncommitted changes" if environment.get("git_dirty") else ""
        python = f"Python {environment.get('python')}"
        texts.add(f"{_commit(environment)}{dirty}; {', '.join([python, *versions])}")
    return "Scored with " + "; ".join(sorted(texts)) + "."


def page(plan: Plan, key: str | None = None) -> Path:
    """Write reports/{profile}/index.html; its path. `key`: the page's as the caller has it."""
    job = page_job(plan)
    check_key(job, key)
    jobs = {parent.folder: parent for parent in job.parents.values()}
    contents = gather(jobs.values())
    scores = [as_score(job, contents[path]) for path, job in jobs.items()]
    looks = drawing.trackers(plan)
    trackers = {name: looks[name] for name in looks if name in {each.tracker for each in scores}}
    data = Data(trackers, drawing.benchmarks(plan), scores)
    results, overview = build.overview(data)
    sequences = []
    for benchmark in data.benchmarks:
        if grid := build.sequence_grid(data, benchmark):
            sequences.append(grid | {"clips": _clips(plan, data, benchmark)})
    tables = [built(plan, table_job(plan, number), contents) for number in plan.profile.tables]
    context = {
        "profile": plan.name,
        "caption": caption(plan),
        "results": results,
        "overview": overview,
        "tables": [build.table_grid(table, data.role("ours")) for table in tables],
        "figures": _figures(plan),
        "sequences": sequences,
        "costs": _costs(plan),
        "provenance": _provenance(jobs, contents, data),
        "environments": _environments(contents),
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
