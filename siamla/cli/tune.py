"""`siamla tune`: choose tracker settings on validation clips."""

import argparse
import sys

from siamla.cli.commands import Commands
from siamla.cli.options import add_profile, load_plan, positive


def run(args: argparse.Namespace) -> None:
    """Choose, and print the lines for the profile."""
    from siamla.steps.tune import tune

    plan = load_plan(args)
    report = tune(
        plan, args.variant, args.benchmark, args.workers, lambda line: print(line, file=sys.stderr, flush=True)
    )
    place = f"results/{plan.name}/tune/{args.variant}.json"
    print(f"# {report['metric']} {report['before']:.4f} → {report['reached']:.4f} on {args.benchmark}, see {place}")
    print(f"  tracker: {{{', '.join(f'{key}: {value}' for key, value in report['chosen'].items())}}}")


def register(commands: Commands) -> None:
    """Add the command of this module."""
    text = "choose window, penalty, size smoothing and top n on generated validation clips; nothing is trained"
    parser = commands.add("tune", run, text)
    parser.add_argument("variant", help="whose trained models are used, all seeds of the profile")
    parser.add_argument(
        "--benchmark", default="validation", help="a set of params/synthetic.yaml; default: %(default)s"
    )
    parser.add_argument("--workers", type=positive, default=1, help="processes; they change nothing")
    add_profile(parser, key=False)
