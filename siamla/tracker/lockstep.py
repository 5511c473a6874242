"""Several trackers over one network."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from siamla.engine.network import Crops, Maps, Network


class LockStep:
    """Several trackers over one network: the crops of all that search meet in one pass.

    Each tracker works in its own thread and waits until all that are at work have asked. The engine
    fills a pass up to one size, so that answers do not depend on who else is there.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._turn = threading.Lock()
        self._there = 0
        self._asked: list[tuple[Tensor, Crops, Future[Maps]]] = []
        self._stopped = False

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """In the block the others wait for this thread's crops."""
        with self._turn:
            self._there += 1
        try:
            yield
        finally:
            with self._turn:
                self._there -= 1
                self._run_if_complete()

    def search(self, state: Tensor, crops: Crops) -> Maps:
        """As Network.search; returns when all who take part have asked. All get what it raises."""
        answer: Future[Maps] = Future()
        with self._turn:
            self._asked.append((state.expand(len(crops), *state.shape[1:]), crops, answer))
            if self._stopped:
                answer.cancel()
            self._run_if_complete()
        return answer.result()

    def stop(self) -> None:
        """Whoever waits, or asks from now on, gets a CancelledError."""
        with self._turn:
            self._stopped = True
            for _, _, answer in self._asked:
                answer.cancel()

    def _run_if_complete(self) -> None:
        if self._stopped or not self._asked or len(self._asked) < self._there:
            return
        states, crops, answers = zip(*self._asked, strict=True)
        self._asked = []
        try:
            maps = self.network.search(torch.cat(states), np.concatenate(crops))
        except Exception as error:
            for answer in answers:
                answer.set_exception(error)
            return
        ends = np.cumsum([len(part) for part in crops])
        for part, end, answer in zip(crops, ends, answers, strict=True):
            answer.set_result(Maps(*(values[end - len(part) : end].copy() for values in maps)))
