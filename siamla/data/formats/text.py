"""What the six layouts share: numbers in text files, lists of names, numbered images."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamla.errors import UserError
from siamla.files import regular, write_text

IMAGES = frozenset({".jpg", ".jpeg", ".png"})


def need_root(root: Path, expected: str) -> None:
    """UserError unless `root` is a folder with something in it; `expected` says what belongs there."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; expected {expected}")
    if not any(root.iterdir()):
        raise UserError(f"{root}: the folder is empty; expected {expected}")


def read_text(path: Path) -> str:
    """The text of a file; UserError when it is missing or not text."""
    try:
        return regular(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file") from None


def numbers(path: Path, columns: tuple[int, ...]) -> NDArray[np.float64]:
    """The rows (N, C) of a text file of numbers parted by commas, tabs or spaces; blank lines at the end are ignored.

    `columns` lists the allowed C. UserError naming file and line for a word that is no number, an empty field or a
    wrong count. NaN is a number here: what it means is the caller's affair.
    """
    lines = read_text(path).rstrip().splitlines()
    words = [line.replace(",", " ").split() for line in lines]
    counts = {len(row) for row in words}
    commas = {line.count(",") for line in lines}
    plain = all(map(_plain, lines))
    if plain and len(counts) == 1 and counts <= set(columns) and commas <= {0, len(words[0]) - 1}:
        try:
            return np.array(words, np.float64)
        except ValueError:
            pass  # some word is no number: named below
    raise _wrong_line(path, lines, columns)


def _wrong_line(path: Path, lines: list[str], columns: tuple[int, ...]) -> UserError:
    """The error that names the first wrong line of a file of numbers."""
    allowed = " or ".join(map(str, columns))
    length = 0
    for number, line in enumerate(lines, 1):
        words = line.replace(",", " ").split()
        for word in words:
            if not _is_number(word):
                return UserError(f"{path}, line {number}: {word!r} is not a number")
        if len(words) not in columns or line.count(",") not in (0, len(words) - 1):
            return UserError(f"{path}, line {number}: found {line.strip()[:60]!r}, expected {allowed} numbers")
        length = length or len(words)
        if len(words) != length:
            return UserError(f"{path}, line {number}: {len(words)} numbers, but {length} in the lines above")
    return UserError(f"{path}: the file is empty; expected rows of {allowed} numbers")


def _plain(word: str) -> bool:
    """Whether Python reads numbers as all do: not 1_0 as ten, nor digits of other scripts."""
    return word.isascii() and "_" not in word


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return _plain(word)


def boxes(path: Path, origin: int) -> NDArray[np.float64]:
    """The xywh rows (N, 4) of an annotation file, moved to 0-based coordinates."""
    rows = numbers(path, (4,))
    rows[:, :2] -= origin
    return rows


def flags(path: Path) -> NDArray[np.bool_]:
    """Labels 0/1 (any number above 0 counts as 1), one per line or all in one line."""
    text = read_text(path)
    words = text.replace(",", " ").split()
    try:
        if _plain(text):
            return np.array(words, np.float64) > 0
    except ValueError:
        pass  # some word is no number: named below
    bad = next(word for word in words if not _is_number(word))
    raise UserError(f"{path}: {bad!r} is not a label; expected numbers")


def fit(labels: NDArray[np.bool_], count: int, path: Path) -> NDArray[np.bool_]:
    """The labels, checked to be as many as the boxes."""
    if len(labels) != count:
        raise UserError(f"{path}: {len(labels)} labels for {count} boxes")
    return labels


def listed(path: Path) -> list[str]:
    """The names in a list file, one per line; UserError for an empty list, a repeated name or one with a path in it."""
    found = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    if not found:
        raise UserError(f"{path}: the list is empty; expected one sequence name per line")
    for number, name in enumerate(found, 1):
        if name in found[: number - 1]:
            raise UserError(f"{path}, line {number}: {name!r} is listed twice")
        if "/" in name or "\\" in name or name.startswith("."):
            raise UserError(f"{path}, line {number}: {name!r} is not a plain sequence name")
    return found


def listed_folders(root: Path, expected: str) -> list[str]:
    """The names in `root`/list.txt; UserError when the list or one of the named folders is missing."""
    need_root(root, expected)
    if not (root / "list.txt").is_file():
        raise UserError(f"{root / 'list.txt'}: not found; expected {expected}")
    found = listed(root / "list.txt")
    missing = [name for name in found if not (root / name).is_dir()]
    if missing:
        raise UserError(f"{root / 'list.txt'}: {len(missing)} listed sequences have no folder, first {missing[0]!r}")
    return found


def attributes(path: Path, known: tuple[str, ...]) -> frozenset[str]:
    """The attributes whose label is 1 in a file with one label per known attribute; none if there is no file."""
    if not path.is_file():
        return frozenset()
    labels = flags(path)
    if len(labels) != len(known):
        raise UserError(f"{path}: {len(labels)} labels, expected {len(known)} ({', '.join(known)})")
    return frozenset(name for name, label in zip(known, labels, strict=True) if label)


def images(folder: Path) -> tuple[Path, ...]:
    """The image files of a folder in the order of their numbers (Board's have five digits, TrackingNet's any)."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected the frames of a sequence")
    found = [path for path in folder.iterdir() if path.suffix.lower() in IMAGES and not path.name.startswith(".")]
    if not found:
        raise UserError(f"{folder}: no images; expected .jpg or .png files")
    return tuple(sorted(found, key=lambda path: (_number(path), path.name)))


def _number(path: Path) -> int:
    digits = "".join(c for c in path.stem if c.isdigit())
    return int(digits) if digits else 0


def write_boxes(path: Path, rows: NDArray[np.float64], origin: int, form: str = "%.4f", delimiter: str = ",") -> None:
    """Write xywh rows (N, 4), given 0-based, in the file's own origin."""
    shifted = np.array(rows, np.float64)
    shifted[:, :2] += origin
    write_rows(path, shifted, form, delimiter)


def write_rows(path: Path, rows: NDArray[np.float64], form: str = "%.4f", delimiter: str = ",") -> None:
    """Write numbers as text, one row per line."""
    write_text(path, "".join(delimiter.join(form % value for value in row) + "\n" for row in rows))


def write_flags(path: Path, labels: NDArray[np.bool_], delimiter: str = "\n") -> None:
    """Write labels as 0/1, parted by the delimiter."""
    write_text(path, delimiter.join("1" if label else "0" for label in labels) + "\n")


def write_attributes(path: Path, chosen: frozenset[str], known: tuple[str, ...]) -> None:
    """Write one 0/1 label per known attribute; UserError for one that the benchmark does not have."""
    unknown = sorted(chosen - set(known))
    if unknown:
        raise UserError(f"{path}: attribute {unknown[0]!r} is not among {', '.join(known)}")
    write_text(path, ",".join("1" if name in chosen else "0" for name in known) + "\n")


def write_images(folder: Path, encoded: Iterable[bytes], form: str, first: int) -> int:
    """Write encoded images under numbered names (`form` as "%08d.jpg"); returns how many.

    Plain writes: a set is made in a temporary folder that is renamed when it is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for count, data in enumerate(encoded, 1):
        (folder / (form % (first + count - 1))).write_bytes(data)
    return count
