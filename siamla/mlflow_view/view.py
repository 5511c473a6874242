"""Opening MLflow, which may be slow, broken or absent: within seconds there is a view, or a reason
why not.
"""

import logging
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from siamla.mlflow_view.clone import clone_id
from siamla.mlflow_view.database import (
    NAME,
    artifact_location,
    exclusive,
    prepare,
    private,
    sqlite_uri,
)

log = logging.getLogger(__name__)

# MLflow's own limits let one call to a dead server last for minutes. Without retries a run is not
# created twice either.
LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
KIND = {
    "mlflow.experimentKind": "custom_model_development"
}  # its page opens on runs, and not on traces of prompts
# the clone's id in the database of its own results folder, which holds no other clone's runs
OWN = "own"


@dataclass
class View:
    """An open MLflow experiment, or a closed view.

    Attributes:
        client: an mlflow.MlflowClient.
        clone: marks the runs of this clone.
        closed: why MLflow is not to be asked any more in this process; None while it answers.
    """

    results: Path
    profile: str
    client: Any = None
    experiment_id: str = ""
    clone: str = OWN
    closed: str | None = None

    def close(self, error: Exception, lost: str) -> None:
        """Ask MLflow no more, and tell once what is not shown because of `error`."""
        self.closed = reason(error)
        log.warning(
            "MLflow at %s: %s; %s, `siamla mlflow sync --profile %s` completes it",
            shown(uri(self.results)),
            self.closed,
            lost,
            self.profile,
        )


def uri(results: Path) -> str:
    """Where MLflow keeps its runs: MLFLOW_TRACKING_URI, or a SQLite file in the results folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(results / NAME)


def is_own(address: str, results: Path) -> bool:
    """Whether an address is the database in the results folder, however it is written."""
    if address == sqlite_uri(results / NAME):
        return True
    path = address.removeprefix("sqlite:///")
    return path != address and Path(path).resolve() == (results / NAME).resolve()


def shown(address: str) -> str:
    """An address without the password that it may hold."""
    return re.sub(r"//[^/@]*@", "//", address)


def reason(error: BaseException) -> str:
    """What went wrong at the bottom of a chain of exceptions, in one line: "[Errno 111] Connection
    refused".
    """
    text = ""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        lines = str(cause).strip().splitlines()
        text = lines[0] if lines else text or type(cause).__name__
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return shown(text)


def open_client(address: str) -> Any:
    """An MLflow client. Imported here, since that takes a second and a half."""
    from mlflow import MlflowClient

    if not address.startswith("http"):
        from mlflow.store.db import utils

        utils.MAX_RETRY_COUNT = (
            2  # else it tries for 100 seconds to open a database that cannot be opened
        )
    return MlflowClient(address)


def quieten() -> None:
    """MLflow's limits and manners, set before it is imported; what the user has set holds."""
    for name, value in LIMITS.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # a pipeline must not call home
    # no connection is kept open across a fork of the data loader, nor over a database that was set
    # aside
    os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    import mlflow

    for name in ("mlflow.store.db.utils", "mlflow.store.artifact", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(
            logging.CRITICAL
        )  # they print stack traces of what is told in one line here


def _experiment(client: Any, name: str, location: str | None) -> str:
    """The id of an experiment, made where there is none."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(client.create_experiment(name, artifact_location=location, tags=KIND))
        except Exception:
            experiment = client.get_experiment_by_name(name)  # another process was faster
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def connect(results: Path, profile: str) -> View:
    """MLflow's experiment `siamla/{profile}`; where it cannot be opened, any exception that says
    why.

    A lock is held while the local database is built, and none while a server is asked.
    """
    results = results.resolve()
    address = uri(results)
    quieten()
    clone, location = OWN, None
    if is_own(address, results):
        prepare(results)
    else:
        with exclusive(results):
            clone = clone_id(private(results))
    if not address.startswith("http"):  # a server has a place for artefacts itself
        location = artifact_location(results, profile)
    client = open_client(address)
    return View(results, profile, client, _experiment(client, f"siamla/{profile}", location), clone)


@cache
def _open(address: str, results: Path, profile: str) -> View:
    try:
        return connect(results, profile)
    except Exception as error:
        view = View(results, profile)
        view.close(error, "this training is not shown")
        return view


def open_view(results: Path, profile: str) -> View:
    """The view of this process, opened once: closed, with one warning, where MLflow cannot be
    opened.
    """
    return _open(uri(results), results.resolve(), profile)
