"""Raw results of other trackers, copied into our store so that they are scored like our own.

Read are pysot's and the got10k toolkit's text files, GOT-10k folders, VOT baseline folders and
OTB's .mat files, from a folder or a zip. Numbers stay as they were written, in the benchmark's own
coordinates; only what parts them becomes commas and line feeds.
"""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark import archive, store
from siamla.data.formats import otb, text
from siamla.errors import UserError
from siamla.files import parsed_by, regular, write_text

FOLDERS = ("got10k", "vot")


def canonical(name: str, layout: str, known: Iterable[str] = ()) -> str:
    """Our name of a sequence that another toolkit calls `name`: "Jogging-1", "jogging_1" →
    "Jogging.1" on OTB.

    `known` are the data set's names, if at hand; they settle upper and lower case and Human4's
    missing number.
    """
    if layout == "otb":
        known = [*otb.OFFICIAL, *known]
        name = re.sub(r"[-_](\d)$", r".\1", name)
        name = "Human4.2" if name in ("Human4", "human4") else name
    return {candidate.lower(): candidate for candidate in known}.get(name.lower(), name)


def _mat_boxes(path: Path) -> NDArray[np.float64]:
    """The boxes (N, 4) of an OTB result: `results{1}.res`, or a plain N × 4 matrix."""
    from scipy.io import loadmat

    with parsed_by("scipy", regular(path), "a .mat file"):
        content = loadmat(path, squeeze_me=True, struct_as_record=False)
    values = [value for key, value in content.items() if not key.startswith("__")]
    for value in [content.get("results"), *values]:
        first = value.flat[0] if isinstance(value, np.ndarray) and value.dtype == object else value
        kind = str(getattr(first, "type", "rect"))
        boxes = np.asarray(getattr(first, "res", first))
        if boxes.ndim == 2 and boxes.shape[1] == 4 and kind == "rect" and boxes.dtype.kind in "fiu":
            return boxes.astype(np.float64)
    raise UserError(f"{path}: no N × 4 boxes of type 'rect' in it; expected results{{1}}.res")


