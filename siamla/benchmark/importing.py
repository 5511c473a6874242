"""Raw results of other trackers, copied into our store so that they are scored like our own.

Read are pysot's and the got10k toolkit's text files, GOT-10k folders, VOT baseline folders and OTB's .mat files, from a
folder or a zip. Numbers stay in the benchmark's own coordinates.
"""

import re
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark import archive, store
from siamla.benchmark.onepass import Track
from siamla.data.formats import LAYOUTS, text
from siamla.errors import UserError

FOLDERS = ("got10k", "vot")


def canonical(name: str, layout: str, known: Iterable[str] = ()) -> str:
    """Our name of a sequence that another toolkit calls `name`: "Jogging-1", "jogging_1" → "Jogging.1" on OTB.

    `known` are the data set's names, if at hand; they settle upper and lower case and Human4's missing number.
    """
    if layout == "otb":
        name = re.sub(r"[-_](\d)$", r".\1", name)
        name = "Human4.2" if name in ("Human4", "human4") else name
    return {candidate.lower(): candidate for candidate in known}.get(name.lower(), name)


def _mat_boxes(path: Path) -> NDArray[np.float64]:
    """The boxes (N, 4) of an OTB result: `results{1}.res`, or a plain N × 4 matrix."""
    from scipy.io import loadmat

    try:
        content = loadmat(path, squeeze_me=True, struct_as_record=False)
    except (ValueError, RuntimeError, TypeError) as error:  # RuntimeError: a MATLAB 7.3 file
        raise UserError(f"{path}: scipy cannot read this .mat file ({error})") from None
    values = [value for key, value in content.items() if not key.startswith("__")]
    for value in [content.get("results"), *values]:
        first = value.flat[0] if isinstance(value, np.ndarray) and value.dtype == object else value
        kind = str(getattr(first, "type", "rect"))
        boxes = np.asarray(getattr(first, "res", first))
        if boxes.ndim == 2 and boxes.shape[1] == 4 and kind == "rect" and boxes.dtype.kind in "fiu":
            return boxes.astype(np.float64)
    raise UserError(f"{path}: no N × 4 boxes of type 'rect' in it; expected results{{1}}.res")


def _shift(boxes: NDArray[np.float64], layout: str) -> NDArray[np.float64]:
    return boxes - np.array([1, 1, 0, 0]) * LAYOUTS[layout].ORIGIN


def _times(source: Path, name: str, count: int) -> NDArray[np.float64]:
    for path in (source / f"{name}_time.txt", source / "times" / f"{name}_time.txt"):
        if path.is_file():
            seconds = text.numbers(path, (1,))[:, 0]
            if len(seconds) != count:
                raise UserError(f"{path}: {len(seconds)} times for {count} boxes")
            return seconds
    return np.full(count, np.nan)


def _read_flat(source: Path, layout: str, known: Iterable[str]) -> dict[str, Track]:
    """Tracks of a folder of `<sequence>.txt` or `.mat` files."""
    found: dict[str, Track] = {}
    paths = [path for path in sorted(source.iterdir()) if path.suffix in (".txt", ".mat")]
    beside = ("_time", "_confidence")
    for path in (path for path in paths if not path.stem.endswith(beside) and path.name != "SOURCE.txt"):
        boxes = text.numbers(path, (4,)) if path.suffix == ".txt" else _mat_boxes(path)
        stem = path.stem if path.suffix == ".txt" else path.stem.partition("_")[0]
        name = canonical(stem, layout, known)
        if name in found:
            raise UserError(f"{path}: a second result for sequence {name!r}")
        times, confidence = _times(source, path.stem, len(boxes)), store.read_confidence(source, path.stem, layout)
        found[name] = Track(_shift(boxes, layout), times, confidence)
    return found


def _import_folders(source: Path, layout: str, target: Path) -> list[str]:
    """Copy `<sequence>/<sequence>_001.txt …`, each file read and written anew."""
    place = source / "baseline" if layout == "vot" and (source / "baseline").is_dir() else source
    origin = place.parent if layout == "vot" and place.name == "baseline" else None
    names = [path.name for path in sorted(place.iterdir()) if (path / f"{path.name}_001.txt").is_file()]
    if layout == "vot" and names and origin is None:
        raise UserError(f"{source}: expected the folder that holds baseline/")
    for name in names:
        for number in store.repetitions(source, name, layout):
            confidence = store.read_confidence(source, name, layout, number)
            if layout == "vot":
                run = store.read_trajectory(source, name, number)
                store.write_trajectory(target, name, replace(run, confidence=confidence), number)
            else:
                track = store.read_track(source, name, layout, number)
                store.write_track(target, name, replace(track, confidence=confidence), layout, number)
    return names


def import_results(source: Path, target: Path, layout: str, known: Iterable[str] = ()) -> list[str]:
    """Copy another tracker's raw results into `target`, in our store's format; returns the sequence names.

    `source` is a folder or a zip; a single folder inside it is looked into. UserError, with `target` untouched, for an
    unreadable file, a zip member with a traversing path, or a target that exists.
    """
    if target.exists():
        raise UserError(f"{target}: exists already; remove it or import under another name")
    if not source.exists():
        raise UserError(f"{source}: not found; expected a folder or a zip of raw results")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".import-") as scratch:
        place = source
        if source.is_file():
            place = Path(scratch) / "source"
            archive.unpack(source, place)
        inner = [path for path in place.iterdir() if not path.name.startswith((".", "__MACOSX"))]
        if len(inner) == 1 and inner[0].is_dir() and inner[0].name != "baseline":
            place = inner[0] if not (inner[0] / f"{inner[0].name}_001.txt").is_file() else place
        ready = Path(scratch) / "ready"
        if layout in FOLDERS:
            names = _import_folders(place, layout, ready)
        else:
            tracks = _read_flat(place, layout, list(known))
            names = sorted(tracks)
            for name, track in tracks.items():
                store.write_track(ready, name, track, layout)
        if not names:
            kind = "<sequence>/<sequence>_001.txt" if layout in FOLDERS else "<sequence>.txt or .mat"
            raise UserError(f"{source}: no results found; expected {kind} files")
        ready.rename(target)
    return names
