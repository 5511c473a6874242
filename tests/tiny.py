"""A training of seconds: a small network, a few crops of noise, and processes that are killed."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch
from torch import Tensor

from siamla.data import crops
from siamla.data.settings import CropSettings
from siamla.grid import SEARCH, TEMPLATE
from siamla.hardware import Hardware
from siamla.model.settings import ModelSettings
from siamla.sequence import Sequence
from siamla.training import loop

HARDWARE = Hardware("cpu", "fp32", 1)
MODEL = ModelSettings(  # LAFA, because its loss draws negatives
    backbone="efficientnet_lite0",
    weights="package",
    channels=8,
    tower_depth=1,
    groups=2,
    regression_bias=3.4,
    localization="lafa",
)
SMALL = ModelSettings(  # SiamCAR
    backbone="efficientnet_lite0", channels=16, tower_depth=1, groups=4, regression_bias=3.4
)
LAFA = SMALL.model_copy(update={"localization": "lafa"})
KILLED = -signal.SIGKILL


def images(batch: int = 1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Templates and searches (batch, 3, side, side) of noise."""
    noise = torch.Generator().manual_seed(seed)
    template, search = (
        torch.randint(0, 256, (batch, 3, side, side), generator=noise, dtype=torch.uint8)
        for side in (TEMPLATE, SEARCH)
    )
    return template, search


def noise_crops(folder: Path, videos: int) -> Path:
    """The crop cache of noise videos of three frames each."""
    rng = np.random.default_rng(0)
    sequences = []
    for number in range(videos):
        files = [folder / f"{number}-{frame}.png" for frame in range(3)]
        for file in files:
            noise = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            cv2.imwrite(str(file), cv2.resize(noise, (160, 120), interpolation=cv2.INTER_CUBIC))
        boxes = np.array([[50.0 + 4 * frame, 40, 30, 24] for frame in range(3)])
        sequences.append(Sequence(f"video{number}", tuple(files), boxes, np.ones(3, bool)))
    crops.build(sequences, CropSettings(), folder / "crops")
    return folder / "crops"


@contextmanager
def signal_after(steps: int, number: signal.Signals, here: bool = True) -> Iterator[None]:
    """This process, if it is `here`, gets a signal in the step after `steps` more of them."""
    real, calls = loop.optimise, iter(range(1000))

    def optimise(*arguments: Any) -> dict[str, float]:
        if next(calls) == steps and here:
            os.kill(os.getpid(), number)
        return real(*arguments)

    with mock.patch.object(loop, "optimise", optimise):
        yield


def in_process(work: Callable[[], None]) -> int | None:
    """Exit status of `work` in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join(120)
    return process.exitcode


def wait_for(happened: Callable[[], bool], seconds: float = 60) -> None:
    """AssertionError when it has not happened by then."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.005)
