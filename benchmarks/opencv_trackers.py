"""The yardstick: a box that never moves and OpenCV's MIL, one pass over a folder of sequences.

    python benchmarks/opencv_trackers.py --layout otb --root data/raw/mini/otb100 [--frames 150] [--trackers still mil]

Prints AUC (share of frames with IoU > t, mean over t = 0, 0.05, …, 1, the definition of OTB's toolkits) and precision
(share of frames whose centre lies within 20 px) per sequence and averaged over sequences, and MIL's frames per second
without decoding. Frames in which the target is absent do not count.
"""

import argparse
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.data.formats import LAYOUTS
from siamla.errors import UserError
from siamla.geometry import centre, iou
from siamla.sequence import Sequence

THRESHOLDS = np.linspace(0, 1, 21)
Array = NDArray[np.float64]


def still(sequence: Sequence) -> tuple[Array, float]:
    """The first box in every frame, and the seconds it took."""
    return np.repeat(sequence.boxes[:1], len(sequence), axis=0), 0.0


def mil(sequence: Sequence) -> tuple[Array, float]:
    """MIL's boxes (N, 4), and the seconds spent in it; a lost target keeps the last box."""
    cv2.setRNGSeed(0)
    tracker = cv2.TrackerMIL_create()
    found, seconds = [sequence.boxes[0]], 0.0
    for number, path in enumerate(sequence.frames):
        image = cv2.imread(str(path))
        if image is None:
            raise UserError(f"{path}: not a readable image")
        start = time.perf_counter()
        if number == 0:
            tracker.init(image, tuple(np.rint(sequence.boxes[0]).astype(int).tolist()))
        else:
            good, box = tracker.update(image)
            found.append(np.array(box, np.float64) if good else found[-1])
        seconds += time.perf_counter() - start
    return np.array(found), seconds


def scores(sequence: Sequence, found: Array) -> tuple[float, float]:
    """AUC and precision at 20 px over the frames in which the target is present."""
    keep = sequence.visible & (sequence.boxes[:, 2:] > 0).all(1)
    overlap = iou(sequence.boxes[keep], found[keep])
    distance = np.linalg.norm(centre(sequence.boxes[keep]) - centre(found[keep]), axis=1)
    return float((overlap[:, None] > THRESHOLDS).mean()), float((distance <= 20).mean())


def shortened(sequence: Sequence, frames: int | None) -> Sequence:
    """The first frames of a sequence."""
    count = min(len(sequence), len(sequence.boxes), frames or len(sequence))
    boxes, visible = sequence.boxes[:count], sequence.visible[:count]
    return Sequence(sequence.name, sequence.frames[:count], boxes, visible)


TRACKERS = {"still": still, "mil": mil}


def main() -> None:
    """Run the chosen trackers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout", choices=LAYOUTS, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--frames", type=int, help="only the first so many frames of a sequence")
    parser.add_argument("--trackers", nargs="+", choices=TRACKERS, default=list(TRACKERS))
    args = parser.parse_args()
    cv2.setNumThreads(1)
    layout = LAYOUTS[args.layout]
    sequences = [shortened(layout.read(args.root, name), args.frames) for name in layout.names(args.root)]
    for tracker in args.trackers:
        rows, spent = [], 0.0
        for sequence in sequences:
            found, seconds = TRACKERS[tracker](sequence)
            rows.append(scores(sequence, found))
            spent += seconds
            print(f"{tracker:6} {sequence.name:24} AUC {rows[-1][0]:.3f}  precision {rows[-1][1]:.3f}", flush=True)
        auc, precision = np.mean(rows, axis=0)
        fps = f"  {sum(map(len, sequences)) / spent:.0f} fps" if spent else ""
        print(f"{tracker:6} {'mean':24} AUC {auc:.3f}  precision {precision:.3f}{fps}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
