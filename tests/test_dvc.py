"""Data sets and DVC: rendered sets need none, pointers are pushed and pulled."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY

from siamla.cli.main import main
from siamla.experiment.plan import Plan
from siamla.files import read_json
from siamla.miniatures.dataset import MANIFEST

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


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with a small set to render and a benchmark that DVC has; its remote is a folder."""
    root = tmp_path / "one"
    own = shutil.ignore_patterns("tmp", "cache")
    for name in ("params", ".dvc"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=own)
    for name in (".gitignore", "dvc.yaml"):
        shutil.copy(REPOSITORY / name, root / name)
    (root / "params/profiles/own.yaml").write_text(PROFILE)
    (root / "params/synthetic.yaml").write_text(yaml.safe_dump({"small": SMALL}))
    call(root, "git", "init", "-q")
    call(root, "dvc", "remote", "modify", "local", "url", str(tmp_path / "storage"))
    (root / "data/raw/street/one/img").mkdir(parents=True)
    (root / "data/raw/street/one/groundtruth_rect.txt").write_text("1,2,3,4\n")
    call(root, "dvc", "add", "-q", "data/raw/street")
    call(root, "git", "add", "-A")
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    call(root, "git", *identity, "commit", "-q", "-m", "data")
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


def test_a_pointer_goes_through_the_remote_to_another_clone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Add, push, collect garbage, pull: DVC must walk into data/raw, whatever git ignores there."""
    content = fetched("street")
    assert "2 files pushed" in call(project, "dvc", "push")
    call(project, "dvc", "gc", "--workspace", "--force")
    other = project.with_name("two")
    call(project.parent, "git", "clone", "-q", str(project), str(other))
    monkeypatch.chdir(other)
    assert fetched("street") == content
    assert Path("data/raw/street/one/groundtruth_rect.txt").read_text() == "1,2,3,4\n"
    assert call(other, "git", "status", "--porcelain") == ""


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
