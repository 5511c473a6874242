"""MLflow shows the result files: once, completely, from many processes, and no failure of it stops
anything.
"""

import argparse
import base64
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from siamla.cli import mlflow as cli
from siamla.cli.commands import Commands
from siamla.errors import UserError
from siamla.files import digest, write_csv, write_json
from siamla.mlflow_view import live as live_module
from siamla.mlflow_view import view as module
from siamla.mlflow_view.clone import clone_id
from siamla.mlflow_view.compare import compare_runs
from siamla.mlflow_view.live import LiveMirror, mirror_training
from siamla.mlflow_view.sync import Audit, sync

COLUMNS = ("epoch", "step", "lr", "total", "cls", "reg", "loc", "seconds")
FILE = Path(__file__)


# --- results on disk, as the pipeline leaves them ---


def rows(count: int) -> list[dict[str, Any]]:
    names = {"total": 3.0, "cls": 1.0, "reg": 1.0}
    return [
        {
            "epoch": e,
            "step": 10 * e,
            "lr": 0.01 / e,
            **{n: v / e for n, v in names.items()},
            "loc": "",
            "seconds": e,
        }
        for e in range(1, count + 1)
    ]


def identity_of(variant: str, **settings: Any) -> dict[str, Any]:
    model = {"channels": 64, "lafa": {"nonlocal_block": variant == "siamla"}}
    crops = {"curated": {"layout": "got10k", "code": "c0"}, "settings": {"size": 511}, "code": "c1"}
    return {
        "crops": crops,
        "settings": {"model": model, "milestones": [1, 2], **settings},
        "seed": 1,
        "code": "c2",
    }


def record_of(step: str, names: Mapping[str, Any], identity: Mapping[str, Any]) -> dict[str, Any]:
    environment = {
        "python": "3.11",
        "versions": {"torch": "2.6"},
        "host": "a",
        "git_commit": "abc",
        "git_dirty": False,
    }
    return {
        "step": step,
        "names": {"profile": "smoke", **names},
        "identity": identity,
        "key": digest([step, identity]),
        "inputs": {"crops": "d1"},
        "place": {"device": "cpu", "precision": "fp32", "threads": 1},
        "content": "d2",
        "files": {"model.pt": "d3"},
        "environment": environment,
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 9.5,
    }


def training_record(variant: str = "siamla", **settings: Any) -> dict[str, Any]:
    return record_of("train", {"variant": variant, "seed": 1}, identity_of(variant, **settings))


def train(results: Path, variant: str = "siamla", epochs: int = 3, **settings: Any) -> Path:
    folder = results / "smoke" / "train" / variant / "seed1"
    record = training_record(variant, **settings)
    write_csv(folder / "history.csv", COLUMNS, rows(epochs))
    write_json(folder / "spec.json", record["identity"]["settings"])
    (folder / "model.pt").write_bytes(b"weights")
    write_json(folder / "record.json", record)
    return folder


def score(
    results: Path, variant: str = "siamla", auc: float = 0.5, model: str = "", **tracker: Any
) -> Path:
    predictions = {"model": identity_of(model or variant), "tracker": {"window": 0.4, **tracker}}
    identity = {"predictions": predictions, "rules": {"layout": "otb"}}
    names = {"benchmark": "otb100", "variant": variant, "seed": 1}
    path = results / "smoke" / "scores" / "otb100" / variant / "seed1.json"
    speed = {"fps": 40.0, "latency_ms_median": 25.0, "threads": 1, "device": "cpu"}
    record = record_of("score", names, identity)
    write_json(
        path,
        {
            "record": record,
            "overall": {"auc": auc, "prec": 0.7},
            "per_sequence": {},
            "speed": speed,
        },
    )
    return path


def imported(results: Path) -> Path:
    path = results / "smoke" / "scores" / "otb100" / "imported" / "kcf.json"
    record = record_of("score", {"benchmark": "otb100", "tracker": "kcf"}, {"predictions": None})
    write_json(path, {"record": record, "overall": {"auc": 0.3}, "per_sequence": {}, "speed": None})
    return path


