"""`siamla data curate` and `siamla data crops`."""

import argparse
import sys
from pathlib import Path

from siamla.cli.commands import Commands


def curate(args: argparse.Namespace) -> None:
    """Check a data set and write its index."""
    from siamla.data.curate import curate, warnings

    report = curate(
        root=args.root,
        layout=args.layout,
        name=args.name,
        out=args.out,
        frames_limit=args.limit_frames,
        jobs=args.jobs,
        allow_rejected=args.allow_rejected,
    )
    for line in warnings(report):
        print(f"warning: {line}", file=sys.stderr)
    print(
        f"{args.name}: {report['sequences']} sequences, {report['frames']} frames, {report['absent']} without the "
        f"target, {report['rejected']} sequences rejected -> {args.out}"
    )


def crops(args: argparse.Namespace) -> None:
    """Build the crop cache of a curated data set."""
    from siamla.data.crops import CropCache, build
    from siamla.data.curate import load_curated
    from siamla.data.settings import CropSettings
    from siamla.files import read_json
    from siamla.settings import validate_json

    settings = validate_json(CropSettings, args.settings, "--settings")
    videos = load_curated(args.curated)
    source = read_json(args.curated / "report.json")["digest"]
    build(videos, settings, args.out, args.jobs, source)
    cache = CropCache(args.out)
    print(f"{len(cache)} crops of {len(cache.sequences)} sequences -> {args.out}")


def positive(text: str) -> int:
    """A whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def register(commands: Commands) -> None:
    """Add the commands."""
    parser = commands.add("data curate", curate, "check every sequence of a data set and write its index")
    parser.add_argument("--layout", required=True, help="official folder layout (otb, got10k, …)")
    parser.add_argument("--root", required=True, type=Path, help="the data set's folder")
    parser.add_argument("--name", required=True, help="the data set's name in the report")
    parser.add_argument("--out", required=True, type=Path, help="folder for index, rejected list and report")
    parser.add_argument("--jobs", type=positive, default=1, help="processes")
    parser.add_argument("--limit-frames", type=positive, help="keep the first K frames of each sequence")
    parser.add_argument("--allow-rejected", action="store_true", help="leave broken sequences out instead of stopping")

    parser = commands.add("data crops", crops, "pack a curated data set's training crops into a few files")
    parser.add_argument("--curated", required=True, type=Path, help="the output folder of `data curate`")
    parser.add_argument("--settings", required=True, help="crop settings as JSON")
    parser.add_argument("--out", required=True, type=Path, help="folder of the crop cache")
    parser.add_argument("--jobs", type=positive, default=1, help="processes")