def _finite(path: Path, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The boxes; UserError for an infinite number. NaN stands for a frame in which the tracker had
    lost the target.
    """
    if np.isinf(boxes).any():
        row = int(np.isinf(boxes).any(1).argmax())
        raise UserError(
            f"{path}, row {row + 1}: {boxes[row].tolist()}, expected finite numbers, or nan for a"
            " lost box"
        )
    return boxes


def _mat_name(stem: str, layout: str, known: Iterable[str]) -> str:
    """The sequence of a .mat file, whose name ends in the tracker's: "Jogging_1_siamfc3s",
    "bird1_1_X", "david_KCF".

    The longest beginning that is a sequence's name; else what stands before the first underscore.
    """
    parts, there = stem.split("_"), {*known, *(otb.OFFICIAL if layout == "otb" else ())}
    names = [canonical("_".join(parts[:end]), layout, known) for end in range(len(parts), 0, -1)]
    return next((name for name in names if name in there), names[-1])


def _number(value: float) -> str:
    """The shortest text that reads as this number."""
    return repr(float(value)).removesuffix(".0")


def _times(source: Path, name: str, count: int) -> str | None:
    """The text of a file of times, if there is one."""
    for path in (source / f"{name}_time.txt", source / "times" / f"{name}_time.txt"):
        if path.is_file():
            found = len(text.numbers(path, (1,)))
            if found != count:
                raise UserError(f"{path}: {found} times for {count} boxes")
            return text.plain(path)
    return None


def _confidence(source: Path, name: str, layout: str, repetition: int = 1) -> str | None:
    """The text of a file of confidences, if there is one."""
    if store.read_confidence(source, name, layout, repetition) is None:
        return None
    path = store.confidence_path(source, name, layout, repetition)
    return (
        text.read_text(path) if layout == "vot" else text.plain(path)
    )  # empty lines count in VOT's, the last as well


class _Texts(NamedTuple):
    """A sequence's results as text, in the spelling of our store."""

    boxes: str
    times: str | None
    confidence: str | None


def _read_flat(source: Path, layout: str, known: Iterable[str]) -> dict[str, _Texts]:
    """What a folder of `<sequence>.txt` or `.mat` files has of each sequence."""
    found: dict[str, _Texts] = {}
    paths = [path for path in sorted(source.iterdir()) if path.suffix in (".txt", ".mat")]
    beside = ("_time", "_confidence")
    for path in (
        path for path in paths if not path.stem.endswith(beside) and path.name != "SOURCE.txt"
    ):
        if path.suffix == ".txt":
            name, boxes = (
                canonical(path.stem, layout, known),
                _finite(path, text.numbers(path, (4,))),
            )
            rows = text.plain(path)
        else:
            name, boxes = _mat_name(path.stem, layout, known), _finite(path, _mat_boxes(path))
            rows = "".join(",".join(map(_number, row)) + "\n" for row in boxes)
        if name in found:
            raise UserError(f"{path}: a second result for sequence {name!r}")
        times, confidence = (
            _times(source, path.stem, len(boxes)),
            _confidence(source, path.stem, layout),
        )
        found[name] = _Texts(rows, times, confidence)
    return found


def _import_folders(source: Path, layout: str, target: Path) -> list[str]:
    """Copy `<sequence>/<sequence>_001.txt …`, times and confidences; each file is checked first."""
    place = source / "baseline" if layout == "vot" and (source / "baseline").is_dir() else source
    names = [
        path.name for path in sorted(place.iterdir()) if (path / f"{path.name}_001.txt").is_file()
    ]
    if layout == "vot" and names and place.name != "baseline":
        raise UserError(f"{source}: expected the folder that holds baseline/")
    source = place.parent if layout == "vot" else place
    for name in names:
        for number in store.repetitions(source, name, layout):
            confidence = _confidence(source, name, layout, number)
            if layout == "vot":
                store.read_trajectory(source, name, number)
            else:
                boxes = store.read_track(source, name, layout, number).boxes
                _finite(store.track_path(source, name, layout, number), boxes)
            path = store.track_path(source, name, layout, number)
            write_text(store.track_path(target, name, layout, number), text.plain(path))
            if confidence is not None:
                write_text(store.confidence_path(target, name, layout, number), confidence)
        times = store.time_path(source, name, layout)
        if times.is_file():
            write_text(store.time_path(target, name, layout), text.plain(times))
    return names


def lost_boxes(folder: Path, name: str, layout: str) -> int:
    """How many stored boxes of a sequence are NaN."""
    if layout == "vot":
        return 0  # a region there is finite or a code
    tracks = (
        store.read_track(folder, name, layout, number)
        for number in store.repetitions(folder, name, layout)
    )
    return sum(int(np.isnan(track.boxes).any(1).sum()) for track in tracks)


def import_results(source: Path, target: Path, layout: str, known: Iterable[str] = ()) -> list[str]:
    """Copy another tracker's raw results into `target`, in our store's format; returns the sequence
    names.

    `source` is a folder or a zip; a single folder inside it is looked into. UserError, with
    `target` untouched, for an unreadable file, a zip member with a traversing path, or a target
    that exists.
    """
    if target.exists():
        raise UserError(f"{target}: exists already; remove it or import under another name")
    if not source.exists():
        raise UserError(f"{source}: not found; expected a folder or a zip of raw results")
    packed = not source.is_dir() and regular(source).is_file()
    there = next(
        folder for folder in target.absolute().parents if folder.exists()
    )  # nothing is made until it is whole
    with tempfile.TemporaryDirectory(dir=there, prefix=".import-") as scratch:
        place = source
        if packed:
            place = Path(scratch) / "source"
            archive.unpack(source, place)
        inner = [path for path in place.iterdir() if not path.name.startswith((".", "__MACOSX"))]
        if len(inner) == 1 and inner[0].is_dir() and inner[0].name != "baseline":
            place = inner[0] if not (inner[0] / f"{inner[0].name}_001.txt").is_file() else place
        ready = Path(scratch) / "ready"
        if layout in FOLDERS:
            names = _import_folders(place, layout, ready)
        else:
            found = _read_flat(place, layout, list(known))
            names = sorted(found)
            for name, texts in found.items():
                write_text(store.track_path(ready, name, layout), texts.boxes)
                if texts.times is not None:
                    write_text(store.time_path(ready, name, layout), texts.times)
                if texts.confidence is not None:
                    write_text(store.confidence_path(ready, name, layout), texts.confidence)
        if not names:
            kind = (
                "<sequence>/<sequence>_001.txt" if layout in FOLDERS else "<sequence>.txt or .mat"
            )
            raise UserError(f"{source}: no results found; expected {kind} files")
        target.parent.mkdir(parents=True, exist_ok=True)
        ready.rename(target)
    return names
