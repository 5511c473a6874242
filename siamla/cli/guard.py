"""What the command line says of an error that no module foresaw: a line where the input or the
machine is at fault.

Anything else is a fault of ours and keeps its stack trace, with the file that was in hand as a
note.
"""

import json
import pickle
import traceback
import zipfile
import zlib
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
DAMAGE = (
    UnicodeDecodeError,
    json.JSONDecodeError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    pickle.UnpicklingError,
)
"""What only the content of a file can cause."""


def _ours(error: BaseException) -> list[tuple[Path, int, dict[str, object]]]:
    """File, line and local names of the frames of this package that the error passed, the innermost
    first.
    """
    frames = [
        (Path(frame.f_code.co_filename), line, frame.f_locals)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if Path(frame.f_code.co_filename).is_relative_to(PACKAGE)
    ]
    return frames[::-1]


def in_hand(error: BaseException) -> Path | None:
    """The file that was worked on where the error arose: the first that a function, from within,
    has as a Path.
    """
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
    where = (
        f"{frames[0][0].relative_to(PACKAGE.parent)}, line {frames[0][1]}" if frames else "siamla"
    )
    if isinstance(error, OSError) and error.strerror:
        if error.filename is None and _shares_a_lock(error):
            return (
                f"/dev/shm: {error.strerror}; several processes share locks there: expected a tmpfs"
                " that every user may write (mount -t tmpfs -o mode=1777 tmpfs /dev/shm)"
            )
        named = error.filename if error.filename is not None else in_hand(error)
        name = named.decode(errors="replace") if isinstance(named, bytes) else named
        return (
            f"{name}: {error.strerror} ({where})"
            if isinstance(name, str | Path)
            else f"{error.strerror} ({where})"
        )
    file = in_hand(error)
    if isinstance(error, DAMAGE) and file is not None:
        return (
            f"{file}: cannot be read: {' '.join(str(error).split()) or type(error).__name__}"
            f" ({where})"
        )
    return None
