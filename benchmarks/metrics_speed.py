"""How fast the one-pass metrics are: ours, a plain per-frame Python loop, and the got10k toolkit, in one run.

OTB100 in size (100 sequences, 59,040 frames) with random boxes, or the published raw results where ../shared has them.
Reading the prediction files is part of "ours from files" and of nothing else. Run: python benchmarks/metrics_speed.py
"""

import json
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from siamla.benchmark.onepass import Track
from siamla.benchmark.protocols import load_protocols
from siamla.benchmark.score import Frames, compare, measure, score
from siamla.benchmark.store import read_track, write_track
from siamla.sequence import Sequence

ROOT = Path(__file__).parents[1]
PROTOCOL = load_protocols(ROOT / "params" / "protocols.yaml")["otb100"]
Pair = tuple[np.ndarray, np.ndarray]


def plain_loop(pairs: list[Pair]) -> list[float]:
    """AUC, precision and normalised precision, frame by frame and threshold by threshold."""
    totals = [0.0, 0.0, 0.0]
    for truth, found in pairs:
        success, precise, normal = [0] * 21, [0] * 51, [0] * 51
        for (x, y, w, h), (u, v, p, q) in zip(truth.tolist(), found.tolist(), strict=True):
            across = max(0.0, min(x + w, u + p) - max(x, u))
            down = max(0.0, min(y + h, v + q) - max(y, v))
            overlap = across * down / (w * h + p * q - across * down) if w > 0 and h > 0 else -1.0
            dx, dy = (u + p / 2) - (x + w / 2), (v + q / 2) - (y + h / 2)
            distance = share = -1.0  # without a valid truth box
            if w > 0 and h > 0:
                distance, share = (dx * dx + dy * dy) ** 0.5, ((dx / w) ** 2 + (dy / h) ** 2) ** 0.5
            for index in range(21):
                success[index] += overlap > index / 20
            for index in range(51):
                precise[index] += distance <= index
                normal[index] += share <= index / 100
        count = len(truth)
        totals[0] += sum(success) / 21 / count
        totals[1] += precise[20] / count
        totals[2] += normal[20] / count
    return [total / len(pairs) for total in totals]


def vectorised(pairs: list[Pair]) -> list[float]:
    """The same by the package, on the same arrays."""
    rules = PROTOCOL.onepass
    assert rules is not None
    frames = [Frames(truth, found, len(truth)) for truth, found in pairs]
    _, curves = measure(compare(frames, rules), rules, 1)
    success, precise, normal = (curves[key].mean(0) for key in ("success", "precision", "norm_precision"))
    return [success.mean(), precise[20], normal[20]]


def toolkit(pairs: list[Pair]) -> list[float]:
    """The got10k toolkit's OTB metrics: no normalised precision, and two empty truth boxes count differently."""
    from got10k.experiments import ExperimentOTB

    experiment = ExperimentOTB.__new__(ExperimentOTB)
    experiment.nbins_iou, experiment.nbins_ce = 21, 51
    curves = [experiment._calc_curves(*experiment._calc_metrics(found, truth)) for truth, found in pairs]
    return [float(np.mean([c.mean() for c, _ in curves])), float(np.mean([c[20] for _, c in curves]))]


def timed(work: Callable[[], list[float]], repeats: int) -> tuple[float, list[float]]:
    """Best seconds of several runs, and the result."""
    best, result = np.inf, []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    return best, result


def data(folder: Path) -> tuple[list[Sequence], Path, str]:
    """Sequences, the folder of their predictions, and a line that says what they are."""
    results = ROOT.parent / "shared" / "results"
    if (results / "OTB100.tar.xz").is_file():
        for name in ("OTB100", "annotations"):
            with tarfile.open(results / f"{name}.tar.xz") as archive:
                archive.extractall(folder, filter="data")
        videos = json.loads(next(folder.rglob("OTB100.json")).read_text())
        boxes = {name: np.array(video["gt_rect"], float) - [1, 1, 0, 0] for name, video in videos.items()}
        sequences = [Sequence(name, (), rows, np.ones(len(rows), bool)) for name, rows in boxes.items()]
        return sequences, folder / "OTB100" / "SiamBAN", "SiamBAN's published results on OTB100"
    rng = np.random.default_rng(0)
    sequences = []
    for index, count in enumerate(np.full(100, 590) + np.arange(-50, 50)):
        rows = np.column_stack([rng.uniform(0, 300, (count, 2)), rng.uniform(10, 80, (count, 2))])
        sequences.append(Sequence(f"video{index:03d}", (), rows, np.ones(count, bool)))
        found = rows + rng.normal(0, 8, rows.shape)
        found[:, 2:] = np.maximum(found[:, 2:], 2)
        write_track(folder, f"video{index:03d}", Track(found, np.full(count, 0.01)), "otb")
    return sequences, folder, "random boxes of OTB100's size"


def main() -> None:
    """Print a table of times and ratios; exit with 1 where a target is missed."""
    with tempfile.TemporaryDirectory() as scratch:
        sequences, folder, title = data(Path(scratch))
        pairs = [(s.boxes, read_track(folder, s.name, "otb").boxes) for s in sequences]
        ours, values = timed(lambda: vectorised(pairs), 5)
        loop, reference = timed(lambda: plain_loop(pairs), 3)
        theirs, toolkit_values = timed(lambda: toolkit(pairs), 3)
        files, scored = timed(lambda: list(score(sequences, folder, PROTOCOL).overall.values()), 3)
    frames = sum(len(truth) for truth, _ in pairs)
    print(f"{title}: {len(pairs)} sequences, {frames} frames, one thread")
    rows = [("ours, arrays", ours, values), ("ours, from files", files, scored)]
    rows += [("plain Python loop", loop, reference), ("got10k toolkit", theirs, toolkit_values)]
    for name, seconds, found in rows:
        print(f"{name:18} {1000 * seconds:9.1f} ms  " + "  ".join(f"{value:.4f}" for value in found))
    print(f"ours is {loop / ours:.0f}× faster than the loop and {theirs / ours:.1f}× than the toolkit (arrays alone)")
    agree = np.allclose(values, reference, atol=1e-4) and np.allclose(values[:2], toolkit_values, atol=1e-3)
    if loop / ours < 20 or files > 1 or not agree:
        sys.exit("target missed: 20× the loop, OTB100 from files in a second, equal values")


if __name__ == "__main__":
    main()
