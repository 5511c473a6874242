"""`siamla plan`: what would run and why, one job whole, and acceptance of changed code."""

import argparse
import sys

from siamla.cli.options import Commands, add_profile, load_plan


def run(args: argparse.Namespace) -> None:
    """Print the plan or one job of it, or accept what code that changed has made."""
    plan = load_plan(args)
    if args.job == ["accept"]:
        from siamla.steps.accept import accept

        for line in accept(plan):
            stream = sys.stderr if line.startswith("not accepted") else sys.stdout
            print(line, file=stream, flush=True)
        return
    from siamla.steps.outlook import job_named, outlook, show_job

    print(show_job(plan, job_named(plan, args.job)) if args.job else outlook(plan))


def register(commands: Commands) -> None:
    """Add the command of this module."""
    text = "what would run, why, and how long it took before; one job; or accept"
    parser = commands.add("plan", run, text)
    text = (
        "none: all jobs. Words of one job (train siamla 1, predict otb100 siamla 1, score otb100"
        " siamla 1, curate otb100, table 3, study): its whole identity, and how the result that is"
        " there differs. `accept`: code changed and numbers did not: a few jobs of each kind are"
        " run again, bytes are compared, and the others taken over"
    )
    parser.add_argument("job", nargs="*", help=text)
    add_profile(parser, key=False)
