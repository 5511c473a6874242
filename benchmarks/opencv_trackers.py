"""Trackers that come with OpenCV, and a box that never moves, on a folder of sequences.

    python benchmarks/opencv_trackers.py --root data/raw/real_test [--layout plain] [--frames N]
        [--nano FOLDER]

Prints each one's headline score, its 95 % interval over sequences, and frames a second on one
thread, by the protocol and the scorer that siamla's own trackers have. CSRT needs
opencv-contrib-python in place of opencv-python. TrackerNano needs its two files, which OpenCV does
not bring: nanotrack_backbone_sim.onnx and nanotrack_head_sim.onnx in the folder --nano. Raw results
are left under --out, from where `siamla results import` takes them.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import cv2
import numpy as np

from siamla.benchmark.onepass import Tracker
from siamla.benchmark.protocols import run_rules
from siamla.benchmark.score import score
from siamla.benchmark.speed import speed
from siamla.benchmark.tracking import run
from siamla.data.formats import LAYOUTS
from siamla.data.layout import LayoutName
from siamla.report.differences import OVERALL, members, parts
from siamla.sequence import first_frames
from siamla.statistics import mean_effect
from siamla.steps.byhand import protocol_of

NANO = ("nanotrack_backbone_sim.onnx", "nanotrack_head_sim.onnx")


class Still:
    """The first box, for ever."""

    def init(self, image: np.ndarray, box: np.ndarray) -> None:
        self.box = box

    def update(self, image: np.ndarray) -> np.ndarray:
        return self.box


class OpenCV:
    """One of OpenCV's trackers; boxes of whole pixels."""

    def __init__(self, make: Callable[[], "cv2.Tracker"]) -> None:
        self.make = make

    def init(self, image: np.ndarray, box: np.ndarray) -> None:
        self.tracker = self.make()
        self.tracker.init(image, tuple(int(value) for value in np.rint(box)))
        self.box = np.asarray(box, np.float64)

    def update(self, image: np.ndarray) -> np.ndarray:
        """The box; where the tracker says that it lost its target, the last one."""
        found, box = self.tracker.update(image)
        if found:
            self.box = np.asarray(box, np.float64)
        return self.box


def nano(folder: Path) -> "cv2.Tracker":
    """TrackerNano of the files in a folder."""
    settings = cv2.TrackerNano_Params()
    settings.backbone, settings.neckhead = (str(folder / name) for name in NANO)
    return cv2.TrackerNano_create(settings)


def trackers(files: Path | None) -> dict[str, Callable[[], Tracker]]:
    """Those that this OpenCV has, by name."""
    found: dict[str, Callable[[], Tracker]] = {
        "still box": Still,
        "MIL": lambda: OpenCV(cv2.TrackerMIL_create),
    }
    if hasattr(cv2, "TrackerCSRT_create"):
        found["CSRT"] = lambda: OpenCV(cv2.TrackerCSRT_create)
    else:
        print("CSRT: not measured, cv2 has none; it is in opencv-contrib-python")
    if files is None:
        print("TrackerNano: not measured, --nano names no folder with its files")
    else:
        found["TrackerNano"] = lambda: OpenCV(lambda: nano(files))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--layout", choices=get_args(LayoutName), default="plain")
    parser.add_argument("--frames", type=int, metavar="N", help="the first of each sequence alone")
    parser.add_argument("--nano", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path("runs/opencv"))
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    layout = LAYOUTS[arguments.layout]
    whole = [layout.read(arguments.root, name) for name in layout.names(arguments.root)]
    sequences = [first_frames(sequence, arguments.frames) for sequence in whole]
    rules = protocol_of(arguments.layout, None)
    for name, make in trackers(arguments.nano).items():
        folder = arguments.out / arguments.root.resolve().name / name.replace(" ", "_")
        run(make, sequences, folder, run_rules(rules), title=name)
        scores = score(sequences, folder, rules)
        content = {"per_sequence": scores.per_sequence}
        values = parts([content], members([content], OVERALL), rules.headline)
        effect = mean_effect({name: values}, {name: 1.0}, one_seed=True)
        fps = speed(folder, sequences, rules)["fps"]
        span = f"{effect.value:.3f} [{effect.low:.3f}, {effect.high:.3f}]"
        print(f"{name:12} {rules.headline} {span}  {fps:6.1f} fps  OpenCV {cv2.__version__}")


if __name__ == "__main__":
    main()