# --- MLflow, opened ---


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data base made by four trainings that start at once: that takes seconds, so the other tests
    copy it.
    """
    folder = tmp_path_factory.mktemp("mlflow")
    together = [Child("train", folder, f"variant{number}") for number in range(4)]
    for child in together:
        printed = child.wait()
        assert child.process.returncode == 0, printed
        for noise in ("alembic", "INFO", "Traceback", "MLflow at"):
            assert noise not in printed
    assert not list(folder.glob(".mlflow.db.new-*"))
    with sqlite3.connect(folder / "mlflow.db") as base:
        assert base.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone() == (
            4,
        )
        base.execute("DELETE FROM runs")
        for table in ("metrics", "latest_metrics", "params", "tags"):
            base.execute(f"DELETE FROM {table}")
    return folder / "mlflow.db"


@pytest.fixture(autouse=True)
def _afresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    module._open.cache_clear()
    yield
    module._open.cache_clear()


@pytest.fixture
def results(migrated: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    shutil.copy(migrated, folder / "mlflow.db")
    return folder


def refresh(results: Path) -> Audit:
    """A sync of its own; what it returns is what it wrote."""
    out = results / "smoke" / "audit.json"
    audit = sync(results, "smoke", out)
    assert json.loads(out.read_text()) == vars(audit)
    return audit


def runs_of(results: Path, search: str = "") -> list[Any]:
    opened = module.connect(results, "smoke")
    return list(opened.client.search_runs([opened.experiment_id], search))


def only_run(results: Path) -> tuple[Any, Any]:
    found = runs_of(results, "tags.variant = 'siamla'")
    assert len(found) == 1
    return module.connect(results, "smoke").client, found[0]


def steps(client: Any, run: Any, metric: str) -> list[int]:
    return [point.step for point in client.get_metric_history(run.info.run_id, metric)]


class Child:
    """A training in a process of its own: `train` ends well, `wait` says "ready" and waits to be
    killed.
    """

    def __init__(
        self, what: str, results: Path, variant: str = "siamla", **environment: str
    ) -> None:
        own = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")}
        self.process = subprocess.Popen(
            [sys.executable, str(FILE), what, str(results), variant],
            text=True,
            env={**own, "PYTHONPATH": str(FILE.parents[1]), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def ready(self) -> "Child":
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == "ready"
        return self

    def wait(self) -> str:
        return self.process.communicate(timeout=200)[0]


def child(what: str, results: Path, variant: str) -> None:
    """What a Child does."""
    with LiveMirror(results, training_record(variant)) as live:
        live.epoch(rows(1)[0])
        if what == "wait":
            print("ready", flush=True)
            time.sleep(100)
    mirror_training(train(results, variant, 1), results)


# --- a view of the files ---


def test_the_address_of_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@server:5000")
    assert module.uri(tmp_path) == "http://me:secret@server:5000"
    assert module.shown(module.uri(tmp_path)) == "http://server:5000"
    monkeypatch.chdir(tmp_path.parent)
    assert module.is_own(f"sqlite:///{tmp_path.name}/mlflow.db", tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    odd = tmp_path / "a?b %41"  # a question mark begins options
    assert module.uri(odd) == f"sqlite:///file:{tmp_path}/a%3Fb%20%2541/mlflow.db?uri=true"
    assert module.is_own(module.uri(odd), odd)


def test_training_and_scores_are_one_complete_run(results: Path) -> None:
    folder = train(results)
    score(results)
    for _ in range(2):  # the second time changes nothing
        assert mirror_training(folder, results)
        assert refresh(results).complete
    client, run = only_run(results)
    assert run.data.params == {
        "crops.curated.layout": "got10k",
        "crops.settings.size": "511",
        "settings.model.channels": "64",
        "settings.model.lafa.nonlocal_block": "true",
        "settings.milestones": "[1,2]",
        "seed": "1",
        "otb100.tracker.window": "0.4",
    }
    history = client.get_metric_history(run.info.run_id, "train/total")
    assert [(point.step, point.value) for point in history] == [(1, 3.0), (2, 1.5), (3, 1.0)]
    assert (run.data.metrics["scores/otb100/auc"], run.data.metrics["wall_clock/otb100/fps"]) == (
        0.5,
        40.0,
    )
    tags = run.data.tags
    assert (tags["code"], tags["crops.code"], tags["place.precision"]) == ("c2", "c1", "fp32")
    assert (tags["environment.versions.torch"], tags["files.model.pt"]) == ("2.6", "d3")
    assert (run.info.status, run.info.end_time - run.info.start_time) == ("FINISHED", 9500)
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert names == {"spec.json", "record.json", "history.csv", "scores"}  # no weights


def test_sync_adds_what_is_missing_and_counts(results: Path) -> None:
    train(results)
    score(results)
    audit = refresh(results)
    assert (audit.complete, audit.runs, audit.parameters, audit.epoch_values, audit.scores) == (
        True,
        1,
        7,
        18,
        4,
    )
    assert audit.added == 7 + 18 + 4
    assert refresh(results).added == 0
    imported(results)
    score(results, "wide", model="siamla")  # uses siamla's weights, and has no training of its own
    audit = refresh(results)
    assert audit.complete
    shown = {
        r.info.run_name: (r.data.metrics["scores/otb100/auc"], r.data.tags["group"])
        for r in runs_of(results)
    }
    assert shown == {
        "siamla seed 1": (0.5, "trained"),
        "wide seed 1": (0.5, "reuses a model"),
        "kcf": (0.3, "imported"),
    }


def test_other_settings_are_another_run(results: Path) -> None:
    train(results)
    refresh(results)
    train(results, clip_norm=2)
    assert refresh(results).complete
    marks = {
        run.data.params.get("settings.clip_norm"): run.data.tags["siamla.current"]
        for run in runs_of(results)
    }
    assert marks == {None: "false", "2": "true"}


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def change_base(results: Path, command: str) -> None:
    with sqlite3.connect(results / "mlflow.db") as base:
        assert base.execute(command).rowcount > 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: score(r, auc=0.9), "scores/otb100/auc of step 0 was 0.5, the file says 0.9"),
        (lambda r: score(r, window=0.3), "otb100.tracker.window was 0.4, the file says 0.3"),
        (
            lambda r: edit(r / "smoke/train/siamla/seed1/history.csv", "1.5", "1.25"),
            "was 1.5, the file says 1.25",
        ),
        (lambda r: train(r, epochs=2), "had a step 3, the file has none"),
        (
            lambda r: change_base(r, "UPDATE params SET value = '65' WHERE key LIKE '%channels'"),
            "was 65, ",
        ),
        (
            lambda r: change_base(
                r, "UPDATE latest_metrics SET value = 0.7 WHERE key = 'scores/otb100/auc'"
            ),
            None,
        ),
        (lambda r: change_base(r, "DELETE FROM tags WHERE key = 'siamla.shown'"), None),
    ],
    ids=["score", "tracker", "history", "epochs", "parameter", "last value", "cut off"],
)
def test_a_run_that_differs_from_the_files_is_made_again(
    results: Path, change: Callable[[Path], object], told: str | None
) -> None:
    train(results)
    score(results)
    refresh(results)
    change(results)
    audit = refresh(results)
    assert audit.complete
    assert [told in text for text in audit.remade] == [True] if told else True
    client, run = only_run(results)
    files = json.loads((results / "smoke/scores/otb100/siamla/seed1.json").read_text())
    history = (results / "smoke/train/siamla/seed1/history.csv").read_text().splitlines()[1:]
    assert [p.value for p in client.get_metric_history(run.info.run_id, "scores/otb100/auc")] == [
        files["overall"]["auc"]
    ]
    logged = [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, "train/total")]
    assert logged == [(int(row.split(",")[0]), float(row.split(",")[3])) for row in history]
    assert run.data.params["settings.model.channels"] == "64"


def test_a_broken_file_is_told_and_the_others_are_shown(
    results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(results)
    folder = train(results, "siamcar")
    (folder / "record.json").write_text('{"names": {}}')
    score(results, "lafa").write_text('{"overall": {}}')
    audit = refresh(results)
    assert (audit.complete, audit.runs, len(audit.missing)) == (False, 1, 2)
    assert "siamcar/seed1/record.json: not a record of a result: no field 'identity'" in caplog.text


def test_a_run_with_the_names_of_old_is_made_again(results: Path) -> None:
    train(results)
    refresh(results)
    client, run = only_run(results)
    client.log_metric(run.info.run_id, "otb100/auc", 0.5)
    client.set_tag(run.info.run_id, "siamla.shown", "as an older version saw it")
    audit = refresh(results)
    assert audit.remade == ["siamla seed 1: it had a metric otb100/auc, the files have none"]
    assert "otb100/auc" not in only_run(results)[1].data.metrics
    assert refresh(results).added == 0


def test_tables_and_figures_are_a_run_of_their_own(results: Path) -> None:
    train(results)
    reports = results.parent / "reports" / "smoke"
    for name in (
        "tables/table3.md",
        "tables/table3.tex",
        "figures/fig9.png",
        "figures/fig9.pdf",
        "figures/fig9.csv",
    ):
        (reports / name).parent.mkdir(parents=True, exist_ok=True)
        (reports / name).write_text("1")

    def held() -> list[str]:
        client = module.connect(results, "smoke").client
        (run,) = runs_of(results, "tags.`group` = 'report'")
        assert (run.info.run_name, run.data.metrics) == ("report", {})
        return [
            a.path
            for kind in ("tables", "figures")
            for a in client.list_artifacts(run.info.run_id, kind)
        ]

    assert refresh(results).runs == 2
    assert held() == ["tables/table3.md", "figures/fig9.csv", "figures/fig9.png"]
    (reports / "figures" / "fig9.csv").unlink()
    assert refresh(results).remade == ["report: it had a file figures/fig9.csv, which is gone"]
    assert held() == ["tables/table3.md", "figures/fig9.png"]
    with pytest.raises(UserError, match=r"'siamfc'; there are siamla$"):
        compare_runs(results, "smoke", "siamfc", "siamla")


# --- the page ---


def saved(results: Path) -> dict[str, Any]:
    """The views of an experiment as MLflow's page unpacks them."""
    opened = module.connect(results, "smoke")
    tags = opened.client.get_experiment(opened.experiment_id).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    found = {}
    for name, text in tags.items():
        if name.startswith("mlflow.sharedViewState."):
            assert len(text) < 5000
            head, _, packed = json.loads(text)["state"].partition(";")
            assert head == "deflate"
            found[name.rpartition(".")[2]] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return found


