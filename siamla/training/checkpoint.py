"""Resumable state of a training: everything that the next epoch depends on, written after every epoch."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from siamla.errors import UserError
from siamla.files import atomic


@dataclass
class Progress:
    """Epochs done and their rows of the history. Random numbers need no state: each epoch has its own seed."""

    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def save_tensors(path: Path, value: Any) -> None:
    """torch.save to a file, atomically; equal values give equal bytes (torch names the archive after the file)."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    with atomic(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def save_state(path: Path, key: str, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write the state of a training identified by `key` (digest of spec, data, seed and code)."""
    state = {
        "key": key,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": progress.epoch,
        "history": progress.history,
    }
    save_tensors(path, state)


def restore_state(path: Path, key: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Load the state into model and optimizer; an empty Progress when there is none.

    Raises UserError when the state belongs to another spec or is damaged.
    """
    if not path.exists():
        return Progress()
    try:
        state = torch.load(path, weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise UserError(f"{path}: damaged training state ({error}); delete it to start afresh") from None
    if state["key"] != key:
        raise UserError(f"{path}: belongs to another training ({state['key']}, expected {key}); delete it")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(state["epoch"], state["history"])
