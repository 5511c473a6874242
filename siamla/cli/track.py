"""siamla track: point a trained model at images of your own."""

import argparse
import sys
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from siamla.cli.options import Commands, add_overwrite, add_tracker, changed, number, threads
from siamla.tracker.annotations import FORMATS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALLEST = 0.01  # pixels of a side of a box
SAME = 0.9  # IoU of two boxes above which they are of one target


def _box(words: list[str]) -> "NDArray[np.float64]":
    import numpy as np

    from siamla.data.formats.text import number
    from siamla.errors import UserError

    values = [number(word) for word in " ".join(words).replace(",", " ").split()]
    box = np.array(values, np.float64)  # None becomes NaN
    if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] < SMALLEST).any():
        expected = "expected x y w h in pixels with w and h above 0.01"
        raise UserError(f"--box: {' '.join(words)!r}, {expected}")
    return box


def _track(args: argparse.Namespace) -> None:
    from siamla.errors import UserError
    from siamla.geometry import iou
    from siamla.tracker.api import load
    from siamla.tracker.recording import check_outputs, default_output, outputs
    from siamla.tracker.video import need_window, open_source, track_video

    boxes = [_box(words) for words in args.box or []]
    for (i, one), (j, other) in combinations(enumerate(boxes, 1), 2):
        if iou(one, other) > SAME:
            raise UserError(f"--box: boxes {i} and {j} are one target; give each target once")
    read = [Path(args.source), *([args.model] if args.model else [])]
    forms = list(dict.fromkeys(args.format))
    out = args.out or default_output(args.source)
    check_outputs(out, forms, args.overwrite, *read)
    if args.select or args.show:
        need_window()
    tracker = load(args.model, changed(args), args.threads, args.device)
    source = open_source(args.source)
    done = track_video(tracker, source, boxes, out, args.fps, args.show, forms, args.label)
    written = ", ".join(map(str, reversed(outputs(out, forms))))
    lost = f", {done.lost} of them lost" if done.lost is not None else ""
    speed = f"tracked at {done.tracking:.1f} a second by {tracker.engine}"
    print(f"{done.frames} frames{lost}, {speed} ({done.rate:.1f} with video and table): {written}")
    if done.ended and source.live:
        raise UserError(f"{done.ended}; what was tracked is in {written}")
    if done.ended:
        print(f"warning: {done.ended}", file=sys.stderr)


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    text = "follow a target through a video, a folder of images, a camera or a stream"
    parser = commands.add("track", _track, text)
    option = parser.add_argument
    text = "video file, folder of images, number of a camera, or address of a stream"
    option("source", help=text)
    text = "a model file or a folder of `siamla model export`; default: the model in siamla"
    option("--model", type=Path, help=text)
    target = parser.add_mutually_exclusive_group(required=True)
    text = "a target in the first image, in pixels counted from 0; once for each target"
    target.add_argument("--box", nargs="+", action="append", metavar="X Y W H", help=text)
    target.add_argument("--select", action="store_true", help="draw the box in a window")
    text = "a window with keys: space pauses, r selects again, q ends"
    option("--show", action="store_true", help=text)
    text = (
        "the drawn video (.webm, .mp4, .avi), a table beside it; .csv: the table alone; default:"
        " SOURCE.track.webm"
    )
    option("--out", type=Path, help=text)
    text = "the boxes as other tools read them, too, beside the table; may be given several times"
    option("--format", choices=FORMATS, action="append", default=[], help=text)
    text = "what the targets are, for those tools; default: %(default)s"
    option("--label", metavar="NAME", default="target", help=text)
    text = "images per second where the source has none"
    option("--fps", type=number(0.1, 1000, "images per second"), default=25.0, help=text)
    add_tracker(parser)
    text = "of the network on a CPU; default: %(default)s"
    option("--threads", type=threads, default=1, help=text)
    text = "cpu, cuda or mps; default: a GPU where there is one, NVIDIA's or Apple's"
    option("--device", metavar="NAME", help=text)
    add_overwrite(parser)
