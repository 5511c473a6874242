"""`siamla benchmark run`: track and score a folder of sequences with a model."""

import argparse
from pathlib import Path
from typing import get_args

from siamla.cli.options import Commands, add_tracker, changed, positive
from siamla.data.layout import LayoutName


def _run(args: argparse.Namespace) -> None:
    from siamla.steps import byhand

    done = byhand.track(
        args.model, args.layout, args.root, args.out, args.protocol, changed(args), args.workers
    )
    found, frames = byhand.score(done), sum(map(len, done.sequences))
    size = f"{len(done.sequences)} sequences, {frames} frames"
    print(f"{done.label} on {args.root}: {size}, protocol: {done.rules.title}")
    if found is None:
        print(f"the truth is withheld, so there are no scores; raw results: {done.folder}")
        return
    columns = [
        (metric.label, f".{metric.digits}f", found[name])
        for name, metric in done.rules.metrics.items()
    ]
    cells = [
        (label, "–" if value is None else format(value, form)) for label, form, value in columns
    ]
    cells += [("fps", f"{found['fps']:.1f}")] if "fps" in found else []  # not in lock step
    print("  ".join(f"{label:>{max(len(label), len(text))}}" for label, text in cells))
    print("  ".join(f"{text:>{max(len(label), len(text))}}" for label, text in cells))
    print(f"raw results and scores.csv: {done.folder}")


def add_by_hand(parser: argparse.ArgumentParser) -> None:
    """The options of a model on a folder of sequences."""
    text = "a model file or a folder of `siamla model export`; default: the model in siamla"
    parser.add_argument("model", type=Path, nargs="?", help=text)
    parser.add_argument(
        "--layout", required=True, choices=get_args(LayoutName), help="how the folder lies on disk"
    )
    parser.add_argument("--root", type=Path, required=True, help="the folder with the sequences")
    parser.add_argument(
        "--protocol", help="scoring rules of params/protocols.yaml; default: the layout's first"
    )
    add_tracker(parser)
    parser.add_argument("--workers", type=positive, default=1, help="processes; they change no box")


def register(commands: Commands) -> None:
    parser = commands.add(
        "benchmark run", _run, "track and score a folder of sequences with a model"
    )
    add_by_hand(parser)
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the raw results; default: runs/ROOT/LABEL-DIGEST, one for each run",
    )
