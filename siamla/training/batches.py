"""Which pairs a step sees, and the processes that load them: one endless walk, whose position
decides the pair and the random numbers of its negatives.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from siamla.data.pairs import PairSampler, Sampler, open_sampler
from siamla.data.settings import PairSettings
from siamla.errors import UserError
from siamla.grid import SCORE
from siamla.parallel import start_worker, worker_launch
from siamla.training.features import Batch, FeatureCache
from siamla.training.settings import TrainingSettings
from siamla.training.step import Recipe, Resources

BLOCK = 4  # numbers that Philox gives for each value of its counter
WHOLE = slice(None)  # of a batch, where no other process takes a part


@dataclass(frozen=True)
class Source:
    """Where batches come from: cached features for the first epochs, else crops."""

    sampler: Sampler
    features: FeatureCache | None = None
    workers: int = 0  # processes that load pairs beside this one; bytes do not depend on them

    @classmethod
    def open(
        cls, crops: Sequence[Path], pairs: PairSettings, features: Path | None, workers: int
    ) -> "Source":
        """The source on disk: the crop cache of each training set, and a feature cache or None."""
        cached = FeatureCache(features) if features else None
        return cls(open_sampler(crops, pairs), cached, workers)


def pair_numbers(seed: int, settings: TrainingSettings, epoch: int, step: int) -> range:
    """Numbers of the pairs that a step sees. No other step, epoch or seed sees one of them."""
    position = epoch * settings.pairs_per_epoch + step * settings.batch
    first = seed * 10**12 + position
    return range(first, first + settings.batch)


def negative_noise(
    seed: int, epoch: int, step: int, settings: TrainingSettings, part: slice = WHOLE
) -> Tensor:
    """Uniform numbers (B, 25, 25) in [0, 1), of each pair its own, that draw the negatives."""
    blocks = -(-(SCORE**2) // BLOCK)
    pairs = range(settings.batch)[part]
    position = epoch * settings.pairs_per_epoch + step * settings.batch + pairs.start
    generator = np.random.Generator(np.random.Philox(key=seed, counter=position * blocks))
    drawn = generator.random((len(pairs), blocks * BLOCK))[:, : SCORE**2]
    return torch.from_numpy(drawn.astype(np.float32)).view(-1, SCORE, SCORE)


class _Groups(torch.utils.data.Dataset[tuple[np.ndarray, ...] | UserError]):
    """Whole batches by their pairs' numbers, for the worker processes of a DataLoader."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def __getitem__(self, group: range) -> tuple[np.ndarray, ...] | UserError:
        try:
            pairs = self._sampler.batch(group)
        except UserError as error:  # raised here it would come out with a worker's stack trace
            return error
        return pairs.template, pairs.search, pairs.box.astype(np.float32)


def _start(number: int) -> None:
    start_worker()


def _live(source: Source, groups: Iterator[range], pinned: bool) -> Iterator[Batch]:
    workers = source.workers
    loader = torch.utils.data.DataLoader(
        _Groups(source.sampler),
        batch_size=None,
        sampler=groups,
        num_workers=workers,
        pin_memory=pinned,
        worker_init_fn=_start if workers else None,
        multiprocessing_context="spawn" if workers else None,
    )
    with worker_launch():
        loaded = iter(loader)
    try:
        for batch in loaded:
            if isinstance(batch, UserError):
                raise batch
            template, search, boxes = batch
            images = (template.permute(0, 3, 1, 2),), (search.permute(0, 3, 1, 2),)
            yield Batch(*images, boxes, frozen=False)
    finally:
        # its workers end now: an error keeps this frame, and at exit they would be waited for
        del loaded


def batches(
    source: Source, recipe: Recipe, resources: Resources, epoch: int = 0, step: int = 0
) -> Generator[Batch, None, None]:
    """The batch of each step from (epoch, step), both counted from 0, to the end of the training:
    this process's part of it, and for a GPU in page-locked memory, from where copies do not wait.
    UserError when a pair cannot be read.
    """
    settings = recipe.training
    per_epoch, part = settings.steps_per_epoch, resources.ranks.part(settings.batch)
    pinned = resources.hardware.torch_device.type != "cpu"

    def groups(first: int, end: int) -> Iterator[range]:
        for number in range(first, end):
            yield pair_numbers(recipe.seed, settings, *divmod(number, per_epoch))[part]

    now, end = epoch * per_epoch + step, settings.epochs * per_epoch
    if source.features is not None:
        sampler = source.sampler
        assert isinstance(sampler, PairSampler)  # features are of the views of a single set
        cached = settings.cached_epochs * per_epoch
        for group in groups(now, cached):
            batch = source.features.batch([sampler.parts(number) for number in group])
            yield batch.pinned() if pinned else batch
        now = max(now, cached)
    if now < end:
        yield from _live(source, groups(now, end), pinned)
