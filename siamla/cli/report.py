"""`siamla report`: from score files to tables, figures, page and study; `siamla compare`."""

import argparse
from functools import partial
from pathlib import Path

from siamla.cli.options import Commands, add_overwrite, add_profile, load_plan


def _make(kind: str, args: argparse.Namespace) -> None:
    from siamla.steps.page import page
    from siamla.steps.report import collect, collect_sweeps

    makers = {"collect": collect, "sweeps": collect_sweeps, "page": page}
    print(makers[kind](load_plan(args)))


def _table(args: argparse.Namespace) -> None:
    from siamla.steps.report import table

    print(table(load_plan(args), args.number))


def _figure(args: argparse.Namespace) -> None:
    from siamla.report.drawing.jobs import figure_names
    from siamla.steps.figures import figure

    plan = load_plan(args)
    for name in args.names or figure_names(plan):
        print(f"{figure(plan, name)}.{{pdf,svg,png,csv,md}}")


def _study(args: argparse.Namespace) -> None:
    from siamla.steps.study import study

    path = study(load_plan(args), args.write, args.overwrite)
    print(f"{path}.{{md,json}}")
    if args.write:
        print(args.write)


def _compare(args: argparse.Namespace) -> None:
    from siamla.steps.compare import compare

    print(compare(load_plan(args), args.a, args.b))


def register(commands: Commands) -> None:
    scores = "results/PROFILE/{scores,sequences,curves,attributes}.csv"
    for kind, text in (
        ("collect", f"gather score files into {scores}"),
        ("sweeps", "gather the scores of the profile's sweeps into results/PROFILE/sweeps.csv"),
        ("page", "write reports/PROFILE/index.html: all of it in one file"),
    ):
        add_profile(commands.add(f"report {kind}", partial(_make, kind), text))
    text = "write one of the paper's tables as Markdown, LaTeX and CSV"
    parser = commands.add("report table", _table, text)
    parser.add_argument("number", type=int, help="1 to 6")
    add_profile(parser)
    text = "draw figures as PDF, SVG and PNG, with their numbers and captions"
    parser = commands.add("report figure", _figure, text)
    text = "entries of params/figures.yaml; default: all that the profile can draw"
    parser.add_argument("names", nargs="*", help=text)
    add_profile(parser)
    text = "write the study: the paper's claims with verdicts, effects with intervals, power"
    parser = commands.add("report study", _study, text)
    text = "write the page there as well (docs/results.md)"
    parser.add_argument("--write", type=Path, metavar="FILE", help=text)
    add_overwrite(parser)
    add_profile(parser)
    text = (
        "two variants: settings that differ, scores with intervals, attributes, and the sequences"
        " that changed most"
    )
    parser = commands.add("compare", _compare, text)
    parser.add_argument("a", help="a variant")
    parser.add_argument("b", help="another variant; differences are b less a")
    add_profile(parser)
