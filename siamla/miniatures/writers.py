"""How a rendered sequence is written in each layout: what siamla.data.formats reads back.

Writes are plain: a set is made in a temporary folder that is renamed when it is whole.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from siamla.data.formats import got10k, lasot, otb, plain, tnl2k, trackingnet, vot
from siamla.data.formats.text import write_boxes, write_rows
from siamla.files import write_text
from siamla.sequence import Sequence


@dataclass(frozen=True)
class Writer:
    """A layout as it is written: how a sequence goes below a set's root, from its truth and its
    encoded images, and the file that names all sequences, if there is one.
    """

    write: Callable[[Path, Sequence, Iterable[bytes]], None]
    listing: str | None = None

    def finish(self, root: Path, names: Iterable[str]) -> None:
        """Write the list of the set's sequences, if the layout has one."""
        if self.listing:
            write_text(root / self.listing, "".join(f"{name}\n" for name in names))


def _images(folder: Path, images: Iterable[bytes], form: str = "%08d.jpg", first: int = 1) -> None:
    """Encoded images under numbered names of a form."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(images, first):
        (folder / (form % number)).write_bytes(data)


def _size(image: Path) -> tuple[int, int]:
    """(width, height) of an image file."""
    with Image.open(image) as opened:
        return opened.size


def _flags(path: Path, labels: Iterable[Any], delimiter: str = "\n") -> None:
    """Labels as 0/1, parted by the delimiter."""
    write_text(path, delimiter.join("1" if label else "0" for label in labels) + "\n")


def _whole_pixels(sequence: Sequence, origin: int) -> NDArray[np.float64]:
    """Boxes (N, 4) in whole pixels, zeros where the target is absent (LaSOT, TNL2K)."""
    absent = (-origin, -origin, 0, 0)
    return np.where(sequence.visible[:, None], np.round(sequence.boxes), absent)


def _otb(root: Path, sequence: Sequence, images: Iterable[bytes]) -> None:
    """Boxes become whole pixels, as OTB's are; attrs.txt is written where there are attributes."""
    folder, annotation = otb.locate(root, sequence.name)
    _images(folder / "img", images, "%04d.jpg")
    write_boxes(annotation, np.round(sequence.boxes), otb.ORIGIN, "%d")
    if sequence.attributes:
        write_text(folder / "attrs.txt", ",".join(sorted(sequence.attributes)) + "\n")


def _got10k(root: Path, sequence: Sequence, images: Iterable[bytes]) -> None:
    """cover is 8 where the target is visible and 0 where it is not."""
    folder = root / sequence.name
    _images(folder, images)
    width, height = _size(folder / "00000001.jpg")
    write_boxes(folder / "groundtruth.txt", sequence.boxes, got10k.ORIGIN)
    _flags(folder / "absence.label", ~sequence.visible)
    write_text(folder / "cover.label", "".join(f"{8 * seen:d}\n" for seen in sequence.visible))
    low, high = sequence.boxes[:, :2], sequence.boxes[:, :2] + sequence.boxes[:, 2:]
    cut = ((low < 0) | (high > (width, height))).any(1)
    _flags(folder / "cut_by_image.label", np.atleast_1d(cut))
    meta = (
        "[METAINFO]\nurl: none\nobject_class: synthetic\nmotion_class: synthetic\nanno_fps: 10Hz\n"
        f"resolution: ({width}, {height})\n"
    )
    write_text(folder / "meta_info.ini", meta)


def _lasot(root: Path, sequence: Sequence, images: Iterable[bytes]) -> None:
    """Absent frames go to out_of_view.txt. A name `CLASS-N` stands in the folder CLASS; a name
    without a number has a class folder of its own.
    """
    folder = root / (sequence.name.rpartition("-")[0] or sequence.name) / sequence.name
    _images(folder / "img", images)
    rows = _whole_pixels(sequence, lasot.ORIGIN)
    write_boxes(folder / "groundtruth.txt", rows, lasot.ORIGIN, "%d")
    _flags(folder / "full_occlusion.txt", np.zeros(len(rows)), ",")
    _flags(folder / "out_of_view.txt", ~sequence.visible, ",")
    path = root / "att" / f"{sequence.name}.txt"
    _flags(path, (name in sequence.attributes for name in lasot.ATTRIBUTES), ",")


def _trackingnet(root: Path, sequence: Sequence, images: Iterable[bytes]) -> None:
    """Boxes of all frames, so that the sequence can be scored."""
    _images(root / "frames" / sequence.name, images, "%d.jpg", 0)
    path = root / "anno" / f"{sequence.name}.txt"
    write_boxes(path, sequence.boxes, trackingnet.ORIGIN, "%.2f")


def _tnl2k(root: Path, sequence: Sequence, images: Iterable[bytes]) -> None:
    """Absent frames get an empty box and a 1 in the absent file."""
    folder = root / sequence.name
    _images(folder / "imgs", images)
    rows = _whole_pixels(sequence, tnl2k.ORIGIN)
    write_boxes(folder / "groundtruth.txt", rows, tnl2k.ORIGIN, "%d")
    write_text(folder / "language.txt", "the target\n")
    _flags(root / "absent" / f"{sequence.name}.txt", ~sequence.visible)
    path = root / "att" / f"{sequence.name}_attribute.txt"
    _flags(path, (name in sequence.attributes for name in tnl2k.ATTRIBUTES), ",")


def _vot(root: Path, sequence: Sequence, images: Iterable[bytes]) -> None:
    """Polygons (boxes where there are none), tags and the toolkit's file `sequence`."""
    folder = root / sequence.name
    _images(folder / "color", images)
    width, height = _size(folder / "color/00000001.jpg")
    rows = sequence.boxes if sequence.polygons is None else sequence.polygons
    write_rows(folder / "groundtruth.txt", rows)
    for tag in vot.TAGS:
        _flags(folder / f"{tag}.tag", sequence.frame_attributes.get(tag, np.zeros(len(rows))))
    described = (
        f"channels.color=color/%08d.jpg\nformat=default\nfps=30\nwidth={width}\nheight={height}\n"
        f"length={len(rows)}\nname={sequence.name}\n"
    )
    write_text(folder / "sequence", described)


def _plain(root: Path, sequence: Sequence, images: Iterable[bytes]) -> None:
    """Rows of zeros where the target is absent."""
    _images(root / sequence.name, images)
    rows = np.where(sequence.visible[:, None], sequence.boxes, 0)
    write_boxes(root / sequence.name / "groundtruth.txt", rows, plain.ORIGIN)


OTB = Writer(_otb)
GOT10K = Writer(_got10k, "list.txt")
LASOT = Writer(_lasot, "testing_set.txt")
TRACKINGNET = Writer(_trackingnet)
TNL2K = Writer(_tnl2k)
VOT = Writer(_vot, "list.txt")
PLAIN = Writer(_plain)
