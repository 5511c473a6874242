"""Training pairs: a template and a search crop of one target, each pair a pure function of (seed, index)."""

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import gcd, lcm
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamla.data.augment import augment, view_window
from siamla.data.crop import Image, to_index
from siamla.data.crops import CropCache
from siamla.data.settings import Jitter, PairSettings
from siamla.errors import UserError
from siamla.grid import SEARCH, TEMPLATE

_WORD = 2**64 - 1
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


class Sampler(ABC):
    """Pairs by number, in any order and in any process."""

    settings: PairSettings

    @abstractmethod
    def draw(self, index: int, template: Image, search: Image) -> list[float]:
        """Write the crops of the pair number `index` to (127, 127, 3) and (255, 255, 3).

        Returns the target's box (4,) in the search crop, continuous xywh.
        """

    def batch(self, indices: Sequence[int]) -> Pair:
        """The pairs of these numbers stacked: (N, 127, 127, 3), (N, 255, 255, 3), (N, 4)."""
        template, search = (np.empty((len(indices), size, size, 3), np.uint8) for size in (TEMPLATE, SEARCH))
        boxes = [self.draw(*each) for each in zip(indices, template, search, strict=True)]
        return Pair(template, search, to_index(boxes))

    def pair(self, index: int) -> Pair:
        """The pair number `index`."""
        batch = self.batch([index])
        return Pair(batch.template[0], batch.search[0], batch.box[0])


class PairSampler(Sampler):
    """Draws pairs from a crop cache.

    A sequence is drawn uniformly, the template uniformly from its frames and the search frame uniformly from those
    at most `frame_range` frames away, the template's included (siamcar.md §2.6).
    """

    def __init__(self, cache: CropCache, settings: PairSettings) -> None:
        """UserError where the crops are smaller than the jitter reaches."""
        if cache.size < settings.reach:
            told = f"crops of {cache.size} pixels, but shift and scale of the pairs reach {settings.reach}"
            raise UserError(f"{cache.folder}: {told}; cut larger ones (crops.size) or reduce the jitter")
        self.cache, self.settings = cache, settings
        self._rng = np.random.Generator(np.random.Philox(key=settings.seed))
        self._state = self._rng.bit_generator.state

    def rows(self, drawn: Sequence[float]) -> tuple[int, int]:
        """Two rows of the cache, the template's and the search frame's, of three uniform numbers in [0, 1)."""
        starts, frames, reach = self.cache.starts, self.cache.frames, self.settings.frame_range
        sequence = int(drawn[0] * (len(starts) - 1))
        start, end = int(starts[sequence]), int(starts[sequence + 1])
        template = start + int(drawn[1] * (end - start))
        frame = int(frames[template])
        low = bisect_left(frames, frame - reach, start, end)
        high = bisect_right(frames, frame + reach, start, end)
        return template, low + int(drawn[2] * (high - low))

    def draw(self, index: int, template: Image, search: Image) -> list[float]:
        """See Sampler; numbers beyond `settings.count`, if that is set, start again from 0.

        One draw for both crops decides flip and gray: with equal probabilities both or neither are changed.
        """
        number = index % self.settings.count if self.settings.count else index
        # each number has random ones of its own, from a counter that stands there; a new generator takes far longer
        self._state["state"]["counter"][1:3] = number & _WORD, number >> 64
        self._rng.bit_generator.state = self._state
        drawn, normal = self._rng.random(21).tolist(), self._rng.standard_normal(6).tolist()
        spoiled = self._rng.random(8).tolist()  # after the others, which it so leaves as they are
        rows, settings = self.rows(drawn[:3]), self.settings
        box = self._view(rows[0], template, settings.template, drawn[3:5], drawn[5:13], normal[:3], spoiled[:4])
        box = self._view(rows[1], search, settings.search, drawn[3:5], drawn[13:], normal[3:], spoiled[4:])
        return box

    def _view(
        self,
        row: int,
        out: Image,
        jitter: Jitter,
        shared: Sequence[float],
        drawn: Sequence[float],
        normal: Sequence[float],
        spoiled: Sequence[float],
    ) -> list[float]:
        """Write a view of a crop to `out`; the target's box (4,) in it."""
        window, box = self.cache.read(row, view_window(jitter, out.shape[0], self.cache.size, drawn[:4]))
        flip, gray = shared[0] < jitter.flip, shared[1] < jitter.gray
        return augment(window, box, out, jitter, drawn[4:], normal, flip, gray, spoiled)


class MixedSampler(Sampler):
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
        return bisect_right(self._ends, index * self._stride % self._period)

    def draw(self, index: int, template: Image, search: Image) -> list[float]:
        """Write the crops of the pair number `index`, as PairSampler does."""
        return self._samplers[self.part(index)].draw(index, template, search)


def open_sampler(crops: Sequence[Path], settings: PairSettings) -> Sampler:
    """The sampler over the crop caches in these folders, one for each data set that the settings name, in order."""
    if isinstance(settings.dataset, str):
        return PairSampler(CropCache(crops[0]), settings)
    return MixedSampler([CropCache(folder) for folder in crops], settings)
