"""The report page from tables, figures and scores that belong to the plan."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.files import date_back, read_json, write_text
from siamla.report.collect import Score
from siamla.report.drawing import jobs as drawing
from siamla.report.measured import Table, place_told, shared_notes, shown
from siamla.report.tables.job import caption, table_job
from siamla.report.view import filled, resource
from siamla.report.views import page_job
from siamla.steps.decision import view_reasons
from siamla.steps.report import built, gather, write_sources


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
        png = job.folder.with_name(f"{job.folder.name}.png").read_bytes()
        figures.append(figure | {"alt": drawn["alt"], "png": base64.b64encode(png).decode()})
    return figures


def _commit(environment: Mapping[str, Any]) -> str:
    return f"commit {(environment.get('git_commit') or 'none')[:12]}"


def _provenance(plan: Plan, page: Job, scores: Sequence[Score]) -> list[dict[str, Any]]:
    """For each benchmark and tracker its score files, their identity and how to make them."""
    trackers, benchmarks = drawing.trackers(plan), drawing.benchmarks(plan)
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for score in scores:
        record, path = score.content["record"], score.folder.as_posix()
        place = place_told(record["place"])
        tracked = f"tracked on {place}" if place else "imported"
        result = {"path": path, "command": page.parents[path].command}
        result |= {"key": record["key"], "content": record["content"]}
        commit = _commit(record["environment"])
        result["about"] = f"scored {record['started']}, {commit}, {tracked}"
        label = trackers[score.tracker]["label"]
        title = f"{label} on {benchmarks[score.benchmark]['label']}"
        new: dict[str, Any] = {"name": f"{score.benchmark}.{score.tracker}", "title": title}
        new |= {"results": [], "identity": _json(record["identity"])}
        groups.setdefault((score.benchmark, score.tracker), new)["results"].append(result)
    return list(groups.values())


def _environments(scores: Sequence[Score]) -> str:
    texts = set()
    for score in scores:
        environment = score.content["record"]["environment"]
        versions = [f"{name} {number}" for name, number in environment.get("versions", {}).items()]
        dirty = " with uncommitted changes" if environment.get("git_dirty") else ""
        python = f"Python {environment.get('python')}"
        texts.add(f"{_commit(environment)}{dirty}; {', '.join([python, *versions])}")
    return "Scored with " + "; ".join(sorted(texts)) + "."


def _tables(plan: Plan, scores: Sequence[Score]) -> list[Table]:
    """The profile's tables, without the caption of the data, which the page has above them."""
    tables = []
    for number in plan.profile.tables:
        job = table_job(plan, number)
        table = built(plan, job, scores)
        data = job.identity.plain["shown"]["caption"].strip()
        tables.append(replace(table, notes=[note for note in table.notes if note != data]))
    return tables


def page(plan: Plan) -> Path:
    """Write reports/{profile}/index.html; its path."""
    job = page_job(plan)
    scores = gather(job.parents.values())
    tables = _tables(plan, scores)
    context = {
        "profile": plan.name,
        "caption": caption(plan),
        "tables": tables,
        "shared": shared_notes(tables),
        "figures": _figures(plan),
        "provenance": _provenance(plan, job, scores),
        "environments": _environments(scores),
        "css": resource("page", "style.css"),
    }
    path = Path("reports", plan.name, "index.html")
    text = filled("page", "page.html", filters={"shown": shown}, html=True, **context)
    write_text(path, text)
    write_sources(job)
    return path
