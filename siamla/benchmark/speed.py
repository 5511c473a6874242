"""Speed from the stored times: fps by the protocol."""

from collections.abc import Sequence as Many
from pathlib import Path

import numpy as np

from siamla.benchmark import store
from siamla.benchmark.protocols import Protocol
from siamla.errors import UserError
from siamla.sequence import Sequence


def speed(folder: Path, sequences: Many[Sequence], protocol: Protocol) -> dict[str, float]:
    """Of the stored times "fps" as the protocol defines it, and the number of "frames"; nothing
    where a sequence has no times, as in results of others or of a run in lock step.
    """
    every = []
    for sequence in sequences:
        seconds = store.read_seconds(folder, sequence.name, protocol.layout)
        if seconds is None:
            return {}
        every.append(seconds[(seconds > 0) & np.isfinite(seconds)])
    every = [times for times in every if len(times)]
    if not every:
        raise UserError(f"{folder}: the stored times are all zero or missing")
    if protocol.speed == "total":
        fps = sum(map(len, every)) / sum(times.sum() for times in every)
    elif protocol.speed == "frames":
        fps = np.mean(1 / np.concatenate(every))
    else:
        fps = np.mean([np.mean(1 / times) for times in every])
    return {"fps": float(fps), "frames": float(sum(map(len, every)))}
