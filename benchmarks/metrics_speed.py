"""How fast scoring is, and that the digits are those of the public toolkits: theirs beside ours, in
one run.

OTB100: 100 sequences, 59,035 frames. On arrays: ours, a plain per-frame loop, the got10k toolkit.
From text files: ours and the got10k toolkit. VOT2018 from files: ours, and pysot's toolkit where a
checkout with its compiled `toolkit/` is given. The published raw results where ../shared has them,
else random boxes of OTB100's size.

    python benchmarks/metrics_speed.py [PYSOT_CHECKOUT]
"""

import json
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from siamla.benchmark.onepass import Track
from siamla.benchmark.protocols import load_protocols
from siamla.benchmark.score import Frames, compare, measure, score
from siamla.benchmark.store import corners, read_boxes, write_track
from siamla.sequence import Sequence

ROOT = Path(__file__).parents[1]
PROTOCOLS = load_protocols(ROOT / "params" / "protocols.yaml")
RESULTS = ROOT.parent / "shared" / "results"
Pair = tuple[np.ndarray, np.ndarray]
Work = Callable[[], list[float]]


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
    rules = PROTOCOLS["otb100"].onepass
    assert rules is not None
    frames = [Frames(truth, found, len(truth)) for truth, found in pairs]
    _, curves = measure(compare(frames, rules), rules, 1)
    success, precise, normal = (
        curves[key].mean(0) for key in ("success", "precision", "norm_precision")
    )
    return [success.mean(), precise[20], normal[20]]


def got10k(pairs: list[Pair]) -> list[float]:
    """The got10k toolkit's OTB metrics: no normalised precision, and two empty truth boxes count
    differently.
    """
    from got10k.experiments import ExperimentOTB

    experiment = ExperimentOTB.__new__(ExperimentOTB)
    experiment.nbins_iou, experiment.nbins_ce = 21, 51
    curves = [
        experiment._calc_curves(*experiment._calc_metrics(found, truth)) for truth, found in pairs
    ]
    return [
        float(np.mean([c.mean() for c, _ in curves])),
        float(np.mean([c[20] for _, c in curves])),
    ]


def got10k_files(sequences: list[Sequence], folder: Path) -> list[float]:
    """The same from text, read as its `report` reads."""
    paths = [folder / f"{sequence.name}.txt" for sequence in sequences]
    truths = [sequence.boxes + np.array([1, 1, 0, 0]) for sequence in sequences]
    return got10k(
        [
            (truth, np.loadtxt(path, delimiter=","))
            for truth, path in zip(truths, paths, strict=True)
        ]
    )


class Videos:
    """What pysot's benchmarks ask of a data set, without its images: videos by number and by name.
    """

    def __init__(self, videos: list[Any], folder: Path) -> None:
        self.name, self.tracker_path, self.videos = "VOT2018", str(folder.parent), videos
        self.by_name = {video.name: video for video in videos}

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, key: int | str) -> Any:
        return self.by_name[key] if isinstance(key, str) else self.videos[key]


def pysot_vot(checkout: Path, videos: dict[str, dict[str, Any]], folder: Path) -> Work:
    """pysot's accuracy, robustness and EAO of stored results, by the toolkit of a checkout."""
    sys.path.insert(0, str(checkout))
    benchmarks, layout = import_module("toolkit.evaluation"), import_module("toolkit.datasets.vot")

    def video(name: str, entry: dict[str, Any]) -> Any:
        made = layout.VOTVideo.__new__(layout.VOTVideo)  # its constructor opens an image
        made.name, made.gt_traj, made.pred_trajs = name, entry["gt_rect"], {}
        made.width, made.height, made.tags = (
            entry["width"],
            entry["height"],
            {"all": [1] * len(entry["gt_rect"])},
        )
        return made

    def work() -> list[float]:
        data = Videos([video(name, entry) for name, entry in videos.items()], folder)
        found = benchmarks.AccuracyRobustnessBenchmark(data).eval(folder.name)[folder.name]
        every = [value for values in found["overlaps"].values() for value in values]
        lost = np.mean(np.sum(list(found["failures"].values()), axis=0))
        eao = benchmarks.EAOBenchmark(data).eval(folder.name)[folder.name]["all"]
        return [float(np.nanmean(every)), float(100 * lost / len(every)), float(eao)]

    return work


def timed(work: Work, repeats: int) -> tuple[float, list[float]]:
    """Best seconds of several runs, and the result."""
    best, result = np.inf, []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    return best, result


