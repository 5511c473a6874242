"""ImageNet VID, training split: every frame annotated, several tracks, whose numbers begin anew in
each snippet. A target may leave and come back: each time begins a segment of its track.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from siamla.data.sources import voc
from siamla.data.sources.rows import KEYS, Found, Notes, table_of

LAYOUT = (
    "ImageNet VID: Annotations/VID/train/ILSVRC2015_VID_train_0000/SNIPPET/000000.xml … and "
    "Data/VID/train/…/000000.JPEG"
)
PARTLY = False
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
    names = voc.names(root / _ANNOTATIONS / part, ".xml")
    annotations = [name for name in names if name.isdecimal()]
    lacking = dict.fromkeys(annotations, "no image")
    lacking |= dict.fromkeys(voc.names(root / _IMAGES / part, voc.SUFFIX), "")
    notes, rows = Notes(list), list[tuple[Any, ...]]()
    odd = sorted({*names} - {*annotations})
    notes["damaged annotations"] += [f"{part}/{name}.xml: its name is no number" for name in odd]
    first = next((name for name in annotations if not lacking[name]), "")
    actual = voc.image_size(root / _IMAGES / part / f"{first}{voc.SUFFIX}")
    if first and actual is None:
        lacking[first] = "damaged image"
    for name, size, objects in voc.annotations(root / _ANNOTATIONS, part, annotations, notes):
        image = f"{_IMAGES}/{part}/{name}{voc.SUFFIX}"
        if name == first:
            voc.note_size(image, actual, size, notes)
        for item in objects:
            marks = (mark in item.marks for mark in voc.MARKS)
            track = (part, item.track, int(name), item.category)
            rows.append((image, *track, *size, item.box, *marks))
    rows.sort(key=lambda row: (len(row[2]), *row[2:4]))  # tracks 0, 1, … 10, 11
    columns = table_of(rows, ("image", *KEYS, *voc.MARKS))
    columns["segment"] = _segments(columns["track"], columns["frame"])
    problem = [lacking[Path(image).stem] for image in columns["image"]]
    return Found(columns, problem, len(names), notes)


def _segments(tracks: Sequence[str], frames: Sequence[int]) -> list[int]:
    """The number of each row's segment in its track; rows stand by track and frame."""
    segments = [0] * len(tracks)
    for at in range(1, len(tracks)):
        if tracks[at] == tracks[at - 1]:
            segments[at] = segments[at - 1] + (frames[at] - frames[at - 1] > CUT)
    return segments