def test_the_page_has_views_of_the_scores(results: Path) -> None:
    train(results)
    score(results)
    refresh(results)
    views = saved(results)
    tags = [f"tags.`{name}`" for name in ("group", "variant", "seed")]
    wanted = ["metrics.`scores/otb100/auc`", "metrics.`train/total`", *tags]
    assert views["runs"]["selectedColumns"] == wanted
    assert views["ablation"]["groupBy"]["groupByKeys"] == [
        {"mode": "tag", "groupByData": "variant"}
    ]
    sections = {
        section["uuid"]: section["name"] for section in views["ablation"]["compareRunSections"]
    }
    assert list(sections.values())[:2] == ["scores", "train"]
    charts = [
        (sections[c["metricSectionId"]], c["metricKey"])
        for c in views["ablation"]["compareRunCharts"]
    ]
    assert charts[:2] == [("scores", "scores/otb100/auc"), ("train", "train/total")]
    assert {name for _, name in charts} == set(only_run(results)[1].data.metrics)
    for view in views.values():  # the page refuses a search that MLflow does not understand
        assert len(runs_of(results, view["searchFilter"])) == 1


def test_views_are_written_when_they_differ_and_other_tags_stay(results: Path) -> None:
    train(results)
    refresh(results)
    opened = module.connect(results, "smoke")
    opened.client.set_experiment_tag(opened.experiment_id, "mlflow.note.content", "mine")
    opened.client.set_experiment_tag(
        opened.experiment_id, "mlflow.experimentKind", "genai_development"
    )
    before = opened.client.get_experiment(opened.experiment_id).tags
    score(results)
    refresh(results)
    after = opened.client.get_experiment(opened.experiment_id).tags
    changed = {name.rpartition(".")[2] for name in after if after[name] != before.get(name)}
    assert changed == {"runs", "ablation", "experimentKind"}
    refresh(results)
    assert (
        opened.client.get_experiment(opened.experiment_id).tags == after
    )  # the times in them, too


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_the_server_ends_with_the_command(results: Path, number: int) -> None:
    train(results)
    score(results)
    refresh(results)
    port = free_port()
    words = [
        "-m",
        "siamla.cli.main",
        "mlflow",
        "ui",
        "--port",
        str(port),
        "--results",
        str(results),
    ]
    own = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")}
    environment = {**own, "PYTHONPATH": str(FILE.parents[1])}
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(5)]
    assert told[0].startswith("MLflow shows sqlite:")
    assert told[1] == "smoke  Runs and scores:\n"
    assert f"http://localhost:{port}/#/experiments/1/runs?workflowType=machine_learning" in told[2]
    assert "viewStateShareKey=ablation" in told[4]
    with urllib.request.urlopen(
        f"http://localhost:{port}/health", timeout=20
    ):  # it answers when this is printed
        pass
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(number)
    assert process.wait(30) == 0
    assert not [
        child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    ]


