"""Resumable state of a training: everything that the next step depends on."""

import io
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from siamla.errors import UserError
from siamla.files import atomic


@dataclass
class Progress:
    """Where a training stands. Random numbers need no state: each step has its own.

    Attributes:
        epoch: epochs done.
        step: steps done of the next epoch.
        rows: what those steps gave; the epoch's row of the history is their mean.
        seconds: that those steps took.
        history: rows of the epochs done.
    """

    epoch: int = 0
    step: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def close_epoch(self, row: dict[str, float]) -> None:
        """The epoch is done and gave `row`."""
        self.epoch, self.step, self.rows, self.seconds = self.epoch + 1, 0, [], 0.0
        self.history.append(row)


def save_tensors(path: Path, value: Any) -> None:
    """torch.save to a file, atomically; equal values give equal bytes (torch names the archive after the file)."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    with atomic(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def save_state(path: Path, key: str, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write the state of a training identified by `key` (digest of all that its bytes depend on)."""
    state = {"key": key, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "progress": asdict(progress)}
    save_tensors(path, state)


def restore_state(path: Path, key: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Load the state into model and optimizer; an empty Progress when there is none.

    Raises UserError when the state belongs to another training or is damaged.
    """
    if not path.exists():
        return Progress()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, pickle.UnpicklingError) as error:
        raise UserError(f"{path}: damaged training state ({error}); delete it to start afresh") from None
    if state["key"] != key:
        raise UserError(f"{path}: belongs to another training ({state['key']}, expected {key}); delete it")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(**state["progress"])
