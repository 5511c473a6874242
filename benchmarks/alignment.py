"""Every trained variant of a profile on crops around the truth of a folder of video, which need not
be a benchmark.

    python benchmarks/alignment.py --profile mini --layout otb --root DIR --frames 150

Prints a Markdown table, a row for each variant, mean ± standard deviation over the trained seeds,
every crop counting alike: chosen, the IoU of the box at the highest c·q; lost, the share of crops
in which it is below .1; rest, the mean of the others; middle, the box of the cell nearest to the
target's centre; best, that of the best cell; border, the mean over the boundary cells of LALS; then
the rank correlations of confidence and IoU over the cells inside the true box and over all
(siamla/benchmark/alignment.py). On a profile's own benchmarks `siamla benchmark alignment` stores
the same.
"""

import argparse
import sys
import tempfile
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np
import torch

from siamla.benchmark.alignment import Cut, alignment, cut, summary
from siamla.data.curate import curate, load_curated
from siamla.data.formats import LAYOUTS
from siamla.errors import UserError
from siamla.experiment.experiment import load
from siamla.model.checkpoint import load_model
from siamla.parallel import in_parallel
from siamla.tracker.settings import TrackerSettings

COLUMNS = {
    "chosen": "Chosen",
    "lost": "Lost",
    "rest": "Rest",
    "middle": "Middle",
    "best": "Best",
    "border": "Border",
    "inside": "ρ inside",
    "cells": "ρ all",
}


@lru_cache(maxsize=1)
def cuts(folder: Path, crops: int, seed: int) -> list[Cut]:
    """The crops of a curated folder; cut once by each process."""
    return [
        cut(sequence, crops, (seed, place)) for place, sequence in enumerate(load_curated(folder))
    ]


def measured(
    item: tuple[Path, TrackerSettings], folder: Path, crops: int, seed: int
) -> dict[str, float]:
    """COLUMNS of a model file, over all crops."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    found = alignment(load_model(item[0]), cuts(folder, crops, seed), item[1])
    return summary([crop for own in found.values() for crop in own])


def cell(values: list[float]) -> str:
    """Mean ± standard deviation, or a dash."""
    known = np.array([value for value in values if np.isfinite(value)])
    if not len(known):
        return "–"
    return f"{known.mean():.3f}" + (f" ± {known.std(ddof=1):.3f}" if len(known) > 1 else "")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", required=True)
    parser.add_argument("--layout", choices=LAYOUTS, required=True)
    parser.add_argument("--root", type=Path, required=True, help="a folder of sequences")
    parser.add_argument("--frames", type=int, help="only the first so many frames of its sequences")
    parser.add_argument("--variants", nargs="+", help="only these")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--crops", type=int, default=16, help="search crops a sequence")
    parser.add_argument("--seed", type=int, default=0, help="of the crops' shifts and scales")
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    experiment = load(args.profile)
    items: dict[str, list[tuple[Path, TrackerSettings]]] = {}
    for variant in args.variants or experiment.specs:
        files = sorted((args.results / experiment.name / "train" / variant).glob("seed*/model.pt"))
        items |= (
            {variant: [(file, experiment.specs[variant].tracker) for file in files]}
            if files
            else {}
        )
    if not items:
        raise UserError(f"{args.results / args.profile / 'train'}: no trained models")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "curated")
        curate(args.root, args.layout, args.root.name, folder, frames_limit=args.frames)
        todo = [item for own in items.values() for item in own]
        work = partial(measured, folder=folder, crops=args.crops, seed=args.seed)
        rows = list(in_parallel(work, todo, args.workers, "crops", "model"))
        print(f"{args.root.name}, {args.crops} crops a sequence, seed {args.seed}\n")
    print(f"| Variant | Seeds | {' | '.join(COLUMNS.values())} |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for variant, own in items.items():
        mine, rows = rows[: len(own)], rows[len(own) :]
        print(
            f"| {variant} | {len(own)} |"
            f" {' | '.join(cell([row[key] for row in mine]) for key in COLUMNS)} |"
        )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
