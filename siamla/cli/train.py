"""`siamla train`: features of the frozen backbone, and one variant's training."""

import argparse

from siamla.cli.commands import Commands
from siamla.cli.options import add_profile, count, load_plan, positive, seed, threads


def run_features(args: argparse.Namespace) -> None:
    """Compute the features that a variant's training reads."""
    from siamla.steps.training import features

    job = features(load_plan(args), args.variant, args.jobs, args.key)
    print(job.folder if job else f"{args.variant} reads no features: its backbone learns, or its pairs have no end")


def run_train(args: argparse.Namespace) -> None:
    """Train the model that a variant uses."""
    from siamla.steps.training import train

    job = train(load_plan(args), args.variant, args.seed, args.threads, args.workers, args.key)
    print(job.folder / "model.pt")


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    parser = commands.add("train features", run_features, "compute the frozen backbone's features of all pairs")
    parser.add_argument("variant", help="the variant whose training reads them")
    parser.add_argument("--jobs", type=positive, default=1, help="processes")
    add_profile(parser)

    parser = commands.add("train run", run_train, "train one variant with one seed; killed, the same command resumes")
    parser.add_argument("variant")
    parser.add_argument("--seed", type=seed, default=1)
    parser.add_argument("--threads", type=threads, default=1, help="on a CPU they change the last digits")
    parser.add_argument(
        "--workers", type=count, help="processes that read pairs, and change nothing; default: threads - 1"
    )
    add_profile(parser)
