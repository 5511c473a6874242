"""What the six layouts share: numbers in text files, lists of names, numbered images."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamla.errors import UserError
from siamla.files import regular, write_text

IMAGES = frozenset({".jpg", ".jpeg", ".png"})
BOM = b"\xef\xbb\xbf"
SEPARATORS = b", \t"
NAN = re.compile(r"[+-]?(nan(\([a-z0-9]*\))?|1\.#(ind|qnan|snan)\d*)", re.IGNORECASE)


def need_root(root: Path, expected: str) -> None:
    """UserError unless `root` is a folder with something in it; `expected` says what belongs
    there.
    """
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


def _fast(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """Every number of a plain table and the count in each line; None where it takes a closer look.

    One pass over the bytes: everything between separators goes to Arrow's parser at once, which
    rounds as Python does.
    """
    import pyarrow as pa

    data = data.removeprefix(BOM).rstrip() + b"\n"
    if b"\r" in data:  # looking is cheaper than replacing nothing
        data = data.replace(b"\r\n", b"\n")
    if b";" in data:
        data = data.replace(b";", b",")
    letters = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(letters <= ord(","))
    separators = letters[ends]
    breaks = separators == ord("\n")
    lines = np.flatnonzero(breaks)
    parted = separators[
        0 if lines[0] else breaks.argmin()
    ]  # by a comma, if there are two numbers in a line
    if (
        len(data) >= 2**31
        or parted not in SEPARATORS + b"\n"
        or not (breaks | (separators == parted)).all()
    ):
        return None
    # Words and separators by turns, the separators as missing values, so that nothing is copied.
    offsets = np.zeros(2 * len(ends) + 1, np.int32)
    offsets[1::2] = ends
    np.add(ends, 1, out=offsets[2::2], casting="unsafe")
    known = np.full(len(ends) // 4 + 1, 0b01010101, np.uint8)
    column = pa.StringArray.from_buffers(
        2 * len(ends), *map(pa.py_buffer, (offsets, data, known)), len(ends)
    )
    try:
        values = np.frombuffer(column.cast(pa.float64()).buffers()[1])[: 2 * len(ends) : 2].copy()
    except pa.ArrowInvalid:
        return None  # several spaces, a word that is no number, a spelling that only Windows has
    counts = lines + 1
    counts[1:] -= counts[:-1].copy()
    return values, counts


def _words(line: str) -> list[str]:
    """The words of a line, parted by commas, semicolons, tabs or spaces; "" stands for an empty
    field.
    """
    commas = line.replace(";", ",")
    return [word.strip() for word in commas.split(",")] if "," in commas else line.split()


def _lines(path: Path) -> list[str]:
    return read_text(path).rstrip().splitlines()


def number(word: str) -> float | None:
    """The number that a word spells, None if it spells none. NaN has many spellings: `-nan(ind)`,
    `1.#QNAN`.

    Python reads more than all others do, 1_0 as ten and digits of other scripts: these are none
    here.
    """
    if NAN.fullmatch(word):
        return float("nan")
    try:
        return float(word) if word.isascii() and "_" not in word else None
    except ValueError:
        return None


def table(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Every number of a text file in order (M,), and how many each line has (L,).

    Numbers are parted by commas, semicolons, tabs or spaces; byte-order marks, Windows line ends
    and blank lines at the end are ignored. UserError naming file and line for a word that is no
    number. NaN is a number here: what it means is the caller's affair.
    """
    try:
        found = _fast(regular(path).read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    if found is not None:
        return found
    values: list[float] = []
    counts: list[int] = []
    for index, line in enumerate(_lines(path), 1):
        words = _words(line)
        for word in words:
            value = number(word)
            if value is None:
                what = (
                    f"{word!r} is not a number"
                    if word
                    else f"found {line.strip()[:60]!r}, a number is missing"
                )
                raise UserError(f"{path}, line {index}: {what}")
            values.append(value)
        counts.append(len(words))
    return np.array(values, np.float64), np.array(counts, np.int64)


def numbers(path: Path, columns: tuple[int, ...]) -> NDArray[np.float64]:
    """The rows (N, C) of a text file of numbers, as `table` reads them.

    `columns` lists the allowed C. UserError naming file and line for a wrong count.
    """
    values, counts = table(path)
    allowed = " or ".join(map(str, columns))
    if not len(values):
        raise UserError(f"{path}: the file is empty; expected rows of {allowed} numbers")
    first = int(counts[0])
    if first in columns and (counts == first).all():
        return values.reshape(len(counts), first)
    wrong = np.flatnonzero(~np.isin(counts, columns))
    if len(wrong):
        line = _lines(path)[wrong[0]].strip()[:60]
        raise UserError(f"{path}, line {wrong[0] + 1}: found {line!r}, expected {allowed} numbers")
    odd = int((counts != first).argmax())
    raise UserError(
        f"{path}, line {odd + 1}: {counts[odd]} numbers, but {first} in the lines above"
    )


def plain(path: Path) -> str:
    """A text file of numbers in the spelling of our store: the words as they stand, commas between
    them.
    """
    return "".join(",".join(_words(line)) + "\n" for line in _lines(path))


def boxes(path: Path, origin: int) -> NDArray[np.float64]:
    """The xywh rows (N, 4) of an annotation file, moved to 0-based coordinates."""
    return numbers(path, (4,)) - np.array([origin, origin, 0, 0], np.float64)


def flags(path: Path) -> NDArray[np.bool_]:
    """Labels 0/1 (any number above 0 counts as 1), one per line or all in one line."""
    words = read_text(path).replace(",", " ").split()
    values = [number(word) for word in words]
    if None in values:
        raise UserError(f"{path}: {words[values.index(None)]!r} is not a label; expected numbers")
    return np.array(values, np.float64) > 0


def fit(labels: NDArray[np.bool_], count: int, path: Path) -> NDArray[np.bool_]:
    """The labels, checked to be as many as the boxes."""
    if len(labels) != count:
        raise UserError(f"{path}: {len(labels)} labels for {count} boxes")
    return labels


def listed(path: Path) -> list[str]:
    """The names in a list file, one per line; UserError for an empty list, a repeated name or one
    with a path in it.
    """
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
    """The names in `root`/list.txt; UserError when the list or one of the named folders is
    missing.
    """
    need_root(root, expected)
    if not (root / "list.txt").is_file():
        raise UserError(f"{root / 'list.txt'}: not found; expected {expected}")
    found = listed(root / "list.txt")
    missing = [name for name in found if not (root / name).is_dir()]
    if missing:
        raise UserError(
            f"{root / 'list.txt'}: {len(missing)} listed sequences have no folder, first"
            f" {missing[0]!r}"
        )
    return found


def attributes(path: Path, known: tuple[str, ...]) -> frozenset[str]:
    """The attributes whose label is 1 in a file with one label per known attribute; none if there
    is no file.
    """
    if not path.is_file():
        return frozenset()
    labels = flags(path)
    if len(labels) != len(known):
        raise UserError(f"{path}: {len(labels)} labels, expected {len(known)} ({', '.join(known)})")
    return frozenset(name for name, label in zip(known, labels, strict=True) if label)


def images(folder: Path) -> tuple[Path, ...]:
    """The image files of a folder in the order of their numbers (Board's have five digits,
    TrackingNet's any).
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected the frames of a sequence")
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGES and not path.name.startswith(".")
    ]
    if not found:
        raise UserError(f"{folder}: no images; expected .jpg or .png files")
    return tuple(sorted(found, key=lambda path: (_number(path), path.name)))


def _number(path: Path) -> int:
    digits = "".join(c for c in path.stem if c.isdigit())
    return int(digits) if digits else 0


def write_boxes(
    path: Path, rows: NDArray[np.float64], origin: int, form: str = "%.4f", delimiter: str = ","
) -> None:
    """Write xywh rows (N, 4), given 0-based, in the file's own origin."""
    shifted = np.array(rows, np.float64)
    shifted[:, :2] += origin
    write_rows(path, shifted, form, delimiter)


def write_rows(
    path: Path, rows: NDArray[np.float64], form: str = "%.4f", delimiter: str = ","
) -> None:
    """Write numbers as text, one row per line."""
    write_text(path, "".join(delimiter.join(form % value for value in row) + "\n" for row in rows))
