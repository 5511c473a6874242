"""What is said of result files that are not quite what the annotation asks for."""

import sys
from pathlib import Path

from siamla.errors import UserError

SHOWN = 20  # warnings that are printed


def tell(notes: list[str]) -> None:
    """Print warnings about result files, the first of many."""
    more = [f"and {len(notes) - SHOWN} more"] if len(notes) > SHOWN else []
    for note in notes[:SHOWN] + more:
        print(f"warning: {note}", file=sys.stderr)


def lacks(path: Path, rows: int, count: int, share: float) -> str:
    """What to say of a file with fewer rows than the annotation; UserError when more than the share
    of them lack.
    """
    if count - rows > share * count:
        allowed = f"; at most {share:.0%} of the frames may lack" if share else ""
        raise UserError(f"{path}: {rows} rows, but the annotation has {count}{allowed}")
    return f"{path}: {rows} rows, but the annotation has {count}"
