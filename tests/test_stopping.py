"""Who is told to end: a command by a signal, and the jobs of a pipeline that is interrupted or
gone.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import wait_for

from siamla import stopping
from siamla.stopping import stop_requests

JOB = """
import os, sys, time
from pathlib import Path
from siamla.stopping import follow_pipeline, stop_requests
folder = Path(sys.argv[1])
follow_pipeline(every=0.05)
with stop_requests() as asked:
    (folder / "started").touch()
    end = time.monotonic() + 60
    while not asked() and time.monotonic() < end:
        time.sleep(0.02)
    (folder / ("saved" if asked() else "too late")).touch()
"""

PIPELINE_SCRIPT = """
import signal, subprocess, sys
from siamla.stopping import lead_jobs
signal.signal(signal.SIGINT, signal.default_int_handler)
lead_jobs()
subprocess.run(["bash", "-c", f"set -e; {sys.executable} {sys.argv[1]}/job.py {sys.argv[1]}; true"])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_is_noted_and_work_goes_on(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_requests() as asked:
        assert not asked()
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # as from a terminal and a pipeline: one request
        assert asked()
    assert signal.getsignal(number) == before


def test_a_later_second_request_ends_it_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "PATIENCE", 0.05)
    with stop_requests() as asked:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_job_ends_with_its_pipeline(tmp_path: Path, number: signal.Signals) -> None:
    """A signal to the pipeline alone: its job, the child of a shell, stops where it can go on."""
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "pipeline.py").write_text(PIPELINE_SCRIPT)
    pipeline = subprocess.Popen(
        [sys.executable, str(tmp_path / "pipeline.py"), str(tmp_path)], stderr=subprocess.PIPE
    )
    wait_for((tmp_path / "started").exists)
    pipeline.send_signal(number)
    wait_for((tmp_path / "saved").exists)
    assert pipeline.wait(10) != 0
