"""`siamla train run`: a training, or a trial of it; `siamla tune`: tracker settings."""

import argparse

from siamla.cli.options import (
    Commands,
    add_job,
    add_profile,
    load_plan,
    positive,
    seed,
    threads,
    whole,
)


def _train(args: argparse.Namespace) -> None:
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


def _tune(args: argparse.Namespace) -> None:
    from siamla.steps.tune import tune

    plan = load_plan(args)
    variants = [args.variant] if args.variant else plan.variants
    reports = tune(plan, variants, args.benchmark or ["validation"], args.workers)
    metrics = next(iter(reports.values()))["metric"] if reports else {}
    chosen_on = ", ".join(f"{metric} on {name}" for name, metric in metrics.items())
    stored = f"every point in results/{plan.name}/tune/VARIANT.json"
    print(f"# {chosen_on or 'nothing to choose'}; {stored}")
    print(f"# {'variant':16} {'seeds':>5} {'points':>6}  {'start':>6}  chosen")
    for variant, report in reports.items():
        counts = f"{len(report['models']):5} {len(report['points']):6}"
        print(f"# {variant:16} {counts}  {report['before']:.4f}  {report['reached']:.4f}")
    print("trackers:")
    for variant, report in reports.items():
        chosen = ", ".join(f"{key}: {value}" for key, value in report["chosen"].items())
        print(f"  {variant}: {{{chosen}}}")


def register(commands: Commands) -> None:
    text = (
        "train one variant with one seed; killed, the same command resumes; torchrun starts it on"
        " several GPUs"
    )
    parser = commands.add("train run", _train, text)
    option = parser.add_argument
    option("variant")
    option("--seed", type=seed, default=1)
    text = "of all processes here; on a CPU they change the last digits"
    option("--threads", "--cores", dest="cores", type=threads, default=1, help=text)
    text = "processes that read pairs, and change nothing; default: threads - 1"
    option("--workers", type=whole(0), help=text)
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
    add_job(parser)
    text = (
        "choose the tracker's settings for each variant on validation clips, by the mean of the"
        " sets that are named; nothing is trained"
    )
    parser = commands.add("tune", _tune, text)
    text = "this one alone; default: all of the profile, each with the models of all its seeds"
    parser.add_argument("variant", nargs="?", help=text)
    text = (
        "a set of params/synthetic.yaml, or a folder of real clips (`siamla data real validation`);"
        " may be repeated; default: validation"
    )
    parser.add_argument("--benchmark", action="append", metavar="CLIPS", help=text)
    text = "processes; they change nothing"
    parser.add_argument("--workers", type=positive, default=1, help=text)
    add_profile(parser)
