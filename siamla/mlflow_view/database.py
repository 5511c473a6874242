"""MLflow's SQLite file in the results folder: it is whole or not there, and belongs to the folder
that it lies in.

The result files are the truth, and `siamla mlflow sync` fills the database again. So one that is
broken, or that another version of MLflow made, is not mended but set aside and made anew.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

log = logging.getLogger(__name__)

NAME = "mlflow.db"
COMPANIONS = (
    "",
    "-journal",
    "-wal",
    "-shm",
)  # a journal left beside a new database would be played into it
PATIENCE = 60.0  # seconds that a process waits for others that build the database


def private(results: Path) -> Path:
    """The folder for locks and the clone's id."""
    return results / ".mlflow"


@contextmanager
def exclusive(results: Path) -> Iterator[None]:
    """Only one process of this results folder at a time, for file operations alone; OSError after a
    minute.
    """
    import fcntl

    private(results).mkdir(parents=True, exist_ok=True)
    with (private(results) / "lock").open("w") as handle:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise OSError(
                        f"another process holds {handle.name} for {PATIENCE:.0f} s"
                    ) from None
                time.sleep(0.05)
        yield


def sqlite_uri(database: Path) -> str:
    """The address by which MLflow opens a SQLite file.

    In a plain one a question mark would begin options, and MLflow would write beside the folder.
    """
    path = str(database.resolve())
    return f"sqlite:///file:{quote(path)}?uri=true" if "?" in path else f"sqlite:///{path}"


def artifact_location(results: Path, profile: str) -> str:
    """Where the artefacts of a profile's runs are kept."""
    return (results.resolve() / "mlflow" / profile).as_uri()


def _connect(database: Path) -> Any:
    return closing(
        sqlite3.connect(f"file:{quote(str(database.resolve()))}?mode=rw", uri=True, timeout=5)
    )


def _revision() -> str | None:
    """The revision of the schema that the installed MLflow reads."""
    import mlflow
    from alembic.script import ScriptDirectory

    return ScriptDirectory(
        str(Path(mlflow.__path__[0]) / "store" / "db_migrations")
    ).get_current_head()


def _defect(database: Path) -> str | None:
    """Why the file is no database that MLflow can use; None where it is. sqlite3.OperationalError
    where one cannot tell: another process has locked it, say.
    """
    try:
        with _connect(database) as base:
            checked = base.execute("PRAGMA quick_check(1)").fetchone()[0]
            if checked != "ok":
                return str(checked)
            tables = {
                name
                for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
            missing = sorted(
                {"alembic_version", "experiments", "runs", "metrics", "params", "tags"} - tables
            )
            if missing:
                return f"it has no table {missing[0]}"
            revisions = [row[0] for row in base.execute("SELECT version_num FROM alembic_version")]
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        return str(error)
    wanted = _revision()
    return (
        None
        if revisions == [wanted]
        else f"its schema is {', '.join(revisions) or 'none'}, MLflow reads {wanted}"
    )


def _set_aside(database: Path, why: str) -> None:
    number = 1
    while (aside := database.with_name(f"{NAME}.broken-{number}")).exists():
        number += 1
    for companion in COMPANIONS:
        source = database.with_name(database.name + companion)
        if source.exists():
            source.rename(aside.with_name(aside.name + companion))
    log.warning(
        "%s: %s; set aside as %s and made anew, `siamla mlflow sync` fills it from the result"
        " files",
        database,
        why,
        aside.name,
    )


def _build(database: Path) -> None:
    """Migrate a new database beside and rename it: a kill leaves no half-migrated one."""
    from mlflow import MlflowClient

    for rest in database.parent.glob(
        f".{NAME}.new-*"
    ):  # of a process that was killed: the lock is ours
        rest.unlink()
    temporary = database.with_name(
        f".{NAME}.new-{uuid4().hex}"
    )  # MLflow remembers what it opened by name
    MlflowClient(sqlite_uri(temporary)).search_experiments(max_results=1)
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    temporary.replace(database)


def _own_artifacts(results: Path) -> None:
    """Let the artefacts of all runs lie in this folder.

    MLflow keeps their absolute place, for each experiment and each run. In a copy of the folder
    those would be the original's: it would write there, or show nothing once that is gone.
    """
    with _connect(results / NAME) as base, base:
        known = base.execute(
            "SELECT experiment_id, name, artifact_location FROM experiments"
        ).fetchall()
        for experiment, name, old in known:
            new = artifact_location(results, name.removeprefix("siamla/"))
            if not name.startswith("siamla/") or old == new:
                continue
            base.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) "
                "WHERE experiment_id = ? AND substr(artifact_uri, 1, ?) = ?",
                (new, len(old) + 1, experiment, len(old), old),
            )
            base.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
                (new, experiment),
            )


def prepare(results: Path) -> Path:
    """The path of a database that MLflow can open, built, rebuilt or told of its new place as need
    be.

    Safe in many processes at once. OSError or sqlite3.Error where the file or its folder cannot be
    used.
    """
    database = results / NAME
    with exclusive(results):
        if database.exists() and (defect := _defect(database)):
            _set_aside(database, defect)
        if not database.exists():
            _build(database)
        _own_artifacts(results)
    return database
