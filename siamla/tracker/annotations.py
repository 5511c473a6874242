"""Boxes of a tracked video as labelling tools and evaluations read them."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import quoteattr


class Row(NamedTuple):
    """A target in one frame."""

    frame: int  # from 1
    target: int  # from 1
    box: tuple[float, float, float, float]  # x, y, w, h in pixels, counted from 0
    score: float
    lost: bool


class Video(NamedTuple):
    """What the rows were tracked in."""

    name: str
    size: tuple[int, int]  # width, height
    frames: int


def _mot(path: Path, rows: Sequence[Row], video: Video) -> None:
    """MOTChallenge: frame, id, left, top, width, height, confidence; left and top count from 1."""
    lines = []
    for row in rows:
        x, y, w, h = row.box
        numbers = f"{x + 1:.2f},{y + 1:.2f},{w:.2f},{h:.2f},{row.score:.4f}"
        lines.append(f"{row.frame},{row.target},{numbers},-1,-1,-1\n")
    path.write_text("".join(lines), encoding="utf-8")


def _coco(path: Path, rows: Sequence[Row], video: Video) -> None:
    """COCO: an image a frame, an annotation a box, with its score and target as `track_id`."""
    width, height = video.size
    images = []
    for frame in range(1, video.frames + 1):
        name = f"{frame:06d}.jpg"
        images.append({"id": frame, "file_name": name, "width": width, "height": height})
    boxes = []
    for number, row in enumerate(rows, 1):
        box = [round(value, 2) for value in row.box]
        entry = {"id": number, "image_id": row.frame, "category_id": 1, "bbox": box, "iscrowd": 0}
        area = round(row.box[2] * row.box[3], 2)
        boxes.append(entry | {"area": area, "track_id": row.target, "score": round(row.score, 4)})
    content = {
        "info": {"description": video.name},
        "images": images,
        "annotations": boxes,
        "categories": [{"id": 1, "name": "target"}],
    }
    path.write_text(json.dumps(content), encoding="utf-8")


def _yolo(path: Path, rows: Sequence[Row], video: Video) -> None:
    """YOLO: a folder with a text file a frame, `class x y w h` of the middle and the sides as
    shares of the image; a target's class is its number, from 0, and a lost one has no line.
    """
    path.mkdir()
    width, height = video.size
    lines: dict[int, list[str]] = {frame: [] for frame in range(1, video.frames + 1)}
    for row in rows:
        x, y, w, h = row.box
        left, right = (min(max(value, 0.0), width) / width for value in (x, x + w))
        top, bottom = (min(max(value, 0.0), height) / height for value in (y, y + h))
        if row.lost or right <= left or bottom <= top:
            continue
        numbers = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
        text = " ".join(f"{value:.6f}" for value in numbers)
        lines[row.frame].append(f"{row.target - 1} {text}\n")
    for frame, texts in lines.items():
        (path / f"{frame:06d}.txt").write_text("".join(texts), encoding="utf-8")


def _cvat(path: Path, rows: Sequence[Row], video: Video) -> None:
    """CVAT for video 1.1: a track a target; a lost frame has `outside` 1. Frames count from 0."""
    lines = ['<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n']
    source = quoteattr(video.name)
    for target in sorted({row.target for row in rows}):
        lines.append(f'  <track id="{target - 1}" label="target" source={source}>\n')
        for row in (each for each in rows if each.target == target):
            x, y, w, h = row.box
            corners = f'xtl="{x:.2f}" ytl="{y:.2f}" xbr="{x + w:.2f}" ybr="{y + h:.2f}"'
            state = f'outside="{int(row.lost)}" occluded="0" keyframe="1"'
            lines.append(f'    <box frame="{row.frame - 1}" {corners} {state} />\n')
        lines.append("  </track>\n")
    path.write_text("".join([*lines, "</annotations>\n"]), encoding="utf-8")


class Format(NamedTuple):
    """A format and the end of its files' names."""

    suffix: str
    write: Callable[[Path, Sequence[Row], Video], None]


FORMATS = {
    "cvat": Format(".cvat.xml", _cvat),
    "mot": Format(".mot.txt", _mot),
    "coco": Format(".coco.json", _coco),
    "yolo": Format(".yolo", _yolo),
}
"""Formats by name; `write` makes the file, or folder, at a path that is free."""


def annotate(path: Path, form: str, rows: Sequence[Row], video: Video) -> None:
    """Write the rows as a file or folder `path` in a format of FORMATS, whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        FORMATS[form].write(temporary, rows, video)
        temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)
