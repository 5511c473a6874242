"""Resumable states of a training on disk: they hold everything that the next step depends on.

No result depends on this module: an edit here trains nothing again (siamla.provenance.code).
"""

import io
import pickle
from dataclasses import asdict
from pathlib import Path

import torch

from siamla.errors import UserError
from siamla.files import atomic
from siamla.training.step import Learner, Progress

KEPT = 3  # states: should the disk lose the last one, the one before it is there


def _states(path: Path) -> list[Path]:
    """Where the last states stand: the newest, as `path`, first."""
    return [path, *(path.with_name(f"{path.stem}.{age}{path.suffix}") for age in range(1, KEPT))]


def save_state(path: Path, key: str, learner: Learner, progress: Progress) -> None:
    """Write the state of a training identified by `key` (digest of all that its bytes depend on).

    The states before it are kept beside it. A kill at any moment leaves at least one.
    """
    buffer = io.BytesIO()
    torch.save({"key": key, **learner.state(), "progress": asdict(progress)}, buffer)
    new = path.with_name(f"{path.stem}.new{path.suffix}")
    with atomic(new) as temporary:
        temporary.write_bytes(buffer.getvalue())
    states = _states(path)
    for older, newer in zip(states[:0:-1], states[-2::-1], strict=True):
        if newer.exists():
            newer.replace(older)
    new.replace(path)


def restore_state(path: Path, key: str, learner: Learner) -> Progress:
    """Load the newest state into the learner; an empty Progress when there is none.

    Raises UserError when the state belongs to another training or is damaged.
    """
    states = [state for state in _states(path) if state.exists()]
    if not states:
        return Progress()
    newest, *older = states
    try:
        state = torch.load(newest, map_location="cpu", weights_only=True)
        written, progress = state["key"], Progress(**state["progress"])
    except (
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        pickle.UnpicklingError,
    ) as error:
        onward = f"go on from {older[0].name}" if older else "start afresh"
        said = str(error).partition("\n")[0]
        raise UserError(
            f"{newest}: damaged training state ({said}); delete it to {onward}"
        ) from None
    if written != key:
        raise UserError(
            f"{newest}: belongs to another training ({written}, expected {key}); delete it"
        )
    learner.restore(state)
    return progress
