"""`siamla model`: a public SiamCAR checkpoint in our format, and a model of ours in others' formats."""

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

    parser = commands.add("model export", export_model, "write a model as two graphs that other programs run")
    parser.add_argument("model", type=Path, metavar="MODEL", help="model.pt of a training")
    parser.add_argument("--format", choices=("onnx", "openvino"), default="onnx", help="default: %(default)s")
    parser.add_argument("--portable", action="store_true", help="no convolution whose weights are an input")
    parser.add_argument("--tracker", help="tracker settings as JSON; default: the variant's in its profile")
    parser.add_argument("--out", type=Path, required=True, help="the folder to make")


def import_siamcar(args: argparse.Namespace) -> None:
    """Read args.file, check it, write args.out and say what was written."""
    from siamla.files import free_for_output
    from siamla.model.checkpoint import save_model
    from siamla.model.siamcar import load_siamcar

    free_for_output(args.out, args.overwrite, args.file)
    model = load_siamcar(args.file)
    save_model(args.out, model)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{args.out}: SiamCAR, {count / 1e6:.1f} M parameters")


def export_model(args: argparse.Namespace) -> None:
    """Write args.out, checked against the network, and say how near it is."""
    from siamla.cli.track import tracker_settings
    from siamla.engine.export import export
    from siamla.model.checkpoint import load_model

    settings = tracker_settings(args.model, args.tracker)
    more = {"tracker": settings.model_dump(mode="json", exclude={"precision", "engine"})}
    worst = export(load_model(args.model), args.out, args.format, args.portable, more)
    largest = ", ".join(f"{name} {value:.1e}" for name, value in worst.items())
    print(f"{args.out}: {args.format}, as the network but for at most {largest}")
