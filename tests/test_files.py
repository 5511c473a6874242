"""A file is complete or it is not there, whatever happens to those that write it."""

import errno
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from siamla.errors import UserError
from siamla.files import atomic, whole_folder, write_text

KILLED = """
import os, sys
from pathlib import Path
from siamla import files
with getattr(files, sys.argv[1])(Path(sys.argv[2])) as temporary:
    (temporary / "a" if temporary.is_dir() else temporary).write_text("hal")
    os.kill(os.getpid(), 9)
"""


def killed(writer: str, path: Path) -> None:
    """Have a process killed that writes `path`."""
    done = subprocess.run([sys.executable, "-c", KILLED, writer, str(path)], check=False)
    assert done.returncode == -9


def test_a_folder_of_a_killed_process_is_not_there_and_makes_way(tmp_path: Path) -> None:
    path = tmp_path / "set"
    killed("whole_folder", path)
    assert [left.name for left in tmp_path.rglob("*")] == [".set.tmp", "a"]
    for name in "bc":
        with whole_folder(path) as temporary:
            (temporary / name).touch()
        assert [left.name for left in tmp_path.rglob("*")] == ["set", name]


def test_half_a_file_of_a_killed_process_goes_when_the_file_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a[1].txt"
    killed("atomic", path)
    assert [left.name.startswith(".a[1].txt.") for left in tmp_path.iterdir()] == [True]
    alive = tmp_path / f".{path.name}.{platform.node()}.{os.getppid()}.tmp"
    elsewhere = tmp_path / f".{path.name}.another-host.1.tmp"
    other = tmp_path / f".a1.txt.{platform.node()}.{2**22 + 1}.tmp"
    for left in (alive, elsewhere, other):
        left.touch()
    write_text(path, "whole")
    assert path.read_text() == "whole"
    assert sorted(tmp_path.iterdir()) == sorted([path, alive, elsewhere, other])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_what_cannot_be_written_is_told_by_its_own_name(tmp_path: Path, number: int) -> None:
    path = tmp_path / "a.txt"

    def fail() -> None:
        with atomic(path) as temporary:
            temporary.write_text("hal")
            raise OSError(number, os.strerror(number), str(temporary))

    with pytest.raises((UserError, OSError)) as caught:
        fail()
    assert str(path) in str(caught.value)
    assert ".tmp" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
