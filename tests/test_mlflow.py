"""MLflow shows the result files, wholly, and no failure of it stops anything."""

import csv
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tiny import wait_for

from siamla.cli.main import main
from siamla.errors import UserError
from siamla.files import digest, write_csv, write_json
from siamla.mlflow_sink import sink as module
from siamla.mlflow_sink.sink import LiveTraining, Sink, sync

FILE = Path(__file__)
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
CLEAN |= {"PYTHONPATH": str(FILE.parents[1])}


# --- results on disk, as the pipeline leaves them ---


def rows(count: int) -> list[dict[str, Any]]:
    """A history: the losses fall, and the third is not in use."""
    return [
        {"epoch": e, "lr": 0.01 / e, "total": 3 / e, "cls": 1 / e, "loc": "", "seconds": e}
        for e in range(1, count + 1)
    ]


def identity_of(variant: str, **settings: Any) -> dict[str, Any]:
    model = {"channels": 64, "lafa": {"nonlocal_block": variant == "siamla"}}
    crops = {"settings": {"size": 511}, "code": "c1"}
    return {"crops": crops, "settings": {"model": model, **settings}, "seed": 1, "code": "c2"}


def record_of(step: str, names: Mapping[str, Any], identity: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "step": step,
        "names": {"profile": "smoke", **names},
        "identity": identity,
        "key": digest([step, identity]),
        "inputs": {"crops": "d1"},
        "place": {"device": "cpu", "precision": "fp32", "threads": 1},
        "content": "d2",
        "files": {"model.pt": "d3"},
        "environment": {"git_commit": "abc"},
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 9.5,
    }


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    for other in folder.glob("record-*.json"):
        other.unlink()
    write_json(folder / f"record-{record['key']}.json", record)


def training_record(variant: str = "siamla", **settings: Any) -> dict[str, Any]:
    return record_of("train", {"variant": variant, "seed": 1}, identity_of(variant, **settings))


def train(results: Path, variant: str = "siamla", epochs: int = 3, **settings: Any) -> Path:
    folder = results / "smoke" / "train" / variant / "seed1"
    record = training_record(variant, **settings)
    history = rows(epochs)
    write_csv(folder / "history.csv", list(history[0]), history)
    write_json(folder / "spec.json", record["identity"]["settings"])
    (folder / "model.pt").write_bytes(b"weights")
    write_record(folder, record)
    return folder


def score(
    results: Path,
    variant: str = "siamla",
    auc: float = 0.5,
    model: str = "siamla",
    benchmark: str = "otb100",
    **tracker: Any,
) -> None:
    predictions = {"model": identity_of(model), "tracker": {"window": 0.4, **tracker}}
    names = {"benchmark": benchmark, "variant": variant, "seed": 1}
    record = record_of("score", names, {"predictions": predictions})
    write_score(results / "smoke" / "scores" / benchmark / variant / "seed1", record, auc, 40.0)


def write_score(folder: Path, record: Mapping[str, Any], auc: float, fps: float | None) -> None:
    speed = {"fps": fps, "threads": 1, "device": "cpu"} if fps else None
    write_json(folder / "score.json", {"overall": {"auc": auc}, "speed": speed})
    write_record(folder, record)


# --- MLflow, opened ---


