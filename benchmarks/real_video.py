"""Every trained variant of a profile on real video, beside OpenCV's MIL and a box that never moves.

    python benchmarks/real_video.py --layout otb --root DIR --frames 150 --profile mini

Prints a Markdown table: AUC and precision at 20 px by OTB's one-pass rules (params/protocols.yaml),
and frames per second without decoding, one thread a process; mean ± standard deviation over the
seeds that were trained. With more than one worker, fps is that of a busy machine.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from siamla.benchmark.onepass import Tracker
from siamla.benchmark.protocols import Protocol, load_protocols, run_rules
from siamla.benchmark.runner import run
from siamla.benchmark.score import score
from siamla.benchmark.speed import speed
from siamla.data.curate import curate, load_curated
from siamla.data.formats import LAYOUTS
from siamla.errors import UserError
from siamla.experiment.experiment import Experiment, load
from siamla.sequence import Sequence
from siamla.tracker.tracker import load_tracker

METRICS = ("auc", "precision", "fps")
Box = NDArray[np.float64]


class Still:
    """The first box for ever."""

    deterministic = True

    def init(self, image: NDArray[np.uint8], box: Box) -> None:
        """Start on a target."""
        self.box = box

    def update(self, image: NDArray[np.uint8]) -> Box:
        """The box in the next frame."""
        return self.box


class Mil:
    """OpenCV's MIL; a lost target keeps the last box."""

    deterministic = True

    def init(self, image: NDArray[np.uint8], box: Box) -> None:
        """Start on a target."""
        cv2.setRNGSeed(0)
        self.tracker, self.box = cv2.TrackerMIL_create(), box
        self.tracker.init(image, tuple(np.rint(box).astype(int).tolist()))

    def update(self, image: NDArray[np.uint8]) -> Box:
        """The box in the next frame."""
        good, box = self.tracker.update(image)
        if good:
            self.box = np.array(box, np.float64)
        return self.box


def trained(
    experiment: Experiment, results: Path, chosen: list[str] | None
) -> dict[str, dict[int, Path]]:
    """variant → seed → model file of what has been trained, in the order of params/variants.yaml.
    """
    found: dict[str, dict[int, Path]] = {}
    for variant in experiment.specs if chosen is None else chosen:
        if variant not in experiment.specs:
            raise UserError(f"--variants: {variant!r} is not in profile {experiment.name}")
        files = sorted((results / experiment.name / "train" / variant).glob("seed*/model.pt"))
        if files:
            found[variant] = {int(file.parent.name.removeprefix("seed")): file for file in files}
    return found


def measure(
    make: Callable[[], Tracker],
    sequences: list[Sequence],
    folder: Path,
    protocol: Protocol,
    workers: int,
) -> dict[str, float]:
    """AUC, precision and fps of a tracker."""
    run(make, sequences, folder, run_rules(protocol), workers)
    overall = score(sequences, folder, protocol).overall
    return {**overall, "fps": speed(folder, sequences, protocol)["fps"]}


def row(name: str, measured: list[dict[str, float]]) -> str:
    """One line of the table."""
    cells = [name, str(len(measured))]
    for metric in METRICS:
        values = np.array([each[metric] for each in measured])
        digits = 1 if metric == "fps" else 3
        spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
        cells.append(f"{values.mean():.{digits}f}{spread}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layout", choices=LAYOUTS, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--frames", type=int, help="only the first so many frames of a sequence")
    parser.add_argument("--profile", required=True)
    parser.add_argument("--variants", nargs="+", help="only these")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    experiment = load(args.profile)
    models = trained(experiment, args.results, args.variants)
    if not models:
        raise UserError(f"{args.results / args.profile / 'train'}: no trained models")
    protocol = load_protocols(Path("params") / "protocols.yaml")["otb100"].model_copy(
        update={"layout": args.layout}
    )
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        report = curate(
            args.root, args.layout, args.root.name, place / "curated", frames_limit=args.frames
        )
        sequences = load_curated(place / "curated")
        print(
            f"{args.root.name}: {report['sequences']} sequences, {report['frames']} frames; profile"
            f" {args.profile}\n"
        )
        print("| Tracker | Seeds | AUC | Precision | fps |\n|---|---|---|---|---|", flush=True)
        for variant, files in models.items():
            settings, measured = experiment.specs[variant].tracker, []
            for seed, file in files.items():
                make = partial(load_tracker, file, settings)
                measured.append(
                    measure(make, sequences, place / variant / str(seed), protocol, args.workers)
                )
            print(row(variant, measured), flush=True)
        for name, tracker in (("MIL (OpenCV)", Mil), ("still box", Still)):
            print(
                row(name, [measure(tracker, sequences, place / name, protocol, args.workers)]),
                flush=True,
            )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
