"""`siamla compare`: two variants in the terminal."""

import argparse

from siamla.cli.commands import Commands
from siamla.cli.options import add_profile, load_plan


def run(args: argparse.Namespace) -> None:
    """Print scores, attributes, sequences and settings of two variants."""
    from siamla.steps.compare import compare

    print(compare(load_plan(args), args.a, args.b))


def register(commands: Commands) -> None:
    """Add the command of this module."""
    text = (
        "two variants: settings that differ, scores with intervals, attributes, and the sequences"
        " that changed most"
    )
    parser = commands.add("compare", run, text)
    parser.add_argument("a", help="a variant")
    parser.add_argument("b", help="another variant; differences are b less a")
    add_profile(parser, key=False)
