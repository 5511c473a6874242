"""Kill the smoke pipeline at random moments, start it again, and compare bytes: python
tests/chaos.py --kills 200.

Each round forgets a part of the results. Some rounds then meet a disturbance: a pipeline that
stands still, one that loses .snakemake, files of other dates. After it the round lives through one
kill after another: a signal to snakemake, to one of its jobs, to a process of such a job, or to all
of them at once. Where snakemake has ended it is started again, and what was left behind by the
killed one is met by the new one. In most rounds it starts killed jobs again by itself (--retries),
which saves its own starts. The round is over when the pipeline ends well by itself, or after its
last kill undisturbed. Then every byte that a clean run makes must be there, but for what tells
times.

What is forgotten, what disturbs, who is killed by what and when follows from the seed and the
round's number, so that a round can be repeated: --seed 7 --first 41 --kills 1.
"""

import argparse
import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # snakemake brings it
from conftest import COMMAND, Tree, copy_tree

from siamla.files import sha256

SPEED = re.compile("fps|second|speed|latency|wait_share|memory_mib", re.IGNORECASE)
PARTS = {
    "tables": ("reports/smoke", "results/smoke/scores.*", "results/smoke/sequences.csv"),
    "scores": ("results/smoke/scores",),
    "predictions": ("results/smoke/predictions",),
    "trainings": ("results/smoke/train", "results/smoke/state"),
    "features": ("data/features",),
    "crops": ("data/crops",),
    "curated": ("data/curated",),
    "data": ("data/raw/smoke_*", "data/ready"),
}
"""What a part of the results consists of, from the end of the pipeline to its start. To forget a
part is to forget those before it in this list too.
"""
WEIGHTS = (2, 2, 2, 3, 2, 2, 2, 3)  # how often
WHOM = {"snakemake": 1, "all": 1, "job": 4, "process": 4}  # and how often
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
FEWEST, MOST = 3, 12  # kills in one round
# processor seconds between two kills, at the most: what two trainings take; most come sooner
LONGEST = 12.0
# seconds without work: Snakemake's handler of SIGTERM may wait for ever for its own thread's lock
HUNG = 30.0
EARLY = 0.1  # share of kills that do not wait until a job runs
DISTURBED = 0.3  # share of rounds that meet a disturbance
STILL = 5.0  # seconds that a pipeline works, and stands still
# what tells when, how long and beside what
TIMES = {"started", "seconds", "speed", "other_cores"}
# files that hold times, whose digests stand in records
TIMED = ("_time.txt", "history.csv", "score.json")
UNCOMPARED = ("results/smoke/logs/", "results/smoke/timings/", "results/smoke/state/")
VIEWS = (".lock", "/checked.jsonl")  # ends of names; what curation remembers has times of files


@dataclass(frozen=True)
class Kill:
    """The next thing to happen to a pipeline.

    Attributes:
        whom: one of WHOM.
        after: processor seconds of the pipeline after the last kill, or after its first job has
            begun; so that the moment does not depend on what else the machine does.
        early: do not wait for a job, but count from the start of snakemake.
        choice: which of several processes, from 0 to 1.
    """

    whom: str
    number: signal.Signals
    after: float
    early: bool
    choice: float


@dataclass(frozen=True)
class Round:
    """forgotten: of PARTS; disturbed: of DISTURBANCES; retries: by snakemake; kills: at most."""

    forgotten: str
    disturbed: str | None
    retries: bool
    kills: tuple[Kill, ...]


def draw(seed: int, number: int) -> Round:
    """The round of that number."""
    rng = random.Random(f"{seed} {number}")
    (forgotten,) = rng.choices(list(PARTS), WEIGHTS)
    disturbed = rng.choice(list(DISTURBANCES)) if rng.random() < DISTURBED else None
    retries = rng.random() < 0.9
    kills = []
    for _ in range(rng.randint(FEWEST, MOST)):
        (whom,) = rng.choices(list(WHOM), list(WHOM.values()))
        number, after = rng.choice(SIGNALS), LONGEST * rng.random() ** 2
        kills.append(Kill(whom, number, after, rng.random() < EARLY, rng.random()))
    return Round(forgotten, disturbed, retries, tuple(kills))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        kept = (key for key in value if key not in TIMES and not key.endswith(TIMED))
        return {key: _timeless(value[key]) for key in kept}
    return [_timeless(part) for part in value] if isinstance(value, list) else value


def _comparable(path: Path) -> object:
    """What of a file must be the same in every run: all, but for times."""
    if path.suffix == ".json":
        return _timeless(json.loads(path.read_text(encoding="utf-8")))
    if path.name in ("scores.csv", "sequences.csv", "table3.csv", "history.csv"):
        kept = [row for row in rows(path) if not SPEED.search(row.get("metric", ""))]
        for name in [name for name in kept[0] if SPEED.search(name) or name in TIMES]:
            for row in kept:
                del row[name]
        return kept
    if path.name in ("table3.md", "table3.tex"):  # the same as table3.csv, with a column of speeds
        return path.is_file()
    return path.is_file() if path.stem.endswith("_time") else sha256(path)


