"""A training step and the features that it reads, of this checkout against another one's, by turns
in one run.

    python benchmarks/training_step.py --against ../other-checkout [--what siamcar siamla features]
    [--turns 12]

Each checkout runs its own training loop, data path included, at the size of the mini profile, in
fp32 on one thread, in a process of its own; a turn is STEPS steps (or the features of VIEWS views
of each of FRAMES crops) of one and then of the other. Printed are the medians of wall and CPU time,
and of the ratios of a turn: the machine's other load meets both alike. `--profile siamla` prints
where the time of one step goes here, by PyTorch's profiler.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import torch

from siamla.data import crops
from siamla.data.settings import CropSettings, PairSettings
from siamla.experiment.plan import Plan
from siamla.experiment.spec import Spec
from siamla.hardware import Hardware
from siamla.sequence import Sequence
from siamla.training import features, loop
from siamla.training.batches import Source
from siamla.training.course import Upkeep
from siamla.training.step import Recipe, Resources, set_up

ROOT = Path(__file__).parents[1]
STEPS, VIEWS = 4, 16
FRAMES = 4
HARDWARE = Hardware("cpu", "fp32", 1)


def make_crops(folder: Path, settings: CropSettings, videos: int = 1) -> Path:
    """A crop cache of noise videos of FRAMES frames each."""
    rng, sequences = np.random.default_rng(0), []
    for video in range(videos):
        files = [folder / f"{video}-{frame}.jpg" for frame in range(FRAMES)]
        for file in files:
            noise = rng.integers(0, 256, (45, 80, 3), dtype=np.uint8)
            cv2.imwrite(str(file), cv2.resize(noise, (1280, 720)))
        boxes = np.array([[500.0 + 9 * frame, 300, 120, 90] for frame in range(FRAMES)])
        visible = np.ones(FRAMES, bool)
        sequences.append(Sequence(f"video{video}", tuple(files), boxes, visible))
    crops.build(sequences, settings, folder / "crops")
    return folder / "crops"


def _pairs(spec: Spec) -> PairSettings:
    return spec.pairs.model_copy(update={"views": VIEWS})


def train(spec: Spec, folder: Path, on_turn: Callable[[], None]) -> None:
    """Train for ever, with a call of `on_turn` after every STEPS steps."""
    cache, pairs = make_crops(folder, spec.crops), _pairs(spec)
    features.build(cache, pairs, spec.model, spec.training, folder / "features", 1, "key")
    course = {"epochs": 10**5, "frozen_epochs": 10**5}
    course |= {"pairs_per_epoch": STEPS * spec.training.batch}
    training = spec.training.model_copy(update=course)
    recipe = Recipe(spec.model, spec.labels, spec.loss, training, seed=1)
    source = Source.open([cache], pairs, folder / "features", workers=0)
    set_up(HARDWARE)
    upkeep = Upkeep(folder / "state.pt", "key", lambda row: on_turn())
    loop.train(recipe, source, Resources(HARDWARE), upkeep)


def build_features(spec: Spec, folder: Path, on_turn: Callable[[], None]) -> None:
    """Compute features for ever, with a call of `on_turn` after those of VIEWS a crop."""
    cache, pairs = make_crops(folder, spec.crops), _pairs(spec)
    for turn in count():
        features.build(cache, pairs, spec.model, spec.training, folder / str(turn), 1, "key")
        on_turn()


def serve(what: str) -> None:
    """Do a turn for every line of stdin, and answer each with its seconds."""
    spec, clock = Plan.load("mini").spec("siamcar" if what == "features" else what), [0.0, 0.0]

    def wait() -> None:
        spent = {"wall": time.perf_counter() - clock[0], "cpu": time.process_time() - clock[1]}
        print(json.dumps(spent), flush=True)
        if not sys.stdin.readline():
            raise SystemExit
        clock[:] = time.perf_counter(), time.process_time()

    with tempfile.TemporaryDirectory() as folder:
        (build_features if what == "features" else train)(spec, Path(folder), wait)


def profile(variant: str) -> None:
    """Print the operations of one step by the CPU time that they take themselves."""
    left, spec = iter(range(3)), Plan.load("mini").spec(variant)
    profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])

    def on_turn() -> None:
        turn = next(left)
        if turn == 1:
            profiler.start()
        if turn == 2:
            profiler.stop()
            table = profiler.key_averages().table(
                sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=50
            )
            print(f"{variant}, {STEPS} steps\n{table}")
            raise SystemExit

    with tempfile.TemporaryDirectory() as folder:
        train(spec, Path(folder), on_turn)


def start(checkout: Path, what: str) -> "subprocess.Popen[str]":
    """A process that serves turns with the package of this checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--serve", what]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=checkout, env=environment, text=True, **pipes)


def answer(process: "subprocess.Popen[str]") -> dict[str, float]:
    """Seconds of the turn that the process was told to do."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"{process.args}: ended early")
    found: dict[str, float] = json.loads(line)
    return found


def compare(against: Path, what: str, turns: int) -> None:
    """Print the medians of both checkouts and of the ratios."""
    processes = {"this": start(ROOT, what), "other": start(against, what)}
    rows: list[dict[str, dict[str, float]]] = []
    for process in processes.values():
        answer(process)
    for _ in range(turns + 1):
        row = {}
        for name, process in processes.items():
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            row[name] = answer(process)
        rows.append(row)
    for process in processes.values():
        process.communicate()
    features_made = VIEWS * FRAMES
    unit, share = ("view", 1e3 / features_made) if what == "features" else ("step", 1e3 / STEPS)
    print(f"{what}, ms a {unit}, {turns} turns, PyTorch {torch.__version__}")
    for kind in ("wall", "cpu"):
        this, other = (
            [row[name][kind] for row in rows[1:]] for name in processes
        )  # the first turn warms up
        ratio = statistics.median(b / a for a, b in zip(this, other, strict=True))
        medians = [share * statistics.median(values) for values in (this, other)]
        print(f"  {kind:4s} this {medians[0]:7.1f}   other {medians[1]:7.1f}   ratio {ratio:.2f}")


def main() -> None:
    """Compare, profile, or serve turns to a comparing process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, help="root of another checkout of this repository")
    parser.add_argument("--what", nargs="+", default=["siamcar", "siamla", "features"])
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--profile", metavar="VARIANT")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve)
    if args.profile:
        torch.set_num_threads(HARDWARE.threads)
        profile(args.profile)
    if args.against:
        for what in args.what:
            compare(args.against.resolve(), what, args.turns)


if __name__ == "__main__":
    main()
