"""The check that MLflow shows what the result files say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.files import digest, read_json, write_json
from siamla.mlflow_view.entries import WALL_TIME, flat, read_history, same, scores_of
from siamla.mlflow_view.mirror import (
    CURRENT,
    KEY,
    SCORED,
    TRAINED,
    Tracking,
    init_tracking,
    log_scores,
    log_training,
    logged_history,
    tracking_uri,
    training_record,
)
from siamla.provenance.record import read_record, run_key


@dataclass
class Audit:
    """What was compared (counts), what was added to MLflow, and where both disagree."""

    runs: int = 0
    parameters: int = 0
    epoch_values: int = 0
    scores: int = 0
    backfilled: int = 0
    without_training: list[str] = field(default_factory=list)  # imported results: nothing to mirror onto
    problems: list[str] = field(default_factory=list)


def all_runs(tracking: Tracking) -> list[Any]:
    """Every run of the experiment; a plain search stops at a thousand without a word."""
    runs: list[Any] = []
    token = None
    while True:
        page = tracking.client.search_runs([tracking.experiment_id], max_results=500, page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            return runs


def _check(audit: Audit, what: str, file: float | str, mirror: float | str | None) -> None:
    equal = same(file, mirror) if isinstance(file, float) and isinstance(mirror, float) else file == mirror
    if not equal:
        audit.problems.append(f"{what}: {file} in the file, {mirror} in MLflow")


def _audit_training(audit: Audit, tracking: Tracking, run_dir: Path, runs: Mapping[str, Any]) -> None:
    record = read_record(run_dir / "run.json")
    run = runs.get(run_key(record))
    if run is None or run.data.tags.get(TRAINED) != digest(record):
        audit.backfilled += log_training(tracking, run_dir)
    if run is None:
        return
    history = read_history(run_dir / "history.csv")
    logged = logged_history(tracking, run.info.run_id, list(history))
    parameters = tracking.client.get_run(run.info.run_id).data.params
    for name, text in flat(record["spec"]).items():
        _check(audit, f"{run_dir}: parameter {name}", text, parameters.get(name))
        audit.parameters += 1
    for metric, points in history.items():
        extra = sorted(set(logged[metric]) - set(points))
        if extra:
            audit.problems.append(f"{run_dir}: {metric}: MLflow has epoch {extra[0]}, the file does not")
        for step, value in points.items():
            if metric != WALL_TIME:
                _check(audit, f"{run_dir}: {metric} of epoch {step}", value, logged[metric].get(step))
            audit.epoch_values += 1


def _audit_scores(audit: Audit, tracking: Tracking, results: Path, path: Path, runs: Mapping[str, Any]) -> None:
    score = read_json(path)
    record = training_record(results, score)
    if record is None:
        audit.without_training.append(str(path))
        return
    run = runs.get(run_key(record))
    if run is None or run.data.tags.get(SCORED + score["record"]["benchmark"]) != digest(score["record"]):
        audit.backfilled += log_scores(tracking, path, record)
    if run is None:
        return
    wanted = scores_of(score)
    logged = logged_history(tracking, run.info.run_id, list(wanted))
    for metric, value in wanted.items():
        _check(audit, f"{path}: {metric}", value, logged[metric].get(0))
        audit.scores += 1


def _mark_current(tracking: Tracking, keys: set[str], runs: Mapping[str, Any]) -> None:
    """Say of each run whether the files on disk still belong to it, so that people can filter the others out."""
    for key, run in runs.items():
        wanted = "true" if key in keys else "false"
        if run.data.tags.get(CURRENT) != wanted:
            tracking.client.set_tag(run.info.run_id, CURRENT, wanted)


def _runs_by_key(tracking: Tracking) -> dict[str, Any]:
    return {run.data.tags[KEY]: run for run in all_runs(tracking) if KEY in run.data.tags}


def sync_tracking(results: Path, profile: str, out: Path) -> Audit:
    """Bring MLflow up to date with the files of a profile and compare both; writes `out` (tracking_audit.json).

    Trainings and scores that MLflow lacks, or holds from an earlier execution, are logged. Then every parameter, every
    epoch's values and every score are compared. UserError when MLflow cannot be reached, or when a value differs that
    was mirrored from the very record on disk: one of the two was changed by hand.
    """
    tracking = init_tracking(results, profile)
    run_dirs = sorted(path.parent for path in (results / profile / "train").glob("*/seed*/run.json"))
    score_files = sorted((results / profile / "scores").glob("*/*/seed*.json"))
    audit = Audit()
    for attempt in ("fill", "compare"):  # runs that the first pass makes are compared in the second
        added, audit = audit.backfilled, Audit()
        runs = _runs_by_key(tracking)
        for run_dir in run_dirs:
            _audit_training(audit, tracking, run_dir, runs)
        for path in score_files:
            _audit_scores(audit, tracking, results, path, runs)
        audit.backfilled += added
        if attempt == "fill" and not audit.backfilled:
            break
    keys = {run_key(read_record(run_dir / "run.json")) for run_dir in run_dirs}
    _mark_current(tracking, keys, runs)
    audit.runs = len(keys)
    write_json(out, {"profile": profile, "uri": tracking_uri(results), **vars(audit)})
    if audit.problems:
        more = f" (and {len(audit.problems) - 1} more, see {out})" if len(audit.problems) > 1 else ""
        raise UserError(f"MLflow and the files disagree: {audit.problems[0]}{more}; delete the MLflow run to redo it")
    return audit
