"""Training pairs: two crops of one target, each pair a pure function of (seed, index)."""

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import gcd, lcm
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamla.data.augment import Draw, augment, view_window
from siamla.data.crop import Image, to_index
from siamla.data.crops import CropCache
from siamla.data.settings import Jitter, PairSettings
from siamla.errors import UserError
from siamla.grid import SEARCH, TEMPLATE

_WORD = 2**64 - 1
GOLDEN = 0.6180339887  # multiples of it, taken modulo 1, strew the most evenly
# the box of a target that is not in the search crop: no area, far away
ABSENT = (-1000.0, -1000.0, 0.0, 0.0)
PAIRS, VIEWS, SEQUENCES = range(3)  # what random numbers are for; each has a stream of its own
MOST_VIEWS = 64
SIDES = ("template", "search")


@dataclass(frozen=True)
class Pair:
    """Crops (127, 127, 3) and (255, 255, 3) uint8; a batch has a leading axis.

    box (4,): xywh of the target in the search crop, in pixel-index coordinates (siamla.data.crop):
    in the middle its centre is at 127. Without area where the target is not in it.
    """

    template: Image
    search: Image
    box: NDArray[np.float64]


class Parts(NamedTuple):
    """What a pair consists of: numbers of views, and whether the search crop shows the target."""

    template: int
    search: int
    present: bool


class Sampler(ABC):
    """Pairs by number, in any order and in any process."""

    settings: PairSettings

    @abstractmethod
    def draw(self, index: int, template: Image, search: Image) -> list[float]:
        """Write the crops of pair `index` to (127, 127, 3) and (255, 255, 3); the target's box (4,)
        in the search crop, continuous xywh.
        """

    def batch(self, indices: Sequence[int]) -> Pair:
        """The pairs of these numbers stacked: (N, 127, 127, 3), (N, 255, 255, 3), (N, 4)."""
        template, search = _blank(len(indices))
        boxes = [self.draw(*each) for each in zip(indices, template, search, strict=True)]
        return Pair(template, search, to_index(boxes))


def _blank(count: int) -> tuple[Image, Image]:
    """Memory for `count` template and search crops."""
    template, search = (np.empty((count, side, side, 3), np.uint8) for side in (TEMPLATE, SEARCH))
    return template, search


