"""One MLflow run for each entry: finding it, filling it, and knowing whether its training is still
alive.

Every function here asks MLflow and lets its exceptions through.
"""

import fcntl
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siamla.mlflow_view.database import private
from siamla.mlflow_view.entries import WALL_TIMES, Entry, History
from siamla.mlflow_view.view import OWN, View

KEY = "siamla.key"
CLONE = "siamla.clone"  # whose run it is
CURRENT = "siamla.current"  # "false" once the files on disk belong to another run
SHOWN = "siamla.shown"  # digest of the entry that the run holds whole
ENDED = "siamla.ended"  # why a training stopped before its end
BATCH = {"metrics": 500, "params": 100, "tags": 100}  # MLflow's own limits are 1000, 100 and 100

Logged = dict[str, dict[int, list[float]]]  # metric → step → every value that was logged


@dataclass(frozen=True)
class Filled:
    """How a run was brought up to date: the number of new values, and what it said otherwise
    before, if anything.
    """

    run_id: str
    added: int
    remade: str | None


def find(view: View, key: str) -> Any:
    """This clone's run with a key; None where there is none yet."""
    own = "" if view.clone == OWN else f" AND tags.`{CLONE}` = '{view.clone}'"
    found = view.client.search_runs(
        [view.experiment_id], f"tags.`{KEY}` = '{key}'{own}", max_results=1
    )
    return found[0] if found else None


def own_runs(view: View) -> list[Any]:
    """Every run of this clone; a plain search would stop at a thousand without a word."""
    only = "" if view.clone == OWN else f"tags.`{CLONE}` = '{view.clone}'"
    runs: list[Any] = []
    token = None
    while True:
        page = view.client.search_runs(
            [view.experiment_id], only, max_results=500, page_token=token
        )
        runs.extend(run for run in page if KEY in run.data.tags)
        token = page.token
        if not token:
            return runs


def create(view: View, entry: Entry) -> str:
    """A new run for an entry, still empty; its id."""
    tags = {KEY: entry.key, CLONE: view.clone, CURRENT: "true"}
    run = view.client.create_run(view.experiment_id, entry.started, tags, entry.title)
    return str(run.info.run_id)


def logged(view: View, run_id: str, metrics: Iterable[str]) -> Logged:
    """What MLflow holds of the given metrics."""
    history: Logged = {}
    for name in metrics:
        for point in view.client.get_metric_history(run_id, name):
            history.setdefault(name, {}).setdefault(point.step, []).append(point.value)
    return history


def log_parameters(
    view: View, run_id: str, parameters: Mapping[str, str], present: Mapping[str, str]
) -> int:
    """Log the parameters that are not present; returns how many."""
    from mlflow.entities import Param

    missing = [Param(name, value) for name, value in parameters.items() if name not in present]
    _batches(view, run_id, "params", missing)
    return len(missing)


def log_metrics(view: View, run_id: str, metrics: History, present: Logged) -> int:
    """Log the points that are not present; returns how many."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    missing = [
        Metric(name, value, now, step)
        for name, points in metrics.items()
        for step, value in points.items()
        if step not in present.get(name, {})
    ]
    _batches(view, run_id, "metrics", missing)
    return len(missing)


def log_tags(view: View, run_id: str, tags: Mapping[str, str], present: Mapping[str, str]) -> None:
    """Set the tags that are not present, or differ."""
    from mlflow.entities import RunTag

    _batches(
        view,
        run_id,
        "tags",
        [RunTag(n, value) for n, value in tags.items() if present.get(n) != value],
    )


def _batches(view: View, run_id: str, kind: str, values: list[Any]) -> None:
    for start in range(0, len(values), BATCH[kind]):
        view.client.log_batch(run_id, **{kind: values[start : start + BATCH[kind]]})


def _same(a: float, b: float) -> bool:
    """Whether two values are equal, up to what a data base may round."""
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)


def _contradiction(entry: Entry, parameters: Mapping[str, str], present: Logged) -> str | None:
    """The first value in MLflow that is not the files'; None where values are missing at most."""
    for name, value in entry.parameters.items():
        if name in parameters and parameters[name] != value:
            return f"{name} was {parameters[name]}, the file says {value}"
    for name, points in entry.metrics.items():
        for step, values in present.get(name, {}).items():
            if step not in points:
                return f"{name} had a step {step}, the file has none"
            wrong = [value for value in values if not _same(value, points[step])]
            if wrong and not name.startswith(WALL_TIMES):
                return f"{name} of step {step} was {wrong[0]}, the file says {points[step]}"
    return None


