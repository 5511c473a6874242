"""`siamla report`: from score files to tables."""

import argparse
from pathlib import Path

from siamla.cli.commands import Commands
from siamla.cli.options import add_overwrite, add_profile, load_plan
from siamla.errors import UserError


def run_collect(args: argparse.Namespace) -> None:
    """Gather score files into long CSV files."""
    from siamla.steps.report import collect

    print(collect(load_plan(args)))


def run_sweeps(args: argparse.Namespace) -> None:
    """Gather the score files of sweeps into one CSV file."""
    from siamla.steps.report import collect_sweeps

    print(collect_sweeps(load_plan(args)))


def run_table(args: argparse.Namespace) -> None:
    """Write one table."""
    from siamla.steps.report import table

    print(table(load_plan(args), args.number, args.key))


def run_figure(args: argparse.Namespace) -> None:
    """Draw figures."""
    from siamla.report.drawing.jobs import figure_names
    from siamla.steps.figures import figure

    plan = load_plan(args)
    if args.key is not None and len(args.names) != 1:
        raise UserError("--key: one figure alone has one")
    for name in args.names or figure_names(plan):
        path = figure(plan, name, args.key)
        print(f"{path}.{{pdf,svg,png,csv,md}}")


def run_page(args: argparse.Namespace) -> None:
    """Write the page."""
    from siamla.steps.page import page

    print(page(load_plan(args), args.key))


def run_study(args: argparse.Namespace) -> None:
    """Write the study."""
    from siamla.files import read_json
    from siamla.steps.study import study

    path = study(load_plan(args), args.key, args.write, args.overwrite)
    print(f"{path}.{{md,json}}")
    if args.write:
        print(args.write)
        print(f"for README: {read_json(path.with_suffix('.json'))['sentence']}")


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    text = "gather score files into results/PROFILE/{scores,sequences,curves,attributes}.csv"
    parser = commands.add("report collect", run_collect, text)
    add_profile(parser, key=False)

    text = "gather the scores of the profile's sweeps into results/PROFILE/sweeps.csv"
    parser = commands.add("report sweeps", run_sweeps, text)
    add_profile(parser, key=False)

    parser = commands.add(
        "report table", run_table, "write one of the paper's tables as Markdown, LaTeX and CSV"
    )
    parser.add_argument("number", type=int, help="1 to 6")
    add_profile(parser)

    parser = commands.add(
        "report figure",
        run_figure,
        "draw figures as PDF, SVG and PNG, with their numbers and captions",
    )
    parser.add_argument(
        "names",
        nargs="*",
        help="entries of params/figures.yaml; default: all that the profile can draw",
    )
    add_profile(parser)

    parser = commands.add(
        "report page", run_page, "write reports/PROFILE/index.html: all of it in one file"
    )
    add_profile(parser)

    parser = commands.add(
        "report study",
        run_study,
        "write the study: the paper's claims with verdicts, effects with intervals, power",
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write the page there as well (docs/results.md)"
    )
    add_overwrite(parser)
    add_profile(parser)
