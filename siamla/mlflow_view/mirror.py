"""MLflow as a mirror of the result files, for people to look at: no table and no later step reads from it.

One run for each variant and seed. Its key, kept in the tag `siamla.key`, follows from the settings, the code, the data
and the seed, so any process finds the run again; other settings make another run.
"""

import fcntl
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.files import digest, read_json
from siamla.mlflow_view.entries import WALL_TIME, History, flat, history_of, read_history, same, scores_of
from siamla.provenance.record import read_record, run_key

log = logging.getLogger(__name__)

KEY = "siamla.key"
CURRENT = "siamla.current"  # "false" once the files on disk belong to another run
TRAINED = "siamla.trained"  # digest of the training record that the run holds
SCORED = "siamla.scored."  # + benchmark: digest of the score record that the run holds
BATCH = {"metrics": 500, "params": 100, "tags": 100}  # MLflow's own limits are 1000, 100 and 100


@dataclass(frozen=True)
class Tracking:
    """An open MLflow experiment. client is an mlflow.MlflowClient."""

    client: Any
    experiment_id: str
    results: Path


@contextmanager
def _locked(results: Path) -> Iterator[None]:
    """Only one process of this results folder at a time."""
    results.mkdir(parents=True, exist_ok=True)
    with (results / ".mlflow.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def tracking_uri(results: Path) -> str:
    """Where MLflow keeps its runs: MLFLOW_TRACKING_URI, or a SQLite file in the results folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{results.resolve() / 'mlflow.db'}"


def _client(uri: str) -> Any:
    """An MLflow client; the first one migrates the data base. Imported here, since the import takes seconds."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # a pipeline must not call home
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from mlflow import MlflowClient

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    return MlflowClient(uri)


@cache
def _open(uri: str, results: Path, profile: str) -> Tracking:
    name = f"siamla/{profile}"
    # A server keeps artefacts itself; otherwise they must not land in whatever folder the command was run from.
    location = None if uri.startswith("http") else (results / "mlflow" / profile).as_uri()
    with _locked(results):  # MLflow's migration and its creation of an experiment are not safe side by side
        client = _client(uri)
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            return Tracking(client, client.create_experiment(name, artifact_location=location), results)
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
        return Tracking(client, experiment.experiment_id, results)


def init_tracking(results: Path, profile: str) -> Tracking:
    """Migrate the data base and create the experiment `siamla/{profile}`; safe to call again and from many processes.

    UserError when MLflow cannot be opened.
    """
    uri = tracking_uri(results)
    try:
        return _open(uri, results.resolve(), profile)
    except Exception as error:
        raise UserError(f"MLflow at {uri}: cannot be opened ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _log(tracking: Tracking, run_id: str, **what: list[Any]) -> None:
    """log_batch in pieces that MLflow accepts; what: metrics=, params= or tags=."""
    for name, entries in what.items():
        for start in range(0, len(entries), BATCH[name]):
            tracking.client.log_batch(run_id, **{name: entries[start : start + BATCH[name]]})


def _tag(tracking: Tracking, run_id: str, tags: Mapping[str, Any]) -> None:
    from mlflow.entities import RunTag

    _log(tracking, run_id, tags=[RunTag(name, str(value)) for name, value in tags.items() if value is not None])


def find_or_create(tracking: Tracking, record: Mapping[str, Any]) -> str:
    """The id of the run that a training record describes, made where there is none yet."""
    key = run_key(record)
    with _locked(tracking.results):
        found = tracking.client.search_runs([tracking.experiment_id], f"tags.`{KEY}` = '{key}'", max_results=1)
        if found:
            return str(found[0].info.run_id)
        start = int(datetime.fromisoformat(record["started"]).timestamp() * 1000) if record.get("started") else None
        name = f"{record['variant']} seed {record['seed']}"
        tags = {KEY: key, CURRENT: "true", "profile": record["profile"], "variant": record["variant"]}
        tags["seed"] = str(record["seed"])
        run = tracking.client.create_run(tracking.experiment_id, start_time=start, tags=tags, run_name=name)
        return str(run.info.run_id)


def logged_history(tracking: Tracking, run_id: str, metrics: Sequence[str]) -> History:
    """What MLflow holds of the given metrics; of several values at one step, the latest."""
    history: History = {}
    for name in metrics:
        points = sorted(tracking.client.get_metric_history(run_id, name), key=lambda point: point.timestamp)
        history[name] = {point.step: point.value for point in points}
    return history


def _log_metrics(tracking: Tracking, run_id: str, wanted: History, present: History) -> int:
    """Log the points of `wanted` that `present` lacks or holds with another value; returns how many."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    missing = [
        Metric(name, value, now, step)
        for name, points in wanted.items()
        for step, value in points.items()
        if step not in present.get(name, {}) or (name != WALL_TIME and not same(present[name][step], value))
    ]
    _log(tracking, run_id, metrics=missing)
    return len(missing)


def _log_parameters(tracking: Tracking, run_id: str, spec: Mapping[str, Any], benchmark: str = "") -> int:
    """Log the parameters that the run lacks; returns how many.

    MLflow never changes a parameter: where a benchmark uses another value (its own tracker settings), a tag says so.
    """
    from mlflow.entities import Param

    present = tracking.client.get_run(run_id).data.params
    wanted = flat(spec)
    missing = [Param(name, value) for name, value in wanted.items() if name not in present]
    _log(tracking, run_id, params=missing)
    changed = {name: value for name, value in wanted.items() if present.get(name, value) != value}
    _tag(tracking, run_id, {f"{benchmark}.{name}": value for name, value in changed.items()})
    return len(missing)


def log_training(tracking: Tracking, run_dir: Path) -> int:
    """Mirror a finished training (run.json, history.csv, spec.json, model.pt); returns the number of new entries."""
    record = read_record(run_dir / "run.json")
    history = read_history(run_dir / "history.csv")
    run_id = find_or_create(tracking, record)
    added = _log_parameters(tracking, run_id, record["spec"])
    added += _log_metrics(tracking, run_id, history, logged_history(tracking, run_id, list(history)))
    for name in ("spec.json", "run.json", "history.csv", "model.pt"):
        if (run_dir / name).is_file():
            tracking.client.log_artifact(run_id, str(run_dir / name))
    names = ("spec_digest", "code_digest", "data_digest", "model_sha256", "git_commit", "git_dirty", "git_diff_sha")
    tags = {name: record.get(name) for name in (*names, "device", "threads", "host")}
    tags["mlflow.source.git.commit"] = record.get("git_commit")
    tags[TRAINED] = digest(record)  # last of all: a mirror that was cut off is made again
    _tag(tracking, run_id, tags)
    tracking.client.set_terminated(run_id, "FINISHED")
    return added


def log_scores(tracking: Tracking, score_file: Path, record: Mapping[str, Any]) -> int:
    """Mirror a score file into the run of a training record; returns the number of new entries.

    The spec of a score's record is the tracker's settings; they become parameters `tracker.*`.
    """
    score = read_json(score_file)
    benchmark = score["record"]["benchmark"]
    run_id = find_or_create(tracking, record)
    added = _log_parameters(tracking, run_id, {"tracker": score["record"].get("spec") or {}}, benchmark)
    wanted = {name: {0: value} for name, value in scores_of(score).items()}
    added += _log_metrics(tracking, run_id, wanted, logged_history(tracking, run_id, list(wanted)))
    tracking.client.log_artifact(run_id, str(score_file), f"scores/{benchmark}")
    tags = {f"{name}.{benchmark}": score["record"].get(name) for name in ("spec_digest", "data_digest", "code_digest")}
    _tag(tracking, run_id, {**tags, SCORED + benchmark: digest(score["record"])})
    return added


def training_record(results: Path, score: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record of the training that a score belongs to; None when nothing was trained here (imported results)."""
    record = score["record"]
    path = results / record["profile"] / "train" / record["variant"] / f"seed{record['seed']}" / "run.json"
    return read_record(path) if path.is_file() else None


def mirror_training(run_dir: Path, results: Path) -> bool:
    """Mirror a finished training; False, and a warning, when MLflow fails (sync_tracking makes up for it)."""
    record = read_record(run_dir / "run.json")
    try:
        log_training(init_tracking(results, record["profile"]), run_dir)
    except Exception as error:
        log.warning("%s: not mirrored to MLflow, a later sync will (%s)", run_dir, _first_line(error))
        return False
    return True


def mirror_scores(score_file: Path, results: Path) -> bool:
    """Mirror a score file onto the run of its training; False where there is no such run or MLflow fails."""
    score = read_json(score_file)
    record = training_record(results, score)
    if record is None:
        return False
    try:
        log_scores(init_tracking(results, record["profile"]), score_file, record)
    except Exception as error:
        log.warning("%s: not mirrored to MLflow, a later sync will (%s)", score_file, _first_line(error))
        return False
    return True


class LiveMirror:
    """Shows a running training in MLflow, epoch by epoch.

    A failure of MLflow is a warning and ends the live view, never the training; mirror_training and sync_tracking log
    what was missed. After a resume, epochs that MLflow has already are not logged again.
    """

    def __init__(self, results: Path, record: Mapping[str, Any]) -> None:
        """record: the training's run_record, made when it starts (`seconds` is not used)."""
        self._open = False
        try:
            self._tracking = init_tracking(results, record["profile"])
            self._run_id = find_or_create(self._tracking, record)
            _log_parameters(self._tracking, self._run_id, record["spec"])
            self._present: History | None = None
            self._open = True
        except Exception as error:
            log.warning("MLflow: no live view of this training (%s)", _first_line(error))

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Log one row of history.csv, as it was written: epoch, step, lr, total, cls, reg, loc, seconds."""
        if not self._open:
            return
        try:
            wanted = history_of([row])
            if self._present is None:
                self._present = logged_history(self._tracking, self._run_id, list(wanted))
            _log_metrics(self._tracking, self._run_id, wanted, self._present)
        except Exception as error:
            self._open = False
            log.warning("MLflow: the live view ends at epoch %s (%s)", row.get("epoch"), _first_line(error))