def _made(tree: Tree) -> Iterator[Path]:
    """All that a run makes, without logs, locks, timings and views."""
    for top in ("data", "results/smoke", "reports/smoke"):
        for path in sorted((tree.folder / top).rglob("*")):
            name = path.relative_to(tree.folder).as_posix()
            if path.is_file() and not name.startswith(UNCOMPARED) and not name.endswith(VIEWS):
                yield path


def outcome(tree: Tree) -> dict[str, object]:
    """What must come out the same, to the byte: weights, boxes, scores, table."""
    results = tree.folder / "results/smoke"
    weights = sorted(results.glob("train/*/*/model.pt"))
    stored = (results / "predictions").rglob("*.txt")
    boxes = [path for path in sorted(stored) if not path.stem.endswith("_time")]
    scores = [row for row in rows(results / "scores.csv") if not SPEED.search(row["metric"])]
    names = ("benchmark", "variant", "metric", "value")
    return {
        "weights": {path.parts[-3]: sha256(path) for path in weights},
        "boxes": {str(path.relative_to(results)): sha256(path) for path in boxes},
        "scores": [tuple(row[name] for name in names) for row in scores],
        "table": _comparable(tree.folder / "reports/smoke/tables/table3.csv"),
    }


def files(tree: Tree) -> dict[str, object]:
    """Every file that a run makes by its name, with what of it must be the same in every run."""
    return {path.relative_to(tree.folder).as_posix(): _comparable(path) for path in _made(tree)}


def forget(tree: Tree, part: str) -> None:
    """Delete a part of what was made, and all that was made from it."""
    names = list(PARTS)
    tree.remove(*(pattern for name in names[: names.index(part) + 1] for pattern in PARTS[name]))


def _step(process: psutil.Process) -> str | None:
    """ "train run" of a process that is this siamla command, None of any other."""
    words = process.cmdline()
    at = next((number for number, word in enumerate(words[:2]) if word.endswith("/siamla")), None)
    return " ".join(words[at + 1 : at + 3]) if at is not None else None


def _processes(
    tree: Tree, pipeline: int
) -> tuple[dict[psutil.Process, str], dict[psutil.Process, str | None]]:
    """The siamla commands that work in the tree with their steps; and all others that belong to the
    pipeline or to a command, also of an earlier pipeline: shells, workers, what commands fork of.
    """
    jobs: dict[psutil.Process, str] = {}
    others: dict[psutil.Process, str | None] = {}
    with suppress(psutil.Error):  # it has just ended, as below; or is not ours
        others |= dict.fromkeys(psutil.Process(pipeline).children(recursive=True))
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(tree.folder.resolve()) and (step := _step(process)):
                jobs[process] = step
                others |= dict.fromkeys(process.children(recursive=True), step)
        except psutil.Error:
            continue
    return jobs, {process: step for process, step in others.items() if process not in jobs}


def _strike(tree: Tree, pipeline: "subprocess.Popen[bytes]", kill: Kill) -> str:
    """Send the signal, to snakemake where there is nothing else; who was met, and when."""
    jobs, others = _processes(tree, pipeline.pid)
    steps = sorted(set(jobs.values()))
    stage = steps[int(kill.choice * len(steps))] if steps else "between jobs"
    there: dict[psutil.Process, Any] = {"job": jobs, "process": others}.get(kill.whom, {})
    if there:
        ordered = sorted(there.items(), key=lambda item: item[0].pid)
        victim, step = ordered[int(kill.choice * len(there))]
        with suppress(psutil.NoSuchProcess):
            victim.send_signal(kill.number)
            return f"{kill.number.name} {kill.whom} in {step or stage}"
    if kill.whom == "all":
        os.killpg(pipeline.pid, kill.number)
        return f"{kill.number.name} all in {stage}"
    os.kill(pipeline.pid, kill.number)
    return f"{kill.number.name} snakemake in {stage}"


def _busy(pipeline: "subprocess.Popen[bytes]") -> tuple[float, bool]:
    """Processor seconds of a pipeline with all its processes so far, and whether a job runs."""
    seconds, runs = 0.0, False
    try:
        top = psutil.Process(pipeline.pid)
        for process in [top, *top.children(recursive=True)]:
            seconds += sum(process.cpu_times()[:4])
            runs = runs or _step(process) is not None
    except psutil.Error:  # one has just ended: the next look tells
        pass
    return seconds, runs


def _wait(pipeline: "subprocess.Popen[bytes]", after: float, count: bool) -> int | None:
    """Until it has used `after` processor seconds: None; its status where it ends before."""
    counted = _busy(pipeline)[0] if count else None
    most, changed = 0.0, time.monotonic()
    while (status := pipeline.poll()) is None:
        seconds, runs = _busy(pipeline)
        if runs or seconds > most:
            most, changed = max(most, seconds), time.monotonic()
        elif time.monotonic() - changed > HUNG:
            print("snakemake hangs, and is killed", flush=True)
            os.killpg(pipeline.pid, signal.SIGKILL)
        if counted is None and runs:
            counted = seconds
        if counted is not None and seconds - counted >= after:
            return None
        time.sleep(0.2)
    return status


