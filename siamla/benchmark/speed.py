"""Speed from the stored times: fps by the protocol, and per-frame latency."""

from collections.abc import Sequence as Many
from pathlib import Path

import numpy as np

from siamla.benchmark import store
from siamla.benchmark.protocols import Protocol
from siamla.errors import UserError
from siamla.sequence import Sequence

WARM_UP = 10  # frames of each sequence, the initialisation among them, that the latency leaves out


def speed(folder: Path, sequences: Many[Sequence], protocol: Protocol) -> dict[str, float]:
    """Of the stored times "fps" as the protocol defines it; after warm-up "latency_median_ms",
    "latency_p05_ms" and "latency_p95_ms"; and "frames". UserError where no times are stored.
    """
    every, late = [], []
    for sequence in sequences:
        seconds = store.read_seconds(folder, sequence.name, protocol.layout)
        if seconds is None:
            path = store.time_path(folder, sequence.name, protocol.layout)
            raise UserError(f"{path}: no stored times")
        every.append(seconds[(seconds > 0) & np.isfinite(seconds)])
        after = seconds[WARM_UP:] if len(seconds) > 2 * WARM_UP else seconds[1:]
        late.append(after[(after > 0) & np.isfinite(after)])
    every = [times for times in every if len(times)]
    if not every:
        raise UserError(f"{folder}: the stored times are all zero or missing")
    if protocol.speed == "total":
        fps = sum(map(len, every)) / sum(times.sum() for times in every)
    elif protocol.speed == "frames":
        fps = np.mean(1 / np.concatenate(every))
    else:
        fps = np.mean([np.mean(1 / times) for times in every])
    latency = 1000 * np.concatenate(late)
    quantiles = np.quantile(latency if len(latency) else [np.nan], [0.05, 0.5, 0.95]).tolist()
    names = ("latency_p05_ms", "latency_median_ms", "latency_p95_ms")
    count = float(sum(map(len, every)))
    return {"fps": float(fps), "frames": count, **dict(zip(names, quantiles, strict=True))}
