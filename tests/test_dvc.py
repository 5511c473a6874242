"""Data sets and DVC: rendered sets need none, pointers are pushed and pulled."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY

from siamla.cli.main import main
from siamla.experiment.plan import Plan
from siamla.files import read_json, sha256, write_json
from siamla.miniatures.dataset import MANIFEST
from siamla.provenance.record import make_record
from siamla.steps.perform import hashed
from siamla.steps.publish import FILES

PROFILE = """
caption: Noise.
train: {clips: {layout: otb, root: data/raw/small, dvc: synthesize@small}}
benchmarks: {street: {layout: otb, root: data/raw/street, dvc: data/raw/street.dvc}}
seeds: [1]
variants: [siamcar]
tables: [3]
spec: {pairs: {dataset: clips}}
"""
SMALL = {"layout": "otb", "split": "test", "sequences": 1, "frames": [2, 2], "size": [96, 72]}
SMALL |= {"seed": 5}


def call(folder: Path, *words: str) -> str:
    """What a command prints, which must end well."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(words, cwd=folder, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def commit(folder: Path) -> None:
    call(folder, "git", "add", "-A")
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    call(folder, "git", *identity, "commit", "-q", "-m", "data")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with a small set to render and a benchmark that DVC has; its remote is a folder."""
    root = tmp_path / "one"
    own = shutil.ignore_patterns("tmp", "cache")
    for name in ("params", ".dvc"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=own)
    for name in (".gitignore", ".dvcignore", "dvc.yaml"):
        shutil.copy(REPOSITORY / name, root / name)
    (root / "params/profiles/own.yaml").write_text(PROFILE)
    (root / "params/synthetic.yaml").write_text(yaml.safe_dump({"small": SMALL}))
    call(root, "git", "init", "-q")
    call(root, "dvc", "remote", "modify", "local", "url", str(tmp_path / "storage"))
    (root / "data/raw/street/one/img").mkdir(parents=True)
    (root / "data/raw/street/one/groundtruth_rect.txt").write_text("1,2,3,4\n")
    call(root, "dvc", "add", "-q", "data/raw/street")
    commit(root)
    monkeypatch.chdir(root)
    return root


def fetched(dataset: str) -> str:
    """The content of a data set after `siamla data fetch`."""
    assert main(["data", "fetch", dataset, "--profile", "own"]) == 0
    record = Plan.load("own").job("fetch", dataset=dataset).record()
    assert record is not None
    return str(record["content"])


def test_a_set_is_rendered_once_and_again_after_an_edit(project: Path) -> None:
    """Without DVC, and the git tree stays clean; the content is that of the files alone."""
    first, manifest = fetched("clips"), Path("data/raw/small", MANIFEST)
    written = manifest.stat().st_mtime_ns
    assert fetched("clips") == first
    assert manifest.stat().st_mtime_ns == written
    assert call(project, "git", "status", "--porcelain") == ""
    other = read_json(manifest)
    shutil.rmtree("data/raw/small")
    manifest.parent.mkdir()
    assert fetched("clips") == first  # rendered elsewhere it would be the same
    assert read_json(manifest) == other
    Path("data/raw/small/0001/groundtruth_rect.txt").write_text("1,1,1,1\n")
    assert fetched("clips") == first  # a changed file is not believed
    key = Plan.load("own").job("fetch", dataset="clips").key
    Path("params/synthetic.yaml").write_text(yaml.safe_dump({"small": SMALL | {"seed": 6}}))
    assert Plan.load("own").job("fetch", dataset="clips").key != key
    assert fetched("clips") != first


def test_other_code_renders_a_set_anew(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, manifest = fetched("clips"), Path("data/raw/small", MANIFEST)
    manifest.write_text(json.dumps(read_json(manifest) | {"code": "older"}))
    assert fetched("clips") == first
    assert read_json(manifest)["code"] != "older"
    manifest.write_text(json.dumps({"name": "small", "settings": SMALL}))
    assert main(["data", "fetch", "clips", "--profile", "own"]) == 2
    assert "lists no files, as those of an older version; delete data/raw/small, and" in (
        capsys.readouterr().err
    )


@pytest.fixture(params=["folder", "s3"])
def remote(
    request: pytest.FixtureRequest, project: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The project's remote: the folder that it is, or a bucket of a server that plays S3."""
    if request.param == "folder":
        yield
        return
    server = pytest.importorskip("moto.server", reason="moto, which plays S3, is not installed")
    pytest.importorskip("dvc_s3", reason="the extra `s3` is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    played = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    played.start()
    try:
        host, port = played.get_host_and_port()
        made = urllib.request.Request(f"http://{host}:{port}/bucket", method="PUT")
        urllib.request.urlopen(made, timeout=10).close()
        for setting in (("url", "s3://bucket/store"), ("endpointurl", f"http://{host}:{port}")):
            call(project, "dvc", "remote", "modify", "local", *setting)
        yield
    finally:
        played.stop()


def clone(project: Path) -> Path:
    """Another clone of what is committed."""
    commit(project)
    other = project.with_name("two")
    call(project.parent, "git", "clone", "-q", str(project), str(other))
    return other


@pytest.mark.usefixtures("remote")
def test_pointers_go_through_the_remote_to_another_clone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Add, push, collect garbage, pull: DVC must walk to the pointers, whatever git ignores."""
    content = fetched("street")
    Path("results/study").mkdir(parents=True)
    Path("results/study/scores.csv").write_text("siamla,0.5\n")
    call(project, "dvc", "add", "-q", "results/study")
    assert "4 files pushed" in call(project, "dvc", "push")
    call(project, "dvc", "gc", "--workspace", "--cloud", "--force")
    other = clone(project)
    monkeypatch.chdir(other)
    assert fetched("street") == content
    assert Path("data/raw/street/one/groundtruth_rect.txt").read_text() == "1,2,3,4\n"
    call(other, "dvc", "pull", "results/study.dvc")
    assert Path("results/study/scores.csv").read_text() == "siamla,0.5\n"
    assert call(other, "git", "status", "--porcelain") == ""


NAME = "own/siamla@five/seed1"


@pytest.fixture
def trained(project: Path) -> Path:
    """The folder of a training's result, its files played."""
    folder = project / "results/own/train/siamla@five/seed1"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_text(name)
    record = make_record("train", {}, {}, "0" * 16, {}, {}, 0.0)
    write_json(folder / f"record-{'0' * 16}.json", record | {"files": hashed(folder, FILES)})
    return folder


def test_a_model_is_published_and_fetched_by_its_digest(
    project: Path,
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["model", "publish", NAME]) == 0
    assert f"git add models/{NAME}.dvc" in capsys.readouterr().out
    call(project, "dvc", "gc", "--workspace", "--cloud", "--force")
    monkeypatch.chdir(clone(project))
    assert main(["model", "fetch", NAME]) == 0
    model = Path("models", NAME, "model.pt")
    assert f"{model}: SHA-256 {sha256(model)}" in capsys.readouterr().out
    assert hashed(model.parent, FILES) == hashed(trained, FILES)
    assert call(Path(), "git", "status", "--porcelain") == ""


def test_what_is_no_finished_training_is_not_published(
    project: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor is a pointer fetched that is not there."""
    faults = {
        "siamla": "'siamla': expected PROFILE/VARIANT/seedN, such as mini/siamla/seed1",
        "../siamla/seed1": "expected PROFILE/VARIANT/seedN",
        "own/siamla/seed1": "results/own/train/siamla/seed1: 0 records of a model, expected one",
        NAME: "model.pt: not the file of which record-0000000000000000.json has the SHA-256",
    }
    (trained / "model.pt").write_text("other")
    for name, said in faults.items():
        assert main(["model", "publish", name]) == 2
        assert said in capsys.readouterr().err
    assert not Path("models").exists()
    assert main(["model", "fetch", NAME]) == 2
    assert f"models/{NAME}.dvc: no such pointer" in capsys.readouterr().err


def test_an_edited_file_below_a_pointer_is_noticed(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """And brought back, or kept, as docs/data.md says."""
    content, truth = fetched("street"), Path("data/raw/street/one/groundtruth_rect.txt")
    truth.write_text("1,1,1,1\n")
    assert main(["data", "fetch", "street", "--profile", "own"]) == 2
    said = capfd.readouterr().err
    assert "unsaved files" in said
    assert str(truth) in said
    call(project, "dvc", "checkout", "--force", "data/raw/street.dvc")
    assert fetched("street") == content
    truth.write_text("1,1,1,1\n")
    call(project, "dvc", "add", "-q", "data/raw/street")
    assert fetched("street") != content


def test_what_dvc_cannot_bring_is_one_line(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree("data/raw/street")
    shutil.rmtree(".dvc/cache")
    assert main(["data", "fetch", "street", "--profile", "own"]) == 2
    assert "dvc pull data/raw/street.dvc failed with status 1" in capsys.readouterr().err


def test_a_killed_fetch_leaves_its_dvc_at_work_and_the_next_waits(project: Path) -> None:
    """`dvc` is a script here, the process that started it is killed."""
    tools = project.with_name("bin")
    tools.mkdir()
    (tools / "dvc").write_text(
        "#!/bin/sh\n[ -e go ] && exit 0\nkill -9 $PPID\nwhile [ ! -e go ]; do sleep 0.05; done\n"
    )
    (tools / "dvc").chmod(0o755)
    words = ["data", "fetch", "street", "--profile", "own"]
    command = [sys.executable, "-c", f"from siamla.cli.main import main; exit(main({words}))"]
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = str(REPOSITORY)
    quiet = subprocess.DEVNULL
    first = subprocess.run(command, env=environment, stdout=quiet, stderr=quiet, check=False)
    assert first.returncode == -9
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as second:
        assert second.stderr is not None
        assert "another process is at work here" in second.stderr.readline()
        Path("go").touch()
    assert second.returncode == 0
