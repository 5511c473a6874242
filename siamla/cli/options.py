"""Options that several commands share, and values that argparse checks."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from siamla.experiment.plan import Plan


def positive(text: str) -> int:
    """A whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def add_profile(parser: argparse.ArgumentParser, key: bool = True) -> None:
    """`--profile`, and `--key`, with which the pipeline says for which identity it called."""
    parser.add_argument("--profile", default="mini", help="a file of params/profiles; default: %(default)s")
    if key:
        parser.add_argument("--key", help="refuse to work unless this is the job's key now (`siamla plan` prints it)")


def load_plan(args: argparse.Namespace) -> "Plan":
    """The plan of the profile that was named."""
    from siamla.experiment.plan import Plan

    return Plan.load(args.profile, getattr(args, "params", Path("params")))