def _is_shown(entry: Entry, run: Any) -> bool:
    """Whether a run holds its entry whole, as far as one search tells: the digest of what was
    logged, parameters, and the last value of each metric. MLflow has no call that changes the
    values before it.
    """
    last = {name: points[max(points)] for name, points in entry.metrics.items()}
    values, parameters = run.data.metrics, run.data.params
    return (
        run.info.status == "FINISHED"
        and run.data.tags.get(SHOWN) == entry.content()
        and all(parameters.get(name) == value for name, value in entry.parameters.items())
        and all(
            name in values and (name.startswith(WALL_TIMES) or _same(values[name], value))
            for name, value in last.items()
        )
    )


def stale(view: View, entry: Entry, run: Any) -> str | None:
    """A metric or artefact of a run that its entry, which is whole, does not have (any more); None
    where there is none.

    Such a run has to be made again, since MLflow's client can delete neither.
    """
    if _is_shown(entry, run):
        return None
    for name in run.data.metrics:
        if name not in entry.metrics:
            return f"it had a metric {name}, the files have none"
    wanted = {f"{folder}/{path.name}".lstrip("/") for path, folder in entry.artifacts}
    for folder in sorted({folder for _, folder in entry.artifacts}):
        for artifact in view.client.list_artifacts(run.info.run_id, folder or None):
            if not artifact.is_dir and artifact.path not in wanted:
                return f"it had a file {artifact.path}, which is gone"
    return None


def fill(view: View, entry: Entry, run: Any) -> Filled:
    """Bring a run (None: a new one) up to date with its entry; one that says otherwise is deleted
    and made again.

    MLflow's values can be added to and not changed; a deleted run can be restored in MLflow.
    """
    if run is not None and _is_shown(entry, run):
        return Filled(run.info.run_id, 0, None)
    present: Logged = {}
    remade = None
    if run is not None:
        present = logged(
            view, run.info.run_id, [name for name in entry.metrics if name in run.data.metrics]
        )
        remade = _contradiction(entry, run.data.params, present)
        if remade:
            view.client.delete_run(run.info.run_id)
            run, present = None, {}
    run_id = create(view, entry) if run is None else str(run.info.run_id)
    parameters, tags = ({}, {}) if run is None else (run.data.params, run.data.tags)
    added = log_parameters(view, run_id, entry.parameters, parameters)
    added += log_metrics(view, run_id, entry.metrics, present)
    for path, folder in entry.artifacts:
        view.client.log_artifact(run_id, str(path), folder or None)
    # what took no time of its own (scores, a report) does not take that between two syncs either
    ended = entry.ended if entry.started or run is None else run.info.start_time
    view.client.set_terminated(run_id, "FINISHED", ended)
    if ENDED in tags:
        view.client.delete_tag(run_id, ENDED)
    log_tags(
        view, run_id, {**entry.tags, CURRENT: "true", SHOWN: entry.content()}, tags
    )  # last: the rest is there
    return Filled(run_id, added, remade)


def _mark(view: View, run_id: str) -> Path:
    return private(view.results) / f"live-{run_id}"


@contextmanager
def alive(view: View, run_id: str) -> Iterator[None]:
    """Mark a run as that of a training that is under way; the mark goes with the process, however
    that ends.
    """
    path = _mark(view, run_id)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_alive(view: View, run_id: str) -> bool:
    """Whether a process of this results folder is training the run; what a killed one left is
    removed.
    """
    path = _mark(view, run_id)
    try:
        with path.open("r+") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
