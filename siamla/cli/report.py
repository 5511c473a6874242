"""`siamla report`: from score files to tables, figures, page and study; `siamla compare`."""

import argparse
from pathlib import Path

from siamla.cli.options import Commands, add_overwrite, add_profile, load_plan
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
        print(f"{figure(plan, name, args.key)}.{{pdf,svg,png,csv,md}}")


def run_page(args: argparse.Namespace) -> None:
    """Write the page."""
    from siamla.steps.page import page

    print(page(load_plan(args), args.key))


def run_study(args: argparse.Namespace) -> None:
    """Write the study."""
    from siamla.steps.study import study

    path = study(load_plan(args), args.key, args.write, args.overwrite)
    print(f"{path}.{{md,json}}")
    if args.write:
        print(args.write)


def run_compare(args: argparse.Namespace) -> None:
    """Print scores, attributes, sequences and settings of two variants."""
    from siamla.steps.compare import compare

    print(compare(load_plan(args), args.a, args.b))


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    text = "gather score files into results/PROFILE/{scores,sequences,curves,attributes}.csv"
    add_profile(commands.add("report collect", run_collect, text), key=False)
    text = "gather the scores of the profile's sweeps into results/PROFILE/sweeps.csv"
    add_profile(commands.add("report sweeps", run_sweeps, text), key=False)
    text = "write one of the paper's tables as Markdown, LaTeX and CSV"
    parser = commands.add("report table", run_table, text)
    parser.add_argument("number", type=int, help="1 to 6")
    add_profile(parser)
    text = "draw figures as PDF, SVG and PNG, with their numbers and captions"
    parser = commands.add("report figure", run_figure, text)
    text = "entries of params/figures.yaml; default: all that the profile can draw"
    parser.add_argument("names", nargs="*", help=text)
    add_profile(parser)
    text = "write reports/PROFILE/index.html: all of it in one file"
    add_profile(commands.add("report page", run_page, text))
    text = "write the study: the paper's claims with verdicts, effects with intervals, power"
    parser = commands.add("report study", run_study, text)
    text = "write the page there as well (docs/results.md)"
    parser.add_argument("--write", type=Path, metavar="FILE", help=text)
    add_overwrite(parser)
    add_profile(parser)
    text = (
        "two variants: settings that differ, scores with intervals, attributes, and the sequences"
        " that changed most"
    )
    parser = commands.add("compare", run_compare, text)
    parser.add_argument("a", help="a variant")
    parser.add_argument("b", help="another variant; differences are b less a")
    add_profile(parser, key=False)