def show(name: str, seconds: float, values: list[float]) -> None:
    """One line of the table."""
    print(f"{name:32} {1000 * seconds:9.1f} ms  " + "  ".join(f"{value:.5f}" for value in values))


def unpacked(folder: Path, *names: str) -> bool:
    """Whether the published results are here, unpacked into the folder."""
    there = all((RESULTS / f"{name}.tar.xz").is_file() for name in names)
    for name in names if there else ():
        with tarfile.open(RESULTS / f"{name}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
    return there


def otb(folder: Path) -> tuple[list[Sequence], Path, str]:
    """Sequences, the folder of their predictions, and a line that says what they are."""
    if unpacked(folder, "annotations", "OTB100"):
        videos = json.loads(next(folder.rglob("OTB100.json")).read_text())
        boxes = {
            name: np.array(video["gt_rect"], float) - [1, 1, 0, 0] for name, video in videos.items()
        }
        sequences = [
            Sequence(name, (), rows, np.ones(len(rows), bool)) for name, rows in boxes.items()
        ]
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


def one_pass(scratch: Path) -> list[str]:
    """Print OTB100's lines; returns the targets that are missed."""
    sequences, folder, title = otb(scratch)
    pairs = [(s.boxes, read_boxes(folder, s.name, "otb")) for s in sequences]
    ours, values = timed(lambda: vectorised(pairs), 7)
    loop, reference = timed(lambda: plain_loop(pairs), 3)
    theirs, known = timed(lambda: got10k(pairs), 7)
    # One after the other, so that both see the same machine.
    rounds = [
        (
            timed(lambda: list(score(sequences, folder, PROTOCOLS["otb100"]).overall.values()), 1),
            timed(lambda: got10k_files(sequences, folder), 1),
        )
        for _ in range(7)
    ]
    (files, scored), (their_files, their_scores) = (min(each) for each in zip(*rounds, strict=True))
    print(
        f"{title}: {len(pairs)} sequences, {sum(len(truth) for truth, _ in pairs)} frames, one"
        " thread"
    )
    show("ours, arrays", ours, values)
    show("plain Python loop, arrays", loop, reference)
    show("got10k toolkit, arrays", theirs, known)
    show("ours, from files", files, scored)
    show("got10k toolkit, from files", their_files, their_scores)
    print(
        f"arrays: {loop / ours:.0f}× the loop, {theirs / ours:.1f}× got10k; files:"
        f" {their_files / files:.1f}× got10k\n"
    )
    agree = np.allclose(values, reference, atol=1e-4) and np.allclose(values[:2], known, atol=1e-3)
    goals = {
        "20 times the loop": loop / ours >= 20,
        "OTB100 from files 3 times the got10k toolkit": their_files / files >= 3,
        "equal values": agree and np.allclose(values, scored, atol=1e-12),
    }
    return [goal for goal, met in goals.items() if not met]


def supervised(scratch: Path, checkout: Path | None) -> list[str]:
    """Print VOT2018's lines; returns the targets that are missed."""
    if not unpacked(scratch, "annotations", "VOT2018"):
        return []
    videos = json.loads(next(scratch.rglob("VOT2018.json")).read_text())
    sequences = []
    for name, video in videos.items():
        rows = np.array(
            [row if len(row) == 8 else corners(np.array(row)) for row in video["gt_rect"]], float
        )
        sequences.append(
            Sequence(name, (), np.zeros((len(rows), 4)), np.ones(len(rows), bool), rows)
        )
    sizes = {name: (video["width"], video["height"]) for name, video in videos.items()}
    folder = scratch / "VOT2018" / "SiamTrackers_SiamCAR"

    def ours() -> list[float]:
        found = score(sequences, folder, PROTOCOLS["vot2018"], sizes).overall
        return [found[metric] for metric in ("accuracy", "robustness", "eao")]

    seconds, values = timed(ours, 7)
    print("SiamCAR's public results on VOT2018: accuracy, robustness, EAO")
    show("ours, from files", seconds, values)
    if checkout is None:
        print("pysot: no checkout given")
        return []
    theirs, known = timed(pysot_vot(checkout, videos, folder), 3)
    show("pysot's toolkit, from files", theirs, known)
    print(f"{theirs / seconds:.1f}× pysot")
    goals = {
        "VOT2018 from files 5 times pysot": theirs / seconds >= 5,
        "pysot's values": np.allclose(values, known, atol=1e-6),
    }
    return [goal for goal, met in goals.items() if not met]


def main() -> None:
    """Print the tables; exit with 1 where a target is missed."""
    checkout = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as scratch:
        missed = one_pass(Path(scratch)) + supervised(Path(scratch), checkout)
    if missed:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