class PairSampler(Sampler):
    """Draws pairs from a crop cache: a sequence uniformly, the template from its frames, the search
    frame from those at most `frame_range` away, as in SiamCAR's public code.

    With `settings.views` a crop has that many views, numbered row · views + draw, whose jitter does
    not depend on the pair; `parts` says which two make a pair.
    """

    def __init__(self, cache: CropCache, settings: PairSettings) -> None:
        """UserError where the crops are smaller than the jitter reaches."""
        if cache.size < settings.reach:
            what = f"shift and scale of the pairs reach {settings.reach}"
            advice = "cut larger ones (crops.size) or reduce the jitter"
            raise UserError(f"{cache.folder}: crops of {cache.size} pixels, but {what}; {advice}")
        self.cache, self.settings = cache, settings
        self._rng = np.random.Generator(np.random.Philox(key=settings.seed))
        self._state = self._rng.bit_generator.state
        # two uniform numbers decide flip and gray of all views of a sequence that have this draw
        drawn, sequences = range(settings.views or 0), range(len(cache.starts) - 1)
        self._shared = [
            [self._seek(SEQUENCES, s * MOST_VIEWS + v).random(2).tolist() for v in drawn]
            for s in sequences
        ]

    @property
    def views(self) -> int:
        """How many views there are in all."""
        return len(self.cache) * (self.settings.views or 0)

    def _seek(self, stream: int, number: int) -> np.random.Generator:
        """Random numbers of this number of a stream; a new generator takes far longer."""
        counter = self._state["state"]["counter"]
        counter[1:3], counter[3] = (number & _WORD, number >> 64), stream
        self._rng.bit_generator.state = self._state
        return self._rng

    def sequence(self, row: int) -> int:
        """The number of the sequence that a row of the cache belongs to."""
        return bisect_right(self.cache.starts, row) - 1

    def _elsewhere(self, row: int, drawn: Sequence[float]) -> int:
        """A row of another sequence, of two numbers in [0, 1); UserError without one."""
        starts = self.cache.starts
        if len(starts) < 3:
            what = "one sequence alone; pairs.negatives needs another one"
            raise UserError(f"{self.cache.folder}: {what}")
        other = int(drawn[0] * (len(starts) - 2))
        other += other >= self.sequence(row)
        start, end = int(starts[other]), int(starts[other + 1])
        return start + int(drawn[1] * (end - start))

    def _look(self, row: int, view: int) -> tuple[bool, ...]:
        """Flip and gray, as template and as search crop: what both views have in common."""
        flip, gray = self._shared[self.sequence(row)][view]
        first, second = self.settings.template, self.settings.search
        return flip < first.flip, gray < first.gray, flip < second.flip, gray < second.gray

    def parts(self, index: int) -> Parts:
        """The views that the pair number `index` consists of; UserError where there are none."""
        count = self.views // len(self.cache)
        drawn = self._seek(PAIRS, index).random(8).tolist()
        template, search = self.rows(drawn[:3])
        present = drawn[3] >= self.settings.negatives
        first = int(drawn[6] * count)
        fitting = list(range(count))
        if present:
            look = self._look(template, first)
            fitting = [view for view in fitting if self._look(search, view) == look]
        else:
            search = self._elsewhere(template, drawn[4:6])
        second = fitting[int(drawn[7] * len(fitting))]
        return Parts(template * count + first, search * count + second, present)

    def view(self, number: int, out: Image, side: str) -> list[float]:
        """Write a view as "template" or "search" to `out`; the target's box (4,) in it."""
        row, view = divmod(number, self.settings.views or 1)
        rng = self._seek(VIEWS, (row * MOST_VIEWS + view) * len(SIDES) + SIDES.index(side))
        drawn, normal = rng.random(8).tolist(), rng.standard_normal(3).tolist()
        spoiled = rng.random(4).tolist()
        jitter: Jitter = getattr(self.settings, side)
        shared = self._shared[self.sequence(row)][view]
        return self._view(row, out, jitter, (*shared, *drawn), normal, spoiled)

    def both(self, number: int) -> Pair:
        """A view as a template and as a search crop; the box is that of the latter."""
        (template,), (search,) = _blank(1)
        self.view(number, template, "template")
        return Pair(template, search, to_index(self.view(number, search, "search")))

    def rows(self, drawn: Sequence[float]) -> tuple[int, int]:
        """The rows of template and search frame, of three uniform numbers in [0, 1)."""
        starts, frames, reach = self.cache.starts, self.cache.frames, self.settings.frame_range
        sequence = int(drawn[0] * (len(starts) - 1))
        start, end = int(starts[sequence]), int(starts[sequence + 1])
        template = start + int(drawn[1] * (end - start))
        frame = int(frames[template])
        low = bisect_left(frames, frame - reach, start, end)
        high = bisect_right(frames, frame + reach, start, end)
        return template, low + int(drawn[2] * (high - low))

    def draw(self, index: int, template: Image, search: Image) -> list[float]:
        """See Sampler. One draw for both crops decides flip and gray."""
        settings = self.settings
        if settings.views is not None:
            parts = self.parts(index)
            self.view(parts.template, template, "template")
            box = self.view(parts.search, search, "search")
            return box if parts.present else list(ABSENT)
        rng = self._seek(PAIRS, index)
        drawn, normal = rng.random(21).tolist(), rng.standard_normal(6).tolist()
        spoiled = rng.random(8).tolist()
        first, second = self.rows(drawn[:3])
        other = rng.random(3).tolist() if settings.negatives else [1.0]
        present = other[0] >= settings.negatives
        second = second if present else self._elsewhere(first, other[1:])
        self._view(first, template, settings.template, drawn[3:13], normal[:3], spoiled[:4])
        drawn = [*drawn[3:5], *drawn[13:]]
        box = self._view(second, search, settings.search, drawn, normal[3:], spoiled[4:])
        return box if present else list(ABSENT)

    def _view(
        self,
        row: int,
        out: Image,
        jitter: Jitter,
        drawn: Sequence[float],
        normal: Sequence[float],
        spoiled: Sequence[float],
    ) -> list[float]:
        """Write a view of a crop to `out`; the target's box (4,) in it. `drawn`: flip and gray,
        four of the window, four of `augment`.
        """
        part = view_window(jitter, out.shape[0], self.cache.size, drawn[2:6])
        window, box = self.cache.read(row, part)
        flip, gray = drawn[0] < jitter.flip, drawn[1] < jitter.gray
        return augment(window, box, out, jitter, Draw(drawn[6:], normal, spoiled, flip, gray))


class MixedSampler(Sampler):
    """Draws pairs from the crop caches of several sets, as PairSampler does of each.

    The number of a pair decides its set: of D numbers in a row, D the common denominator of the
    shares, each set has exactly its share, evenly strewn, so that a batch nearly has it.
    """

    def __init__(self, caches: Sequence[CropCache], settings: PairSettings) -> None:
        self.settings = settings
        parts = list(settings.parts.items())
        self._samplers = []
        for cache, (name, part) in zip(caches, parts, strict=True):
            single = {"dataset": name, "frame_range": part.reach or 0}
            self._samplers.append(PairSampler(cache, settings.model_copy(update=single)))
        self._period = lcm(*(part.exact.denominator for _, part in parts))
        self._ends = list(accumulate(int(part.exact * self._period) for _, part in parts))
        self._stride = round(self._period * GOLDEN)
        while gcd(self._stride, self._period) > 1:
            self._stride += 1

    def part(self, index: int) -> int:
        """Which of the sets the pair number `index` is drawn from."""
        return bisect_right(self._ends, index * self._stride % self._period)

    def draw(self, index: int, template: Image, search: Image) -> list[float]:
        """Write the crops of the pair number `index`, as PairSampler does."""
        return self._samplers[self.part(index)].draw(index, template, search)


def open_sampler(crops: Sequence[Path], settings: PairSettings) -> Sampler:
    """The sampler over the crop caches of the data sets that the settings name, in order."""
    if isinstance(settings.dataset, str):
        return PairSampler(CropCache(crops[0]), settings)
    return MixedSampler([CropCache(folder) for folder in crops], settings)
