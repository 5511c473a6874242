"""What no machine without a GPU can show of the path of a GPU, in eight minutes on one.

    python benchmarks/gpu_check.py [--device cuda] [--minutes 8]

It prints each row as it is measured, and at last one Markdown table, a verdict a row, for
docs/gpu.md: what a step takes against what `siamla plan --gpu` reckons, the loader, a replayed
graph against the network, NCCL, the smoke pipeline twice, and tracking with ResNet-50. A row that
fails says why and stops no other; a row for which no time is left says so. `--device cpu` runs the
same rows with a small network, to try the script.
"""

import argparse
import gc
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import torch.distributed as dist
from training_step import make_crops

from siamla.data.crops import CropCache
from siamla.data.pairs import PairSampler
from siamla.engine import torch_engine
from siamla.engine.engines import prepare
from siamla.engine.network import Network
from siamla.experiment.plan import Plan
from siamla.hardware import Hardware, hardware_on, has_bf16, named_device
from siamla.model.siamla import build_model
from siamla.steps.costs import Step, measured
from siamla.system import cores
from siamla.training.batches import Source, batches
from siamla.training.features import Batch
from siamla.training.loop import take_step
from siamla.training.step import Recipe, Resources, set_up, start

ROOT = Path(__file__).parents[1]
GIB = 2**30
CLOSE = 0.15  # a prediction may be so far off
Row = tuple[str, str, str, str]  # what; expected; found; verdict


def verdict(found: float, expected: float) -> str:
    """Whether a number is as reckoned."""
    off = found / expected - 1
    return f"{'as reckoned' if abs(off) <= CLOSE else '**OFF**'} ({off:+.0%})"


