"""How a rendered sequence is written in each layout: what siamla.data.formats reads back.

Writes are plain: a set is made in a temporary folder that is renamed when it is whole.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from siamla.data.formats import got10k, lasot, otb, plain, tnl2k, trackingnet, vot
from siamla.data.formats.text import write_boxes, write_rows
from siamla.errors import UserError
from siamla.files import write_text
from siamla.sequence import Sequence


@dataclass(frozen=True)
class Writer:
    """A layout as it is written.

    Attributes:
        write: writes a sequence below a set's root, from its truth and its encoded images.
        listing: the file that names all sequences of the set; None where the layout has none.
    """

    write: Callable[[Path, Sequence, Iterable[bytes]], None]
    listing: str | None = None

    def finish(self, root: Path, names: Iterable[str]) -> None:
        """Write the list of the set's sequences, if the layout has one."""
        if self.listing:
            write_text(root / self.listing, "".join(f"{name}\n" for name in names))


def _images(folder: Path, images: Iterable[bytes], form: str, first: int = 1) -> None:
    """Encoded images under numbered names, `form` as "%08d.jpg"."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(images, first):
        (folder / (form % number)).write_bytes(data)


def _size(image: Path) -> tuple[int, int]:
    """(width, height) of an image file."""
    with Image.open(image) as opened:
        return opened.size


def _flags(path: Path, labels: NDArray[np.bool_], delimiter: str = "\n") -> None:
    """Labels as 0/1, parted by the delimiter."""
    write_text(path, delimiter.join("1" if label else "0" for label in labels) + "\n")


def _attributes(path: Path, chosen: frozenset[str], known: tuple[str, ...]) -> None:
    """One 0/1 label for each known attribute; UserError for one that the benchmark does not
    have.
    """
    unknown = sorted(chosen - set(known))
    if unknown:
        raise UserError(f"{path}: attribute {unknown[0]!r} is not among {', '.join(known)}")
    write_text(path, ",".join("1" if name in chosen else "0" for name in known) + "\n")


def _whole_pixels(sequence: Sequence, origin: int) -> NDArray[np.float64]:
    """Boxes (N, 4) as LaSOT and TNL2K have them: whole pixels, and zeros where the target is
    absent.
    """
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
    _images(folder, images, "%08d.jpg")
    width, height = _size(folder / "00000001.jpg")
    write_boxes(folder / "groundtruth.txt", sequence.boxes, got10k.ORIGIN)
    _flags(folder / "absence.label", ~sequence.visible)
    cover = "".join("8\n" if seen else "0\n" for seen in sequence.visible)
    write_text(folder / "cover.label", cover)
    low, high = sequence.boxes[:, :2], sequence.boxes[:, :2] + sequence.boxes[:, 2:]
    with np.errstate(invalid="ignore"):
        cut = np.asarray((low < 0).any(1) | (high > (width, height)).any(1))
    _flags(folder / "cut_by_image.label", cut)
    meta = {
        "url": "none",
        "object_class": "synthetic",
        "motion_class": "synthetic",
        "anno_fps": "10Hz",
        "resolution": f"({width}, {height})",
    }
    lines = [f"{key}: {value}\n" for key, value in meta.items()]
    write_text(folder / "meta_info.ini", "[METAINFO]\n" + "".join(lines))


def _lasot(root: Path, sequence: Sequence, images: Iterable[bytes]) -> None:
    """Absent frames go to out_of_view.txt. A name `CLASS-N` stands in the folder CLASS; a name
    without a number has a class folder of its own.
    """
    folder = root / (sequence.name.rpartition("-")[0] or sequence.name) / sequence.name
    _images(folder / "img", images, "%08d.jpg")
    rows = _whole_pixels(sequence, lasot.ORIGIN)
    write_boxes(folder / "groundtruth.txt", rows, lasot.ORIGIN, "%d")
    _flags(folder / "full_occlusion.txt", np.zeros(len(rows), bool), ",")
    _flags(folder / "out_of_view.txt", ~sequence.visible, ",")
    _attributes(root / "att" / f"{sequence.name}.txt", sequence.attributes, lasot.ATTRIBUTES)


def _trackingnet(root: Path, sequence: Sequence, images: Iterable[bytes]) -> None:
    """Boxes of all frames, so that the sequence can be scored."""
    _images(root / "frames" / sequence.name, images, "%d.jpg", 0)
    path = root / "anno" / f"{sequence.name}.txt"
    write_boxes(path, sequence.boxes, trackingnet.ORIGIN, "%.2f")


def _tnl2k(root: Path, sequence: Sequence, images: Iterable[bytes]) -> None:
    """Absent frames get an empty box and a 1 in the absent file."""
    folder = root / sequence.name
    _images(folder / "imgs", images, "%08d.jpg")
    rows = _whole_pixels(sequence, tnl2k.ORIGIN)
    write_boxes(folder / "groundtruth.txt", rows, tnl2k.ORIGIN, "%d")
    write_text(folder / "language.txt", "the target\n")
    _flags(root / "absent" / f"{sequence.name}.txt", ~sequence.visible)
    path = root / "att" / f"{sequence.name}_attribute.txt"
    _attributes(path, sequence.attributes, tnl2k.ATTRIBUTES)


def _vot(root: Path, sequence: Sequence, images: Iterable[bytes]) -> None:
    """Polygons (boxes where there are none), tags and the toolkit's file `sequence`."""
    folder = root / sequence.name
    _images(folder / "color", images, "%08d.jpg")
    width, height = _size(folder / "color/00000001.jpg")
    rows = sequence.boxes if sequence.polygons is None else sequence.polygons
    write_rows(folder / "groundtruth.txt", rows)
    for tag in vot.TAGS:
        labels = sequence.frame_attributes.get(tag, np.zeros(len(rows), bool))
        _flags(folder / f"{tag}.tag", labels)
    described = {
        "channels.color": "color/%08d.jpg",
        "format": "default",
        "fps": 30,
        "width": width,
        "height": height,
        "length": len(rows),
        "name": sequence.name,
    }
    write_text(folder / "sequence", "".join(f"{key}={value}\n" for key, value in described.items()))


def _plain(root: Path, sequence: Sequence, images: Iterable[bytes]) -> None:
    """Rows of zeros where the target is absent."""
    _images(root / sequence.name, images, "%08d.jpg")
    rows = np.where(sequence.visible[:, None], sequence.boxes, 0)
    write_boxes(root / sequence.name / "groundtruth.txt", rows, plain.ORIGIN)


OTB = Writer(_otb)
GOT10K = Writer(_got10k, "list.txt")
LASOT = Writer(_lasot, "testing_set.txt")
TRACKINGNET = Writer(_trackingnet)
TNL2K = Writer(_tnl2k)
VOT = Writer(_vot, "list.txt")
PLAIN = Writer(_plain)
