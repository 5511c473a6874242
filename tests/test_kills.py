"""What kills, interrupts and a second run meanwhile leave of the pipeline: the same bytes."""

import os
import re
import signal
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # snakemake brings it
import pytest
from chaos import files, outcome, play
from conftest import COMMAND, Tree

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def forget(tree: Tree, *patterns: str) -> None:
    """Delete files, all trainings, and what was made of them."""
    kinds = ("train", "state", "predictions", "scores", "scores.csv", "sequences.csv")
    tree.remove("reports/smoke", *patterns, *(f"results/smoke/{kind}" for kind in kinds))


def working(tree: Tree, words: str) -> Callable[[], bool]:
    """A test whether such a command works in the tree."""
    return lambda: str(tree.folder) in running(words)


def test_killed_at_random_moments_it_ends_with_the_same_bytes(tree: Tree) -> None:
    """A round of tests/chaos.py; `python tests/chaos.py --kills 200` plays more."""
    play(tree, files(tree), seed=0, number=1)


def test_looking_works_beside_a_running_pipeline_and_changes_nothing(
    tree: Tree, undisturbed: dict[str, object]
) -> None:
    tree.remove("reports/smoke", "results/smoke/scores*", "results/smoke/sequences.csv")
    first = tree.start()
    tree.wait_for(tree.exists(".snakemake/locks/*.lock"), first)
    looks = [tree.call(*COMMAND, option) for option in ("-n", "--summary")]
    second = tree.call(*COMMAND)
    assert first.poll() is None or second.returncode == 0
    for look in looks:
        assert look.returncode == 0, look.stdout
    if second.returncode:
        assert re.search("Directory cannot be locked|another pipeline of profile", second.stdout)
        assert "Traceback" not in second.stdout
    assert first.wait(300) == 0, tree.log.read_text()
    assert outcome(tree) == undisturbed


def test_jobs_that_a_killed_run_left_on_a_cluster_are_waited_for(
    tree: Tree, tmp_path: Path
) -> None:
    """Their results count, and are not made a second time."""
    (record,) = tree.folder.glob("results/smoke/scores/otb100/siamcar/seed1/record-*.json")
    made, score = record.read_bytes(), record.with_name("score.json").read_bytes()
    mark = tree.folder / ".snakemake/incomplete"
    mark = mark / urlsafe_b64encode(str(record.relative_to(tree.folder)).encode()).decode()
    mark.parent.mkdir(exist_ok=True)
    mark.write_text('{"external_jobid": "4711"}')
    (tree.folder / ".snakemake/slurm_logs").mkdir(exist_ok=True)
    record.unlink()
    tree.remove("reports/smoke", "results/smoke/scores.*")  # or nothing needs that score
    squeue, asked, kept = tmp_path / "squeue", tmp_path / "asked", tmp_path / "kept"
    kept.write_bytes(made)
    job = f"4711|siamla_run|rule_score_wildcards_smoke_otb100|{tree.folder}"
    squeue.write_text(
        f"#!/bin/sh\n[ -e '{asked}' ] && cp '{kept}' '{record}' || echo '{job}'\ntouch '{asked}'\n"
    )
    squeue.chmod(0o755)
    path = f"{tmp_path}:{tree.environment['PATH']}"
    look = tree.call(*COMMAND, "-n", PATH=path)
    assert look.returncode == 0, look.stdout
    assert not asked.exists()
    done = tree.call(*COMMAND, PATH=path)
    assert done.returncode == 0, done.stdout
    assert "Waiting for 1 jobs of an earlier run on the cluster: 4711" in done.stdout
    tree.remove(".snakemake/slurm_logs")  # else later runs would ask a cluster, where there is one
    assert tree.planned() == set()
    assert record.read_bytes() == made
    assert record.with_name("score.json").read_bytes() == score


def test_killed_at_every_stage_it_ends_with_the_same_bytes(
    tree: Tree, undisturbed: dict[str, object]
) -> None:
    """kill -9 of snakemake with its jobs, or alone, while a stage has written a part of its files
    or goes on after a kill, each time the same command again; and an interrupt of snakemake alone,
    which ends a training. Orphans do no harm, whatever they still do.
    """
    forget(tree, "data/crops", "data/features")
    training = working(tree, "siamla train run")
    tracking = working(tree, "siamla benchmark predict")
    tree.kill_when(tree.exists("data/crops/smoke/*/*/.siamla"))
    tree.kill_when(tree.exists("data/features/smoke/*/.siamla"), orphans=True)
    tree.kill_when(tree.exists("results/smoke/state/train-*/state.pt"))
    # not right after orphans: one of theirs would be taken for its own
    interrupt_when(tree, training)
    forget(tree)  # a training that the interrupt met in its last step is done
    tree.kill_when(training, orphans=True)
    tree.kill_when(tracking)
    tree.kill_when(tracking, orphans=True)
    tree.run()
    assert outcome(tree) == undisturbed
    assert tree.planned() == set()
    assert not list((tree.folder / "data").rglob("*.tmp"))
    assert not list((tree.folder / "results/smoke/state").glob("*/*"))


def interrupt_when(tree: Tree, training: Callable[[], bool]) -> None:
    """SIGINT to snakemake alone once a model is trained: that ends, too, and is begun no more.

    Where the signal meets Snakemake's event loop between two of its steps, it waits for ever for a
    task that was cancelled; then, as a person would, once more.
    """
    process = tree.start()
    tree.wait_for(training, process)
    os.kill(process.pid, signal.SIGINT)
    try:
        ended = process.wait(30)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGINT)
        ended = process.wait(120)
    assert ended != 0, tree.log.read_text()
    deadline = time.monotonic() + 60
    while training():
        assert time.monotonic() < deadline, "the training still runs"
        time.sleep(0.2)


def running(words: str) -> list[str]:
    """Working folders of the processes whose command line has these words."""
    processes = psutil.process_iter(["cmdline", "cwd"])
    lines = [(each.info["cwd"], " ".join(each.info["cmdline"] or ())) for each in processes]
    return [cwd for cwd, line in lines if words in line.replace("-m siamla.cli.main", "siamla")]