# --- a training while it runs ---


def test_a_resumed_training_logs_no_epoch_twice(results: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        LiveMirror(results, training_record()) as live,
    ):
        for row in rows(2):
            live.epoch(row)
        raise KeyboardInterrupt
    client, run = only_run(results)
    assert run.info.status == "KILLED"
    with LiveMirror(results, training_record()) as live:
        for row in rows(3)[1:]:  # killed before the state of epoch 2 was written: it comes again
            live.epoch({**row, "seconds": 99})
        assert only_run(results)[1].info.status == "RUNNING"
        assert refresh(results).running == ["siamla seed 1"]  # and leaves it alone
    client, run = only_run(results)
    assert run.info.status == "FINISHED"
    assert "siamla.ended" not in run.data.tags
    assert steps(client, run, "train_rates/lr") == [1, 2, 3]
    mirror_training(train(results), results)
    assert refresh(results).remade == []
    assert steps(*only_run(results), "train/total") == [1, 2, 3]


def test_a_training_that_fails_says_so(results: Path) -> None:
    with pytest.raises(UserError), LiveMirror(results, training_record()):
        raise UserError("no step had a usable loss")
    _, run = only_run(results)
    assert (run.info.status, run.data.tags["siamla.ended"]) == (
        "FAILED",
        "UserError: no step had a usable loss",
    )


