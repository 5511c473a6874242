"""Writing runs to MLflow: live, epoch by epoch, and afterwards from the result files."""

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from siamla.errors import UserError
from siamla.files import atomic, locked
from siamla.mlflow_sink.entries import (
    TRAIN,
    Entry,
    Metrics,
    metrics_of,
    read_entries,
    training_entry,
)

log = logging.getLogger(__name__)

DATABASE = "mlflow.db"
KEY = "siamla.key"
CURRENT = "siamla.current"  # "false" where the files hold another run of the variant and seed
NUMBERS = "siamla.numbers."  # + part: digest of its parameters and metrics, once all are logged
CONTENT = "siamla.content"  # digest of the entry, once all of it is logged
UNFINISHED = "unfinished"  # in place of the digest while numbers are being logged
BATCH = 100  # values in one call; MLflow takes 1000 metrics, and 100 parameters or tags
MOST = 50_000  # runs in one search; without a number MLflow stops at 1000, and does not say so
OPENING = 120.0  # seconds; several first uses at once wait until one of them has made the database
PATIENCE = 8.0  # seconds that a training waits for MLflow
SETTINGS = {
    # without these two, one call to a dead server lasts for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",  # a pipeline must not call home
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",  # no connection crosses a fork of the loader
}
# the page of an experiment opens on its runs, and not on traces of prompts
KIND = {"mlflow.experimentKind": "custom_model_development"}


def quieten() -> None:
    """Set MLflow's limits and manners before it is used; what the user has set holds."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    import mlflow.store.db.utils

    mlflow.store.db.utils.MAX_RETRY_COUNT = 2  # else it tries for 100 seconds to open a database
    for name in ("mlflow.store.db.utils", "mlflow.store.artifact", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they trace what is told in one line


def _sqlite(database: Path) -> str:
    path = str(database)
    # in a plain address a question mark begins options
    return f"sqlite:///file:{quote(path)}?uri=true" if "?" in path else f"sqlite:///{path}"


def address_of(results: Path) -> str:
    """Where the runs are kept: MLFLOW_TRACKING_URI, else a database in the results folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _sqlite(results.resolve() / DATABASE)


def without_password(address: str) -> str:
    """An address for people to see."""
    return re.sub(r"//[^/@]*@", "//", address)


def _reason(error: BaseException) -> str:
    """The bottom of a chain of exceptions, in one line: "[Errno 111] Connection refused"."""
    while deeper := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = deeper
    return without_password((str(error).strip() or type(error).__name__).splitlines()[0])


def _make_database(database: Path) -> None:
    """Make MLflow's database, whole or not at all, by one process of many."""
    from mlflow import MlflowClient

    if database.exists():
        return
    with locked(database.with_name(".mlflow.lock")):
        for journal in database.parent.glob(f".{DATABASE}.*-journal"):  # a killed process left it
            journal.unlink()
        if not database.exists():
            with atomic(database) as temporary:
                MlflowClient(_sqlite(temporary)).search_experiments(max_results=1)


