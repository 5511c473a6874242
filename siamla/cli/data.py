"""`siamla data`: bring, check, cut, render and look at data sets."""

import argparse
import sys
from pathlib import Path

from siamla.cli.commands import Commands
from siamla.cli.options import add_overwrite, add_profile, load_plan, positive
from siamla.errors import UserError

SHOWN = 12  # sequences on a contact sheet, from the first on


def run_fetch(args: argparse.Namespace) -> None:
    """Bring a data set."""
    from siamla.steps.data import fetch

    plan = load_plan(args)
    fetch(plan, args.dataset, args.key)
    print(f"{args.dataset}: {plan.datasets[args.dataset].root}")


def run_curate(args: argparse.Namespace) -> None:
    """Check a data set and write its index."""
    from siamla.data.curate import warnings
    from siamla.files import read_json
    from siamla.steps.data import curate

    plan = load_plan(args)
    job = curate(plan, args.dataset, args.jobs, args.allow_rejected, args.key)
    report = read_json(job.folder / "report.json")
    if "tracks" in report:  # a table of boxes
        kept = f"{report['kept']} of {report['boxes']} boxes kept, in {report['tracks']} tracks"
        print(f"{args.dataset}: {kept} -> {job.folder}")
        return
    for line in warnings(report, args.dataset in plan.profile.benchmarks):
        print(f"warning: {line}", file=sys.stderr)
    print(
        f"{args.dataset}: {report['sequences']} sequences, {report['frames']} frames,"
        f" {report['absent']} without the target, {report['rejected']} sequences rejected ->"
        f" {job.folder}"
    )


def run_crops(args: argparse.Namespace) -> None:
    """Build the crop cache that a variant's training reads."""
    from siamla.data.crops import CropCache
    from siamla.steps.data import crops

    plan = load_plan(args)
    for dataset in [args.dataset] if args.dataset else plan.spec(args.variant).pairs.parts:
        job = crops(plan, args.variant, args.jobs, args.key, dataset)
        cache = CropCache(job.folder)
        print(f"{len(cache)} crops of {len(cache.sequences)} sequences -> {job.folder}")
        if (job.folder / "skipped.csv").is_file():
            print(
                f"warning: {dataset}: {job.folder / 'skipped.csv'} lists images left out",
                file=sys.stderr,
            )


def run_synthesize(args: argparse.Namespace) -> None:
    """Render one set of params/synthetic.yaml."""
    from siamla.miniatures.settings import load_sets
    from siamla.settings import nearest
    from siamla.steps.generated import render

    sets = load_sets(args.params)
    if args.name not in sets:
        raise UserError(f"{args.params}: no set {args.name!r}; {nearest(args.name, list(sets))}")
    render(args.name, sets[args.name], args.root, args.jobs)


def run_show(args: argparse.Namespace) -> None:
    """Draw the contact sheet of a set."""
    from siamla.data.formats import LAYOUTS
    from siamla.data.sheet import contact_sheet, write_png
    from siamla.files import free_for_output

    if args.out.suffix.lower() != ".png":
        raise UserError(f"--out: {args.out}: expected the name of a PNG, which ends in .png")
    free_for_output(args.out, args.overwrite)
    if args.layout not in LAYOUTS:
        raise UserError(
            f"--layout: unknown layout {args.layout!r}, expected one of {', '.join(LAYOUTS)}"
        )
    layout = LAYOUTS[args.layout]
    names = layout.names(args.root)[:SHOWN]
    write_png(args.out, contact_sheet(layout.read(args.root, name) for name in names))


def register(commands: Commands) -> None:
    """Add the commands."""
    parser = commands.add(
        "data fetch", run_fetch, "render a data set, bring it by DVC, or find it; note its digest"
    )
    parser.add_argument("dataset", help="a training set or benchmark of the profile")
    add_profile(parser)

    parser = commands.add(
        "data curate", run_curate, "check every sequence of a data set and write its index"
    )
    parser.add_argument("dataset", help="a training set or benchmark of the profile")
    parser.add_argument("--jobs", type=positive, default=1, help="processes")
    parser.add_argument(
        "--allow-rejected",
        action="store_true",
        help="leave broken sequences out instead of stopping",
    )
    add_profile(parser)

    parser = commands.add("data crops", run_crops, "pack a training set's crops into a few files")
    parser.add_argument("variant", help="the variant whose training reads them")
    parser.add_argument(
        "--dataset", help="one of the sets that it is trained on; default: all of them"
    )
    parser.add_argument("--jobs", type=positive, default=1, help="processes")
    add_profile(parser)

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
    add_overwrite(parser)
