"""The yardstick: a box that never moves and OpenCV's MIL, one pass over a folder of sequences.

    python benchmarks/opencv_trackers.py --layout otb --root data/raw/mini/otb100 [--frames 150] [--trackers still mil]

Prints the metrics of the layout's protocol (params/protocols.yaml) by sequence and overall, for the one-pass layouts,
and MIL's frames per second without decoding.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from siamla.benchmark import store
from siamla.benchmark.onepass import Track
from siamla.benchmark.protocols import load_protocols
from siamla.benchmark.score import score
from siamla.data.formats import LAYOUTS
from siamla.errors import UserError
from siamla.sequence import Sequence

PROTOCOLS = load_protocols(Path(__file__).parents[1] / "params" / "protocols.yaml")
ONEPASS = {protocol.layout: protocol for protocol in PROTOCOLS.values() if protocol.onepass}
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


def shortened(sequence: Sequence, frames: int | None) -> Sequence:
    """The first frames of a sequence."""
    count = min(len(sequence), len(sequence.boxes), frames or len(sequence))
    boxes, visible = sequence.boxes[:count], sequence.visible[:count]
    return replace(sequence, frames=sequence.frames[:count], boxes=boxes, visible=visible)


TRACKERS = {"still": still, "mil": mil}


def main() -> None:
    """Run the chosen trackers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout", choices=ONEPASS, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--frames", type=int, help="only the first so many frames of a sequence")
    parser.add_argument("--trackers", nargs="+", choices=TRACKERS, default=list(TRACKERS))
    args = parser.parse_args()
    cv2.setNumThreads(1)
    layout, protocol = LAYOUTS[args.layout], ONEPASS[args.layout]
    sequences = [shortened(layout.read(args.root, name), args.frames) for name in layout.names(args.root)]
    for tracker in args.trackers:
        with tempfile.TemporaryDirectory() as folder:
            spent = 0.0
            for sequence in sequences:
                found, seconds = TRACKERS[tracker](sequence)
                store.write_track(Path(folder), sequence.name, Track(found, np.zeros(len(found))), args.layout)
                spent += seconds
            scores = score(sequences, Path(folder), protocol)
        rows = [*scores.per_sequence, scores.overall | {"sequence": "overall"}]
        for row in rows:
            values = "  ".join(f"{described.label} {row[metric]:.3f}" for metric, described in protocol.metrics.items())
            print(f"{tracker:6} {row['sequence']:24} {values}")
        if spent:
            print(f"{tracker:6} {sum(map(len, sequences)) / spent:.0f} fps")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
