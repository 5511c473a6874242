"""The smoke profile on a real Slurm of two nodes, which runs on this machine for these tests."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest
from chaos import outcome
from conftest import COMMAND, Tree

from siamla.files import read_json

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
DAEMONS = ("munged", "slurmctld", "slurmd")
CONF = """
ClusterName=siamla
SlurmctldHost={host}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
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
MpiDefault=none
GresTypes=gpu
NodeName=DEFAULT CPUs=32 RealMemory=200000
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} Gres=gpu:2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]}
PartitionName=cpu Nodes=n1,n2
PartitionName=gpu Nodes=n1
"""
SLOW = "extends: smoke\nspec: {training: {epochs: 2000, frozen_epochs: 2000, pairs_per_epoch: 8}}\n"
STARTED: list["subprocess.Popen[bytes]"] = []  # drivers
TRAININGS = ("results/*/train", "results/*/state", "results/*/predictions", "results/*/scores*")


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
    for name in (*DAEMONS, "unshare"):
        if shutil.which(name) is None:
            return f"{name} is not installed (slurm-wlm, munge)"
    if os.geteuid():
        return "only root can start Slurm"
    if find_spec("snakemake_executor_plugin_slurm") is None:
        return "the extra `slurm` is not installed"
    if subprocess.run(["unshare", "--uts", "true"], check=False).returncode:
        return "no name of its own for the login node (unshare --uts)"
    return None


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two nodes, n1 with two made-up GPUs; SLURM_CONF names them."""
    if reason := _missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    cgroups = Path("/sys/fs/cgroup/freezer").is_dir()
    values = {"folder": folder, "host": socket.gethostname().partition(".")[0], "ports": _ports(3)}
    text = CONF.format(**values, tracked="cgroup" if cgroups else "linuxproc")
    (folder / "slurm.conf").write_text(text)
    (folder / "cgroup.conf").write_text("ConstrainCores=no\n")
    gpus = "".join(f"NodeName=n1 Name=gpu File={file}\n" for file in ("/dev/null", "/dev/zero"))
    (folder / "gres.conf").write_text(gpus)
    for name in ("munge", "state"):
        (folder / name).mkdir(mode=0o700)
    (folder / "munge/key").write_bytes(os.urandom(1024))
    (folder / "munge/key").chmod(0o600)
    files = [f"--{kind}={folder}/munge/{name}" for kind, name in MUNGE.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        for command in (["munged", "--force", *files], ["slurmctld", "-c"], *NODES):
            subprocess.run(command, check=True, timeout=30)
        try:
            wait(lambda: ask("sinfo", "-h", "-p", "cpu", "-o", "%T %D") == ["idle", "2"], 30)
            yield
        finally:
            subprocess.run(["scancel", "--user=root"], check=False)
            for pid in [*folder.glob("*.pid"), folder / "munge/pid"]:
                os.kill(int(pid.read_text()), signal.SIGKILL)


MUNGE = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log"}
MUNGE |= {"seed-file": "seed"}
NODES = (["slurmd", "-N", "n1"], ["slurmd", "-N", "n2"])


@pytest.fixture
def cluster(tree: Tree, slurm: None) -> Iterator[Tree]:
    """A tree of which the trainings and what is made from them are to be made, as before after the
    test.
    """
    with tree.kept():
        tree.remove(*TRAININGS, "reports/smoke")
        (tree.folder / "params/profiles/slow.yaml").write_text(SLOW)
        yield tree
        for left in STARTED:
            if left.poll() is None:
                os.killpg(left.pid, signal.SIGKILL)
        subprocess.run(["scancel", "--user=root"], check=False)
        wait(lambda: not ask("squeue", "-h"), 90)


def driver(
    tree: Tree, *options: str, profile: str = "smoke", kind: str = "slurm", **config: str
) -> "subprocess.Popen[bytes]":
    """The pipeline on a login node of another name: else its jobs would watch it."""
    config = {"profile": profile, "train": "bash workflow/launch.sh", **config}
    words = (
        *("unshare", "--uts", "sh", "-c", 'hostname login1; exec "$@"', "sh"),
        *(COMMAND[0], "--workflow-profile", f"workflow/profiles/{kind}"),
        *("--slurm-init-seconds-before-status-checks", "5"),
        *("--default-resources", "slurm_partition=cpu"),
        *("--set-threads", *(f"{step}=1" for step in ("train", "predict", "crops", "features"))),
        *options,
        *("--config", *(f"{name}={value}" for name, value in config.items())),
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


def step_of(tree: Tree, variant: str) -> int:
    """The last step that the log of a slow training shows."""
    (log,) = tree.folder.glob(f"results/slow/logs/train/{variant}/*.log") or [None]
    shown = re.findall(r" (\d+)/4000 ", log.read_text()) if log else []
    return int(shown[-1]) if shown else 0


def test_a_run_on_the_cluster_gives_the_same_bytes(
    cluster: Tree, undisturbed: dict[str, object]
) -> None:
    assert driver(cluster).wait(400) == 0, cluster.log.read_text()
    assert outcome(cluster) == undisturbed


def test_nothing_is_submitted_twice_and_a_cancelled_training_is_saved_and_goes_on(
    cluster: Tree,
) -> None:
    first = driver(cluster, "--until", "train", profile="slow")
    both = ("siamla", "siamcar")
    wait(lambda: all(step_of(cluster, name) for name in both), 200, cluster.log.read_text)
    jobs = ask("squeue", "-h", "-o", "%i")
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    second = driver(cluster, "--until", "train", profile="slow")
    wait(lambda: "Waiting for 2 jobs of an earlier run" in cluster.log.read_text(), 60)
    assert ask("squeue", "-h", "-o", "%i") == jobs
    (log,) = cluster.folder.glob("results/slow/logs/train/siamla/*.log")
    subprocess.run(["scancel", *jobs], check=True)
    wait(lambda: re.search(r"state\.pt: saved \(", log.read_text()), 60, log.read_text)
    saved = step_of(cluster, "siamla")
    wait(lambda: {*ask("squeue", "-h", "-o", "%i")} - {*jobs}, 90, cluster.log.read_text)
    wait(lambda: step_of(cluster, "siamla") > saved + 1, 120, log.read_text)
    again = log.read_text().rpartition("siamla: interrupted")[2]  # the second try
    assert int(re.findall(r" (\d+)/4000 ", again)[0]) >= saved
    os.killpg(second.pid, signal.SIGINT)
    second.wait(120)


def test_two_nodes_train_together(cluster: Tree) -> None:
    run = driver(cluster, "--set-resources", "train:nodes=2", "train:tasks=2", "--until", "train")
    assert run.wait(400) == 0, cluster.log.read_text()
    for record in cluster.folder.glob("results/smoke/train/*/*/record-*.json"):
        assert read_json(record)["place"]["processes"] == [2]


def test_two_trainings_on_one_node_have_a_gpu_each(cluster: Tree) -> None:
    """The GPUs are made up: a script in the training's place notes which it was given."""
    script = cluster.folder.parent / "note.sh"
    script.write_text('echo "$CUDA_VISIBLE_DEVICES" >> "$0.seen"; sleep 5; exit 1\n')
    options = ("--keep-going", "--until", "train")
    driver(cluster, *options, kind="slurm-gpu", train=f"sh {script}").wait(200)
    assert script.with_name("note.sh.seen").exists(), cluster.log.read_text()
    assert sorted(script.with_name("note.sh.seen").read_text().split()) == ["0", "1"]


def test_without_a_partition_slurm_says_what_is_missing(cluster: Tree) -> None:
    run = driver(cluster, "--default-resources", "mem_mb=1000", "--until", "train")
    assert run.wait(200) != 0
    assert "No partition specified or system default partition" in cluster.log.read_text()
