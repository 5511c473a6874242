"""MLflow mirrors the files: once, completely, from many processes, and a change by hand is noticed."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from siamla.cli import runs as cli
from siamla.errors import UserError
from siamla.files import canonical_json, write_csv, write_json
from siamla.mlflow_view.audit import sync_tracking
from siamla.mlflow_view.compare import compare_runs
from siamla.mlflow_view.mirror import LiveMirror, init_tracking, mirror_scores, mirror_training, tracking_uri
from siamla.provenance import tracking as module
from siamla.provenance.record import run_record, write_record

COLUMNS = ("epoch", "step", "lr", "total", "cls", "reg", "loc", "seconds")
START = """
import sys; from pathlib import Path
from siamla.mlflow_view.mirror import init_tracking
tracking = init_tracking(Path(sys.argv[1]), "cold")
tracking.client.create_run(tracking.experiment_id)
"""


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data base migrated by four processes at once: the migration takes seconds, so the other tests copy it."""
    folder = tmp_path_factory.mktemp("mlflow")
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    command = [sys.executable, "-c", START, str(folder)]
    together = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in together:
        printed, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
        assert not printed
        assert "alembic" not in errors  # no noise of the migration
        assert "INFO" not in errors
    return folder / "mlflow.db"


@pytest.fixture
def results(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "results"
    folder.mkdir()
    shutil.copy(migrated, folder / "mlflow.db")
    yield folder
    module._open.cache_clear()


def rows(count: int) -> list[dict]:
    return [
        {
            "epoch": e,
            "step": 10 * e,
            "lr": 0.01 / e,
            "total": 3.0 / e,
            "cls": 1.0 / e,
            "reg": 1.0 / e,
            "loc": "",
            "seconds": e,
        }
        for e in range(1, count + 1)
    ]


def make_record(variant: str = "siamla", kind: str = "train", **changes: object) -> dict:
    spec = {
        "model": {"channels": 64, "lafa": {"nonlocal_block": variant == "siamla"}},
        "training": {"milestones": [1, 2]},
    }
    spec = {"window": 0.4} if kind == "score" else spec
    values = {"benchmark": None, "spec_digest": "s1", "code_digest": "c1", "data_digest": "d1", **changes}
    return run_record(
        kind, "smoke", variant, 1, spec=spec, device="cpu", threads=1, started=time.time(), seconds=1.0, **values
    )


def train(results: Path, variant: str = "siamla", epochs: int = 3, **changes: object) -> Path:
    run_dir = results / "smoke" / "train" / variant / "seed1"
    record = make_record(variant, **changes)
    write_csv(run_dir / "history.csv", COLUMNS, rows(epochs))
    write_json(run_dir / "spec.json", record["spec"])
    (run_dir / "model.pt").write_bytes(b"weights")
    write_record(run_dir / "run.json", record)
    return run_dir


def score(results: Path, variant: str = "siamla", auc: float = 0.5, **changes: object) -> Path:
    path = results / "smoke" / "scores" / "otb100" / variant / "seed1.json"
    record = make_record(variant, "score", benchmark="otb100", model_sha256="m1", **changes)
    speed = {"fps": 40.0, "latency_ms_median": 25.0, "threads": 1, "device": "cpu"}
    write_json(path, {"record": record, "overall": {"auc": auc, "prec": 0.7}, "per_sequence": {}, "speed": speed})
    return path


def only_run(results: Path) -> tuple:
    tracking = init_tracking(results, "smoke")
    found = tracking.client.search_runs([tracking.experiment_id], "tags.variant = 'siamla'")
    assert len(found) == 1
    return tracking.client, found[0]


def test_the_address_of_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert tracking_uri(tmp_path) == "http://tracking:5000"


def test_training_and_scores_are_one_complete_run(results: Path) -> None:
    run_dir, path = train(results), score(results)
    for _ in range(2):  # the second time changes nothing
        assert mirror_training(run_dir, results)
        assert mirror_scores(path, results)
    client, run = only_run(results)
    assert run.data.params == {
        "model.channels": "64",
        "model.lafa.nonlocal_block": "true",
        "training.milestones": "[1,2]",
        "tracker.window": "0.4",
    }
    history = client.get_metric_history(run.info.run_id, "train/total")
    assert [(point.step, point.value) for point in history] == [(1, 3.0), (2, 1.5), (3, 1.0)]
    assert run.data.metrics["otb100/auc"] == 0.5
    assert run.data.metrics["otb100/fps"] == 40.0
    assert run.data.tags["spec_digest"] == "s1"
    assert run.info.status == "FINISHED"
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert {"spec.json", "model.pt", "scores"} <= names
    assert Path(run.info.artifact_uri.removeprefix("file://")).is_relative_to(results)


def test_a_resumed_training_logs_no_epoch_twice(results: Path) -> None:
    record = make_record()
    for resumed_at in (0, 1):  # killed after epoch 2, whose checkpoint was not yet written: epoch 2 comes again
        live = LiveMirror(results, record)
        for row in rows(2 if resumed_at == 0 else 3)[resumed_at:]:
            live.epoch(row)
    client, run = only_run(results)
    assert [p.step for p in client.get_metric_history(run.info.run_id, "train/lr")] == [1, 2, 3]
    assert run.info.status == "RUNNING"
    mirror_training(train(results), results)
    client, run = only_run(results)
    assert [p.step for p in client.get_metric_history(run.info.run_id, "train/total")] == [1, 2, 3]


def test_a_failing_mlflow_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    live = LiveMirror(tmp_path, make_record())
    live.epoch(rows(1)[0])
    assert not mirror_training(train(tmp_path), tmp_path)
    assert "no live view" in caplog.text
    assert "not mirrored" in caplog.text
    with pytest.raises(UserError, match="nonsense://nowhere: cannot be opened"):
        sync_tracking(tmp_path, "smoke", tmp_path / "audit.json")


def test_sync_backfills_and_counts(results: Path, tmp_path: Path) -> None:
    train(results)
    score(results)
    audit = sync_tracking(results, "smoke", tmp_path / "audit.json")
    assert (audit.runs, audit.parameters, audit.epoch_values, audit.scores) == (1, 3, 18, 4)
    # 3 parameters and the tracker's, 3 epochs × 6 numbers (loc is empty), auc, prec, fps, latency
    assert audit.backfilled == 4 + 18 + 4
    assert sync_tracking(results, "smoke", tmp_path / "audit.json").backfilled == 0
    assert json.loads((tmp_path / "audit.json").read_text())["problems"] == []
    score(results, "imported")
    audit = sync_tracking(results, "smoke", tmp_path / "audit.json")
    assert len(audit.without_training) == 1


def test_sync_follows_new_scores_and_new_settings(results: Path, tmp_path: Path) -> None:
    train(results)
    score(results)
    sync_tracking(results, "smoke", tmp_path / "audit.json")
    score(results, auc=0.6, code_digest="c2")  # scored again: a new record
    sync_tracking(results, "smoke", tmp_path / "audit.json")
    assert only_run(results)[1].data.metrics["otb100/auc"] == 0.6
    train(results, spec_digest="s2")
    sync_tracking(results, "smoke", tmp_path / "audit.json")
    tracking = init_tracking(results, "smoke")
    found = tracking.client.search_runs([tracking.experiment_id], "tags.variant = 'siamla'")
    assert sorted((r.data.tags["spec_digest"], r.data.tags["siamla.current"]) for r in found) == [
        ("s1", "false"),
        ("s2", "true"),
    ]


@pytest.mark.parametrize("where", ["score file", "history file", "data base"])
def test_the_audit_catches_a_tampered_value(results: Path, tmp_path: Path, where: str) -> None:
    run_dir, path = train(results), score(results)
    sync_tracking(results, "smoke", tmp_path / "audit.json")
    if where == "score file":
        path.write_text(path.read_text().replace('"auc": 0.5', '"auc": 0.9'))
    elif where == "history file":
        (run_dir / "history.csv").write_text((run_dir / "history.csv").read_text().replace("1.5", "1.4"))
    else:
        with sqlite3.connect(results / "mlflow.db") as base:
            base.execute("UPDATE metrics SET value = 0.9 WHERE key = 'otb100/auc'")
    named = "epoch 2" if where == "history file" else "otb100/auc"
    with pytest.raises(UserError, match=named):
        sync_tracking(results, "smoke", tmp_path / "audit.json")
    assert json.loads((tmp_path / "audit.json").read_text())["problems"]


def test_compare_shows_what_differs(results: Path, tmp_path: Path, capsys) -> None:
    for variant, auc in (("siamcar", 0.5), ("siamla", 0.6)):
        train(results, variant)
        score(results, variant, auc)
    sync_tracking(results, "smoke", tmp_path / "audit.json")
    parameters, metrics = compare_runs(results, "smoke", "siamcar", "siamla")
    assert parameters.to_dict("index") == {"model.lafa.nonlocal_block": {"siamcar": "false", "siamla": "true"}}
    assert metrics.loc["otb100/auc", "difference"] == pytest.approx(0.1)
    with pytest.raises(UserError, match="no run of variant 'siamfc'; there are siamcar, siamla"):
        compare_runs(results, "smoke", "siamfc", "siamla")


def test_the_commands(results: Path, tmp_path: Path, capsys) -> None:
    import argparse

    from siamla.cli.commands import Commands

    parser = argparse.ArgumentParser()
    cli.register(Commands(parser))
    train(results)
    common = ["--profile", "smoke", "--results", str(results)]
    for words in (
        ["runs", "init", "--out", str(tmp_path / "t.json")],
        ["runs", "sync", "--out", str(tmp_path / "a.json")],
    ):
        args = parser.parse_args([*words, *common])
        args.run(args)
    assert "MLflow agrees with the files: 1 runs" in capsys.readouterr().out
    assert canonical_json(json.loads((tmp_path / "t.json").read_text())).startswith('{"experiment":"siamla/smoke"')