def live(tree: Tree, plan: Round) -> tuple[list[str], bool]:
    """Run the pipeline, and again after each end, with these kills; who was met, and whether it
    ended well by itself.

    AssertionError when it fails without a kill.
    """
    options = ("--retries", "1000") if plan.retries else ()
    met: list[str] = []
    pipeline, struck = tree.start(*options), False
    for kill in plan.kills:
        while (status := _wait(pipeline, kill.after, struck or kill.early)) is not None:
            if status == 0:
                return met, True
            log = tree.log.read_text()
            assert struck, f"it failed without a kill, status {status}, after {met}:\n{log}"
            pipeline, struck = tree.start(*options), False
        met.append(_strike(tree, pipeline, kill))
        struck = True
    # without retries snakemake lets the other jobs end and fails
    return met, _wait(pipeline, float("inf"), True) == 0


def _ends_well(tree: Tree, pipeline: "subprocess.Popen[bytes]") -> None:
    assert pipeline.wait(600) == 0, tree.log.read_text()


def stands_still(tree: Tree) -> None:
    """All processes stop for a while, as those of a laptop that is closed."""
    pipeline = tree.start()
    time.sleep(STILL)
    os.killpg(pipeline.pid, signal.SIGSTOP)
    time.sleep(STILL)
    os.killpg(pipeline.pid, signal.SIGCONT)
    _ends_well(tree, pipeline)


def loses_its_memory(tree: Tree) -> None:
    """Somebody deletes .snakemake while the pipeline works."""
    pipeline = tree.start()
    time.sleep(STILL)
    shutil.rmtree(tree.folder / ".snakemake", ignore_errors=True)
    _ends_well(tree, pipeline)


def _date(tree: Tree, when: float) -> None:
    for path in tree.folder.rglob("*"):
        with suppress(FileNotFoundError):
            os.utime(path, (when, when), follow_symlinks=False)


DISTURBANCES: dict[str, Callable[[Tree], None]] = {
    "a pipeline that stands still": stands_still,
    "a deleted .snakemake": loses_its_memory,
    "dates of 1970": lambda tree: _date(tree, 1),
    "dates of next year": lambda tree: _date(tree, time.time() + 366 * 86400),
}


def leftovers(tree: Tree) -> list[str]:
    """Half-written files, and states of work that is done."""
    patterns = ("data/**/*.tmp", "results/**/*.tmp", "results/smoke/state/*/*")
    return sorted(str(path) for pattern in patterns for path in tree.folder.glob(pattern))


def differing(expected: dict[str, object], found: dict[str, object]) -> list[str]:
    """Files that are missing, too many or of other content, in words."""
    lines = [f"{name} is missing" for name in sorted(set(expected) - set(found))]
    lines += [f"{name} is new" for name in sorted(set(found) - set(expected))]
    both = sorted(set(expected) & set(found))
    return lines + [f"{name} differs" for name in both if expected[name] != found[name]]


def play(tree: Tree, expected: dict[str, object], seed: int, number: int) -> list[str]:
    """One round; who was killed. AssertionError when bytes differ from a clean run's."""
    plan = draw(seed, number)
    forget(tree, plan.forgotten)
    if plan.disturbed:
        DISTURBANCES[plan.disturbed](tree)
        forget(tree, plan.forgotten)
    met, ended = live(tree, plan)
    if not ended:
        tree.run()
    disturbed = f", disturbed by {plan.disturbed}" if plan.disturbed else ""
    story = f"round {number}, seed {seed}, without {plan.forgotten}{disturbed}: {met}"
    wrong = differing(expected, files(tree))
    changed = tree.call("git", "status", "--porcelain").stdout
    assert not changed, f"{story}\nthe work tree has changed:\n{changed}"
    assert not wrong, f"{story}\n" + "\n".join(wrong[:20])
    assert not leftovers(tree), f"{story}\nleft behind: {leftovers(tree)}"
    return met


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    text = "begin no round after so many"
    parser.add_argument("--kills", type=int, default=20, help=text)
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="siamla-chaos-") as scratch:
        tree = copy_tree(Path(scratch))
        tree.run()
        expected = files(tree)
        kills, number = 0, args.first
        while kills < args.kills:
            met = play(tree, expected, args.seed, number)
            drawn = draw(args.seed, number)
            words = f"{drawn.forgotten} and what follows"
            if drawn.disturbed:
                words += f"; {drawn.disturbed}"
            print(f"round {number}: {words}; {', '.join(met)}", flush=True)
            kills += len(met)
            number += 1
    print(f"{kills} kills, the same bytes after each round")
    print(f"command: {' '.join(COMMAND[1:])}; seed {args.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
