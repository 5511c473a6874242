"""Table III's variants with the paper's Fig. 12 claim as numbers: score, AUC and task alignment on each benchmark.

    python benchmarks/alignment.py --profile mini --curated data/curated/mini/otb100 data/curated/mini/got10k

Prints a Markdown table for each curated folder, one row a variant, mean ± standard deviation over the trained seeds:
the benchmark's headline score from results/PROFILE/scores where it is there, the mean IoU of a run of the tracker
made here, and the rank correlations of confidence and IoU (siamla/benchmark/alignment.py) over the cells inside the
true box, over all cells, and over tracked frames; then the IoU at the most confident cell, at the best
one, at the one nearest to the target's centre, and the mean over the boundary cells of LALS.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import torch

from siamla.benchmark.alignment import alignment
from siamla.benchmark.protocols import load_protocols
from siamla.data.curate import load_curated
from siamla.errors import UserError
from siamla.experiment.profile import Experiment, load
from siamla.files import read_json
from siamla.model.checkpoint import load_model
from siamla.sequence import Sequence

COLUMNS = {
    "score": "",
    "overlap": "Mean IoU",
    "inside": "ρ, cells inside",
    "cells": "ρ, all cells",
    "tracked": "ρ, tracked",
    "chosen": "IoU at the chosen cell",
    "best": "IoU at the best cell",
    "middle": "IoU at the middle cell",
    "border": "IoU at boundary cells",
}


def measured(
    experiment: Experiment, variant: str, files: list[Path], folder: Path, sequences: list[Sequence], headline: str,
    args: argparse.Namespace,
) -> list[dict[str, float]]:  # fmt: skip
    """One dict of COLUMNS' keys for each trained seed."""
    name = folder.name
    settings = experiment.specs[variant].tracker
    if name in experiment.profile.benchmarks:
        settings = experiment.tracker(variant, name)
    found = []
    for file in files:
        stored = args.results / experiment.name / "scores" / name / variant / f"{file.parent.name}.json"
        score = read_json(stored)["overall"][headline] if stored.is_file() else float("nan")
        numbers = alignment(load_model(file), sequences, settings, args.seed, args.crops)
        found.append({**numbers, "score": score})
    return found


def cell(values: list[float]) -> str:
    """Mean ± standard deviation, or a dash."""
    known = np.array([value for value in values if np.isfinite(value)])
    if not len(known):
        return "–"
    return f"{known.mean():.3f}" + (f" ± {known.std(ddof=1):.3f}" if len(known) > 1 else "")


def table(experiment: Experiment, folder: Path, args: argparse.Namespace) -> None:
    """Print the table of one curated folder."""
    sequences = load_curated(folder)[: args.sequences]
    protocols = load_protocols(Path("params") / "protocols.yaml")
    entry = experiment.profile.benchmarks.get(folder.name)
    layout = read_json(folder / "report.json")["layout"]
    protocol = protocols.get(entry.protocol or folder.name) if entry else None
    protocol = protocol or next(item for item in protocols.values() if item.layout == layout)
    headline = f"{protocol.metrics[protocol.headline].label} (stored)"
    print(f"\n{folder.name}: {len(sequences)} sequences, {args.crops} crops each, seed {args.seed}\n")
    print(f"| Variant | Seeds | {' | '.join(title or headline for title in COLUMNS.values())} |")
    print("|---" * (len(COLUMNS) + 2) + "|", flush=True)
    for variant in args.variants or experiment.specs:
        files = sorted((args.results / experiment.name / "train" / variant).glob("seed*/model.pt"))
        if not files:
            continue
        rows = measured(experiment, variant, files, folder, sequences, protocol.headline, args)
        cells = [cell([row[key] for row in rows]) for key in COLUMNS]
        print(f"| {variant} | {len(rows)} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", required=True)
    parser.add_argument("--curated", type=Path, nargs="+", required=True, help="folders that `data curate` wrote")
    parser.add_argument("--variants", nargs="+", help="only these")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--crops", type=int, default=20, help="search crops a sequence")
    parser.add_argument("--sequences", type=int, help="only the first so many sequences")
    parser.add_argument("--seed", type=int, default=0, help="of the crops' shifts and scales")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    experiment = load(args.profile)
    for folder in args.curated:
        table(experiment, folder, args)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
