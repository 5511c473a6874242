"""ImageNet DET, training split: single images, VOC XML.

`root` is the folder ILSVRC (or ILSVRC2015) of the archive, with Annotations/DET/train and
Data/DET/train. Folders of 2013 have a level more than those of 2014. ILSVRC2013_train_extra0 to 10
hold negatives without any XML.
"""

from pathlib import Path
from typing import Any

from siamla.data.sources import voc
from siamla.data.sources.rows import KEYS, Found, Notes

LAYOUT = (
    "ImageNet DET: Annotations/DET/train/ILSVRC2013_train/n01440764/NAME.xml … and"
    " Data/DET/train/…/NAME.JPEG"
)
PARTLY = False
_ANNOTATIONS, _IMAGES = "Annotations/DET/train", "Data/DET/train"


def parts(root: Path) -> tuple[list[str], Notes]:
    """The folders of annotations; notes on folders of images alone, the negatives."""
    voc.need(root, LAYOUT, _ANNOTATIONS, _IMAGES)
    found, notes = voc.folders(root / _ANNOTATIONS), Notes()
    for folder in sorted(set(voc.folders(root / _IMAGES)) - set(found)):
        count = len(voc.names(root / _IMAGES / folder, voc.SUFFIX))
        kind = "images of negatives" if "_extra" in folder else "images without an annotation"
        notes.add(kind, f"{folder}: {count}", count)
    return found, notes


def read(root: Path, part: str) -> Found:
    """The boxes of a folder. A file's <size> that is not the image's has the boxes scaled to the
    image.
    """
    annotations = voc.names(root / _ANNOTATIONS / part, ".xml")
    images = set(voc.names(root / _IMAGES / part, voc.SUFFIX))
    notes, problem = Notes(), []
    columns: dict[str, list[Any]] = {key: [] for key in ("image", *KEYS, *voc.MARKS)}
    for name in annotations:
        try:
            stated, objects = voc.read(root / _ANNOTATIONS / part / f"{name}.xml")
        except ValueError as error:
            notes.add("damaged annotations", f"{part}/{name}.xml: {error}")
            continue
        if not objects:
            notes.add("images without a box", f"{part}/{name}")
            continue
        image, size = f"{_IMAGES}/{part}/{name}{voc.SUFFIX}", None
        if name in images:
            size = voc.image_size(root / image)
        what = "" if size else "damaged image" if name in images else "no image"
        size = size or stated
        if size != stated:
            notes.add(
                "images of another size",
                f"{image}: {size[0]}×{size[1]}, its XML says {stated[0]}×{stated[1]}",
            )
        scale = (size[0] / stated[0], size[1] / stated[1])
        for number, item in enumerate(objects):
            row = (image, f"{part}/{name}", str(number), 0, item.category, *size)
            box = [value * scale[i % 2] for i, value in enumerate(item.box)]
            for key, value in zip(
                columns, (*row, box, *(mark in item.marks for mark in voc.MARKS)), strict=True
            ):
                columns[key].append(value)
            problem.append(what)
    for name in sorted(images.difference(annotations)):
        notes.add("images without an annotation", f"{part}/{name}")
    return Found(columns, problem, len(annotations), notes)
