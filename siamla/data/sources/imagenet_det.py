"""ImageNet DET, training split: single images, VOC XML; `root` is the archive's folder ILSVRC.
Folders of 2013 have a level more. ILSVRC2013_train_extra0 to 10 are negatives without any XML.
"""

from pathlib import Path

import numpy as np

from siamla.data.sources import voc
from siamla.data.sources.rows import KEYS, Found, Notes, table_of

LAYOUT = (
    "ImageNet DET: Annotations/DET/train/ILSVRC2013_train/n01440764/NAME.xml … and"
    " Data/DET/train/…/NAME.JPEG"
)
PARTLY = False
_ANNOTATIONS, _IMAGES = "Annotations/DET/train", "Data/DET/train"


def parts(root: Path) -> tuple[list[str], Notes]:
    """The folders of annotations; those of images alone hold negatives."""
    voc.need(root, LAYOUT, _ANNOTATIONS, _IMAGES)
    return voc.folders(root / _ANNOTATIONS), Notes(list)


def read(root: Path, part: str) -> Found:
    """The boxes of a folder, scaled where <size> is not the image's."""
    annotations = voc.names(root / _ANNOTATIONS / part, ".xml")
    images = set(voc.names(root / _IMAGES / part, voc.SUFFIX))
    notes, rows, problem = Notes(list), [], []
    for name, stated, objects in voc.annotations(root / _ANNOTATIONS, part, annotations, notes):
        image = f"{_IMAGES}/{part}/{name}{voc.SUFFIX}"
        actual = voc.image_size(root / image) if name in images else None
        voc.note_size(image, actual, stated, notes)
        size = actual or stated
        scale = np.tile(np.divide(size, stated), 2)
        missing = "damaged image" if name in images else "no image"
        for number, item in enumerate(objects):
            marks = (mark in item.marks for mark in voc.MARKS)
            track = (f"{part}/{name}", str(number), 0, item.category)
            rows.append((image, *track, *size, scale * item.box, *marks))
            problem.append("" if actual else missing)
    columns = table_of(rows, ("image", *KEYS, *voc.MARKS))
    return Found(columns, problem, len(annotations), notes)