def test_a_training_that_is_killed_does_not_run_for_ever(results: Path) -> None:
    polite, rude = (
        Child("wait", results, "siamla").ready(),
        Child("wait", results, "siamcar").ready(),
    )
    for run in runs_of(results):
        assert run.info.status == "RUNNING"
    assert sorted(refresh(results).running) == ["siamcar seed 1", "siamla seed 1"]
    polite.process.send_signal(signal.SIGTERM)
    rude.process.kill()
    polite.wait()
    rude.wait()
    assert polite.process.returncode == 128 + signal.SIGTERM
    status = {run.data.tags["variant"]: run.info.status for run in runs_of(results)}
    assert status == {"siamla": "KILLED", "siamcar": "RUNNING"}
    train(results, "lafa")
    audit = refresh(results)
    assert (audit.ended, audit.running) == (["siamcar seed 1"], [])
    status = {run.data.tags["variant"]: run.info.status for run in runs_of(results)}
    assert status == {"siamla": "KILLED", "siamcar": "KILLED", "lafa": "FINISHED"}
    train(results, "siamcar")  # the same command went on from there
    refresh(results)
    status = {run.data.tags["variant"]: run.info.status for run in runs_of(results)}
    assert status == {"siamla": "KILLED", "siamcar": "FINISHED", "lafa": "FINISHED"}


