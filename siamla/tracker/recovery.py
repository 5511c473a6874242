"""Whether a tracker still has its target, how it looks for one that it lost, and how the box of a
still one is kept still.
"""

from typing import NamedTuple

import numpy as np

from siamla.geometry import Array

FIRST = 10  # frames whose mean score is what later ones are compared with
BACK = 1.25  # times the share below which the target is lost: above it, a frame is sure
RETURN = 2  # sure frames in a row that end a loss
WIDER = (1.0, 1.25, 1.5)  # times the usual side of the search crop, frame by frame, and again
SLOWEST = 0.3  # of a step that is much shorter than the zone, the share that is gone


class Belief(NamedTuple):
    """What a tracker holds of its target, frame by frame; as it is, at the start."""

    first: tuple[float, ...] = ()  # scores of the first frames, FIRST at most
    frames: int = 0  # since the target was lost; 0: it is not
    sure: int = 0  # sure frames in a row, while it is lost
    place: tuple[float, float] = (0.0, 0.0)  # x, y where it was lost, image pixels

    @property
    def usual(self) -> float:
        """The mean of the first scores; 0 before there is one."""
        return sum(self.first) / max(len(self.first), 1)

    @property
    def seeking(self) -> bool:
        """Whether the next search is around the place of the loss, not around the last box."""
        return self.frames > 0 and self.sure == 0

    @property
    def widen(self) -> float:
        """Times the usual side that the next search crop spans."""
        return WIDER[(self.frames - 1) % len(WIDER)] if self.seeking else 1.0

    def judge(self, score: float, share: float, centre: tuple[float, float]) -> "Belief":
        """After a frame with a score, searched around `centre`.

        The target is lost where the score falls below `share` of the usual one (0: never), and back
        after RETURN frames in a row above BACK times that.
        """
        first = self.first if len(self.first) == FIRST else (*self.first, score)
        after = self._replace(first=first)
        limit = share * after.usual
        if not self.frames:
            return after._replace(frames=1, place=centre) if score < limit else after
        sure = self.sure + 1 if score > BACK * limit else 0
        if sure == RETURN:
            return after._replace(frames=0, sure=0)
        return after._replace(frames=self.frames + 1, sure=sure)


def calmed(step: Array, zone: float) -> Array:
    """A step (2,) in pixels, shortened where it is shorter than `zone`: what is left is the noise
    of a still target, damped.
    """
    share = float(np.hypot(*step)) / zone if zone > 0 else 1.0
    return step * min(max(share, SLOWEST), 1.0)
