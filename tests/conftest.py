"""A copy of the working tree in which the pipeline of the `smoke` profile has run once."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from siamla.files import locked

if TYPE_CHECKING:
    from plans import Change

if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core
    os.environ.setdefault("OMP_NUM_THREADS", "1")
REPOSITORY = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
COMMAND = (str(BIN / "snakemake"), "--cores", "2", "--config", "profile=smoke")
JOB = re.compile(r"^(?:local)?rule (\w+):\n((?: {4}.*\n)*)", re.MULTILINE)


LONGEST = "slurm ranks kills pipeline mlflow fakegpu training views engines study figures"
"""What begins first where processes share the tests: Slurm mostly waits. The second does not need
the tree that the first makes and the third uses, too.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where processes share the tests, the longest files come first."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        order = {name: place for place, name in enumerate(LONGEST.split())}
        items.sort(key=lambda item: order.get(item.path.stem.removeprefix("test_"), len(order)))


@dataclass(frozen=True)
class Tree:
    """A copy of the repository; commands run in it with its own package first on the path."""

    folder: Path

    @property
    def log(self) -> Path:
        """What a run in the background prints; outside the work tree, which stays clean."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def environment(self) -> dict[str, str]:
        own = {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(self.folder)}
        own["OMP_NUM_THREADS"] = "1"
        return {**{k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")}, **own}

    def call(
        self, *command: str, timeout: float = 600, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; stdout holds stderr too."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment, **environment},
            text=True,
            timeout=timeout,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def run(self) -> str:
        """The pipeline, which must succeed; what it prints."""
        done = self.call(*COMMAND)
        logs = [*(self.folder / "results/smoke/logs").rglob("*.log")]
        last = sorted(logs, key=lambda path: path.stat().st_mtime)[-3:]
        told = "".join(f"\n{path}\n{path.read_text()}" for path in last)
        assert done.returncode == 0, done.stdout + told
        return done.stdout

    def planned(self) -> set[str]:
        """What a run would do now, without profile and seed: "predict otb100 lafa"."""
        done = self.call(*COMMAND, "-n")
        assert done.returncode == 0, done.stdout
        jobs = set()
        for rule, body in JOB.findall(done.stdout):
            wildcards = re.search(r"wildcards: (.*)", body)
            pairs = [pair.split("=") for pair in wildcards[1].split(", ")] if wildcards else []
            named = [value for key, value in pairs if key not in ("profile", "seed", "key")]
            jobs.add(" ".join([rule, *named]))
        return jobs - {"reproduce_tables"}

    def start(self, *options: str) -> "subprocess.Popen[bytes]":
        """The pipeline in the background, in a process group of its own."""
        with self.log.open("wb") as log:
            return subprocess.Popen(
                (*COMMAND, *options),
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill_when(self, reached: Callable[[], bool], orphans: bool = False) -> None:
        """Start the pipeline and, once `reached()`, kill -9 it, with or without its jobs."""
        process = self.start()
        self.wait_for(reached, process)
        os.kill(process.pid, signal.SIGKILL) if orphans else os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def wait_for(self, reached: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
        """Wait until `reached()`, which has to be before the process ends."""
        deadline = time.monotonic() + 300
        while not reached():
            assert process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def remove(self, *patterns: str) -> None:
        """Delete what matches."""
        for pattern in patterns:
            for path in list(self.folder.glob(pattern)):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def exists(self, pattern: str) -> Callable[[], bool]:
        """A test whether anything matches."""
        return lambda: any(self.folder.glob(pattern))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """The whole folder is as before afterwards, without another run."""
        aside = self.folder.with_name(f"{self.folder.name}-kept")
        copy_whole(self.folder, aside)
        try:
            yield
        finally:
            shutil.rmtree(self.folder)
            aside.rename(self.folder)

    @contextmanager
    def edited(self, name: str, old: str, new: str) -> Iterator[None]:
        """A file with `old`, which it must contain, replaced; as before afterwards."""
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        try:
            yield
        finally:
            path.write_text(text)


def copy_whole(source: Path, folder: Path) -> None:
    """Copy a tree with its results; a run's server leaves its socket."""
    shutil.copytree(
        source, folder, symlinks=True, ignore=shutil.ignore_patterns("*.sock"), dirs_exist_ok=True
    )


def copy_tree(folder: Path) -> Tree:
    """The working tree's own files in an empty folder, as a git repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.check_output(command, text=True, cwd=REPOSITORY)
    for name in listed.split("\0"):
        if name and (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    tree = Tree(folder)
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "copy")):
        done = tree.call("git", *command)
        assert done.returncode == 0, done.stdout
    return tree


@pytest.fixture(scope="session")
def bare_tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A copy of the working tree in which nothing has run."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    return copy_tree(tmp_path_factory.mktemp("siamla"))


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A copy of the working tree after a run of smoke, which one process makes for all."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    own = tmp_path_factory.mktemp("siamla")
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    made = shared / "smoke"
    with locked(shared / "smoke.lock"):
        if not made.exists():
            run = copy_tree(tmp_path_factory.mktemp("smoke"))
            run.run()
            run.folder.rename(made)
    copy_whole(made, own)
    return Tree(own)


@pytest.fixture(scope="session")
def undisturbed(tree: Tree) -> dict[str, object]:
    """What matters of the tree's results."""
    from chaos import outcome

    return outcome(tree)


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of params/ in an empty folder, which is the current one."""
    shutil.copytree(REPOSITORY / "params", tmp_path / "params")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "params"


@pytest.fixture
def changed(params: Path) -> "Change":
    """The smoke profile's plan after changes of settings files, laid over their content."""
    from plans import changed_plan

    return partial(changed_plan, params)


@pytest.fixture
def as_before() -> Iterator[None]:
    """Threads and determinism, which a training sets for its whole process."""
    import torch

    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of random weights with tracker settings of its own."""
    from siamla.model.checkpoint import save_model
    from siamla.model.settings import ModelSettings
    from siamla.model.siamla import build_model
    from siamla.tracker.settings import TrackerSettings, stored

    network = {"backbone": "efficientnet_lite0", "weights": "random"}
    network |= {"channels": 16, "tower_depth": 1, "groups": 4}
    path = tmp_path_factory.mktemp("model") / "noise.pt"
    settings = TrackerSettings(window=0.1, size_lr=0.9, precision="fp32", lost=0.25)
    save_model(path, build_model(ModelSettings(**network), seed=0), "Noise", stored(settings))  # type: ignore[arg-type]
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a tmpfs is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
