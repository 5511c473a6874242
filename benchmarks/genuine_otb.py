"""OTB100's official folders with grey pictures: python benchmarks/genuine_otb.py OTB100.json
FOLDER.

The annotation is pysot's list of the benchmark (100 sequences, 59,035 frames); the folders have the
names, counts, first frames, separators and line ends of the archives, Human4's empty file, David's
299 pictures before its first row and Tiger1's five rows before its first frame among them. A
picture is grey noise as large as its boxes reach, the same file for a whole video. So curation,
tracking and scoring can be tried at the benchmark's full length without it:

    siamla benchmark run model.pt --layout otb --root FOLDER
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

LAST = {
    "David": 770,
    "Football1": 74,
    "Diving": 231,
}  # pictures of the archive where they are more than the list's
FIVE_DIGITS = ("Board",)
TABS = ("Car4", "Crossing", "Girl", "Jogging", "Suv", "Walking2", "Woman")
SEED = 1


def pictures(folder: Path, content: bytes, first: int, last: int, form: str) -> None:
    """One file under all names."""
    folder.mkdir(parents=True)
    one = folder / (form % first)
    one.write_bytes(content)
    for number in range(first + 1, last + 1):
        (folder / (form % number)).hardlink_to(one)


def write(root: Path, listed: dict[str, dict[str, Any]]) -> int:
    """Write all sequences below `root`; how many frames their list has."""
    videos: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for name, one in sorted(listed.items()):
        videos[one["video_dir"]].append((name.removeprefix(one["video_dir"]).lstrip("-."), one))
    rng = np.random.default_rng(SEED)
    for video, targets in videos.items():
        boxes = np.concatenate([np.array(one["gt_rect"], float) for _, one in targets])
        width, height = np.ceil((boxes[:, :2] + boxes[:, 2:]).max(0) + 16).astype(int)
        grey = cv2.imencode(".jpg", rng.integers(96, 160, (height, width), np.uint8))[1].tobytes()
        numbers = [int(Path(name).stem) for _, one in targets for name in one["img_names"]]
        first = 1 if video in LAST or video == "Tiger1" else min(numbers)
        form = "%05d.jpg" if video in FIVE_DIGITS else "%04d.jpg"
        pictures(root / video / "img", grey, first, max(LAST.get(video, 0), *numbers), form)
        between = "\t" if video in TABS else ","
        for target, one in targets:
            rows = [between.join(f"{value:g}" for value in row) for row in one["gt_rect"]]
            rows = rows[:1] * 5 + rows if video == "Tiger1" else rows
            name = f"groundtruth_rect.{target}.txt" if target else "groundtruth_rect.txt"
            (root / video / name).write_text("".join(f"{row}\r\n" for row in rows), newline="")
        if video == "Human4":
            (root / video / "groundtruth_rect.1.txt").write_text("")
    return sum(len(one["gt_rect"]) for one in listed.values())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("annotation", type=Path, help="pysot's OTB100.json")
    parser.add_argument("folder", type=Path, help="is made; must not be there yet")
    args = parser.parse_args()
    if args.folder.exists():
        raise SystemExit(f"{args.folder}: is there already")
    listed = json.loads(args.annotation.read_text())
    frames = write(args.folder, listed)
    print(f"{len(listed)} sequences, {frames} frames with a row in the list: {args.folder}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, KeyError, ValueError) as error:
        raise SystemExit(f"genuine_otb.py: {error}") from error
