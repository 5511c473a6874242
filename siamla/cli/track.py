"""siamla track: point a trained model at a video of your own."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from siamla.cli.commands import Commands
from siamla.cli.options import add_overwrite

if TYPE_CHECKING:
    from siamla.tracker.settings import TrackerSettings


def tracker_settings(model: Path, given: str | None, params: Path = Path("params")) -> "TrackerSettings":
    """The settings given as JSON, else those of the variant that the record beside the model names."""
    from siamla.errors import UserError
    from siamla.experiment.profile import load
    from siamla.provenance.record import RECORD, read_record
    from siamla.settings import validate_json
    from siamla.tracker.settings import TrackerSettings

    if given is not None:
        return validate_json(TrackerSettings, given, "--tracker")
    run = model.with_name(RECORD)
    if not run.exists():
        raise UserError(
            f"{run}: not found, so the tracker's settings are unknown; give --tracker '{{}}' for the defaults"
        )
    names = read_record(run)["names"]
    specs = load(names["profile"], params).models
    if names["variant"] not in specs:
        raise UserError(f"{run}: profile {names['profile']} has no variant {names['variant']!r} now; give --tracker")
    return specs[names["variant"]].tracker


def _track(args: argparse.Namespace) -> None:
    import numpy as np
    import torch

    from siamla.errors import UserError
    from siamla.tracker.tracker import load_tracker
    from siamla.tracker.video import check_outputs, track_video

    try:
        box = np.array([float(part) for part in args.box.split(",")])
    except ValueError:
        box = np.array([])
    if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= 0).any():
        raise UserError(f"--box: {args.box!r}, expected x,y,w,h in pixels with w and h above 0")
    check_outputs(args.source, args.out, args.overwrite)
    torch.set_num_threads(1)  # as in the benchmarks, where threads must not decide the bytes
    settings = tracker_settings(args.model, args.tracker)
    tracker = load_tracker(args.model, settings)
    count = track_video(tracker, args.source, box, args.out, args.overwrite)
    print(f"{count} frames: {args.out} and {args.out.with_suffix('.csv')}")


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    parser = commands.add("track", _track, "follow a box through a video file or a folder of images")
    parser.add_argument("source", type=Path, help="video file or folder of images")
    parser.add_argument("--model", type=Path, required=True, help="model.pt of a training")
    parser.add_argument("--box", required=True, help="x,y,w,h of the target in the first image, 0-based")
    parser.add_argument("--tracker", help="tracker settings as JSON; default: the variant's in its profile")
    parser.add_argument("--out", type=Path, default=Path("track.mp4"), help="the drawn video; boxes go beside it")
    add_overwrite(parser)