# --- MLflow fails ---


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [
        record.getMessage()
        for record in caplog.records
        if record.levelname in ("WARNING", "ERROR", "CRITICAL")
    ]
    caplog.clear()
    return found


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes every call and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def absent() -> str:
    """An address where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("server", ["silent", "absent"])
def test_a_server_that_does_not_answer_costs_seconds_and_one_line(
    server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> None:

    address = request.getfixturevalue(server)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    other = Child("train", tmp_path, "siamcar", MLFLOW_TRACKING_URI=address)  # waits for no lock
    began = time.monotonic()
    with LiveMirror(tmp_path, training_record()) as live:
        for row in rows(3):
            live.epoch(row)
    assert not mirror_training(train(tmp_path), tmp_path)
    assert time.monotonic() - began < 9  # one limit of five seconds for all together
    (line,) = warnings(caplog)
    assert f"MLflow at {address}" in line
    assert "this training is not shown, `siamla mlflow sync --profile smoke` completes it" in line
    printed = other.wait()
    assert (other.process.returncode, printed.count("MLflow at")) == (0, 1), printed
    assert len(printed.splitlines()) == 1
    audit = refresh(tmp_path)
    assert (audit.complete, audit.missing) == (
        False,
        ["siamcar seed 1: not tried", "siamla seed 1: not tried"],
    )
    (line,) = warnings(caplog)
    assert "does not show everything of smoke" in line
    assert time.monotonic() - began < 30


def test_a_server_that_is_slow_is_not_asked_again(
    results: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with LiveMirror(results, training_record()) as live:
        monkeypatch.setattr(live_module, "SLOW", 0.0)
        for row in rows(3):
            live.epoch(row)
    (line,) = warnings(caplog)
    assert "s to answer; epoch 1 and later ones are not shown" in line
    assert steps(*only_run(results), "train/total") == [1]


class Server:
    """A real MLflow server on a SQLite file."""

    def __init__(self, folder: Path, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        own = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")}
        command = [
            "-m",
            "mlflow",
            "server",
            "--port",
            str(port),
            "--workers",
            "1",
            "--backend-store-uri",
        ]
        command += [
            f"sqlite:///{folder}/mlflow.db",
            "--artifacts-destination",
            str(folder / "artifacts"),
        ]
        with (folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=folder,
                env=own,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + 100
        while True:
            try:
                with urllib.request.urlopen(f"{self.address}/health", timeout=5):
                    break
            except OSError:
                assert self.process.poll() is None, (folder / "server.log").read_text()
                assert time.monotonic() < until
                time.sleep(0.2)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def test_a_server_that_dies_in_the_middle_and_comes_again(
    migrated: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shutil.copy(migrated, tmp_path / "mlflow.db")
    results = tmp_path / "results"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    server = Server(tmp_path, port)
    try:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
        monkeypatch.setenv(
            "MLFLOW_HTTP_REQUEST_TIMEOUT", "60"
        )  # it is dead or alive here, not slow
        with LiveMirror(results, training_record()) as live:
            live.epoch(rows(1)[0])
            assert warnings(caplog) == []
            server.kill()
            began = time.monotonic()
            for row in rows(3)[1:]:
                live.epoch(row)
        assert not mirror_training(train(results), results)
        assert time.monotonic() - began < 9
        (line,) = warnings(caplog)
        assert "Connection re" in line  # reset or refused
        assert "; epoch 2 and later ones are not shown, `siamla mlflow sync" in line
        score(results)
        audit = refresh(results)
        assert (audit.complete, audit.runs) == (False, 0)
        warnings(caplog)
        server = Server(tmp_path, port)
        assert [run.info.status for run in runs_of(results)] == ["RUNNING"]
        audit = refresh(results)
        assert (audit.complete, audit.epoch_values, audit.scores, warnings(caplog)) == (
            True,
            18,
            4,
            [],
        )
        client, run = only_run(results)
        assert (run.info.status, steps(client, run, "train/total")) == ("FINISHED", [1, 2, 3])
        assert client.download_artifacts(run.info.run_id, "record.json", str(tmp_path))
    finally:
        server.kill()


def test_a_database_that_cannot_be_written(
    migrated: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shutil.copy(
        migrated, tmp_path / "shared.db"
    )  # SQLite itself refuses to write: permissions do not stop root
    monkeypatch.setenv(
        "MLFLOW_TRACKING_URI", f"sqlite:///file:{tmp_path}/shared.db?mode=ro&uri=true"
    )
    monkeypatch.chdir(tmp_path)  # MLflow makes the folder "file:/…" where it stands
    results = tmp_path / "results"
    with LiveMirror(results, training_record()) as live:
        live.epoch(rows(1)[0])
    (line,) = warnings(caplog)
    assert "attempt to write a readonly database" in line
    assert not mirror_training(train(results), results)
    train(results, "siamcar")
    audit = refresh(results)
    assert not audit.complete
    assert audit.missing[0] == "siamcar seed 1: attempt to write a readonly database"
    assert len(warnings(caplog)) == 1


def test_a_locked_database_is_left_alone(
    results: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    train(results)
    with sqlite3.connect(results / "mlflow.db", isolation_level=None) as base:
        base.execute("BEGIN EXCLUSIVE")
        audit = refresh(results)
    assert not audit.complete
    assert "database is locked" in warnings(caplog)[0]
    assert refresh(results).complete
    assert not list(results.glob("*.broken-*"))


def half_migrated(path: Path) -> None:
    with sqlite3.connect(path) as base:
        base.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")


def without_table(path: Path) -> None:
    with sqlite3.connect(path) as base:
        base.execute("DROP TABLE metrics")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no database" * 100),
        lambda path: os.truncate(path, path.stat().st_size // 2),
        half_migrated,
        without_table,
    ],
    ids=["empty", "not sqlite", "truncated", "half migrated", "no table"],
)
def test_a_broken_database_is_set_aside_and_made_again(
    results: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    train(results)
    score(results)
    damage(results / "mlflow.db")
    (results / "mlflow.db-journal").write_bytes(
        b""
    )  # of the broken one: it must not stay beside the new one
    audit = refresh(results)
    assert (audit.complete, audit.runs, audit.epoch_values, audit.scores) == (True, 1, 18, 4)
    (line,) = warnings(caplog)
    assert "set aside as mlflow.db.broken-1 and made anew" in line
    assert (results / "mlflow.db.broken-1").exists()
    assert (results / "mlflow.db.broken-1-journal").exists()
    assert refresh(results).added == 0


def test_a_kill_while_the_database_is_made(tmp_path: Path) -> None:
    first = Child("train", tmp_path)
    until = time.monotonic() + 60
    while not any(
        path.stat().st_size > 100_000 for path in tmp_path.glob(".mlflow.db.new-*[0-9a-f]")
    ):
        assert time.monotonic() < until
        time.sleep(0.005)
    first.process.kill()
    first.wait()
    assert not (tmp_path / "mlflow.db").exists()
    second = Child("train", tmp_path)
    assert second.wait() == ""
    assert not list(tmp_path.glob(".mlflow.db.new-*"))
    assert not list(tmp_path.glob("*.broken-*"))


# --- clones ---


def test_artifacts_follow_a_copied_clone(results: Path, tmp_path: Path) -> None:
    train(results)
    refresh(results)
    copy = tmp_path / """Ort? #1, 'a' "b" %41""" / "Prüfung"
    shutil.copytree(results, copy)
    before = sorted(results.rglob("*"))
    train(copy, "siamcar")
    assert refresh(copy).complete
    assert sorted(results.rglob("*")) == before  # nothing is written into the original
    shutil.rmtree(results)
    client = module.connect(copy, "smoke").client
    for run in runs_of(copy):
        assert client.list_artifacts(run.info.run_id)
        assert run.info.artifact_uri.startswith(copy.as_uri())
        found = Path(client.download_artifacts(run.info.run_id, "history.csv", str(tmp_path)))
        assert (
            found.read_text()
            == (copy / f"smoke/train/{run.data.tags['variant']}/seed1/history.csv").read_text()
        )


