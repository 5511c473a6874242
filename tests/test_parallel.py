"""The pool of processes: order, one thread each, and no worker left when anything ends."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import cv2
import pytest
from tiny import wait_for

from siamla.errors import UserError
from siamla.parallel import THREADS, in_parallel
from siamla.stopping import gone

_made: list[int] = []


def _square(number: int) -> int:
    time.sleep(0.3 if number == 1 else 0)
    return number * number


def _die_at(number: int, fatal: int) -> int:
    if number == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def _about_me(_: int) -> tuple[int, int, list[str | None], int]:
    return os.getpid(), len(_made), [os.environ.get(name) for name in THREADS], cv2.getNumThreads()


def _prepare() -> None:
    _made.append(1)


def _refuse() -> None:
    raise UserError("no weights")


def _wait(number: int, folder: Path) -> None:
    """Say who works, then work for longer than any test."""
    (folder / f"{number}.tmp").write_text(str(os.getpid()))
    (folder / f"{number}.tmp").replace(folder / f"{number}.pid")
    time.sleep(300)


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_order_or_as_they_are_finished(
    jobs: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(in_parallel(_square, [1, 2, 3], jobs, "squares")) == [1, 4, 9]
    found = list(in_parallel(_square, [1, 2, 3], jobs, "squares", ordered=False, done=1))
    assert sorted(found) == [1, 4, 9]
    if jobs == 1:
        assert found == [1, 4, 9]
    assert "4/4" in capsys.readouterr().err


def test_workers_have_one_thread_and_are_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    found = list(in_parallel(_about_me, range(6), 2, "look", initializer=_prepare))
    assert {made for _, made, _, _ in found} == {1}
    assert os.getpid() not in {process for process, *_ in found}
    assert all(threads == ["1"] * 3 and opencv == 1 for _, _, threads, opencv in found)
    assert (os.environ["OMP_NUM_THREADS"], os.environ.get("MKL_NUM_THREADS")) == ("2", None)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert not _made


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_initializer_that_fails_is_the_callers_error(jobs: int) -> None:
    with pytest.raises(UserError, match=r"^no weights$"):
        list(in_parallel(_square, range(4), jobs, "squares", initializer=_refuse))


@pytest.mark.parametrize("ordered", [True, False])
def test_a_killed_worker_is_one_clear_line(ordered: bool) -> None:
    with pytest.raises(
        UserError, match=r"^chunks: a worker process died .*; run the same command again to go on$"
    ):
        list(in_parallel(partial(_die_at, fatal=2), range(6), 2, "chunks", ordered=ordered))


SCRIPT = """
import signal, sys
from functools import partial
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_parallel as here
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for _ in here.in_parallel(partial(here._wait, folder=Path(sys.argv[2])), range(4), 2, "wait"):
        pass
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    """A signal to the parent alone, in the middle of long work."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(Path(__file__).parent), str(tmp_path)]
    parent = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    workers = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
    assert not any(map(gone, workers))
    parent.send_signal(number)
    assert parent.wait(20) != 0
    wait_for(lambda: all(map(gone, workers)), 20)
    assert len(list(tmp_path.glob("*.pid"))) == 2  # nothing new was begun
    assert parent.stderr is not None
    assert "BrokenProcessPool" not in parent.stderr.read()
