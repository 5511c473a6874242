"""`siamla benchmark`: track the sequences of a benchmark, and score what was stored."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from siamla.cli.commands import Commands
from siamla.cli.options import add_profile, add_tracker, changed, load_plan, positive, seed
from siamla.data.layout import LayoutName
from siamla.errors import UserError

if TYPE_CHECKING:
    from siamla.experiment.plan import Plan
    from siamla.experiment.sweeps import Point


def _point(plan: "Plan", args: argparse.Namespace) -> "Point | None":
    """The point of a sweep that was named, "window=0.2"."""
    if args.sweep is None:
        return None
    sweep, equals, value = args.sweep.partition("=")
    if not equals:
        raise UserError(f"--sweep {args.sweep}: expected SWEEP=VALUE, such as window=0.2")
    return plan.point(sweep, value)


def run_predict(args: argparse.Namespace) -> None:
    """Track a benchmark with a trained model, or with a model file of somebody's own."""
    from siamla.steps.benchmark import predict, predict_with

    if (args.model is None) != (args.out is None):
        raise UserError(
            "--model and --out belong together: a model file of your own, and the folder for its"
            " results"
        )
    if args.model and args.sweep:
        raise UserError("--sweep tracks with the variant's own model; it does not go with --model")
    plan = load_plan(args)
    if args.model is None:
        job = predict(
            plan,
            args.benchmark,
            args.variant,
            args.seed,
            args.workers,
            args.key,
            _point(plan, args),
        )
    else:
        job = predict_with(plan, args.benchmark, args.variant, args.model, args.out, args.workers)
    print(job.folder)


def run_score(args: argparse.Namespace) -> None:
    """Score stored predictions."""
    from siamla.steps.benchmark import score

    plan = load_plan(args)
    print(score(plan, args.benchmark, args.variant, args.seed, args.key, _point(plan, args)).folder)


def run_maps(args: argparse.Namespace) -> None:
    """Store the score maps of chosen frames."""
    from siamla.steps.benchmark import maps

    print(maps(load_plan(args), args.benchmark, args.variant, args.seed, args.key).folder)


def run_alignment(args: argparse.Namespace) -> None:
    """Measure a model on crops around the truth."""
    from siamla.steps.benchmark import alignment

    print(alignment(load_plan(args), args.benchmark, args.variant, args.seed, args.key).folder)


def run_run(args: argparse.Namespace) -> None:
    """Track and score in one go, and print the scores."""
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
    """The options of a model file on a folder of sequences."""
    parser.add_argument("model", type=Path, help="a model file, such as model.pt of a training")
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
    """Add the commands of this module."""
    parser = commands.add(
        "benchmark run", run_run, "track and score a folder of sequences with a model file"
    )
    add_by_hand(parser)
    parser.add_argument(
        "--out", type=Path, help="folder of the raw results; default: runs/ROOT/LABEL-DIGEST"
    )

    for words, run, text in (
        ("benchmark predict", run_predict, "track a benchmark's sequences; killed, it goes on"),
        ("benchmark score", run_score, "score stored predictions"),
    ):
        parser = commands.add(words, run, text)
        parser.add_argument("benchmark")
        parser.add_argument("variant")
        parser.add_argument("--seed", type=seed, default=1)
        parser.add_argument(
            "--sweep", help="a point of a sweep of the profile as SWEEP=VALUE, such as window=0.2"
        )
        if run is run_predict:
            parser.add_argument(
                "--workers", type=positive, default=1, help="processes; they change nothing"
            )
            parser.add_argument(
                "--model",
                type=Path,
                help="a model file of your own, with the variant's tracker settings",
            )
            parser.add_argument("--out", type=Path, help="folder for its results")
        add_profile(parser)

    for words, run, text in (
        (
            "benchmark maps",
            run_maps,
            (
                "store the score maps of chosen frames (params/maps.yaml) of a benchmark that the"
                " profile names under `maps`"
            ),
        ),
        (
            "benchmark alignment",
            run_alignment,
            (
                "measure a model on crops around the truth of a benchmark that the profile names"
                " under `alignment`: the box that it chooses, how often that is lost, how well"
                " confidence follows IoU"
            ),
        ),
    ):
        parser = commands.add(words, run, text)
        parser.add_argument("benchmark")
        parser.add_argument("variant")
        parser.add_argument("--seed", type=seed, default=1)
        add_profile(parser)
