"""The smoke profile on a real Slurm of two nodes, which runs on this machine for these tests."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # snakemake brings it
import pytest
import torch
from chaos import outcome
from conftest import COMMAND, Tree

from siamla.files import read_json
from siamla.model.checkpoint import read_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600, func_only=True)]
NODES = (
    f"a{os.getpid()}",
    f"b{os.getpid()}",
)  # cgroups of one machine know jobs by node and number
PROGRAMS = ("munged", "slurmctld", "slurmd", "unshare")
CONF = """
ClusterName=siamla
SlurmctldHost={host}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=10
SlurmctldPort={ports[0]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdSpoolDir={folder}/spool-%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/{tracked}
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=0
KillWait=60
SlurmdTimeout=10
ReturnToService=2
MpiDefault=none
GresTypes=gpu
NodeName=DEFAULT CPUs=32 RealMemory=200000
NodeName={nodes[0]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} Gres=gpu:2
NodeName={nodes[1]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]}
PartitionName=cpu Nodes={nodes[0]},{nodes[1]}
PartitionName=plain Nodes={nodes[1]}
"""
SLOW = ("epochs: 3, frozen_epochs: 2,", "epochs: 20000, frozen_epochs: 20000,")
STARTED: list["subprocess.Popen[bytes]"] = []  # drivers
PARTS = ("train", "state", "predictions", "scores*", "logs")


def wait(reached: Callable[[], object], seconds: float = 120, more: object = "") -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, more() if callable(more) else more
        time.sleep(0.5)


def ask(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def _ports(count: int) -> list[int]:
    """Ports that are free now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("", 0))
        return [each.getsockname()[1] for each in sockets]


def _missing() -> str | None:
    """Why Slurm cannot be tried here; None where it can."""
    for name in PROGRAMS:
        if shutil.which(name) is None:
            return f"{name} is not installed (slurm-wlm, munge)"
    if os.geteuid():
        return "only root can start Slurm"
    if find_spec("snakemake_executor_plugin_slurm") is None:
        return "the extra `slurm` is not installed"
    if subprocess.run(["unshare", "--uts", "true"], check=False).returncode:
        return "no name of its own for the login node (unshare --uts)"
    return None


def _configure(folder: Path) -> None:
    """Write what Slurm and munge read; an `srun` that finds it, since the plugin's step forgets
    where it lies; and a `squeue` that does not answer as long as there is a file `silent`.
    """
    cgroups = Path("/sys/fs/cgroup/freezer").is_dir()
    host = socket.gethostname().partition(".")[0]
    values = {"folder": folder, "host": host, "ports": _ports(3), "nodes": NODES}
    devices = ("/dev/null", "/dev/zero")
    gpus = "".join(f"NodeName={NODES[0]} Name=gpu File={file}\n" for file in devices)
    srun = f'#!/bin/sh\nexec env SLURM_CONF={folder}/slurm.conf {shutil.which("srun")} "$@"\n'
    squeue = f'#!/bin/sh\n[ -e {folder}/silent ] && exit 1\nexec {shutil.which("squeue")} "$@"\n'
    for name in ("munge", "state", "bin"):
        (folder / name).mkdir(mode=0o700)
    for name, text in {
        "slurm.conf": CONF.format(**values, tracked="cgroup" if cgroups else "linuxproc"),
        "cgroup.conf": "ConstrainCores=no\n",
        "gres.conf": gpus,
        "bin/srun": srun,
        "bin/squeue": squeue,
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "munge/key").write_bytes(os.urandom(1024))
    (folder / "munge/key").chmod(0o600)


def _started(folder: Path) -> bool:
    """Start all; whether both nodes answer."""
    files = [f"--{kind}-file={folder}/munge/{kind}" for kind in ("key", "pid", "log", "seed")]
    munge = ["munged", "--force", *files, f"--socket={folder}/munge/socket"]
    for command in (munge, ["slurmctld", "-c"], *(["slurmd", "-N", name] for name in NODES)):
        if subprocess.run(command, check=False, timeout=30).returncode:
            return False
    for _ in range(60):
        if ask("sinfo", "-h", "-p", "cpu", "-o", "%T %D") == ["idle", "2"]:
            return True
        time.sleep(0.5)
    return False


