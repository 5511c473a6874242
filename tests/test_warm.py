"""Commands that a pipeline's warm process forks: the same work, output and status, and an end with
their pipeline.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # snakemake brings it
import pytest
from conftest import REPOSITORY
from tiny import wait_for

from siamla.cli import warm

PIPELINE = """
import sys
from siamla.cli import warm
warm.start("smoke")
print(warm.os.environ[warm.ADDRESS], flush=True)
sys.stdin.read()
"""
COMMAND = """
import sys
from siamla.cli import warm
status = warm.ask(sys.argv[1:])
where = "here" if status is None else f"torch in the command: {'torch' in sys.modules}"
print(where, file=sys.stderr)
sys.exit(status or 0)
"""


@dataclass(frozen=True)
class Pipeline:
    """A stand-in for snakemake, in a project folder with a package of its own."""

    folder: Path
    process: "subprocess.Popen[str]"
    address: str

    def environment(self, threads: int) -> dict[str, str]:
        own = {warm.ADDRESS: self.address, warm.THREADS: str(threads)}
        return {**os.environ, "PYTHONPATH": str(self.folder), **own}

    def start(self, *words: str, threads: int = 1) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *words],
            cwd=self.folder,
            env=self.environment(threads),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *words: str, threads: int = 1) -> tuple[int, str, str]:
        """Status, output and errors of a command."""
        process = self.start(*words, threads=threads)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def servers(self) -> list[int]:
        """The warm process and its forks."""
        wanted = {self.address, "siamla.cli.prefork"}
        found = psutil.process_iter(["cmdline", "status"])
        running = [each for each in found if each.info["status"] != psutil.STATUS_ZOMBIE]
        return [each.pid for each in running if wanted <= {*(each.info["cmdline"] or ())}]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("warm")
    compiled = shutil.ignore_patterns("__pycache__")
    for name in ("siamla", "params"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=compiled)
    (folder / ".snakemake").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", PIPELINE],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    pipeline = Pipeline(folder, process, process.stdout.readline().strip())
    wait_for(lambda: (folder / pipeline.address).exists(), 120)
    yield pipeline
    process.kill()
    wait_for(lambda: not pipeline.servers())  # they do not outlive their pipeline
    assert not (folder / pipeline.address).exists()


def test_a_command_says_and_returns_what_it_does_cold(pipeline: Pipeline) -> None:
    words = ("config", "show", "siamla", "--profile", "smoke")
    command = [sys.executable, "-m", "siamla.cli.main", *words]
    cold = subprocess.check_output(command, cwd=REPOSITORY, text=True)
    assert pipeline.run(*words) == (0, cold, "torch in the command: False\n")


def test_bad_input_ends_with_its_line_and_status(pipeline: Pipeline) -> None:
    status, _, err = pipeline.run("config", "show", "siamle", "--profile", "smoke")
    assert status == 2
    assert "siamla: error: siamle: no such variant in profile smoke; did you mean 'siamla'?" in err
    status, _, err = pipeline.run("config", "sow")
    assert status == 2
    assert "invalid choice: 'sow'" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_work_ends_with_its_command(pipeline: Pipeline, number: signal.Signals) -> None:
    before = set(pipeline.servers())
    command = pipeline.start("data", "synthesize", "otb100", "--root", f"data/{number}")
    wait_for(lambda: len(pipeline.servers()) > len(before))
    command.send_signal(number)
    _, err = command.communicate(timeout=60)
    assert command.returncode == (1 if number == signal.SIGTERM else -number)
    assert ("the process that did this was killed" in err) == (number == signal.SIGTERM)
    wait_for(lambda: set(pipeline.servers()) == before)


def test_a_command_works_itself_with_more_threads_in_a_clusters_job_and_for_an_edited_package(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pipeline.run("config", "keys", threads=2) == (0, "", "here\n")
    with monkeypatch.context() as patch:
        patch.setenv(warm.JOB, "4711")
        assert pipeline.run("config", "keys") == (0, "", "here\n")
    source = pipeline.folder / "siamla/geometry.py"
    text, times = source.read_text(), source.stat()
    source.write_text(f"{text}\n# edited\n")
    assert pipeline.run("config", "keys") == (0, "", "here\n")
    source.write_text(text)
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    (server,) = pipeline.servers()
    assert pipeline.run("config", "keys")[2] == "torch in the command: False\n"
    assert len(list(Path(f"/proc/{server}/task").iterdir())) == 1  # what a fork does, it does alone
