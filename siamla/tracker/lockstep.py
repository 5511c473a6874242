"""Several trackers over one network: the crops of all that search meet in one pass, which is what
a GPU is fast at.

Each tracker works in a thread of its own and knows nothing of it: its network waits until every
tracker that is still at work has asked, and one of them runs the pass for all. The engine fills up
a pass to the same size always, so that what a tracker is told does not depend on who else is there.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from siamla.engine.engines import Crops, Maps, Network, prepare, resolve_engine
from siamla.hardware import Hardware
from siamla.model.checkpoint import load_model
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.tracker import SiamTracker


class Stopped(Exception):
    """The run was given up."""


class LockStep:
    """The meeting of those who search, and who takes part.

    Attributes:
        network: of all; searches any number of crops.
        passes: how many were run so far.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.passes = 0
        self._turn = threading.Condition()
        self._there = 0
        self._asked: list[_Question] = []
        self._stopped = False

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """In the block the others wait for this thread's crops; at most `size` threads at a
        time.
        """
        with self._turn:
            self._there += 1
        try:
            yield
        finally:
            with self._turn:
                self._there -= 1
                self._run_if_complete()

    def search(self, state: Tensor, crops: Crops) -> Maps:
        """As Network.search; returns when all who take part have asked. What it raises, all get."""
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
        state = torch.cat([question.state_of_each for question in asked])
        crops = np.concatenate([question.crops for question in asked])
        try:
            maps = self.network.search(state, crops)
        except Exception as error:
            for question in asked:
                question.answer = error
        else:
            start = 0
            for question in asked:
                end = start + len(question.crops)
                question.answer = Maps(*(part[start:end].copy() for part in maps))
                start = end
        self.passes += 1
        self._turn.notify_all()


@dataclass
class _Question:
    """Crops with the state of their templates, and the maps once they are there."""

    state: Tensor
    crops: Crops
    answer: Maps | Exception | None = None

    @property
    def state_of_each(self) -> Tensor:
        """The state with a row for each crop."""
        return self.state.expand(len(self.crops), *self.state.shape[1:])


def load_lock_step(
    model: Path, settings: TrackerSettings, place: Hardware
) -> tuple[LockStep, list[SiamTracker]]:
    """`settings.batch` trackers with a model file, and where they meet. Their times are not those
    of a frame.
    """
    loaded = load_model(model)
    network = prepare(
        resolve_engine(settings.engine, place.torch_device), loaded, place, settings.batch
    )
    meeting = LockStep(network)
    shared = Network(network.embed, meeting.search)
    return meeting, [
        SiamTracker(loaded, settings, place=place, network=shared) for _ in range(settings.batch)
    ]
