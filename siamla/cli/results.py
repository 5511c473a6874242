"""`siamla results`: raw results in, submissions out."""

import argparse
import re
import sys
from pathlib import Path

from siamla.cli.options import Commands, add_overwrite

LOST = {
    "previous": "each is scored as the box before it",
    "miss": "they are scored as misses",
    "error": "the benchmark's own toolkit has no score for them, and scoring refuses them",
}
"""What the protocols' `broken_prediction` makes of lost boxes."""


def _import(args: argparse.Namespace) -> None:
    from siamla.benchmark.importing import import_results, odd_boxes
    from siamla.benchmark.protocols import default_protocols
    from siamla.benchmark.store import repetitions
    from siamla.data.formats import LAYOUTS
    from siamla.errors import UserError

    protocols = default_protocols()
    if args.benchmark not in protocols:
        valid = ", ".join(protocols)
        raise UserError(f"--benchmark {args.benchmark}: unknown, expected one of {valid}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", args.name):
        raise UserError(f"--as {args.name!r}: expected a name of letters, digits, _, - and .")
    layout = protocols[args.benchmark].layout
    known = LAYOUTS[layout].names(args.data) if args.data else []
    folder = args.out / args.name
    found = import_results(args.source, folder, layout, known, args.overwrite)
    rules = protocols[args.benchmark].onepass
    if rules:
        infinite = "they are cut at the image" if rules.clipped else "they are scored as misses"
        odd = [odd_boxes(folder, name, layout) for name in found]
        said = {"nan": LOST[rules.broken_prediction], "infinite": infinite}
        for (word, what), counts in zip(said.items(), zip(*odd, strict=True), strict=True):
            where = [name for name, count in zip(found, counts, strict=True) if count]
            if where:
                boxes = f"{sum(counts)} boxes of {len(where)} sequences are {word}"
                print(f"warning: {boxes}, first {where[0]}; {what}", file=sys.stderr)
    missing = sorted(set(known) - set(found))
    if missing:
        print(
            f"warning: {len(missing)} sequences of {args.data} have no result, first {missing[0]}",
            file=sys.stderr,
        )
    total = protocols[args.benchmark].sequences
    if total and len(found) > total:
        what = f"{len(found)} results, but {args.benchmark} has {total} sequences"
        print(f"warning: {what}; --data leaves the others out", file=sys.stderr)
    runs = {len(repetitions(folder, name, layout)) for name in found}
    many = " to ".join(map(str, sorted({min(runs), max(runs)})))
    more = f", {many} repetitions of each, all of which are averaged" if max(runs) > 1 else ""
    print(f"{folder}: {len(found)} sequences of {args.benchmark}{more}")
    entry = f"{{label: {args.name!r}, results: {{{args.benchmark}: {folder.as_posix()!r}}}}}"
    key = re.sub(r"[^a-z0-9_]", "_", args.name.lower())
    print(f"in a profile, as rows of its tables:\nimported:\n  {key}: {entry}")


def _submit(args: argparse.Namespace) -> None:
    from siamla.benchmark.submission import submit
    from siamla.errors import UserError
    from siamla.files import free_for_output

    if args.out.suffix != ".zip":
        raise UserError(f"{args.out}: expected a name ending in .zip")
    free_for_output(args.out, args.overwrite, args.predictions, args.data)
    count = submit(args.server, args.predictions, args.data, args.out)
    print(f"{args.out}: {count} sequences, ready for the {args.server} server")


def register(commands: Commands) -> None:
    text = "copy another tracker's raw results beside ours"
    parser = commands.add("results import", _import, text)
    text = "folder or zip: pysot text, got10k folders, VOT baseline, OTB .mat"
    parser.add_argument("source", type=Path, help=text)
    parser.add_argument("--as", dest="name", required=True, help="the tracker's name in our tables")
    text = "key in params/protocols.yaml, such as otb100; of a folder of your own one of its layout"
    parser.add_argument("--benchmark", required=True, help=text)
    text = "folder of imported trackers; <out>/<name> is made"
    parser.add_argument("--out", type=Path, required=True, help=text)
    text = "the benchmark's data: names are spelt as there, and what is of none is left out"
    parser.add_argument("--data", type=Path, help=text)
    add_overwrite(parser)

    text = "write the zip that an evaluation server takes"
    parser = commands.add("results submit", _submit, text)
    parser.add_argument("server", help="an evaluation server, such as got10k or trackingnet")
    text = "folder of stored predictions"
    parser.add_argument("--predictions", type=Path, required=True, help=text)
    text = "the test set, for names and frame counts"
    parser.add_argument("--data", type=Path, required=True, help=text)
    parser.add_argument("--out", type=Path, required=True, help="the zip to write")
    add_overwrite(parser)
