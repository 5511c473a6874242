"""Resumable state of a training: everything that the next step depends on."""

import io
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from siamla.errors import UserError
from siamla.files import atomic
from siamla.training.step import Learner

KEPT = 3  # states: should the disk lose the last one, the one before it is there


@dataclass
class Progress:
    """Where a training stands. Random numbers need no state: each step has its own.

    Attributes:
        epoch: epochs done.
        step: steps done of the next epoch.
        rows: what those steps gave; the epoch's row of the history is their mean.
        seconds: that those steps took.
        waited: seconds of these in which they waited for pairs.
        unusable: the last steps, one after another, whose loss or gradient was not usable.
        processes: how many trained together, each time that this changed.
        history: rows of the epochs done.
    """

    epoch: int = 0
    step: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    waited: float = 0.0
    unusable: int = 0
    processes: list[int] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)

    def close_epoch(self, row: dict[str, float]) -> None:
        """The epoch is done and gave `row`."""
        self.epoch, self.step, self.rows, self.seconds, self.waited = (
            self.epoch + 1,
            0,
            [],
            0.0,
            0.0,
        )
        self.history.append(row)


def save_tensors(path: Path, value: Any) -> None:
    """torch.save to a file, atomically; equal values give equal bytes (torch names the archive
    after the file).
    """
    buffer = io.BytesIO()
    torch.save(value, buffer)
    with atomic(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def kept(path: Path) -> list[Path]:
    """Where the last states stand: the newest, as `path`, first."""
    return [path, *(path.with_name(f"{path.stem}.{age}{path.suffix}") for age in range(1, KEPT))]


def save_state(path: Path, key: str, learner: Learner, progress: Progress) -> None:
    """Write the state of a training identified by `key` (digest of all that its bytes depend on).

    The states before it are kept beside it. A kill at any moment leaves at least one.
    """
    new = path.with_name(f"{path.stem}.new{path.suffix}")
    save_tensors(new, {"key": key, **learner.state(), "progress": asdict(progress)})
    states = kept(path)
    for older, newer in zip(states[:0:-1], states[-2::-1], strict=True):
        if newer.exists():
            newer.replace(older)
    new.replace(path)


def restore_state(path: Path, key: str, learner: Learner) -> Progress:
    """Load the newest state into the learner; an empty Progress when there is none.

    Raises UserError when the state belongs to another training or is damaged.
    """
    states = [state for state in kept(path) if state.exists()]
    if not states:
        return Progress()
    newest, *older = states
    try:
        state = torch.load(newest, map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        LookupError,
        pickle.UnpicklingError,
    ) as error:
        onward = f"go on from {older[0].name}" if older else "start afresh"
        said = str(error).partition("\n")[0]
        raise UserError(
            f"{newest}: damaged training state ({said}); delete it to {onward}"
        ) from None
    if state["key"] != key:
        raise UserError(
            f"{newest}: belongs to another training ({state['key']}, expected {key}); delete it"
        )
    learner.restore(state)
    return Progress(**state["progress"])
