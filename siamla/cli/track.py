"""siamla track: point a trained model at a video of your own."""

import argparse
from pathlib import Path

from siamla.cli.commands import Commands


def _track(args: argparse.Namespace) -> None:
    import json

    import numpy as np

    from siamla.config.check import validate
    from siamla.errors import UserError
    from siamla.tracker.settings import TrackerSettings
    from siamla.tracker.tracker import load_tracker
    from siamla.tracker.video import track_video

    try:
        box = np.array([float(part) for part in args.box.split(",")])
    except ValueError:
        box = np.array([])
    if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= 0).any():
        raise UserError(f"--box: {args.box!r}, expected x,y,w,h in pixels with w and h above 0")
    spec = args.model.with_name("spec.json")
    stored = json.loads(spec.read_text())["tracker"] if spec.exists() else {}
    tracker = load_tracker(args.model, validate(TrackerSettings, stored, str(spec)))
    count = track_video(tracker, args.source, box, args.out)
    print(f"{count} frames: {args.out} and {args.out.with_suffix('.csv')}")


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    parser = commands.add("track", _track, "follow a box through a video file or a folder of images")
    parser.add_argument("source", type=Path, help="video file or folder of images")
    parser.add_argument("--model", type=Path, required=True, help="model.pt of a training")
    parser.add_argument("--box", required=True, help="x,y,w,h of the target in the first image")
    parser.add_argument("--out", type=Path, default=Path("track.mp4"), help="the drawn video; boxes go beside it")
