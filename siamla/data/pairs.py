"""Training pairs: a template and a search crop of one target, each pair a pure function of (seed, index)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siamla.data.augment import augment
from siamla.data.crop import Image, to_index
from siamla.data.crops import CropCache
from siamla.data.settings import PairSettings
from siamla.grid import SEARCH, TEMPLATE


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
        self._sequences = list(cache.sequences.values())

    def rows(self, rng: np.random.Generator) -> tuple[int, int]:
        """Two rows of the cache: the template's and the search frame's."""
        rows = self._sequences[rng.integers(len(self._sequences))]
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
        pairs = [self.pair(index) for index in indices]
        return Pair(*(np.stack([getattr(pair, field) for pair in pairs]) for field in ("template", "search", "box")))
