"""`siamla tune`: choose tracker settings on validation clips."""

import argparse
from collections.abc import Mapping
from typing import Any

from siamla.cli.options import Commands, add_profile, load_plan, positive


def _pairs(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in settings.items())


def run(args: argparse.Namespace) -> None:
    """Choose, and print what was found as comments and the lines for the profile."""
    from siamla.steps.tune import tune

    plan = load_plan(args)
    variants = [args.variant] if args.variant else plan.variants
    reports = tune(plan, variants, args.benchmark, args.workers)
    metric = next(iter(reports.values()))["metric"] if reports else "nothing to choose"
    print(f"# {metric} on {args.benchmark}; every point in results/{plan.name}/tune/VARIANT.json")
    print(f"# {'variant':16} {'seeds':>5} {'points':>6}  {'start':>6}  chosen")
    for variant, report in reports.items():
        counts = f"{len(report['models']):5} {len(report['points']):6}"
        print(f"# {variant:16} {counts}  {report['before']:.4f}  {report['reached']:.4f}")
    print("trackers:")
    for variant, report in reports.items():
        print(f"  {variant}: {{{_pairs(report['chosen'])}}}")


def register(commands: Commands) -> None:
    """Add the command of this module."""
    text = (
        "choose the tracker's settings for each variant on generated validation clips; nothing is"
        " trained"
    )
    parser = commands.add("tune", run, text)
    text = "this one alone; default: all of the profile, each with the models of all its seeds"
    parser.add_argument("variant", nargs="?", help=text)
    text = "a set of params/synthetic.yaml; default: %(default)s"
    parser.add_argument("--benchmark", default="validation", help=text)
    text = "processes; they change nothing"
    parser.add_argument("--workers", type=positive, default=1, help=text)
    add_profile(parser, key=False)
