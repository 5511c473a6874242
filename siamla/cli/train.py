"""`siamla train run`: one variant's training, or a trial of it."""

import argparse

from siamla.cli.options import Commands, add_profile, count, load_plan, positive, seed, threads


def run_train(args: argparse.Namespace) -> None:
    """Train the model that a variant uses, or try how that would go."""
    from siamla.steps.perform import Means
    from siamla.steps.train import dry_run, overfit, train

    validate = (args.validate, args.validate_every) if args.validate else None
    plan, means = load_plan(args), Means(args.cores, args.workers, args.accumulate, validate)
    job = plan.job("train", variant=args.variant, seed=args.seed)
    if args.dry_run:
        dry_run(plan, job, means, print)
    elif args.overfit:
        overfit(plan, job, means, args.overfit, print)
    elif train(plan, job, means, args.key):
        print(job.folder / "model.pt")


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    text = (
        "train one variant with one seed; killed, the same command resumes; torchrun starts it on"
        " several GPUs"
    )
    parser = commands.add("train run", run_train, text)
    option = parser.add_argument
    option("variant")
    option("--seed", type=seed, default=1)
    text = "of all processes here; on a CPU they change the last digits"
    option("--threads", "--cores", dest="cores", type=threads, default=1, help=text)
    text = "processes that read pairs, and change nothing; default: threads - 1"
    option("--workers", type=count, help=text)
    text = (
        "the backbone sees a batch in N parts: less memory, and each part is computed twice when it"
        " learns"
    )
    option("--accumulate", type=positive, default=1, metavar="N", help=text)
    text = "track this held-out set now and then: val_ao in the log"
    option("--validate", metavar="DATASET", help=text)
    text = "default: %(default)s"
    option("--validate-every", type=positive, default=5, metavar="EPOCHS", help=text)
    trial = parser.add_mutually_exclusive_group()
    text = "a few steps: memory, pairs/s, hours; keeps nothing"
    trial.add_argument("--dry-run", action="store_true", help=text)
    text = "train on N batches again and again; keeps nothing"
    trial.add_argument("--overfit", type=positive, metavar="N", help=text)
    add_profile(parser)
