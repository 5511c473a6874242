"""What the layouts share: numbers in text files, lists of names, numbered images."""

import re
from collections.abc import Container
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamla.errors import UserError
from siamla.files import regular, write_text

IMAGES = frozenset({".jpg", ".jpeg", ".png"})
NAN = re.compile(r"[+-]?(nan(\([a-z0-9]*\))?|1\.#(ind|qnan|snan)\d*)", re.IGNORECASE)


def need_root(root: Path, expected: str) -> None:
    """UserError, with what is `expected`, unless `root` is a folder that is not empty."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; expected {expected}")
    if not any(root.iterdir()):
        raise UserError(f"{root}: the folder is empty; expected {expected}")


def some(names: list[str], root: Path, expected: str) -> list[str]:
    """The names of a set's sequences; UserError when there are none, and what is `expected`."""
    if not names:
        need_root(root, expected)
        raise UserError(f"{root}: no sequences; expected {expected}")
    return names


def read_text(path: Path) -> str:
    """The text of a file; UserError when it is missing or not text."""
    try:
        return regular(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file") from None


def _rows(text: str) -> list[list[str]]:
    """The words of each line but blank ones at the end; "" stands for an empty field."""
    lines = text.replace(";", ",").rstrip().splitlines()
    return [line.split(",") if "," in line else line.split() for line in lines]


def number(word: str) -> float | None:
    """The number that a word spells, of NaN in any spelling, or None; 1_0 is none."""
    try:
        return float(word) if word.isascii() and "_" not in word else None
    except ValueError:
        return float("nan") if NAN.fullmatch(word.strip()) else None


def table(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Every number of a text file in order (M,), and how many each line has (L,). UserError naming
    file and line for a word that is no number. NaN is a number.
    """
    text = read_text(path)
    values, counts = list[float | None](), list[int]()
    for index, words in enumerate(_rows(text)):
        row = [number(word) for word in words]
        if None in row:
            word = words[row.index(None)].strip()
            line = text.splitlines()[index].strip()[:60]
            what = f"{word!r} is not a number" if word else f"found {line!r}, a number is missing"
            raise UserError(f"{path}, line {index + 1}: {what}")
        values += row
        counts.append(len(row))
    return np.array(values, np.float64), np.array(counts, np.int64)


def numbers(path: Path, columns: tuple[int, ...]) -> NDArray[np.float64]:
    """The rows (N, C) of `table`, C among `columns`; UserError for a wrong count."""
    values, counts = table(path)
    if len(values) and counts[0] in columns:
        columns = (int(counts[0]),)
    allowed = " or ".join(map(str, columns))
    if not len(values):
        raise UserError(f"{path}: the file is empty; expected rows of {allowed} numbers")
    wrong = ~np.isin(counts, columns)
    if wrong.any():
        index = int(wrong.argmax())
        line = read_text(path).splitlines()[index].strip()[:60]
        raise UserError(f"{path}, line {index + 1}: found {line!r}, expected {allowed} numbers")
    return values.reshape(len(counts), -1)


def plain(path: Path) -> str:
    """A text file of numbers as our store spells it: the words as they stand, with commas."""
    return "".join(",".join(map(str.strip, words)) + "\n" for words in _rows(read_text(path)))


def boxes(path: Path, origin: int) -> NDArray[np.float64]:
    """The xywh rows (N, 4) of an annotation file, moved to 0-based coordinates."""
    return numbers(path, (4,)) - np.array([origin, origin, 0, 0], np.float64)


def flags(path: Path, count: int | None = None) -> NDArray[np.bool_]:
    """Labels 0/1, all above 0 being 1; UserError unless they are as many as the `count` boxes."""
    words = read_text(path).replace(",", " ").split()
    values = [number(word) for word in words]
    if None in values:
        raise UserError(f"{path}: {words[values.index(None)]!r} is not a label; expected numbers")
    if count is not None and len(values) != count:
        raise UserError(f"{path}: {len(values)} labels for {count} boxes")
    return np.array(values, np.float64) > 0


def listed(path: Path, there: Container[str] | None = None) -> list[str]:
    """The names in a list file; UserError for none, a repeated one, a path, or one not `there`."""
    names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    if not names:
        raise UserError(f"{path}: the list is empty; expected one sequence name per line")
    for index, name in enumerate(names):
        if name in names[:index]:
            raise UserError(f"{path}, line {index + 1}: {name!r} is listed twice")
        if "/" in name or "\\" in name or name.startswith("."):
            raise UserError(f"{path}, line {index + 1}: {name!r} is not a plain sequence name")
    missing = [name for name in names if there is not None and name not in there]
    if missing:
        what = f"{len(missing)} listed sequences have no folder, first {missing[0]!r}"
        raise UserError(f"{path}: {what}")
    return names


def list_file(root: Path, expected: str) -> Path:
    """`root`/list.txt; UserError when it is missing."""
    need_root(root, expected)
    if not (root / "list.txt").is_file():
        raise UserError(f"{root / 'list.txt'}: not found; expected {expected}")
    return root / "list.txt"


def listed_folders(root: Path, expected: str) -> list[str]:
    """The names in `root`/list.txt; UserError without the list or one of the folders."""
    path = list_file(root, expected)
    return listed(path, {folder.name for folder in root.iterdir() if folder.is_dir()})


def attributes(path: Path, known: tuple[str, ...]) -> frozenset[str]:
    """The attributes whose label is 1 in a file with one label for each; none without a file."""
    if not path.is_file():
        return frozenset()
    labels = flags(path)
    if len(labels) != len(known):
        raise UserError(f"{path}: {len(labels)} labels, expected {len(known)} ({', '.join(known)})")
    return frozenset(name for name, label in zip(known, labels, strict=True) if label)


def _below(folder: Path) -> str:
    """What a message about missing images adds where they lie one folder deeper."""
    found = (path for path in folder.glob("[!.]*/*") if path.suffix.lower() in IMAGES)
    inner = next(found, None)
    return f" in it; some are in {inner.parent.name}/: move them up" if inner else ""


def images(folder: Path) -> tuple[Path, ...]:
    """The images of a folder by number (Board's have five digits, TrackingNet's any)."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected the frames of a sequence")
    paths = [path for path in folder.glob("[!.]*") if path.suffix.lower() in IMAGES]
    if not paths:
        raise UserError(f"{folder}: no images; expected .jpg or .png files{_below(folder)}")
    return tuple(sorted(paths, key=lambda path: (_number(path), path.name)))


def _number(path: Path) -> int:
    return int("".join(c for c in path.stem if c.isdigit()) or 0)


def write_boxes(path: Path, rows: NDArray[np.float64], origin: int, form: str = "%.4f") -> None:
    """Write xywh rows (N, 4), given 0-based, in the file's own origin."""
    write_rows(path, rows + np.array([origin, origin, 0, 0]), form)


def write_rows(path: Path, rows: NDArray[np.float64], form: str = "%.4f") -> None:
    """Write numbers as text, one row per line."""
    write_text(path, "".join(",".join(form % value for value in row) + "\n" for row in rows))
