"""Code digests see what matters and nothing else; run records say where a number comes from."""

import subprocess
import time
from pathlib import Path

import pytest

from siamla.errors import UserError
from siamla.provenance.code import code_digest, git_state
from siamla.provenance.record import read_record, run_key, run_record, write_record

SOURCE = '''"""What it is."""
from siamla.low import helper  # the helper

LIMIT = 3


def public(x: int) -> int:
    """Doc."""
    return helper(x) + LIMIT
'''
EDITED = """from siamla.low import (
    helper,
)
# another comment
LIMIT = 3
def public(x: int) -> int:
    "Another doc."
    return (helper(x)
            + LIMIT)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "siamla"
    (folder / "sub").mkdir(parents=True)
    (folder / "__init__.py").write_text('"""Top."""\n')
    (folder / "sub" / "__init__.py").write_text("")
    (folder / "high.py").write_text(SOURCE)
    (folder / "low.py").write_text("def helper(x):\n    from .sub import deep\n    return deep.N * x\n")
    (folder / "sub" / "deep.py").write_text("N = 2\n")
    (folder / "other.py").write_text("import siamla.high\n")
    return tmp_path


def test_code_digest_ignores_comments_docstrings_and_layout(package: Path) -> None:
    before = code_digest("siamla.high", root=package)
    (package / "siamla" / "high.py").write_text(EDITED)
    (package / "siamla" / "__init__.py").write_text('"""Another top line."""\n')
    assert code_digest("siamla.high", root=package) == before


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("high.py", SOURCE.replace("LIMIT = 3", "LIMIT = 4")),
        ("low.py", "def helper(x):\n    from .sub import deep\n    return deep.N + x\n"),
        ("sub/deep.py", "N = 3\n"),  # imported by an import, relatively, inside a function
        ("sub/__init__.py", "import os\n"),
    ],
)
def test_code_digest_sees_changes_of_everything_imported(package: Path, file: str, text: str) -> None:
    before = code_digest("siamla.high", root=package)
    (package / "siamla" / file).write_text(text)
    assert code_digest("siamla.high", root=package) != before


def test_code_digest_leaves_out_what_is_not_imported(package: Path) -> None:
    before = code_digest("siamla.high", root=package)
    (package / "siamla" / "other.py").write_text("import siamla.high\nX = 1\n")
    assert code_digest("siamla.high", root=package) == before
    assert code_digest("siamla.high", "siamla.other", root=package) != before


def test_code_digest_names_a_missing_or_broken_module(package: Path) -> None:
    with pytest.raises(UserError, match=r"no module siamla\.nothing"):
        code_digest("siamla.nothing", root=package)
    (package / "siamla" / "low.py").write_text("def (\n")
    with pytest.raises(UserError, match=r"low\.py: line 1"):
        code_digest("siamla.high", root=package)


def test_git_state(tmp_path: Path) -> None:
    assert git_state(tmp_path) == {"commit": None, "dirty": None, "diff_sha": None}

    def git(*arguments: str) -> None:
        names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", str(tmp_path), *names, *arguments], check=True, capture_output=True)

    git("init")
    (tmp_path / "a.txt").write_text("1\n")
    git("add", ".")
    git("commit", "--no-verify", "-m", "one")
    clean = git_state(tmp_path)
    assert len(str(clean["commit"])) == 40
    assert (clean["dirty"], clean["diff_sha"]) == (False, None)
    (tmp_path / "a.txt").write_text("2\n")
    changed = git_state(tmp_path)
    (tmp_path / "new.py").write_text("x = 1\n")
    untracked = git_state(tmp_path)
    (tmp_path / "new.py").write_text("x = 2\n")
    assert changed["dirty"]
    assert len({changed["diff_sha"], untracked["diff_sha"], git_state(tmp_path)["diff_sha"]}) == 3


def record(seed: int = 1, **extra: object) -> dict:
    spec = {"model": {"channels": 64}}
    return run_record(
        "train", "smoke", "siamla", seed, None, spec, "s1", "c1", "d1", "cpu", 1, time.time(), 2.5, **extra
    )


def test_run_record_round_trip(tmp_path: Path) -> None:
    made = record(model_sha256="ab")
    write_record(tmp_path / "run.json", made)
    assert read_record(tmp_path / "run.json") == made
    assert made["model_sha256"] == "ab"
    assert set(made) >= {"git_commit", "git_dirty", "git_diff_sha", "versions", "started", "seconds", "threads"}


def test_run_key_follows_settings_and_not_time() -> None:
    first, second = record(), record()
    second.update(started="2000-01-01T00:00:00+00:00", seconds=99.0, git_commit="other")
    assert run_key(first) == run_key(second)
    assert len({run_key({**first, name: "x"}) for name in ("seed", "spec_digest", "code_digest", "data_digest")}) == 4


def test_record_refuses_a_clash_and_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="git_commit"):
        record(git_commit="x")
    (tmp_path / "run.json").write_text('{"kind": "train"}')
    with pytest.raises(UserError, match="no field 'profile'"):
        read_record(tmp_path / "run.json")
