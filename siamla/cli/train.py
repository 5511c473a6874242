"""`siamla train`: features of the frozen backbone, and one variant's training."""

import argparse

from siamla.cli.commands import Commands
from siamla.cli.options import add_profile, count, load_plan, positive, seed, threads


def run_features(args: argparse.Namespace) -> None:
    """Compute the features that a variant's training reads."""
    from siamla.steps.training import features

    job = features(load_plan(args), args.variant, args.jobs, args.key)
    print(
        job.folder
        if job
        else f"{args.variant} reads no features: its backbone learns, or its pairs have no end"
    )


def run_train(args: argparse.Namespace) -> None:
    """Train the model that a variant uses, or try how that would go."""
    from siamla.steps.training import Means, dry_run, overfit, train

    validate = (args.validate, args.validate_every) if args.validate else None
    plan, means = load_plan(args), Means(args.threads, args.workers, args.accumulate, validate)
    if args.dry_run:
        dry_run(plan, args.variant, args.seed, means, print)
    elif args.overfit:
        overfit(plan, args.variant, args.seed, means, args.overfit, print)
    else:
        job = train(plan, args.variant, args.seed, means, args.key)
        if job is not None:
            print(job.folder / "model.pt")


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    parser = commands.add(
        "train features", run_features, "compute the frozen backbone's features of all pairs"
    )
    parser.add_argument("variant", help="the variant whose training reads them")
    parser.add_argument("--jobs", type=positive, default=1, help="processes")
    add_profile(parser)

    about = (
        "train one variant with one seed; killed, the same command resumes; torchrun starts it on"
        " several GPUs"
    )
    parser = commands.add("train run", run_train, about)
    parser.add_argument("variant")
    parser.add_argument("--seed", type=seed, default=1)
    parser.add_argument(
        "--threads",
        type=threads,
        default=1,
        help="of all processes here; on a CPU they change the last digits",
    )
    parser.add_argument(
        "--workers",
        type=count,
        help="processes that read pairs, and change nothing; default: threads - 1",
    )
    parser.add_argument(
        "--accumulate",
        type=positive,
        default=1,
        metavar="N",
        help=(
            "the backbone sees a batch in N parts: less memory, and each part is computed twice"
            " when it learns"
        ),
    )
    parser.add_argument(
        "--validate",
        metavar="DATASET",
        help="track this held-out set now and then: val_ao in the log",
    )
    parser.add_argument(
        "--validate-every", type=positive, default=5, metavar="EPOCHS", help="default: %(default)s"
    )
    trial = parser.add_mutually_exclusive_group()
    trial.add_argument(
        "--dry-run", action="store_true", help="a few steps: memory, pairs/s, hours; keeps nothing"
    )
    trial.add_argument(
        "--overfit",
        type=positive,
        metavar="N",
        help="train on N batches again and again; keeps nothing",
    )
    add_profile(parser)