def _stop(folder: Path) -> None:
    for pid in [*folder.glob("*.pid"), *folder.glob("munge/pid")]:
        with suppress(ProcessLookupError):
            os.kill(int(pid.read_text()), signal.SIGKILL)
    for node in NODES:
        for cgroup in sorted(
            Path("/sys/fs/cgroup/freezer").glob(f"slurm_{node}/**/"), reverse=True
        ):
            with suppress(OSError):  # slurmd of a node that is gone may keep it
                cgroup.rmdir()


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a Slurm with two nodes, the first with two made-up GPUs; SLURM_CONF
    names it.
    """
    if reason := _missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    _configure(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        patch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
        try:
            if not _started(folder):
                pytest.skip("Slurm does not start on this machine")
            yield folder
        finally:
            _stop(folder)


@pytest.fixture
def cluster(tree: Tree, slurm: Path) -> Iterator[Tree]:
    """A tree of which the trainings and what is made from them are to be made, as before after the
    test.
    """
    with tree.kept():
        tree.remove(*(f"results/smoke/{part}" for part in PARTS), "reports/smoke")
        yield tree
        for left in STARTED:
            if left.poll() is None:
                os.killpg(left.pid, signal.SIGKILL)
        subprocess.run(["scancel", "--user=root"], check=False)
        wait(lambda: not ask("squeue", "-h"), 90)


def driver(
    tree: Tree, *options: str, kind: str = "slurm", train: str = "bash workflow/launch.sh"
) -> "subprocess.Popen[bytes]":
    """The pipeline on a login node of another name: else its jobs would watch it."""
    words = (
        *("unshare", "--uts", "sh", "-c", 'hostname login1; exec "$@"', "sh"),
        *(COMMAND[0], "--workflow-profile", f"workflow/profiles/{kind}"),
        *("--slurm-init-seconds-before-status-checks", "8"),
        *("--default-resources", "slurm_partition=cpu"),
        *("--set-threads", *(f"{step}=1" for step in ("train", "predict", "crops", "features"))),
        *options,
        *("--config", "profile=smoke", f"train={train}"),
    )
    with tree.log.open("wb") as log:
        started = subprocess.Popen(
            words,
            cwd=tree.folder,
            env=tree.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    STARTED.append(started)
    return started


def log_of(tree: Tree, variant: str) -> str:
    """What all tries of a slow training have printed."""
    logs = tree.folder.glob(f"results/smoke/logs/train/{variant}/*.log")
    return "".join(path.read_text() for path in logs)


def said(tree: Tree) -> str:
    """What the pipeline and its trainings printed."""
    logs = sorted(tree.folder.glob("results/*/logs/train/**/*.log"))
    return "\n".join(path.read_text() for path in [tree.log, *logs])


def jobs() -> list[str]:
    """The numbers of all jobs that wait, run, or are being ended."""
    return sorted(ask("squeue", "-h", "-o", "%i"))


def test_a_run_gives_the_same_bytes_and_each_training_has_a_gpu(
    cluster: Tree, slurm: Path, undisturbed: dict[str, object]
) -> None:
    """The GPUs are made up: a script notes which of them each training was given. For a while
    squeue does not answer.
    """
    script = cluster.folder.parent / "note.sh"
    note = 'echo "$CUDA_VISIBLE_DEVICES" >> "$0.seen"'
    script.write_text(f'{note}\nexec bash workflow/launch.sh "$@"\n')
    options = ("--set-resources", "train:gpu=1")
    run = driver(cluster, *options, kind="slurm-gpu", train=f"sh {script}")
    wait(lambda: "has been submitted" in cluster.log.read_text(), 120, lambda: said(cluster))
    (slurm / "silent").touch()
    time.sleep(15)
    (slurm / "silent").unlink()
    assert run.wait(400) == 0, said(cluster)
    assert sorted(script.with_name("note.sh.seen").read_text().split()) == ["0", "1"]
    assert outcome(cluster) == undisturbed


BEGIN = "[00:00<?"  # in the first line of each try


def trained(tree: Tree, tries: int) -> Callable[[], bool]:
    """A test whether both slow trainings have begun so often, and taken a step since."""

    def reached() -> bool:
        logs = [log_of(tree, name) for name in ("siamla", "siamcar")]
        begun = all(log.count(BEGIN) == tries for log in logs)
        return begun and all("loss" in log.rpartition(BEGIN)[2] for log in logs)

    return reached


def lose(slurm: Path) -> str:
    """End a node with all that it does, as a power cut; all jobs are there. Its name."""
    (node,) = {*ask("squeue", "-h", "-o", "%N")}
    os.kill(int((slurm / f"slurmd-{node}.pid").read_text()), signal.SIGKILL)
    steps = [each for each in psutil.process_iter() if each.name() == "slurmstepd"]
    ours = [step for step in steps if step.cwd() == str(slurm)]
    for process in [*ours, *(child for step in ours for child in step.children(recursive=True))]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return node


def test_a_killed_driver_a_lost_node_and_the_time_limit(cluster: Tree, slurm: Path) -> None:
    """Nothing is submitted twice, every stop is saved, and no training starts afresh."""

    def more() -> str:
        return said(cluster)

    profile = cluster.folder / "params/profiles/smoke.yaml"
    profile.write_text(profile.read_text().replace(*SLOW))
    first = driver(cluster, "--until", "train")
    wait(trained(cluster, 1), 240, more)
    submitted = jobs()
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    second = driver(cluster, "--until", "train")
    node = lose(slurm)
    wait(trained(cluster, 2), 200, more)
    assert {*ask("squeue", "-h", "-o", "%N")} == {*NODES} - {node}
    assert "Waiting for 2 jobs of an earlier run" in cluster.log.read_text()
    assert jobs() == submitted
    subprocess.run(["slurmd", "-N", node], check=True, timeout=30)

    for job in submitted:
        subprocess.run(["scontrol", "update", f"jobid={job}", "timelimit=1"], check=True)
    wait(lambda: not {*jobs()} & {*submitted}, 180, more)
    wait(trained(cluster, 3), 200, more)
    for name in ("siamla", "siamcar"):
        assert log_of(cluster, name).count(": saved (") == 1, more()
        assert log_of(cluster, name).count(" 0/40000 ") == 1, "a start afresh"
    os.killpg(second.pid, signal.SIGINT)
    second.wait(120)
    wait(lambda: not jobs(), 60)


def test_two_nodes_train_one_model(cluster: Tree) -> None:
    """With gloo; as documented the weights are those of one process to 1e-5."""
    options = ("--set-resources", "train:nodes=2", "train:tasks=2")
    run = driver(cluster, *options, "--until", "train")
    assert run.wait(400) == 0, said(cluster)
    alone = Path(f"{cluster.folder}-kept")
    for variant in ("siamla", "siamcar"):
        folder = Path("results/smoke/train", variant, "seed1")
        (record,) = (cluster.folder / folder).glob("record-*.json")
        assert read_json(record)["place"]["processes"] == [2]
        pair = [read_model(root / folder / "model.pt").model for root in (cluster.folder, alone)]
        found, expected = (model.state_dict() for model in pair)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("partition", "expected"),
    [
        (None, "No partition specified or system default partition"),
        ("plain", "Requested node configuration is not available"),
    ],
)
def test_what_slurm_refuses_is_told(cluster: Tree, partition: str | None, expected: str) -> None:
    """No partition, and one without the GPU that is asked for."""
    place = f"slurm_partition={partition}" if partition else "mem_mb=1000"
    run = driver(cluster, "--default-resources", place, "--until", "train", kind="slurm-gpu")
    assert run.wait(200) != 0
    assert expected in cluster.log.read_text()
    assert not jobs()
