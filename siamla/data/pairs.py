"""Training pairs: a template and a search crop of one target, each pair a pure function of (seed, index)."""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import gcd, lcm
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamla.data.augment import augment
from siamla.data.crop import Image, to_index
from siamla.data.crops import CropCache
from siamla.data.settings import PairSettings
from siamla.grid import SEARCH, TEMPLATE

GOLDEN = 0.6180339887  # multiples of it, taken modulo 1, strew the most evenly


@dataclass(frozen=True)
class Pair:
    """One pair, or a batch of them with a leading axis.

    Attributes:
        template: (127, 127, 3) uint8 BGR.
        search: (255, 255, 3) uint8 BGR.
        box: (4,) float64 xywh of the target in the search crop, in pixel-index coordinates (siamla.data.crop):
            a target in the middle has its centre at 127, on cell 12 of the grid 31 + 8·i.
    """

    template: Image
    search: Image
    box: NDArray[np.float64]


class PairSampler:
    """Draws pairs from a crop cache; `pair(index)` may be called in any order and in any process.

    A sequence is drawn uniformly, the template uniformly from its frames and the search frame uniformly from those
    at most `frame_range` frames away, the template's included (siamcar.md §2.6).
    """

    def __init__(self, cache: CropCache, settings: PairSettings) -> None:
        self.cache, self.settings = cache, settings

    def rows(self, rng: np.random.Generator) -> tuple[int, int]:
        """Two rows of the cache: the template's and the search frame's."""
        sequence = rng.integers(len(self.cache.starts) - 1)
        rows = range(int(self.cache.starts[sequence]), int(self.cache.starts[sequence + 1]))
        frames = self.cache.frames[rows.start : rows.stop]
        template = int(rng.integers(len(rows)))
        reach = self.settings.frame_range
        low = np.searchsorted(frames, frames[template] - reach, "left")
        high = np.searchsorted(frames, frames[template] + reach, "right")
        return rows[template], rows[int(rng.integers(low, high))]

    def pair(self, index: int) -> Pair:
        """The pair number `index`; numbers beyond `settings.count`, if that is set, start again from 0.

        One draw for both crops decides flip and gray: with equal probabilities both or neither are changed.
        """
        number = index % self.settings.count if self.settings.count else index
        rng = np.random.default_rng([self.settings.seed, number])
        template_row, search_row = self.rows(rng)
        flip, gray = rng.uniform(size=2)
        views = []
        for row, size, jitter in (
            (template_row, TEMPLATE, self.settings.template),
            (search_row, SEARCH, self.settings.search),
        ):
            image, box = self.cache.read(row)
            views.append(augment(image, box, size, jitter, rng, flip < jitter.flip, gray < jitter.gray))
        return Pair(views[0].image, views[1].image, to_index(views[1].box))

    def batch(self, indices: Sequence[int]) -> Pair:
        """The pairs of these numbers stacked: (N, 127, 127, 3), (N, 255, 255, 3), (N, 4)."""
        return stack([self.pair(index) for index in indices])


def stack(pairs: Sequence[Pair]) -> Pair:
    """Pairs as one batch."""
    return Pair(*(np.stack([getattr(pair, field) for pair in pairs]) for field in ("template", "search", "box")))


class MixedSampler:
    """Draws pairs from the crop caches of several sets, in exact shares.

    The number of a pair decides its set: of D numbers in a row, D the common denominator of the shares, each set has
    exactly its share, evenly strewn, so that also a batch has nearly so. Within its set a pair is drawn as PairSampler
    draws it.
    """

    def __init__(self, caches: Sequence[CropCache], settings: PairSettings) -> None:
        self.settings = settings
        parts = list(settings.parts.items())
        own = [{"dataset": name, "frame_range": part.reach or 0} for name, part in parts]
        self._samplers = [
            PairSampler(cache, settings.model_copy(update=each)) for cache, each in zip(caches, own, strict=True)
        ]
        self._period = lcm(*(part.exact.denominator for _, part in parts))
        self._ends = list(accumulate(int(part.exact * self._period) for _, part in parts))
        near = round(self._period * GOLDEN)
        self._stride = next(n for n in range(near, near + self._period + 1) if gcd(n, self._period) == 1)

    def part(self, index: int) -> int:
        """The place, among the sets, of the one that pair number `index` is drawn from."""
        return bisect(self._ends, index * self._stride % self._period)

    def pair(self, index: int) -> Pair:
        """The pair number `index`."""
        return self._samplers[self.part(index)].pair(index)

    def batch(self, indices: Sequence[int]) -> Pair:
        """The pairs of these numbers stacked, as PairSampler's."""
        return stack([self.pair(index) for index in indices])


Sampler = PairSampler | MixedSampler


def open_sampler(crops: Sequence[Path], settings: PairSettings) -> Sampler:
    """The sampler over the crop caches in these folders, one for each data set that the settings name, in order."""
    if isinstance(settings.dataset, str):
        return PairSampler(CropCache(crops[0]), settings)
    return MixedSampler([CropCache(folder) for folder in crops], settings)
