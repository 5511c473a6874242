"""`siamla model`: SiamCAR's checkpoint in our format, ours in others' and through DVC, when it is
lost.
"""

import argparse
import sys
from pathlib import Path

from siamla.cli.benchmark import add_by_hand
from siamla.cli.options import Commands, add_overwrite, add_tracker, changed

WORTH = 0.6  # AUROC below which a threshold tells next to nothing


def register(commands: Commands) -> None:
    text = "convert a public SiamCAR checkpoint to our format"
    parser = commands.add("model import", _import_siamcar, text)
    parser.add_argument("file", type=Path, metavar="FILE", help="a SiamCAR checkpoint (ResNet-50)")
    parser.add_argument("--out", type=Path, required=True, help="the model file to write")
    add_overwrite(parser)

    text = (
        "track clips whose truth is known, and write a copy of the model that knows when it is lost"
    )
    parser = commands.add("model calibrate", _calibrate, text)
    add_by_hand(parser)
    text = "the copy to write: a model file, or of an exported folder a new folder"
    parser.add_argument("--out", type=Path, required=True, help=text)
    add_overwrite(parser)

    text = "write a model as two graphs that other programs run"
    parser = commands.add("model export", _export_model, text)
    parser.add_argument("model", type=Path, metavar="MODEL", help="model.pt of a training")
    forms = ("onnx", "openvino")
    parser.add_argument("--format", choices=forms, default="onnx", help="default: %(default)s")
    parser.add_argument(
        "--half", action="store_true", help="weights rounded to fp16, for files of half the size"
    )
    add_tracker(parser)
    parser.add_argument("--out", type=Path, required=True, help="the folder to make")

    for word, run, text in (
        ("publish", _publish, "add a trained model to DVC, with its record, and push it"),
        ("fetch", _fetch, "have DVC bring a published model, and compare it with its digest"),
        ("release", _release, "put a trained model into the package, with a card of its scores"),
    ):
        parser = commands.add(f"model {word}", run, text)
        parser.add_argument("name", metavar="NAME", help="PROFILE/VARIANT/seedN")
    text = "NAME is PROFILE/VARIANT: the seed that scores best on this benchmark"
    parser.add_argument("--by", metavar="BENCHMARK", help=text)


def _import_siamcar(args: argparse.Namespace) -> None:
    from siamla.files import free_for_output
    from siamla.model.checkpoint import save_model
    from siamla.model.siamcar import load_siamcar
    from siamla.tracker.settings import TrackerSettings, stored

    free_for_output(args.out, args.overwrite, args.file)
    model = load_siamcar(args.file)
    # of the public code
    demo = TrackerSettings(postprocess="release", penalty_k=0.04, window=0.4, size_lr=0.3)
    save_model(args.out, model, "SiamCAR", stored(demo))
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{args.out}: SiamCAR, {count / 1e6:.1f} M parameters")


def _calibrate(args: argparse.Namespace) -> None:
    from siamla.benchmark.lost import calibrate as find
    from siamla.benchmark.lost import judged
    from siamla.engine.exported import ABOUT
    from siamla.errors import UserError
    from siamla.files import free_for_output
    from siamla.steps import byhand
    from siamla.tracker.api import find_model

    model = find_model(args.model)
    if not model.is_dir():
        free_for_output(args.out, args.overwrite, model, args.root)
    elif args.out.exists() and not (args.overwrite and (args.out / ABOUT).is_file()):
        what = "--overwrite replaces an exported folder, and nothing else"
        raise UserError(f"--out {args.out}: is there already; {what}")
    if byhand.protocol_of(args.layout, args.protocol).onepass is None:
        why = "its protocol starts a lost tracker again; expected a one-pass layout"
        raise UserError(f"--layout {args.layout}: {why}")
    settings = byhand.read_any(model, {**changed(args), "lost": 0}).settings
    done = byhand.track(
        model, args.layout, args.root, None, args.protocol, changed(args), args.workers
    )
    found = find(*judged(done.sequences, done.folder, done.rules.layout))
    threshold = round(found.threshold, 4)
    byhand.save_as(model, args.out, settings.model_copy(update={"lost": threshold}))
    others = found.frames - found.lost
    shares = (
        f"{found.caught:.1%} of {found.lost} lost frames found, {found.false_alarms:.1%} of"
        f" {others} others called lost"
    )
    print(f"{args.out}: lost below {threshold:.4f}; AUROC {found.auroc:.3f}, {shares}")
    if found.auroc < WORTH:
        why = f"AUROC is {found.auroc:.3f}, and chance is 0.5"
        print(f"warning: the threshold is of no use: {why}", file=sys.stderr)


def _export_model(args: argparse.Namespace) -> None:
    from siamla.errors import UserError
    from siamla.tracker.api import find_model, tracker_settings
    from siamla.tracker.settings import exported

    if find_model(args.model).is_dir():
        raise UserError(f"{args.model}: is a folder; expected a model file, such as model.pt")
    from siamla.engine.export import export  # needs PyTorch, of which find_model has said so
    from siamla.model.checkpoint import read_model

    file = read_model(args.model)
    settings = tracker_settings(args.model, file.tracker, changed(args))
    more = {"label": file.label, "tracker": exported(settings)}
    worst = export(file.model, args.out, args.format, more, args.half)
    largest = ", ".join(f"{name} {value:.1e}" for name, value in worst.items())
    print(f"{args.out}: {args.format}, as the network but for at most {largest}")


def _publish(args: argparse.Namespace) -> None:
    from siamla.steps.publish import publish

    pointer = publish(args.name)
    print(f"{pointer}: pushed; `git add {pointer}` and a commit let others fetch it")


def _fetch(args: argparse.Namespace) -> None:
    from siamla.files import sha256
    from siamla.steps.publish import fetch

    path = fetch(args.name)
    print(f"{path}: SHA-256 {sha256(path)}")


def _release(args: argparse.Namespace) -> None:
    from siamla.steps.release import release

    print(release(args.name, args.by))
