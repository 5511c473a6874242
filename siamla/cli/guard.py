"""What the command line says of an error that no module foresaw: a line where the input or the
machine is at fault.

Anything else is a fault of ours and keeps its stack trace, with the file that was in hand as a
note.
"""

import json
import os
import pickle
import traceback
import zipfile
import zlib
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
# what only the content of a file can cause
TEXT = (UnicodeDecodeError, json.JSONDecodeError)
DAMAGE = (*TEXT, zipfile.BadZipFile, zlib.error, EOFError, pickle.UnpicklingError)


def _ours(error: BaseException) -> list[tuple[Path, int, dict[str, object]]]:
    """File, line and local names of our frames that the error passed, the innermost first."""
    frames: list[tuple[Path, int, dict[str, object]]] = []
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(PACKAGE):
            frames.insert(0, (file, line, frame.f_locals))
    return frames


def in_hand(error: BaseException) -> Path | None:
    """The first file that a function, from within, had as a Path where the error arose."""
    for _, _, names in _ours(error):
        for value in names.values():
            if isinstance(value, Path) and value.is_file():
                return value
    return None


def _shares_a_lock(error: BaseException) -> bool:
    """Whether the error arose where multiprocessing makes a lock for several processes, which is a
    file in /dev/shm that the error does not name.
    """
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(file.endswith("multiprocessing/synchronize.py") for file in files)


def explain(error: Exception) -> str | None:
    """One line for damaged input, or for what the machine refuses; None for anything else."""
    frames = _ours(error)
    where = "siamla"
    if frames:
        where = f"{frames[0][0].relative_to(PACKAGE.parent)}, line {frames[0][1]}"
    if isinstance(error, OSError) and error.strerror:
        if error.filename is None and _shares_a_lock(error):
            return (
                f"/dev/shm: {error.strerror}; several processes share locks there: expected a tmpfs"
                " that every user may write (mount -t tmpfs -o mode=1777 tmpfs /dev/shm)"
            )
        name = in_hand(error) if error.filename is None else error.filename
        name = os.fsdecode(name) if isinstance(name, bytes) else name
        said = f"{name}: {error.strerror}" if isinstance(name, str | Path) else error.strerror
        return f"{said} ({where})"
    if isinstance(error, DAMAGE) and (file := in_hand(error)):
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"{file}: cannot be read: {reason} ({where})"
    return None
