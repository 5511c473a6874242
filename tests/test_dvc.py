"""Data sets that DVC brings: dvc.lock stays as it was, whatever is killed. `dvc` is a script here."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY

LOCK = """schema: '2.0'
# as it was committed
stages:
  synthesize@one:
    outs: [{path: data/raw/one, md5: old}]
  mine:
    outs: [{path: mine, md5: mine}]
"""
FETCH = """
import sys
from pathlib import Path
from siamla.steps.data import _by_dvc
print(_by_dvc(sys.argv[1], Path("data/raw/one")))
"""
RENEW = "sed -i '/^#/d; s/md5: old/md5: new/' dvc.lock\n"


def _dvc(folder: Path, script: str) -> None:
    path = folder / "bin/dvc"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)


def _fetch(folder: Path) -> "subprocess.Popen[str]":
    environment = {
        "PATH": f"{folder}/bin:/usr/bin:/bin",
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(folder),
    }
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, "synthesize@one"],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "dvc.lock").write_text(LOCK)
    return tmp_path


def test_a_renewed_entry_is_put_back(clone: Path) -> None:
    _dvc(clone, RENEW)
    said, _ = (process := _fetch(clone)).communicate(timeout=60)
    assert process.returncode == 0, said
    assert said.split()[-1] == "new"  # what DVC made is what the record shall hold
    assert (clone / "dvc.lock").read_text() == LOCK


@pytest.mark.parametrize(
    "left", [RENEW, "head -c 60 dvc.lock > half; mv half dvc.lock\n", ": > dvc.lock\n"]
)
def test_what_a_killed_fetch_left_is_put_back_by_the_next(clone: Path, left: str) -> None:
    _dvc(clone, left + "kill -9 $PPID")
    assert _fetch(clone).wait(60) == -9
    assert (clone / "dvc.lock").read_text() != LOCK
    _dvc(clone, "true")
    said, _ = (process := _fetch(clone)).communicate(timeout=60)
    assert process.returncode == 0, said
    assert (clone / "dvc.lock").read_text() == LOCK


def test_what_the_user_changed_since_stays(clone: Path) -> None:
    _dvc(clone, RENEW + "kill -9 $PPID")
    assert _fetch(clone).wait(60) == -9
    lock = clone / "dvc.lock"
    lock.write_text(lock.read_text().replace("md5: mine", "md5: other"))
    _dvc(clone, "true")
    said, _ = (process := _fetch(clone)).communicate(timeout=60)
    assert process.returncode == 0, said
    found = yaml.safe_load(lock.read_text())["stages"]
    assert found["mine"]["outs"][0]["md5"] == "other"


def test_the_orphan_of_a_killed_fetch_is_waited_for(clone: Path) -> None:
    _dvc(clone, f"touch begun; while [ ! -e go ]; do sleep 0.05; done; {RENEW}touch done")
    first = _fetch(clone)
    deadline = time.monotonic() + 60
    while not (clone / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.kill()
    first.wait(60)
    _dvc(clone, "test -e done")
    second = _fetch(clone)
    assert second.stdout is not None
    assert "another process is at work here" in second.stdout.readline()
    (clone / "go").touch()
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert (clone / "dvc.lock").read_text() == LOCK
