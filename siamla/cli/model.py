"""`siamla model import`: a public SiamCAR checkpoint in our format."""

import argparse
from pathlib import Path

from siamla.cli.commands import Commands
from siamla.cli.options import add_overwrite


def register(commands: Commands) -> None:
    """Add the commands of the group `model`."""
    parser = commands.add("model import", import_siamcar, "convert a public SiamCAR checkpoint to our format")
    parser.add_argument("file", type=Path, metavar="FILE", help="a SiamCAR checkpoint (ResNet-50)")
    parser.add_argument("--out", type=Path, required=True, help="the model file to write")
    add_overwrite(parser)


def import_siamcar(args: argparse.Namespace) -> None:
    """Read args.file, check it, write args.out and say what was written."""
    from siamla.files import free_for_output
    from siamla.model.checkpoint import save_model
    from siamla.model.siamcar import load_siamcar
    from siamla.tracker.settings import TrackerSettings, stored

    free_for_output(args.out, args.overwrite, args.file)
    model = load_siamcar(args.file)
    demo = TrackerSettings(postprocess="release", penalty_k=0.04, window=0.4, size_lr=0.3)  # of the public code
    save_model(args.out, model, "SiamCAR", stored(demo))
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{args.out}: SiamCAR, {count / 1e6:.1f} M parameters")
