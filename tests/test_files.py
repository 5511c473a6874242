"""A file is complete or it is not there, whatever happens to those that write it."""

import errno
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from siamla.errors import UserError
from siamla.files import atomic, write_text

KILLED = """
import os, sys
from pathlib import Path
from siamla.files import atomic
with atomic(Path(sys.argv[1])) as temporary:
    temporary.write_text("hal")
    os.kill(os.getpid(), 9)
"""


def test_half_a_file_of_a_killed_process_goes_when_the_file_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a[1].txt"
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == -9
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
