"""Kill the smoke pipeline at random moments, run it again, and compare bytes: python tests/chaos.py --rounds 200.

Each round forgets a part of the results, kills the pipeline one or more times, lets it end undisturbed and compares
weights, boxes, scores and table with those of the first, undisturbed run. What is forgotten, who is killed and when
follows from the seed and the round's number, so that a round can be repeated: --seed 7 --first 41 --rounds 1.
"""

import argparse
import csv
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from conftest import COMMAND, Tree, copy_tree

from siamla.files import sha256

SPEED = re.compile("fps|second|speed|latency", re.IGNORECASE)
PARTS = {
    "tables": (0.3, ("reports/smoke", "results/smoke/scores.csv", "results/smoke/sequences.csv")),
    "scores": (0.4, ("results/smoke/scores",)),
    "predictions": (0.6, ("results/smoke/predictions",)),
    "trainings": (1.0, ("results/smoke/train", "results/smoke/state")),
    "features": (1.1, ("data/features",)),
    "crops": (1.2, ("data/crops",)),
    "curated": (1.4, ("data/curated",)),
    "data": (1.8, ("data/raw/smoke_*", "data/ready")),
}
"""How long it takes to make a part and what follows, in units of the trainings' time, and what it consists of; from the
end of the pipeline to its start. To forget a part is to forget those before it in this list too."""
WEIGHTS = (1, 2, 4, 6, 3, 2, 1, 1)  # how often: most rounds redo the trainings and what follows
VICTIMS = ("all", "snakemake", "job")


@dataclass(frozen=True)
class Round:
    """forgotten: a key of PARTS; kills: who is killed, and how many seconds after a start of the pipeline."""

    forgotten: str
    kills: tuple[tuple[str, float], ...]


def draw(seed: int, number: int, unit: float) -> Round:
    """The round of that number, where the trainings and what follows take `unit` seconds."""
    rng = random.Random(f"{seed} {number}")
    (forgotten,) = rng.choices(list(PARTS), WEIGHTS)
    count = rng.choice((1, 1, 2, 3))
    longest = unit * PARTS[forgotten][0]
    return Round(forgotten, tuple((rng.choice(VICTIMS), rng.uniform(0, longest)) for _ in range(count)))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def outcome(tree: Tree) -> dict[str, object]:
    """Everything that must come out the same, to the byte: weights, boxes, scores, table; not the times."""
    results = tree.folder / "results/smoke"
    boxes = [path for path in (results / "predictions").rglob("*.txt") if not path.stem.endswith("_time")]
    scores = [row for row in rows(results / "scores.csv") if not SPEED.search(row["metric"])]
    table = rows(tree.folder / "reports/smoke/tables/table3.csv")
    return {
        "weights": {path.parts[-3]: sha256(path) for path in sorted(results.glob("train/*/*/model.pt"))},
        "boxes": {str(path.relative_to(results)): sha256(path) for path in sorted(boxes)},
        "scores": [(row["benchmark"], row["variant"], row["metric"], row["value"]) for row in scores],
        "table": [[text for name, text in row.items() if not SPEED.search(name)] for row in table],
    }


def forget(tree: Tree, part: str) -> None:
    """Delete a part of what was made, and all that was made from it."""
    names = list(PARTS)
    tree.remove(*(pattern for name in names[: names.index(part) + 1] for pattern in PARTS[name][1]))


def jobs(tree: Tree) -> list[int]:
    """The processes of siamla commands that work in the tree, without their children."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if (process / "cwd").resolve() == tree.folder.resolve() and any(w.endswith(b"/siamla") for w in words[:2]):
                found.append(int(process.name))
        except OSError:  # it has just ended
            continue
    return sorted(found)


def kill(tree: Tree, pipeline: "subprocess.Popen[bytes]", victim: str, after: float, rng: random.Random) -> str:
    """SIGKILL to the pipeline with its jobs, to snakemake alone or to one job; who was met."""
    try:
        pipeline.wait(after)
        return "nobody: it had ended"
    except subprocess.TimeoutExpired:
        pass
    if victim == "all":
        os.killpg(pipeline.pid, signal.SIGKILL)
    elif victim == "snakemake":
        os.kill(pipeline.pid, signal.SIGKILL)
    else:
        while not (running := jobs(tree)) and pipeline.poll() is None:
            time.sleep(0.05)
        if not running:
            victim = "nobody: no job ran"
        else:
            try:
                os.kill(rng.choice(running), signal.SIGKILL)
            except ProcessLookupError:
                victim = "nobody: the job had ended"
    pipeline.wait()  # where a job was killed, snakemake lets the others end and fails
    return victim


def leftovers(tree: Tree) -> list[str]:
    """Half-written files, and states of work that is done."""
    found = [*(tree.folder / "data").rglob("*.tmp"), *(tree.folder / "results").rglob("*.tmp")]
    return sorted(str(path) for path in [*found, *(tree.folder / "results/smoke/state").glob("*/*")])


def play(tree: Tree, expected: dict[str, object], seed: int, number: int, unit: float) -> list[str]:
    """One round; who was killed. AssertionError when it does not end with the same bytes."""
    plan, rng = draw(seed, number, unit), random.Random(f"{seed} {number} whom")
    forget(tree, plan.forgotten)
    met = [kill(tree, tree.start(), victim, after, rng) for victim, after in plan.kills]
    tree.run()
    found = outcome(tree)
    differs = [name for name in expected if found[name] != expected[name]]
    assert not differs, f"round {number}, seed {seed}: {', '.join(differs)} came out differently; {plan}"
    assert not leftovers(tree), f"round {number}, seed {seed}: left behind: {leftovers(tree)}; {plan}"
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no round after so many seconds")
    parser.add_argument(
        "--tree", type=Path, help="a clone to work in, whose smoke results may be deleted; default: new"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="siamla-chaos-") as scratch:
        tree = Tree(args.tree.resolve()) if args.tree else copy_tree(Path(scratch))
        tree.run()
        expected = outcome(tree)
        started = time.monotonic()
        forget(tree, "trainings")
        tree.run()
        unit = time.monotonic() - started
        met: Counter[str] = Counter()
        for number in range(args.first, args.first + args.rounds):
            if time.monotonic() - started > args.seconds:
                break
            killed = play(tree, expected, args.seed, number, unit)
            met.update(killed)
            part = draw(args.seed, number, unit).forgotten
            print(f"round {number}: {part} and what follows; killed {', '.join(killed)}", flush=True)
    kills = sum(count for victim, count in met.items() if victim in VICTIMS)
    print(f"{kills} kills ({', '.join(f'{v} {met[v]}' for v in VICTIMS)}), the same bytes after each")
    print(f"command: {' '.join(COMMAND[1:])}; seed {args.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