class Sink:
    """The experiment `siamla/PROFILE` in MLflow. What MLflow raises passes through."""

    def __init__(self, results: Path, profile: str) -> None:
        quieten()
        from mlflow import MlflowClient

        results = results.resolve()
        if not os.environ.get("MLFLOW_TRACKING_URI"):
            _make_database(results / DATABASE)
        address = address_of(results)
        self.client = MlflowClient(address)
        self.experiment = self._experiment(f"siamla/{profile}", results / "mlflow" / profile)

    def _experiment(self, name: str, artifacts: Path) -> str:
        """The id of an experiment, made where there is none."""
        server = address_of(artifacts).startswith("http")
        location = None if server else artifacts.as_uri()  # a server has a folder itself
        experiment = self.client.get_experiment_by_name(name)
        moved = experiment and experiment.artifact_location != location
        if moved and not os.environ.get("MLFLOW_TRACKING_URI"):
            # the results were copied or moved, and MLflow would write to where they were
            number = experiment.experiment_id
            old = f"{name} until {time.strftime('%Y-%m-%d %H:%M:%S')} ({number})"
            self.client.rename_experiment(number, old)
            experiment = None
        if experiment is None:
            try:
                return str(self.client.create_experiment(name, location, KIND))
            except Exception:
                experiment = self.client.get_experiment_by_name(name)  # another one was faster
                if experiment is None:
                    raise
        if experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)

    def runs(self, key: str | None = None) -> dict[str, Any]:
        """All runs by key, or the one with a key; a second run of the same key is deleted."""
        runs: dict[str, Any] = {}
        only = f"tags.`{KEY}` = '{key}'" if key else f"tags.`{KEY}` != ''"
        for run in self.client.search_runs([self.experiment], only, max_results=MOST):
            if runs.setdefault(run.data.tags[KEY], run) is not run:
                self.client.delete_run(run.info.run_id)
        return runs

    def create(self, entry: Entry) -> str:
        """A new run, empty but for its labels; its id."""
        tags = {KEY: entry.key, CURRENT: "true", **entry.labels}
        run = self.client.create_run(self.experiment, entry.started, tags, entry.title)
        return str(run.info.run_id)

    def log(
        self,
        run_id: str,
        metrics: Metrics | None = None,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add values to a run."""
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        points: list[Any] = []
        for name, values in (metrics or {}).items():
            points += [Metric(name, value, now, step) for step, value in values.items()]
        pairs = [Param(*item) for item in (params or {}).items()]
        labels = [RunTag(*item) for item in (tags or {}).items()]
        for kind, items in (("metrics", points), ("params", pairs), ("tags", labels)):
            for start in range(0, len(items), BATCH):
                self.client.log_batch(run_id, **{kind: items[start : start + BATCH]})

    def write(self, entry: Entry, run: Any) -> bool:
        """Let MLflow hold all that an entry says; whether something was done. What is missing is
        added to `run`; one with other numbers is deleted and made anew.
        """
        held = {} if run is None else dict(run.data.tags)
        numbers = {f"{NUMBERS}{name}": part.numbers() for name, part in entry.parts.items()}
        tags = {CURRENT: "true", CONTENT: entry.content(), **numbers, **entry.labels}
        if tags.items() <= held.items():
            return False
        if any(tag.startswith(NUMBERS) and numbers.get(tag) != held[tag] for tag in held):
            self.client.delete_run(run.info.run_id)
            run, held = None, {}
        run_id = self.create(entry) if run is None else run.info.run_id
        for name, part in entry.parts.items():
            if f"{NUMBERS}{name}" not in held:
                self.log(run_id, tags={f"{NUMBERS}{name}": UNFINISHED})
                self.log(run_id, part.metrics, part.parameters)
            self.log(run_id, tags=part.tags)
            for path, folder in part.files:
                self.client.log_artifact(run_id, str(path), folder or None)
        self.client.set_terminated(run_id, "FINISHED", entry.ended)
        self.log(run_id, tags=tags)
        return True


class LiveTraining:
    """Shows a training in MLflow as it goes on; its run ends as FINISHED, FAILED or KILLED.

    The first failure of MLflow, or call longer than PATIENCE, is told in one line and ends the
    view, never the training. A run with the same key is made anew.
    """

    def __init__(self, results: Path, record: Mapping[str, Any]) -> None:
        self._results = results
        self._record = record
        self._rows: list[Mapping[str, Any]] = []
        self._failed = False

    def __enter__(self) -> Self:
        self._try("this training is not shown", self._begin, OPENING)
        return self

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Log one row of the history: epoch, and further numbers."""
        self._rows.append(row)
        lost = f"epoch {row.get('epoch')} and later ones are not shown"
        self._try(lost, lambda: self._sink.log(self._run_id, metrics_of([row])))

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        status = "FINISHED"
        if error is not None:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
        self._try(f"its run is not marked as {status}", lambda: self._end(status))

    def _begin(self) -> None:
        self._sink = Sink(self._results, self._record["names"]["profile"])
        entry = training_entry(self._record, [])
        for run in self._sink.runs(entry.key).values():
            self._sink.client.delete_run(run.info.run_id)
        self._run_id = self._sink.create(entry)
        part = entry.parts[TRAIN]
        tags = {**part.tags, f"{NUMBERS}{TRAIN}": UNFINISHED}
        self._sink.log(self._run_id, params=part.parameters, tags=tags)

    def _end(self, status: str) -> None:
        if status == "FINISHED":
            part = training_entry(self._record, self._rows).parts[TRAIN]
            self._sink.log(self._run_id, tags={f"{NUMBERS}{TRAIN}": part.numbers()})
        self._sink.client.set_terminated(self._run_id, status)

    def _try(self, lost: str, act: Callable[[], None], limit: float | None = None) -> None:
        seconds = PATIENCE if limit is None else limit
        if self._failed:
            return
        errors: list[Exception] = []

        def catch() -> None:
            try:
                act()
            except Exception as error:
                errors.append(error)

        thread = threading.Thread(target=catch, daemon=True)  # one that hangs ends with the process
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            errors.append(TimeoutError(f"no answer within {seconds:g} s"))
        if errors:
            self._failed = True
            log.warning(
                "MLflow at %s: %s; %s, `siamla mlflow sync --profile %s` completes it",
                without_password(address_of(self._results)),
                _reason(errors[0]),
                lost,
                self._record["names"]["profile"],
            )


def _retire(sink: Sink, entries: list[Entry], runs: Mapping[str, Any]) -> None:
    """Mark the runs that the files hold no more, where they hold another of variant and seed."""
    keys = {entry.key for entry in entries}
    titles = {entry.title for entry in entries}
    for key, run in runs.items():
        if key not in keys and run.info.run_name in titles:
            sink.client.set_tag(run.info.run_id, CURRENT, "false")


def sync(results: Path, profile: str) -> tuple[int, int]:
    """Let MLflow hold what the result files say; the number of runs, and of those made or completed
    now. UserError where MLflow fails, a file is broken, or there is no result.
    """
    entries, problems = read_entries(results, profile)
    if not entries and not problems:
        raise UserError(f"{results / profile}: no results to show")
    try:
        sink = Sink(results, profile)
        runs = sink.runs()
        changed = sum(sink.write(entry, runs.get(entry.key)) for entry in entries)
        _retire(sink, entries, runs)
    except Exception as error:
        raise UserError(
            f"MLflow at {without_password(address_of(results))}: {_reason(error)}; no result needs"
            f" it, and `siamla mlflow sync --profile {profile}` completes it later (delete a broken"
            " database first)"
        ) from error
    if problems:
        raise UserError(f"not shown in MLflow: {'; '.join(problems)}")
    return len(entries), changed
