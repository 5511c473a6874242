"""Raw results of other trackers, copied into our store: text files, GOT-10k folders, VOT baseline
folders and OTB's .mat files, from a folder or a zip. Numbers stay as they were written.
"""

import re
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamla.benchmark import store
from siamla.data.formats import otb, text
from siamla.errors import UserError
from siamla.files import parsed_by, regular

FOLDERS = ("got10k", "vot")
MOST_BYTES = 2**32  # unpacked; a year of benchmark results is far below

Files = dict[Path, str]  # texts by their paths in the store


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip file of a stranger into a folder.

    UserError, before anything is written, for a member that would land outside the folder and for
    more than 4 GiB; and for damage inside. Of a link zipfile makes a file.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            for name in (member.orig_filename for member in source.infolist()):
                odd = any(sign in name for sign in "\\:\0")
                if odd or name.startswith("/") or ".." in name.split("/"):
                    what = f"member {name!r} leads outside the archive"
                    raise UserError(f"{archive}: {what}; nothing was unpacked")
            total = sum(member.file_size for member in source.infolist())
            if total > MOST_BYTES:
                raise UserError(
                    f"{archive}: {total / 2**30:.1f} GiB unpacked, at most {MOST_BYTES // 2**30}"
                    " are accepted"
                )
            folder.mkdir(parents=True)
            source.extractall(folder)
    # zipfile's RuntimeError: encrypted, or packed in a way that it cannot unpack
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{archive}: not a sound zip file ({reason})") from None


def canonical(name: str, layout: str, known: Iterable[str] = ()) -> str:
    """Our name of a sequence that another toolkit calls `name`: "Jogging-1", "jogging_1" →
    "Jogging.1" on OTB. Names that are `known` settle upper and lower case.
    """
    if layout == "otb":
        known = [*otb.OFFICIAL, *known]
        name = re.sub(r"[-_](\d)$", r".\1", name)
        name = "Human4.2" if name in ("Human4", "human4") else name
    return {candidate.lower(): candidate for candidate in known}.get(name.lower(), name)


def _rects(path: Path, value: Any) -> NDArray[np.float64] | None:
    """The boxes (N, 4) of a variable of a .mat file, if it has any; UserError for several runs."""
    cell = isinstance(value, np.ndarray) and value.dtype == object
    runs = value.ravel().tolist() if cell else [value]
    if len(runs) > 1 and hasattr(runs[0], "res"):
        what = f"{len(runs)} runs, as of SRE or TRE; expected the one of OPE"
        raise UserError(f"{path}: {what}")
    first = runs[0] if runs else None
    boxes = np.asarray(getattr(first, "res", first))
    kind = str(getattr(first, "type", "rect"))
    right = boxes.ndim == 2 and boxes.shape[1] == 4 and boxes.dtype.kind in "fiu"
    return boxes.astype(np.float64) if right and kind == "rect" else None


def _mat_boxes(path: Path) -> NDArray[np.float64]:
    """The boxes (N, 4) of an OTB result: those of `results` or `res`, else the only ones in it."""
    from scipy.io import loadmat

    with parsed_by("scipy", regular(path), "a .mat file"):
        content = loadmat(path, squeeze_me=True, struct_as_record=False)
    variables = {key: value for key, value in content.items() if not key.startswith("__")}
    known = {key: variables[key] for key in ("results", "res") if key in variables}
    read = {key: _rects(path, value) for key, value in (known or variables).items()}
    found = {key: boxes for key, boxes in read.items() if boxes is not None}
    if not found:
        raise UserError(f"{path}: no N × 4 boxes of type 'rect' in it; expected results{{1}}.res")
    if len(found) > 1 and not known:
        names = ", ".join(f"{key} {len(boxes)} × 4" for key, boxes in found.items())
        raise UserError(f"{path}: found {names}; expected the result to be named results or res")
    return next(iter(found.values()))


def _mat_name(stem: str, layout: str, known: Iterable[str]) -> str:
    """The sequence of "Jogging_1_siamfc3s.mat": the longest beginning that is one's name."""
    parts, there = stem.split("_"), {*known, *(otb.OFFICIAL if layout == "otb" else ())}
    names = [canonical("_".join(parts[:end]), layout, known) for end in range(len(parts), 0, -1)]
    return next((name for name in names if name in there), names[-1])


def _number(value: float) -> str:
    """The shortest text that reads as this number."""
    return repr(value).removesuffix(".0")


def _times(source: Path, stem: str, name: str, layout: str, count: int) -> Files:
    """The file of times beside the boxes of `stem`, if there is one."""
    for path in (source / f"{stem}_time.txt", source / "times" / f"{stem}_time.txt"):
        if path.is_file():
            times = len(text.numbers(path, (1,)))
            if times != count:
                raise UserError(f"{path}: {times} times for {count} boxes")
            return {store.time_path(Path(), name, layout): text.plain(path)}
    return {}


def _confidence(source: Path, stem: str, name: str, layout: str, repetition: int = 1) -> Files:
    """The file of confidences beside the boxes of `stem`, if there is one."""
    if store.read_confidence(source, stem, layout, repetition) is None:
        return {}
    path = store.confidence_path(source, stem, layout, repetition)
    # empty lines count in VOT's files, the last as well
    content = text.read_text(path) if layout == "vot" else text.plain(path)
    return {store.confidence_path(Path(), name, layout, repetition): content}