def child(results: Path, variant: str, **environment: str) -> "subprocess.Popen[str]":
    """A process that trains, as `__main__` below says."""
    return subprocess.Popen(
        [sys.executable, str(FILE), str(results), variant],
        text=True,
        env={**CLEAN, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that four trainings make which start at once; the other tests copy it."""
    folder = tmp_path_factory.mktemp("mlflow")
    for process in [child(folder, f"variant{number}") for number in range(4)]:
        printed, _ = process.communicate(timeout=200)
        assert process.returncode == 0, printed
        for noise in ("alembic", "INFO", "Traceback", "MLflow at"):
            assert noise not in printed
    with sqlite3.connect(folder / "mlflow.db") as base:
        (count,) = base.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone()
    assert count == 4
    return folder / "mlflow.db"


@pytest.fixture
def results(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results"
    folder.mkdir()
    shutil.copy(database, folder / "mlflow.db")
    return folder


def runs_of(results: Path, search: str = "") -> list[Any]:
    opened = Sink(results, "smoke")
    return list(opened.client.search_runs([opened.experiment], search))


def only_run(results: Path) -> Any:
    (run,) = runs_of(results, "tags.variant = 'siamla'")
    return run


def points(results: Path, metric: str) -> list[tuple[int, float]]:
    client = Sink(results, "smoke").client
    history = client.get_metric_history(only_run(results).info.run_id, metric)
    return [(point.step, point.value) for point in history]


def files_of(results: Path, run: Any, folder: str | None = None) -> set[str]:
    listed = Sink(results, "smoke").client.list_artifacts(run.info.run_id, folder)
    return {artifact.path for artifact in listed}


# --- a view of the files ---


def test_a_run_holds_every_number_of_its_training_and_scores(results: Path) -> None:
    folder = train(results)
    assert sync(results, "smoke") == (1, 1)
    before = only_run(results).info.run_id
    score(results)
    assert sync(results, "smoke") == (1, 1)
    assert sync(results, "smoke") == (1, 0)  # a second time changes nothing
    run = only_run(results)
    assert run.info.run_id == before  # what came later was added
    assert run.data.params == {
        "crops.settings.size": "511",
        "settings.model.channels": "64",
        "settings.model.lafa.nonlocal_block": "true",
        "seed": "1",
        "otb100.tracker.window": "0.4",
    }
    with (folder / "history.csv").open() as handle:
        history = list(csv.DictReader(handle))
    for name in ("train/total", "train/cls", "train_rates/lr", "wall_clock/train/seconds"):
        column = name.rpartition("/")[2]
        written = [(int(row["epoch"]), float(row[column])) for row in history]
        assert points(results, name) == written
    assert points(results, "scores/otb100/auc") == [(0, 0.5)]
    assert points(results, "wall_clock/otb100/fps") == [(0, 40.0)]
    assert len(run.data.metrics) == 6
    tags = run.data.tags
    labels = [tags[name] for name in ("group", "profile", "variant", "seed")]
    assert labels == ["trained", "smoke", "siamla", "1"]
    assert (tags["train.key"], tags["otb100.commit"]) == (training_record()["key"], "abc")
    assert tags["train.place.precision"] == "fp32"
    assert (run.info.status, run.info.end_time - run.info.start_time) == ("FINISHED", 9500)
    record = f"record-{training_record()['key']}.json"
    assert files_of(results, run) == {"spec.json", record, "history.csv", "scores"}  # no weights


def test_trainings_reused_models_imported_trackers_and_the_report(results: Path) -> None:
    train(results)
    score(results, "wide")  # has no training of its own
    kcf = record_of("score", {"benchmark": "otb100", "tracker": "kcf"}, {"predictions": None})
    write_score(results / "smoke/scores/otb100/imported/kcf", kcf, 0.3, None)
    reports = results.parent / "reports/smoke"
    for name in ("tables/table3.md", "tables/table3.tex", "figures/fig9.png", "figures/fig9.csv"):
        (reports / name).parent.mkdir(parents=True, exist_ok=True)
        (reports / name).write_text("1")
    assert sync(results, "smoke") == (4, 4)
    groups = {run.info.run_name: run.data.tags["group"] for run in runs_of(results)}
    assert groups == {
        "siamla seed 1": "trained",
        "wide seed 1": "reuses a model",
        "kcf": "imported",
        "report": "report",
    }
    (reports / "figures/fig9.csv").unlink()
    (reports / "tables/table3.md").write_text("2")
    assert sync(results, "smoke") == (4, 1)
    (report,) = runs_of(results, "tags.`group` = 'report'")
    assert files_of(results, report, "figures") == {"figures/fig9.png"}
    assert files_of(results, report, "tables") == {"tables/table3.md"}


def edit_history(results: Path) -> None:
    path = results / "smoke/train/siamla/seed1/history.csv"
    path.write_text(path.read_text().replace("1.5", "1.25"))


@pytest.mark.parametrize(
    ("change", "total", "auc", "window"),
    [
        (lambda r: score(r, auc=0.9), [3.0, 1.5, 1.0], 0.9, "0.4"),
        (lambda r: score(r, window=0.3), [3.0, 1.5, 1.0], 0.5, "0.3"),
        (edit_history, [3.0, 1.25, 1.0], 0.5, "0.4"),
        (lambda r: train(r, epochs=2), [3.0, 1.5], 0.5, "0.4"),
    ],
    ids=["score", "tracker", "history", "epochs"],
)
def test_a_run_that_differs_from_the_files_is_made_anew(
    results: Path,
    change: Callable[[Path], object],
    total: list[float],
    auc: float,
    window: str,
) -> None:
    train(results)
    score(results)
    sync(results, "smoke")
    before = only_run(results).info.run_id
    change(results)
    assert sync(results, "smoke") == (1, 1)
    run = only_run(results)
    assert run.info.run_id != before
    assert [value for _, value in points(results, "train/total")] == total
    assert points(results, "scores/otb100/auc") == [(0, auc)]
    assert run.data.params["otb100.tracker.window"] == window


def test_other_settings_are_another_run(results: Path) -> None:
    train(results)
    sync(results, "smoke")
    train(results, clip_norm=2)
    for _ in range(2):
        sync(results, "smoke")
        runs = [run.data for run in runs_of(results)]
        current = {run.params.get("settings.clip_norm"): run.tags["siamla.current"] for run in runs}
        assert current == {None: "false", "2": "true"}


def test_a_broken_file_is_told_and_the_others_are_shown(results: Path) -> None:
    train(results)
    (broken,) = train(results, "siamcar").glob("record-*.json")
    broken.write_text('{"names": {}}')
    with pytest.raises(UserError, match=re.escape(f"{broken}: not a record of a result")):
        sync(results, "smoke")
    assert only_run(results).info.status == "FINISHED"


def test_artifacts_follow_copied_results(results: Path, tmp_path: Path) -> None:
    train(results)
    sync(results, "smoke")
    copy = tmp_path / """Ort? #1, 'a' "b" %41""" / "Prüfung"
    shutil.copytree(results, copy)
    before = sorted(results.rglob("*"))
    train(copy, "siamcar")
    assert sync(copy, "smoke") == (2, 2)
    assert sorted(results.rglob("*")) == before  # nothing is written into the original
    shutil.rmtree(results)
    for run in runs_of(copy):
        assert run.info.artifact_uri.startswith(copy.as_uri())
        assert len(files_of(copy, run)) == 3


# --- a training as it goes on ---


def test_epochs_are_shown_live_and_sync_completes_the_same_run(results: Path) -> None:
    def interrupted() -> None:
        with LiveTraining(results, training_record()) as live:
            live.epoch(rows(1)[0])
            assert points(results, "train/total") == [(1, 3.0)]
            assert only_run(results).info.status == "RUNNING"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert only_run(results).info.status == "KILLED"
    with LiveTraining(results, training_record()) as live:  # goes on, and tells the first again
        for row in rows(3):
            live.epoch(row)
    run = only_run(results)
    assert run.info.status == "FINISHED"
    train(results)
    assert sync(results, "smoke") == (1, 1)
    assert only_run(results).info.run_id == run.info.run_id
    assert points(results, "train/total") == [(1, 3.0), (2, 1.5), (3, 1.0)]
    assert len(files_of(results, run)) == 3
    with pytest.raises(UserError), LiveTraining(results, training_record("siamcar")):
        raise UserError("no step had a usable loss")
    (failed,) = runs_of(results, "tags.variant = 'siamcar'")
    assert failed.info.status == "FAILED"


# --- MLflow fails ---


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    messages = [record.getMessage() for record in caplog.records if record.levelname != "INFO"]
    caplog.clear()
    return messages


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("server", ["hung", "absent"])
def test_a_server_that_does_not_answer_costs_seconds_and_one_line(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1] if server == "hung" else free_port()
        if server == "hung":
            listener.listen(50)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{port}")
        began = time.monotonic()
        with LiveTraining(tmp_path, training_record()) as live:
            for row in rows(3):
                live.epoch(row)
        assert time.monotonic() - began < 9
        (line,) = lines(caplog)
        assert line.startswith(f"MLflow at http://127.0.0.1:{port}: ")
        cure = "this training is not shown, `siamla mlflow sync --profile smoke` completes it"
        assert line.endswith(cure)
        train(tmp_path)
        with pytest.raises(UserError, match="`siamla mlflow sync --profile smoke` completes it"):
            sync(tmp_path, "smoke")
    assert time.monotonic() - began < 30


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return True
    except OSError:
        return False


def test_the_page_is_a_server_that_takes_runs_and_ends_by_ctrl_c(
    results: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "siamla.cli.main", "mlflow", "ui", "--port", str(port)],
        cwd=results.parent,
        env=CLEAN,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    address = f"http://localhost:{port}/#/experiments"
    assert process.stdout.readline() == f"MLflow shows sqlite:///{results}/mlflow.db at {address}\n"
    assert "Model training" in process.stdout.readline()
    wait_for(lambda: answers(port))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")  # it is alive, not slow
    monkeypatch.setattr(module, "PATIENCE", 60.0)
    with LiveTraining(results, training_record()) as live:
        live.epoch(rows(1)[0])
    assert lines(caplog) == []
    train(results)
    assert sync(results, "smoke") == (1, 1)
    assert points(results, "train/total") == [(1, 3.0), (2, 1.5), (3, 1.0)]
    assert len(files_of(results, only_run(results))) == 3
    os.killpg(process.pid, signal.SIGINT)  # to all of a terminal
    process.communicate(timeout=60)
    assert not answers(port)


# --- the commands ---


def test_the_commands(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(results)
    assert main(["mlflow", "sync", "--profile", "smoke"]) == 0
    told = "MLflow shows all of smoke: 1 runs, 1 of them made or completed now\n"
    assert capsys.readouterr().out == told
    (results / "mlflow.db").write_bytes(b"no database" * 100)
    assert main(["mlflow", "sync", "--profile", "smoke"]) == 2
    assert "file is not a database; no result needs it" in capsys.readouterr().err
    (results / "mlflow.db").unlink()
    assert main(["mlflow", "ui"]) == 2
    assert "mlflow.db: no runs yet; `make tables` makes results" in capsys.readouterr().err
    assert main(["mlflow", "sync", "--profile", "nobody"]) == 2
    assert "results/nobody: no results to show" in capsys.readouterr().err
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@server:5000")
    assert main(["mlflow", "ui"]) == 2
    assert "is a server, whose page is http://server:5000" in capsys.readouterr().err


if __name__ == "__main__":
    with LiveTraining(Path(sys.argv[1]), training_record(sys.argv[2])) as training:
        training.epoch(rows(1)[0])
