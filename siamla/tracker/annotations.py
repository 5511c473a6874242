"""Boxes of a tracked video as labelling tools and evaluations read them."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

CLASSES = "classes.txt"
LABELS = re.compile(r"(0( \d\.\d{6}){4}\n)*")  # a file of _yolo


class Row(NamedTuple):
    """A target in one frame."""

    frame: int  # from 1
    target: int  # from 1
    box: tuple[float, float, float, float]  # x, y, w, h in pixels, counted from 0
    score: float
    lost: bool


class Frame(NamedTuple):
    """An image that was tracked."""

    name: str  # of its file; of a video's frame 000001.jpg and so on
    size: tuple[int, int]  # width, height


class Video(NamedTuple):
    """What the rows were tracked in."""

    name: str
    frames: Sequence[Frame]
    label: str = "target"  # the class of all targets


def _corners(row: Row, video: Video) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a box, cut at its image's border."""
    (x, y, w, h), (width, height) = row.box, video.frames[row.frame - 1].size
    left, right = (min(max(value, 0.0), width) for value in (x, x + w))
    top, bottom = (min(max(value, 0.0), height) for value in (y, y + h))
    return left, top, right, bottom


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
    images = []
    for number, (name, (width, height)) in enumerate(video.frames, 1):
        images.append({"id": number, "file_name": name, "width": width, "height": height})
    boxes: list[dict[str, object]] = []
    for row in rows:
        left, top, right, bottom = _corners(row, video)
        if right <= left or bottom <= top:
            continue
        box = [round(value, 2) for value in (left, top, right - left, bottom - top)]
        entry = {"id": len(boxes) + 1, "image_id": row.frame, "category_id": 1, "bbox": box}
        area = round((right - left) * (bottom - top), 2)
        more = {"area": area, "iscrowd": 0, "track_id": row.target, "score": round(row.score, 4)}
        boxes.append(entry | more)
    content = {
        "info": {"description": video.name},
        "images": images,
        "annotations": boxes,
        "categories": [{"id": 1, "name": video.label}],
    }
    path.write_text(json.dumps(content), encoding="utf-8")


def _yolo(path: Path, rows: Sequence[Row], video: Video) -> None:
    """YOLO: a folder with a text file an image, `0 x y w h` of the middle and the sides as shares
    of the image, and CLASSES with the name of class 0. A lost target has no line.
    """
    path.mkdir()
    lines: list[list[str]] = [[] for _ in video.frames]
    for row in rows:
        left, top, right, bottom = _corners(row, video)
        if row.lost or right <= left or bottom <= top:
            continue
        width, height = video.frames[row.frame - 1].size
        middle = ((left + right) / 2 / width, (top + bottom) / 2 / height)
        numbers = (*middle, (right - left) / width, (bottom - top) / height)
        lines[row.frame - 1].append(f"0 {' '.join(f'{value:.6f}' for value in numbers)}\n")
    for frame, texts in zip(video.frames, lines, strict=True):
        labels = path / f"{Path(frame.name).stem}.txt"
        labels.write_text("".join(texts), encoding="utf-8")
    (path / CLASSES).write_text(f"{video.label}\n", encoding="utf-8")


def labels_alone(folder: Path) -> bool:
    """Whether a folder holds what `_yolo` writes, and nothing else."""
    files = list(folder.iterdir())
    others = [file for file in files if file.name != CLASSES]
    if len(others) == len(files):
        return False
    return all(file.is_file() and file.suffix == ".txt" for file in files) and all(
        LABELS.fullmatch(file.read_text(encoding="utf-8", errors="replace")) for file in others
    )


def _cvat(path: Path, rows: Sequence[Row], video: Video) -> None:
    """CVAT for video 1.1: a track a target; a frame in which it is lost, or wholly beyond the
    border, has `outside` 1. Frames count from 0.
    """
    lines = ['<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n']
    about = f"label={quoteattr(video.label)} source={quoteattr(video.name)}"
    for target in sorted({row.target for row in rows}):
        lines.append(f'  <track id="{target - 1}" {about}>\n')
        for row in (each for each in rows if each.target == target):
            left, top, right, bottom = _corners(row, video)
            corners = f'xtl="{left:.2f}" ytl="{top:.2f}" xbr="{right:.2f}" ybr="{bottom:.2f}"'
            outside = row.lost or right <= left or bottom <= top
            state = f'outside="{int(outside)}" occluded="0" keyframe="1"'
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
    """Write the rows as a file or folder `path` in a format of FORMATS, whole or not at all; in
    place of labels that are there already.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        FORMATS[form].write(temporary, rows, video)
        if path.is_dir() and labels_alone(path):
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)
