"""`siamla data synthesize` renders a set; `siamla data show` draws a contact sheet of any set."""

import argparse
from pathlib import Path

from siamla.cli.commands import Commands
from siamla.errors import UserError


def run_synthesize(args: argparse.Namespace) -> None:
    """Render one set of params/synthetic.yaml."""
    from siamla.data.synthetic.dataset import synthesize
    from siamla.data.synthetic.settings import load_sets

    sets = load_sets(args.params)
    if args.name not in sets:
        raise UserError(f"{args.params}: no set {args.name!r}; it has {', '.join(sets)}")
    synthesize(args.name, sets[args.name], args.root, args.jobs)


def run_show(args: argparse.Namespace) -> None:
    """Draw the contact sheet of a set."""
    from siamla.data.formats import LAYOUTS
    from siamla.data.synthetic.sheet import contact_sheet, write_png

    if args.layout not in LAYOUTS:
        raise UserError(f"--layout: unknown layout {args.layout!r}, expected one of {', '.join(LAYOUTS)}")
    for option in ("sequences", "columns"):
        if getattr(args, option) < 1:
            raise UserError(f"--{option}: found {getattr(args, option)}, expected at least 1")
    layout = LAYOUTS[args.layout]
    names = layout.names(args.root)[: args.sequences]
    write_png(args.out, contact_sheet([layout.read(args.root, name) for name in names], args.columns))


def register(commands: Commands) -> None:
    """Add both commands."""
    parser = commands.add("data synthesize", run_synthesize, "render a generated data set")
    parser.add_argument("name", metavar="NAME", help="an entry of the params file")
    parser.add_argument("--params", type=Path, default=Path("params/synthetic.yaml"))
    parser.add_argument("--root", type=Path, required=True, help="folder of the set; it appears when it is whole")
    parser.add_argument("--jobs", type=int, default=1, help="rendering processes")

    parser = commands.add("data show", run_show, "draw a contact sheet: one row per sequence, boxes on frames")
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder of the set")
    parser.add_argument("--layout", required=True, help="its folder layout")
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--sequences", type=int, default=12, help="rows, from the first sequence on")
    parser.add_argument("--columns", type=int, default=8, help="evenly spaced frames of each sequence")