class Check:
    """What the rows share: the device, a recipe, crops of noise."""

    def __init__(self, device: torch.device, folder: Path, end: float) -> None:
        self.device, self.folder, self.gpu = device, folder, device.type == "cuda"
        spec = Plan.load("paper" if self.gpu else "smoke", ROOT / "params").spec("siamla")
        self.precision = "bf16" if self.gpu and has_bf16(device) else "fp32"
        self.hardware = hardware_on(device, self.precision, max(1, cores() - 1))
        model = spec.model.model_copy(update={"weights": "random"})
        changes = {"precision": self.precision, "epochs": 10**4, "frozen_epochs": 0}
        changes |= {"batch": 4} if not self.gpu else {}
        training = spec.training.model_copy(update=changes)
        self.recipe = Recipe(model, spec.labels, spec.loss, training, seed=0)
        if self.gpu:
            self._fit()
        pairs = spec.pairs.model_copy(update={"views": None, "negatives": 0.0})
        sampler = PairSampler(CropCache(make_crops(folder, spec.crops, videos=8)), pairs)
        self.source = Source(sampler, workers=max(1, cores() - 1))
        self.end = end
        self.thawed_rate = 0.0  # operations a second

    def _fit(self) -> None:
        """The largest batch of half, a quarter and so on of the paper's that fits."""
        room = torch.cuda.get_device_properties(0).total_memory - GIB
        while self.reckoned(frozen=False).memory > room:
            self._change(batch=self.recipe.training.batch // 2)

    def _change(self, **changes: object) -> None:
        training = self.recipe.training.model_copy(update=changes)
        self.recipe = Recipe(
            self.recipe.model, self.recipe.labels, self.recipe.loss, training, seed=0
        )

    def reckoned(self, frozen: bool) -> Step:
        """In a process of its own: where a GPU is pretended, PyTorch takes it before a real one."""
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pairs = self.recipe.training.batch
            return pool.submit(measured, self.recipe, pairs, frozen=frozen).result()

    def wait(self) -> None:
        if self.gpu:
            torch.cuda.synchronize()

    def seconds(self, work: Callable[[], object], times: int, warm: int = 2) -> float:
        """Mean seconds of a call."""
        for _ in range(warm):
            work()
        self.wait()
        begun = time.monotonic()
        for _ in range(times):
            work()
        self.wait()
        return (time.monotonic() - begun) / times

    def stream(self) -> Iterator[Batch]:
        return batches(self.source, self.recipe, Resources(self.hardware))

    def step(self, frozen: bool) -> tuple[float, float]:
        """Seconds of a step with one batch repeated, and the most bytes of the GPU."""
        self._change(frozen_epochs=10**4 if frozen else 0)
        learner = start(self.recipe, Resources(self.hardware))
        with closing(self.stream()) as pairs:
            batch = next(pairs)
        if self.gpu:
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        times = 10 if self.gpu else 2
        seconds = self.seconds(lambda: take_step(learner, repeat(batch), 0, 0), times)
        return seconds, torch.cuda.max_memory_allocated() if self.gpu else 0

    # --- rows ---

    def thawed(self) -> list[Row]:
        expected = self.reckoned(frozen=False)
        seconds, memory = self.step(frozen=False)
        self.thawed_rate = expected.flop / seconds
        pairs = self.recipe.training.batch
        what = f"step of SiamLA, {pairs} pairs, {self.precision}"
        rows = [
            (
                f"{what}: memory",
                f"{expected.memory / GIB:.2f} GiB",
                f"{memory / GIB:.2f} GiB",
                verdict(memory, expected.memory) if self.gpu else "no GPU",
            )
        ]
        rate = self.thawed_rate / 1e12
        told = f"{1e3 * seconds:.0f} ms, {pairs / seconds:.0f} pairs/s, {rate:.3g} TFLOP/s"
        return [*rows, (what, "100 TFLOP/s assumed", told, f"`siamla plan --tflops {rate:.3g}`")]

    def frozen(self) -> list[Row]:
        if not self.thawed_rate:
            raise RuntimeError("needs the row before")
        expected = self.reckoned(frozen=True)
        seconds, memory = self.step(frozen=True)
        reckoned = expected.flop / self.thawed_rate
        return [
            (
                "the same, backbone frozen: memory",
                f"{expected.memory / GIB:.2f} GiB",
                f"{memory / GIB:.2f} GiB",
                verdict(memory, expected.memory) if self.gpu else "no GPU",
            ),
            (
                "the same, backbone frozen: time",
                f"{1e3 * reckoned:.0f} ms at the thawed step's rate",
                f"{1e3 * seconds:.0f} ms",
                verdict(seconds, reckoned),
            ),
        ]

    def loading(self) -> list[Row]:
        count = self.recipe.training.batch
        self._change(frozen_epochs=0)
        learner = start(self.recipe, Resources(self.hardware))
        with closing(self.stream()) as pairs:
            batch = next(pairs)
            model = self.seconds(lambda: take_step(learner, repeat(batch), 0, 0), 4)
            warm = 2 * self.source.workers
            loader = self.seconds(lambda: next(pairs), 8, warm)
            both = self.seconds(lambda: take_step(learner, pairs, 0, 0), 8, warm)
        rates = [f"{count / seconds:.0f}" for seconds in (model, loader, both)]
        fair = both <= (1 + CLOSE) * max(model, loader)
        told = f"model {rates[0]}, loader {rates[1]}, both {rates[2]} pairs/s"
        what = f"{self.source.workers} processes load"
        return [(what, "both as the slower one", told, "yes" if fair else "**NO**")]

    def _networks(self, rows: int, precision: str) -> tuple[Network, Network]:
        """As it runs, and without a graph."""
        model = build_model(self.recipe.model, 0).eval()
        hardware = Hardware(self.hardware.device, precision, self.hardware.threads)
        network = prepare("torch", model, hardware, rows)
        with mock.patch.object(torch_engine, "RECORDS", "none"):
            return network, prepare("torch", model, hardware, rows)

    def tracking(self) -> list[Row]:
        rows: list[Row] = []
        rng = np.random.default_rng(0)
        for precision in dict.fromkeys(("fp32", self.precision)):
            for count in (1, 32) if self.gpu else (1, 2):
                graph, eager = self._networks(count, precision)
                first, later = (
                    rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
                    for side in (127, 255)
                )
                state = graph.embed(first)
                pairs = [network.search(state, later) for network in (graph, eager)]
                same = all(np.array_equal(a, b) for a, b in zip(*pairs, strict=True))
                times = 50 if self.gpu else 2
                seconds = [
                    self.seconds(partial(each.search, state, later), times)
                    for each in (graph, eager)
                ]
                told = f"{count / seconds[0]:.0f} frames/s; eager {count / seconds[1]:.0f}"
                what = f"SiamLA tracks {count}, {precision}"
                equal = "equal to the bit" if same else "**DIFFERS from eager**"
                rows.append((what, "graph equal to eager", told, equal))
        return rows

    def one_rank(self) -> list[Row]:
        backend = "nccl" if self.gpu else "gloo"
        store = dist.FileStore(str(self.folder / "store"), 1)
        dist.init_process_group(backend, store=store, rank=0, world_size=1)
        try:
            before = torch.randn(10**7, device=self.device)
            after = before.clone()
            seconds = self.seconds(lambda: dist.all_reduce(after), 5)
            same = torch.equal(before, after)
        finally:
            dist.destroy_process_group()
        told = f"40 MB in {1e3 * seconds:.2f} ms"
        return [(f"{backend} with one rank", "the same bytes", told, "yes" if same else "**NO**")]

    def pipeline(self) -> list[Row]:
        digests = []
        begun = time.monotonic()
        for number in range(2):
            tree = self.folder / f"tree{number}"
            tree.mkdir()
            for part in ("siamla", "workflow", "params"):
                shutil.copytree(ROOT / part, tree / part)
            shutil.copy(ROOT / "Snakefile", tree)
            command = "snakemake --cores all --config profile=smoke -- reproduce_tables"
            environment = {**os.environ, "PYTHONPATH": str(tree)}
            done = subprocess.run(
                [sys.executable, "-m", *command.split()],
                cwd=tree,
                env=environment,
                capture_output=True,
                text=True,
                timeout=max(60.0, self.end - time.monotonic()),
            )
            if done.returncode:
                raise RuntimeError(" ".join(done.stderr.split())[-300:])
            files = sorted(tree.glob("results/smoke/train/*/*/model.pt"))
            files += sorted(tree.glob("reports/smoke/tables/*.md"))
            digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
        same = digests[0] == digests[1] and bool(digests[0])
        told = f"{len(digests[0])} models and tables, {time.monotonic() - begun:.0f} s"
        return [("smoke pipeline, twice", "the same bytes", told, "yes" if same else "**NO**")]


def main() -> None:
    """Run every row and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try the script")
    parser.add_argument("--minutes", type=float, default=8.0)
    args = parser.parse_args()
    device, begun = named_device(args.device), time.monotonic()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        check = Check(device, Path(name), begun + 60 * args.minutes)
        set_up(check.hardware)
        work = ["thawed", "frozen", "loading", "tracking", "one_rank", "pipeline"]
        for each in work:
            if time.monotonic() > check.end:
                rows.append((each, "–", "–", "no time left"))
                continue
            try:
                new = getattr(check, each)()
            except Exception as error:
                reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
                new = [(each, "–", reason.replace("|", "/"), "**FAILED**")]
            rows += new
            print(*(" | ".join(row) for row in new), sep="\n", flush=True)
            if check.gpu:
                torch.cuda.empty_cache()
    where = check.hardware.device
    versions = f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, {cores()} cores"
    print(f"\n{where}, {versions}, {time.monotonic() - begun:.0f} s\n")
    print("| what | expected | found | verdict |\n|:--|:--|:--|:--|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
