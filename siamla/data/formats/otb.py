"""OTB: `<root>/<video>/img/0001.jpg …` with `groundtruth_rect.txt`, or `.1.txt`, `.2.txt` for two
targets, whose number is added to the name ("Jogging.1"; Human4's first file is empty). The official
archives hold no attributes: we read and write `attrs.txt` beside the annotation.
"""

from pathlib import Path

import numpy as np

from siamla.data.formats import text
from siamla.errors import UserError
from siamla.files import regular
from siamla.sequence import Sequence

ORIGIN = 1
ATTRIBUTES = ("IV", "OPR", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OV", "BC", "LR")
EXPECTED = "OTB layout: <video>/img/0001.jpg … and <video>/groundtruth_rect.txt"
EMPTY_TRUTH = True

_NAMES = """
    Basketball Biker Bird1 Bird2 BlurBody BlurCar1 BlurCar2 BlurCar3 BlurCar4 BlurFace BlurOwl Board
    Bolt Bolt2 Box Boy Car1 Car2 Car24 Car4 CarDark CarScale ClifBar Coke Couple Coupon Crossing
    Crowds Dancer Dancer2 David David2 David3 Deer Diving Dog Dog1 Doll DragonBaby Dudek FaceOcc1
    FaceOcc2 Fish FleetFace Football Football1 Freeman1 Freeman3 Freeman4 Girl Girl2 Gym Human2
    Human3 Human4.2 Human5 Human6 Human7 Human8 Human9 Ironman Jogging.1 Jogging.2 Jump Jumping
    KiteSurf Lemming Liquor Man Matrix Mhyang MotorRolling MountainBike Panda RedTeam Rubik Shaking
    Singer1 Singer2 Skater Skater2 Skating1 Skating2.1 Skating2.2 Skiing Soccer Subway Surfer Suv
    Sylvester Tiger1 Tiger2 Toy Trans Trellis Twinnings Vase Walking Walking2 Woman
"""
OFFICIAL = tuple(_NAMES.split())  # of OTB100

# First and last frame of the sequences that are not their whole videos (OTB's web page, pysot's
# list). Of Tiger1 the archive annotates all 354 frames; trackers start at the sixth, as OTB's own
# scripts do.
RANGES = {
    "David": (300, 770),
    "Football1": (1, 74),
    "Freeman3": (1, 460),
    "Freeman4": (1, 283),
    "Diving": (1, 215),
    "BlurCar1": (247, 988),
    "BlurCar3": (3, 359),
    "BlurCar4": (18, 397),
    "Tiger1": (6, 354),
}


def names(root: Path) -> list[str]:
    """Sequence names in alphabetical order; UserError when there is none."""
    names = []
    for folder in sorted(path for path in root.glob("[!.]*") if path.is_dir()):
        files = sorted(folder.glob("groundtruth_rect*.txt"))
        annotations = [path.stem for path in files if regular(path).read_bytes().strip()]
        if not annotations and (folder / "img").is_dir():
            raise UserError(f"{folder}: no annotation; expected a non-empty groundtruth_rect.txt")
        names += [folder.name + stem.removeprefix("groundtruth_rect") for stem in annotations]
    return text.some(names, root, EXPECTED)


def locate(root: Path, name: str) -> tuple[Path, Path]:
    """Video folder and annotation file of a sequence."""
    video, dot, number = name.rpartition(".")
    if dot and number.isdigit():
        return root / video, root / video / f"groundtruth_rect.{number}.txt"
    return root / name, root / name / "groundtruth_rect.txt"


def read(root: Path, name: str) -> Sequence:
    """One sequence; every frame counts as visible."""
    folder, annotation = locate(root, name)
    boxes = text.boxes(annotation, ORIGIN)
    frames = text.images(folder / "img")
    first, last = RANGES.get(folder.name, (1, len(boxes)))
    if len(boxes) == last:  # the frames before the first are annotated, too
        boxes = boxes[first - 1 :]
    if len(frames) > len(boxes) and folder.name in RANGES:
        numbers = {str(number) for number in range(first, last + 1)}
        chosen = tuple(frame for frame in frames if frame.stem.lstrip("0") in numbers)
        frames = chosen if len(chosen) == len(boxes) else frames
    labels = folder / "attrs.txt"
    attributes = text.read_text(labels).replace(",", " ").split() if labels.is_file() else []
    seen = np.ones(len(boxes), bool)
    return Sequence(name, frames, boxes, seen, attributes=frozenset(attributes))
