"""The interval of a difference: by hand, and by simulation of trackers that are equal and that are
not.
"""

from typing import Any

import numpy as np
import pytest

from siamla.report.differences import difference_interval


def runs(
    draw: np.random.Generator,
    seeds: int,
    count: int,
    trained: float,
    video: float,
    both: float,
    gain: float = 0,
) -> list[np.ndarray]:
    """Scores (seeds, count) of two trackers. Standard deviations: of a training, of how a tracker
    suits a video, and of what varies with both; gain: what the first is better by.
    """
    common = draw.normal(0.5, 0.2, count)
    return [
        common
        + better
        + draw.normal(0, trained, (seeds, 1))
        + draw.normal(0, video, count)
        + draw.normal(0, both, (seeds, count))
        for better in (gain, 0)
    ]


def told(trials: int, **how: Any) -> float:
    """How often 0 lies outside the interval."""
    draw = np.random.default_rng(5)
    found = [difference_interval(*runs(draw, **how)) for _ in range(trials)]
    return float(np.mean([not low <= 0 <= high for low, high in found]))


def test_the_interval_by_hand() -> None:
    """What sequence and seed do together is in both of their errors, and counts once.

    Ours .5 ± .1 with the signs + − / − +, twice two sequences; theirs all .4. Means over seeds are
    all .5, and those over sequences too; the residuals' mean square is .04 in ours, 0 in theirs,
    .02 pooled over 2 degrees of freedom. That of a mean, (1/2 + 1/2) · .02 / 2 = .01, is all of the
    squared error; t .975 of 2 is 4.3027.
    """
    ours, theirs = [[0.6, 0.4], [0.4, 0.6]], [[0.4, 0.4], [0.4, 0.4]]
    assert difference_interval(ours, theirs) == pytest.approx(
        (0.1 - 0.43027, 0.1 + 0.43027), abs=1e-5
    )


def test_the_interval_with_many_seeds_and_sequences() -> None:
    """Both errors add up in squares, less what they share."""
    ours, theirs = runs(np.random.default_rng(3), 40, 400, 0.02, 0.2, 0.1, gain=0.05)
    low, high = difference_interval(ours, theirs)
    half = 1.96 * np.sqrt(2 * 0.02**2 / 40 + 2 * 0.2**2 / 400 + 2 * 0.1**2 / 40 / 400)
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)
    assert (low + high) / 2 == pytest.approx((ours - theirs).mean())
    ours, theirs = np.full((2, 5), 0.3), np.full((3, 5), 0.2)
    assert difference_interval(ours, theirs) == pytest.approx((0.1, 0.1))
    with pytest.raises(ValueError, match="two of each at least"):
        difference_interval(ours[:1], theirs)


@pytest.mark.parametrize(
    ("trained", "video", "both"),
    [(0.02, 0, 0), (0, 0.05, 0), (0, 0, 0.1), (0.015, 0.05, 0.08), (0.01, 0.05, 0.01)],
)
def test_equal_trackers_are_seldom_told_apart_with_two_seeds(
    trained: float, video: float, both: float
) -> None:
    """Nominally in 5 of 100 cases, whether trainings, videos or both vary."""
    assert told(400, seeds=2, count=14, trained=trained, video=video, both=both) < 0.1


def test_a_large_difference_is_told_and_more_seeds_tell_a_smaller() -> None:
    noise = {"count": 14, "trained": 0.01, "video": 0.05, "both": 0.05}
    assert told(100, seeds=2, gain=0.2, **noise) > 0.95
    assert told(100, seeds=5, gain=0.1, **noise) > 0.95
