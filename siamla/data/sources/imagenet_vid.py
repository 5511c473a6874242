"""ImageNet VID, training split: every frame annotated, several tracks, whose numbers begin anew in
each snippet. A target may leave and come back: each time begins a segment of its track.
"""

from pathlib import Path
from typing import Any

import numpy as np

from siamla.data.sources import voc
from siamla.data.sources.rows import Found, Notes

LAYOUT = (
    "ImageNet VID: Annotations/VID/train/ILSVRC2015_VID_train_0000/SNIPPET/000000.xml … and "
    "Data/VID/train/…/000000.JPEG"
)
PARTLY = False
WHOLE = ("parts", 3862, "snippets")  # its development kit's readme
CUT = 30  # frames, a second: a longer absence parts a track into segments
_ANNOTATIONS, _IMAGES = "Annotations/VID/train", "Data/VID/train"


def parts(root: Path) -> tuple[list[str], Notes]:
    """The snippets; notes on those of which there are images alone."""
    voc.need(root, LAYOUT, _ANNOTATIONS, _IMAGES)
    snippets, notes = voc.folders(root / _ANNOTATIONS), Notes(list)
    for folder in sorted(set(voc.folders(root / _IMAGES)) - set(snippets)):
        notes["snippets without annotations"].append(folder)
    return snippets, notes


def read(root: Path, part: str) -> Found:
    """The boxes of a snippet, track by track."""
    annotations = voc.names(root / _ANNOTATIONS / part, ".xml")
    images = set(voc.names(root / _IMAGES / part, voc.SUFFIX))
    notes = Notes(list)
    rows: list[tuple[str, int, voc.Marked, tuple[int, int], str]] = []
    first = next((name for name in annotations if name in images), None)
    actual = voc.image_size(root / _IMAGES / part / f"{first}{voc.SUFFIX}") if first else None
    for name in annotations:
        try:
            size, objects = voc.read(root / _ANNOTATIONS / part / f"{name}.xml")
            number = int(name)
        except ValueError as error:
            notes["damaged annotations"].append(f"{part}/{name}.xml: {error}")
            continue
        if name == first and actual is not None and size != actual:
            sizes = f"{actual[0]}×{actual[1]}, its XML says {size[0]}×{size[1]}"
            notes["images of another size"].append(f"{part}/{name}{voc.SUFFIX}: {sizes}")
        rows += [(item.track, number, item, size, name) for item in objects]
    rows.sort(key=lambda row: (len(row[0]), *row[:2]))  # tracks 0, 1, … 10, 11
    names = [row[4] for row in rows]
    tracks = [row[0] for row in rows]
    frames = np.array([row[1] for row in rows], np.int64)
    columns: dict[str, Any] = {
        "image": [f"{_IMAGES}/{part}/{name}{voc.SUFFIX}" for name in names],
        "sequence": [part] * len(rows),
        "track": tracks,
        "segment": _segments(np.array(tracks, str), frames),
        "frame": frames,
        "category": [row[2].category for row in rows],
        "box": [row[2].box for row in rows],
        "width": [row[3][0] for row in rows],
        "height": [row[3][1] for row in rows],
        **{mark: [mark in row[2].marks for row in rows] for mark in voc.MARKS},
    }
    lacking = {name: "no image" for name in annotations if name not in images}
    if first and actual is None:
        lacking[first] = "damaged image"
    problem = [lacking.get(name, "") for name in names]
    return Found(columns, problem, len(annotations), notes)


def _segments(tracks: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The number of each row's segment in its track; rows stand by track and frame."""
    if not len(tracks):
        return np.zeros(0, np.int64)
    fresh = np.append(True, tracks[1:] != tracks[:-1])
    cuts = np.cumsum(np.append(False, np.diff(frames) > CUT) & ~fresh)
    starts = np.flatnonzero(fresh)
    return np.asarray(cuts - np.repeat(cuts[starts], np.diff(np.append(starts, len(tracks)))))
