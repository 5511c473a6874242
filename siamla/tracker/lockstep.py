"""Several trackers over one network: the crops of all that search meet in one batch, which is what
a GPU is fast at.

Each tracker works in a thread of its own and knows nothing of it: its network waits until every
tracker that is still at work has asked, and one of them runs the batch for all. The batch has
always the same size, so that what a tracker is told does not depend on who else is there.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from siamla.engine.engines import prepare, resolve_engine
from siamla.engine.network import Crops, Maps, Network
from siamla.model.checkpoint import load_model
from siamla.place import Place
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.tracker import SiamTracker


class Stopped(Exception):
    """The run was given up."""


class LockStep:
    """The meeting of those who search: a network for batches of `size`, and who takes part.

    Attributes:
        batches: how many were run so far.
    """

    def __init__(self, network: Network, size: int) -> None:
        self.network, self.size = network, size
        self.batches = 0
        self._turn = threading.Condition()
        self._there = 0
        self._asked: list[_Question] = []
        self._stopped = False

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """In the block the others wait for this thread's crop; at most `size` threads at a time."""
        with self._turn:
            self._there += 1
        try:
            yield
        finally:
            with self._turn:
                self._there -= 1
                self._run_if_complete()

    def search(self, state: Tensor, crops: Crops) -> Maps:
        """As Network.search for one crop; returns when all who take part have asked. What it
        raises, all get.
        """
        question = _Question(state, crops)
        with self._turn:
            self._asked.append(question)
            self._run_if_complete()
            while not question.answer:
                if self._stopped:
                    raise Stopped
                self._turn.wait()
        if isinstance(question.answer, Exception):
            raise question.answer
        return question.answer

    def stop(self) -> None:
        """Whoever waits, or asks from now on, gets Stopped."""
        with self._turn:
            self._stopped = True
            self._turn.notify_all()

    def _run_if_complete(self) -> None:
        if self._stopped or not self._asked or len(self._asked) < self._there:
            return
        asked, self._asked = self._asked, []
        empty = self.size - len(asked)
        state = torch.cat(
            [question.state for question in asked] + [torch.zeros_like(asked[0].state)] * empty
        )
        crops = np.concatenate(
            [question.crops for question in asked] + [np.zeros_like(asked[0].crops)] * empty
        )
        try:
            maps = self.network.search(state, crops)
        except Exception as error:
            for question in asked:
                question.answer = error
        else:
            for number, question in enumerate(asked):
                question.answer = Maps(*(part[number : number + 1].copy() for part in maps))
        self.batches += 1
        self._turn.notify_all()


@dataclass
class _Question:
    """A crop with its template's state, and the maps once they are there."""

    state: Tensor
    crops: Crops
    answer: Maps | Exception | None = None


def load_lock_step(
    model: Path, settings: TrackerSettings, place: Place
) -> tuple[LockStep, list[SiamTracker]]:
    """`settings.batch` trackers with a model file, and where they meet. Their times are not those
    of a frame.
    """
    loaded = load_model(model)
    network = prepare(
        resolve_engine(settings.engine, place.torch_device), loaded, place, settings.batch
    )
    meeting = LockStep(network, settings.batch)
    shared = Network(network.embed, meeting.search)
    return meeting, [
        SiamTracker(loaded, settings, place=place, network=shared) for _ in range(settings.batch)
    ]