def _read_flat(
    source: Path, layout: str, known: Collection[str], others: list[str]
) -> dict[str, Files]:
    """What a folder of `<sequence>.txt` or `.mat` has; `others` gets the files of none known."""
    sequences: dict[str, Files] = {}
    for path in sorted(source.iterdir()):
        beside = path.stem.endswith(("_time", "_confidence")) or path.name == "SOURCE.txt"
        if path.suffix not in (".txt", ".mat") or beside:
            continue
        plain = path.suffix == ".txt"
        name = (canonical if plain else _mat_name)(path.stem, layout, known)
        if known and name not in known:
            others.append(path.name)
            continue
        if plain:
            boxes = text.numbers(path, (4,))
            rows = text.plain(path)
        else:
            boxes = _mat_boxes(path)
            rows = "".join(",".join(map(_number, row)) + "\n" for row in boxes.tolist())
        if name in sequences:
            raise UserError(f"{path}: a second result for sequence {name!r}")
        sequences[name] = {
            store.track_path(Path(), name, layout): rows,
            **_times(source, path.stem, name, layout, len(boxes)),
            **_confidence(source, path.stem, name, layout),
        }
    return sequences


def _read_folders(
    source: Path, layout: str, known: Collection[str], others: list[str]
) -> dict[str, Files]:
    """What `<sequence>/<sequence>_001.txt …` have; `others` gets the folders of none known."""
    inner = source / "baseline" if layout == "vot" and (source / "baseline").is_dir() else source
    names = [
        path.name for path in sorted(inner.iterdir()) if (path / f"{path.name}_001.txt").is_file()
    ]
    if layout == "vot" and names and inner.name != "baseline":
        raise UserError(f"{source}: expected the folder that holds baseline/")
    root = inner.parent if layout == "vot" else inner
    others += [name for name in names if known and name not in known]
    sequences: dict[str, Files] = {}
    for name in (name for name in names if name not in others):
        files = sequences[name] = {}
        for number in store.repetitions(root, name, layout):
            path = store.track_path(root, name, layout, number)
            if layout == "vot":
                store.read_regions(root, name, number)
            else:
                store.read_boxes(root, name, layout, number)
            files[path.relative_to(root)] = text.plain(path)
            files |= _confidence(root, name, name, layout, number)
        if store.read_seconds(root, name, layout) is not None:
            path = store.time_path(root, name, layout)
            files[path.relative_to(root)] = text.plain(path)
    return sequences


def _inner(folder: Path) -> Path:
    """The single folder inside, unless it is VOT's baseline or a sequence's."""
    inner = [path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX"))]
    if len(inner) != 1 or not inner[0].is_dir() or inner[0].name == "baseline":
        return folder
    return folder if (inner[0] / f"{inner[0].name}_001.txt").is_file() else inner[0]


def odd_boxes(folder: Path, name: str, layout: str) -> tuple[int, int]:
    """How many stored boxes of a sequence are NaN, and infinite; in VOT's files none is."""
    numbers = store.repetitions(folder, name, layout) if layout != "vot" else []
    tracks = [store.read_boxes(folder, name, layout, number) for number in numbers]
    boxes = np.concatenate([np.zeros((0, 4)), *tracks])
    lost = np.isnan(boxes).any(1)
    return int(lost.sum()), int((np.isinf(boxes).any(1) & ~lost).sum())


def import_results(
    source: Path, target: Path, layout: str, known: Collection[str] = (), overwrite: bool = False
) -> list[str]:
    """Copy another tracker's raw results, a folder or a zip, into `target`; returns the sequence
    names. Where the data's are `known`, what is of none of them is left out with a warning.
    UserError, with `target` untouched, for what cannot be read, and a target that is there, unless
    it is to be overwritten and holds raw results alone.
    """
    if target.exists() and not overwrite:
        raise UserError(f"{target}: exists already; --overwrite replaces it")
    for path in (target, *target.rglob("*")):
        if path.is_file() and path.suffix not in (".txt", ".value"):
            raise UserError(f"{path}: no import wrote it; remove it, or import under another name")
    if not source.exists():
        raise UserError(f"{source}: not found; expected a folder or a zip of raw results")
    # nothing is made until it is whole
    there = next(folder for folder in target.absolute().parents if folder.exists())
    with tempfile.TemporaryDirectory(dir=there, prefix=".import-") as scratch:
        folder = source
        if not source.is_dir() and regular(source).is_file():
            folder = Path(scratch) / "source"
            unpack(source, folder)
        folder = _inner(folder)
        folders = layout in FOLDERS
        others: list[str] = []
        results = (_read_folders if folders else _read_flat)(folder, layout, known, others)
        if others:
            first = ", ".join(others[:5])
            what = f"{len(others)} results are of no sequence of the data and were left out"
            store.warn([f"{source}: {what}, first {first}"])
        if not results:
            kind = "<sequence>/<sequence>_001.txt" if folders else "<sequence>.txt or .mat"
            raise UserError(f"{source}: no results found; expected {kind} files")
        ready = Path(scratch) / "ready"
        for files in results.values():
            for path, content in files.items():
                (ready / path).parent.mkdir(parents=True, exist_ok=True)
                (ready / path).write_text(content, encoding="utf-8")
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(Path(scratch) / "before")
        ready.rename(target)
    return sorted(results)