def test_two_clones_on_one_server_keep_their_own_runs(
    migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(migrated, tmp_path / "shared.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/shared.db")
    first, second = tmp_path / "first", tmp_path / "second"
    train(first)
    train(first, "lafa")
    score(first)
    assert refresh(first).complete
    shutil.copytree(first, second)  # the results travel
    train(second, "siamla", 2, clip_norm=2)
    shutil.rmtree(second / "smoke/train/lafa")
    score(second, auc=0.6)
    before = {run.info.run_id: run for run in runs_of(first)}
    assert refresh(second).complete
    after = {run.info.run_id: run for run in runs_of(first)}
    for run_id, run in before.items():
        assert after[run_id].data.to_dictionary() == run.data.to_dictionary()
    assert len(after) == 4  # the copy's two: its training, and the scores that came of another one
    assert refresh(first).added == 0
    marks = [run.data.tags["siamla.current"] for run in runs_of(first)]
    assert marks == ["true"] * 4
    _, metrics = compare_runs(first, "smoke", "siamla", "lafa")
    assert metrics.loc["scores/otb100/auc", "siamla"] == 0.5  # its own, not the other's


def test_a_copy_is_a_clone_of_its_own_and_a_moved_one_is_not(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    known = clone_id(here)
    assert clone_id(here) == known
    shutil.copytree(here, tmp_path / "copy")
    copied = clone_id(tmp_path / "copy")
    assert copied != known
    assert clone_id(tmp_path / "copy") == copied
    here.rename(tmp_path / "moved")
    assert clone_id(tmp_path / "moved") == known
    edit(
        tmp_path / "moved" / "clone.json", '"host": "', '"host": "other'
    )  # another node, the same disk; still at
    assert clone_id(tmp_path / "moved") != known  # `here` by its text: host and path differ
    (tmp_path / "copy" / "clone.json").write_text('{"id": "')  # cut off
    assert clone_id(tmp_path / "copy") not in (known, copied)


# --- the commands ---


def test_compare_shows_what_differs(results: Path) -> None:
    for variant, auc in (("siamcar", 0.5), ("siamla", 0.6)):
        train(results, variant)
        score(results, variant, auc)
    refresh(results)
    parameters, metrics = compare_runs(results, "smoke", "siamcar", "siamla")
    difference = {"settings.model.lafa.nonlocal_block": {"siamcar": "false", "siamla": "true"}}
    assert parameters.to_dict("index") == difference
    assert metrics.loc["scores/otb100/auc", "difference"] == pytest.approx(0.1)
    with pytest.raises(UserError, match="no run of variant 'siamfc'; there are siamcar, siamla"):
        compare_runs(results, "smoke", "siamfc", "siamla")


def command(*words: str) -> None:
    parser = argparse.ArgumentParser()
    cli.register(Commands(parser))
    args = parser.parse_args(words)
    args.run(args)


def test_the_commands(
    results: Path, absent: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(results)
    common = ("--profile", "smoke", "--results", str(results))
    command("mlflow", "sync", *common)
    told = "1 runs, 6 parameters, 18 epoch values and 0 scores; 24 values were added now\n"
    assert capsys.readouterr().out == f"MLflow shows all of smoke: {told}"
    edit(results / "smoke/train/siamla/seed1/history.csv", "1.5", "1.25")
    command("mlflow", "sync", *common)
    assert (
        "made again from the files: siamla seed 1: train/total of step 2 was 1.5"
        in capsys.readouterr().out
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", absent)
    command("mlflow", "sync", *common)  # no error
    assert "MLflow shows a part of smoke: 0 runs" in capsys.readouterr().out
    assert json.loads((results / "smoke/mlflow_audit.json").read_text())["complete"] is False
    with pytest.raises(UserError, match="is a server, whose page is"):
        command("mlflow", "ui", "--results", str(results))
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(UserError, match=r"mlflow.db: no runs yet; `make tables` makes results"):
        command("mlflow", "ui", "--results", str(results / "none"), "--port", str(free_port()))
    assert not (results / "none").exists()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            UserError, match=f"port {port} of this machine: Address already in use; `--port` takes"
        ):
            command("mlflow", "ui", "--results", str(results), "--port", str(port))


if __name__ == "__main__":
    child(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
