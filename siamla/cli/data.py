"""`siamla data`: bring, check, cut, render and look at data sets."""

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from siamla.cli.commands import Commands
from siamla.cli.options import add_overwrite, add_profile, load_plan, positive
from siamla.data.layout import Preset, SourceName
from siamla.errors import UserError

if TYPE_CHECKING:
    from siamla.data.settings import CropSettings


def run_check(args: argparse.Namespace) -> None:
    """Say what a training set holds, lacks and will take, without writing anything."""
    from siamla.data.sources import SOURCES
    from siamla.data.sources.check import check_set

    name, layout, root, preset, settings = _named_set(args)
    if layout not in SOURCES:
        raise UserError(
            f"{name}: layout {layout} is no training set's; expected one of {', '.join(SOURCES)}"
        )
    print(f"{name}: {layout} in {root}")
    print(f"how to get it: {SOURCES[layout].HOW}")
    print(f"layout: {SOURCES[layout].LAYOUT}", flush=True)
    found = check_set(root, layout, preset, settings, args.jobs)
    print("\n".join(found.lines))
    free = shutil.disk_usage(".").free
    if found.disk > free:
        print(
            f"warning: {name}: only {free / 2**30:.1f} GiB of disk are free here", file=sys.stderr
        )
    if found.problems:
        raise UserError("; ".join(found.problems))


def _named_set(args: argparse.Namespace) -> tuple[str, str, Path, Preset, "CropSettings"]:
    """Name, layout, root, preset and crops of the set that is to be checked."""
    from siamla.data.settings import CropSettings
    from siamla.settings import nearest

    if args.dataset is None:
        if args.layout is None or args.root is None:
            raise UserError(
                "data check: name a training set of the profile, or give --layout and --root"
            )
        return args.layout, args.layout, args.root, args.preset or "clean", CropSettings()
    if args.layout or args.root:
        raise UserError(
            f"data check: the profile says where {args.dataset} is; leave --layout and --root out"
        )
    plan = load_plan(args)
    if args.dataset not in plan.profile.train:
        near = nearest(args.dataset, list(plan.profile.train))
        raise UserError(f"{args.dataset}: no training set of profile {plan.name}; {near}")
    entry = plan.profile.train[args.dataset]
    crops = [
        spec.crops for spec in plan.experiment.models.values() if args.dataset in spec.pairs.parts
    ]
    return (
        args.dataset,
        entry.layout,
        entry.root,
        args.preset or entry.boxes or "clean",
        [*crops, CropSettings()][0],
    )


def run_synthesize(args: argparse.Namespace) -> None:
    """Render one set of params/synthetic.yaml."""
    from siamla.data.synthetic.settings import load_sets
    from siamla.settings import nearest
    from siamla.steps.generated import render

    sets = load_sets(args.params)
    if args.name not in sets:
        raise UserError(f"{args.params}: no set {args.name!r}; {nearest(args.name, list(sets))}")
    render(args.name, sets[args.name], args.root, args.jobs)


def run_show(args: argparse.Namespace) -> None:
    """Draw the contact sheet of a set."""
    from siamla.data.formats import LAYOUTS
    from siamla.data.synthetic.sheet import contact_sheet, write_png
    from siamla.files import free_for_output

    if args.out.suffix.lower() != ".png":
        raise UserError(f"--out: {args.out}: expected the name of a PNG, which ends in .png")
    free_for_output(args.out, args.overwrite)
    if args.layout not in LAYOUTS:
        raise UserError(
            f"--layout: unknown layout {args.layout!r}, expected one of {', '.join(LAYOUTS)}"
        )
    layout = LAYOUTS[args.layout]
    names = layout.names(args.root)[: args.sequences]
    write_png(
        args.out, contact_sheet([layout.read(args.root, name) for name in names], args.columns)
    )


def register(commands: Commands) -> None:
    """Add the commands."""
    parser = commands.add(
        "data check", run_check, "look at a training set: what is missing, damaged or odd, its disk"
    )
    parser.add_argument(
        "dataset", nargs="?", help="a training set of the profile; or --layout and --root"
    )
    parser.add_argument("--layout", help=f"one of {', '.join(get_args(SourceName))}")
    parser.add_argument("--root", type=Path, help="the folder of the set")
    parser.add_argument(
        "--preset", choices=get_args(Preset), help="boxes to keep; default: the profile's, or clean"
    )
    parser.add_argument("--jobs", type=positive, default=1, help="processes")
    add_profile(parser, key=False)

    parser = commands.add("data synthesize", run_synthesize, "render a generated data set")
    parser.add_argument("name", metavar="NAME", help="an entry of the params file")
    parser.add_argument("--params", type=Path, default=Path("params/synthetic.yaml"))
    parser.add_argument(
        "--root", type=Path, required=True, help="folder of the set; it appears when it is whole"
    )
    parser.add_argument("--jobs", type=positive, default=1, help="rendering processes")

    parser = commands.add(
        "data show", run_show, "draw a contact sheet: one row per sequence, boxes on frames"
    )
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder of the set")
    parser.add_argument("--layout", required=True, help="its folder layout")
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.add_argument(
        "--sequences", type=positive, default=12, help="rows, from the first sequence on"
    )
    parser.add_argument(
        "--columns", type=positive, default=8, help="evenly spaced frames of each sequence"
    )
    add_overwrite(parser)
