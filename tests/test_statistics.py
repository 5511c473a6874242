"""Effects and their intervals: by hand, and by simulation of trackers that are equal or are not."""

import numpy as np
import pytest

from siamla.report.differences import difference
from siamla.statistics import correlation_values, fitted_effect, holm, mean_effect, weighted_values

PAIR = {"a": 1.0, "b": -1.0}


def test_an_effect_by_hand() -> None:
    """Gaps .1 and .2: .005 / 2, 1 degree of freedom; the seeds' means of a .6 and .7, of b .45 and
    .55: .005 pooled, (1/2 + 1/2) · .005, 2 degrees; nothing of both. Error √.0075; .0075² / (.0025²
    + .005² / 2) = 3 degrees, for which tables give t .975 = 3.1824 and t .8 = .9785.
    """
    a = np.array([[0.5, 0.7], [0.6, 0.8]])
    effect = mean_effect({"a": a, "b": np.array([[0.4, 0.5], [0.5, 0.6]])}, PAIR)
    assert (effect.value, effect.error, effect.freedom) == pytest.approx((0.15, 0.0866025, 3))
    assert (effect.low, effect.high) == pytest.approx((0.15 - 0.275607, 0.15 + 0.275607), abs=1e-5)
    assert effect.seen == pytest.approx(0.275607 + 0.08474, abs=1e-4)
    assert effect.shares == pytest.approx({"sequences": 100 / 3, "seeds": 200 / 3, "both": 0})
    assert (effect.seeds, effect.sequences) == ({"a": 2, "b": 2}, 2)
    assert effect.p == pytest.approx(0.1817, abs=1e-4)  # t = 1.7321 with 3 degrees


def test_what_seed_and_sequence_do_together_counts_once() -> None:
    """± .1 on each: residual mean square .04, of the mean .04 / 4; means over either are all .6."""
    effect = mean_effect({"a": np.array([[0.5, 0.7], [0.7, 0.5]]), "b": np.zeros((2, 2))}, PAIR)
    assert (effect.value, effect.error) == pytest.approx((0.6, 0.1))
    assert effect.shares == pytest.approx({"sequences": 0, "seeds": 0, "both": 100})


def test_weights_make_contrasts_of_several_variants() -> None:
    rng = np.random.default_rng(1)
    tables = {name: rng.normal(0.5, 0.1, (3, 5)) for name in "abcd"}
    halves = {"a": 0.5, "b": -0.5, "c": 0.5, "d": -0.5}
    two = mean_effect(tables, PAIR).value, mean_effect(tables, {"c": 1.0, "d": -1.0}).value
    assert mean_effect(tables, halves).value == pytest.approx(sum(two) / 2)


@pytest.mark.parametrize("shape", [(1, 5), (3, 1)])
def test_one_seed_or_one_sequence_has_no_interval(shape: tuple[int, int]) -> None:
    effect = mean_effect({"a": np.full(shape, 0.6), "b": np.full((3, shape[1]), 0.5)}, PAIR)
    assert effect.value == pytest.approx(0.1)
    assert np.isnan([effect.low, effect.high, effect.seen, effect.p]).all()


def test_with_one_seed_the_interval_may_be_over_sequences() -> None:
    """Gaps .1, .2, .3: standard error .1 / √3, and t .975 of 2 degrees is 4.3027."""
    tables = {"a": np.array([[0.5, 0.6, 0.7]]), "b": np.full((1, 3), 0.4)}
    effect = mean_effect(tables, PAIR, one_seed=True)
    half = 4.3027 * 0.1 / 3**0.5
    assert (effect.low, effect.high) == pytest.approx((0.2 - half, 0.2 + half), abs=1e-5)
    assert not effect.told


def test_rounding_is_no_difference() -> None:
    effect = mean_effect({"a": np.full((2, 5), 0.3), "b": np.full((3, 5), 0.2)}, PAIR)
    assert (effect.low, effect.high, effect.p) == pytest.approx((0.1, 0.1, 0))
    assert mean_effect({"a": np.full((2, 5), 0.3), "b": np.full((2, 5), 0.3)}, PAIR).p == 1


def test_other_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[3, 4\] sequences"):
        mean_effect({"a": np.zeros((2, 3)), "b": np.zeros((2, 4))}, PAIR)


def drawn(
    rng: np.random.Generator,
    seeds: tuple[int, int],
    count: int,
    sd: tuple[float, float, float],
    gap: float = 0,
) -> dict[str, np.ndarray]:
    """Two variants of the model: sd of the difference by sequence, of a seed, and of both."""
    hard = rng.normal(0, 0.2, count)
    return {
        name: (
            hard
            + shift
            + rng.normal(0, sd[0] / 2**0.5, count)
            + rng.normal(0, sd[1], (number, 1))
            + rng.normal(0, sd[2], (number, count))
        )
        for name, number, shift in zip("ab", seeds, (gap, 0), strict=True)
    }


@pytest.mark.parametrize(
    ("seeds", "count", "sd"),
    [
        ((8, 8), 40, (0.05, 0.01, 0.1)),
        ((8, 8), 40, (0.0, 0.02, 0.02)),  # seeds are all that varies
        ((8, 6), 30, (0.1, 0.0, 0.05)),  # sequences are
        ((8, 8), 40, (0.0, 0.0, 0.1)),  # lost or not lost: both together
    ],
)
def test_the_interval_covers_at_its_level(
    seeds: tuple[int, int], count: int, sd: tuple[float, float, float]
) -> None:
    """500 studies of equal trackers: 95 % with an error of 1 %; a little more is no fault."""
    rng = np.random.default_rng(7)
    effects = [mean_effect(drawn(rng, seeds, count, sd), PAIR) for _ in range(500)]
    assert 0.92 <= np.mean([e.low <= 0 <= e.high for e in effects]) <= 0.985
    assert np.mean([e.error for e in effects]) == pytest.approx(
        np.std([e.value for e in effects]), rel=0.15
    )


def test_the_smallest_difference_seen_is_found_in_four_of_five() -> None:
    rng, sd = np.random.default_rng(3), (0.05, 0.01, 0.1)
    equal = [mean_effect(drawn(rng, (8, 8), 40, sd), PAIR) for _ in range(50)]
    seen = float(np.mean([effect.seen for effect in equal]))
    better = [mean_effect(drawn(rng, (8, 8), 40, sd, seen), PAIR) for _ in range(400)]
    found = np.mean([effect.low > 0 for effect in better])
    assert found == pytest.approx(0.8, abs=0.08)


def test_a_fit_of_two_groups_is_the_difference_of_their_means() -> None:
    rng = np.random.default_rng(3)
    tables = {name: rng.normal(0.5, 0.1, (4, 6)) for name in "ab"}
    design = np.array([[1.0, group] for group in (1, 1, 1, 1, 0, 0, 0, 0)])
    fit = fitted_effect(np.concatenate([*tables.values()]), design, np.array([0.0, 1.0]), {"n": 8})
    groups = mean_effect(tables, PAIR)
    assert (fit.value, fit.low, fit.high) == pytest.approx((groups.value, groups.low, groups.high))
    assert fit.freedom == pytest.approx(groups.freedom)


def test_what_a_design_explains_whole_has_an_interval_over_sequences() -> None:
    values = np.array([[0.1, 0.2, 0.3], [0.2, 0.4, 0.6]])
    fit = fitted_effect(values, np.array([[1.0, 0], [1, 1]]), np.array([0.0, 1.0]), {"n": 2})
    half = 4.3027 * 0.1 / 3**0.5
    assert (fit.low, fit.high) == pytest.approx((0.2 - half, 0.2 + half), abs=1e-5)


def test_an_effect_among_others_is_covered_at_its_level() -> None:
    """Sixteen readings by nine columns, of which one adds nothing and the others much."""
    rng = np.random.default_rng(4)
    bits = (np.arange(16)[:, None] >> np.arange(4)) & 1
    masks = (1, 2, 4, 8, 3, 5, 6, 9)  # a column is the parity of the bits in its mask
    parity = [bits[:, [bool(mask >> at & 1) for at in range(4)]].sum(1) % 2 for mask in masks]
    design = np.column_stack([np.ones(16), *parity])
    shifts = design @ np.array([0, 0, *rng.normal(0, 0.2, 7)])
    pick = np.eye(9)[1]
    outside = 0
    for _ in range(400):
        noise = rng.normal(0, 0.02, (16, 1)) + rng.normal(0, 0.05, (16, 20))
        together = rng.normal(0, 0.02, 20) * design[:, [1]]
        values = shifts[:, None] + rng.normal(0, 0.1, 20) + noise + together
        outside += fitted_effect(values, design, pick, {"n": 16}).told
    assert 8 <= outside <= 32  # 2 to 8 % of 400


def test_a_weighted_mean_is_the_mean_of_its_values() -> None:
    """.5, .8 and .2 on 1, 2 and 1 frames: .575. Jackknife: 2 · (¼ · −.075 / ¾, ½ · .225 / ½, ¼ ·
    −.375 / ¾) = −.05, .45, −.25, less their mean .05. What has no value has no weight.
    """
    values = weighted_values(np.array([0.5, 0.8, 0.2]), np.array([1.0, 2, 1]))
    assert values == pytest.approx(0.575 + np.array([-0.1, 0.4, -0.3]))
    rng = np.random.default_rng(3)
    plain = rng.random((2, 7))
    assert weighted_values(plain, np.full((2, 7), 40.0)) == pytest.approx(plain)
    lacking = weighted_values(np.array([0.5, 0.8, np.nan]), np.array([1.0, 3, 9]))
    assert lacking.mean() == pytest.approx(0.725)
    assert np.isnan(weighted_values(np.array([0.5, np.nan]), np.ones(2))).all()  # one alone


@pytest.mark.parametrize("slope", [0, 0.05])
@pytest.mark.parametrize("seeds", [1, 3])
def test_the_interval_of_a_pooled_value_covers_at_its_level(slope: float, seeds: int) -> None:
    """1000 studies of 60 sequences of 41 to 1500 frames, as VOT2018 has them, but more unequal; the
    difference may grow with the logarithm of the length. 95 % with an error of .7 %. The interval
    of the plain mean is that of another quantity.
    """
    rng = np.random.default_rng(2)
    low, high = np.log([41, 1500])
    mean_log = (1500 * (high - 1) - 41 * (low - 1)) / (1500 - 41)  # by frames
    expected = slope * mean_log
    held = np.zeros(2)
    for _ in range(1000):
        logs, hard = rng.uniform(low, high, 60), rng.normal(0, 0.2, 60)
        gaps = slope * logs + rng.normal(0, 0.1, 60)
        tables = {
            name: hard + gap + rng.normal(0, 0.05, (seeds, 60))
            for name, gap in (("a", gaps), ("b", 0))
        }
        pooled = {name: weighted_values(each, np.exp(logs)) for name, each in tables.items()}
        effects = [mean_effect(each, PAIR, one_seed=True) for each in (pooled, tables)]
        held += [one.low <= expected <= one.high for one in effects]
    assert 0.93 <= held[0] / 1000 <= 0.97
    assert not slope or held[1] / 1000 < 0.8


def test_an_interval_lies_around_the_number_that_is_printed() -> None:
    """AO of 100 and 900 frames: .9 · .5 + .1 · .9 = .54 against .9 · .6 + .1 · .5 = .59; the mean
    over sequences says +.15 instead of −.05.
    """
    weights = {"ao": {"short": 100.0, "long": 900.0}}
    contents = [
        {
            "overall": {"ao": 0.1 * short + 0.9 * long},
            "per_sequence": {"short": {"ao": short}, "long": {"ao": long}},
            "per_attribute": {},
            "weights": weights,
        }
        for short, long in ((0.9, 0.5), (0.5, 0.6))
    ]
    gap = difference(contents[:1], contents[1:], "Overall", "ao")
    assert gap.value == pytest.approx(-0.05)
    assert (gap.low + gap.high) / 2 == pytest.approx(-0.05)


def cells(rng: np.random.Generator, seeds: int, follows: np.ndarray) -> list:
    """60 points of each seed and sequence, whose correlation is near `follows` (sequences,) and
    moves by seed.
    """
    strength = np.clip(follows + rng.normal(0, 0.05, (seeds, 1)), 0, 1)
    x = rng.normal(size=(*strength.shape, 60))
    y = strength[..., None] * x + np.sqrt(1 - strength[..., None] ** 2) * rng.normal(size=x.shape)
    return [list(zip(*row, strict=True)) for row in zip(x, y, strict=True)]


def test_a_correlation_is_the_mean_of_its_values() -> None:
    """Influence by hand: scores −1.2247, 0, 1.2247 and 0, 1.2247, −1.2247 give r = −.5, and x·y +
    (x² + y²) / 4 is .375, .375 and −.75.
    """
    values = correlation_values(
        [[(np.array([1.0]), np.array([2.0]))], [(np.array([2.0, 3]), np.array([3.0, 1]))]], False
    )
    assert values == pytest.approx(np.array([[-0.5 + 0.375 / 1.5], [-0.5 + (0.375 - 0.75) / 1.5]]))
    rows = cells(np.random.default_rng(2), 3, np.array([0.2, 0.8]))
    x, y = (np.concatenate([cell[axis] for row in rows for cell in row]) for axis in (0, 1))
    for ranks, scale in ((False, (x, y)), (True, (x.argsort().argsort(), y.argsort().argsort()))):
        values = correlation_values(rows, ranks)
        assert values is not None
        assert values.mean() == pytest.approx(np.corrcoef(*scale)[0, 1])
    constant = [[(np.ones(5), np.arange(5.0))]]
    assert correlation_values(constant, False) is None
    assert correlation_values([], True) is None


@pytest.mark.parametrize("ranks", [False, True])
def test_correlations_of_equal_trackers_are_seldom_told_apart(ranks: bool) -> None:
    rng = np.random.default_rng(5)

    def effect(seeds: int, gain: float = 0.0):
        base = rng.uniform(0.3, 0.6, 14)
        rows = {"a": cells(rng, seeds, base + gain), "b": cells(rng, 8, base)}
        return mean_effect(
            {name: correlation_values(row, ranks) for name, row in rows.items()}, PAIR
        )

    equal = [effect(8) for _ in range(100)]
    assert 0.9 <= np.mean([one.low <= 0 <= one.high for one in equal]) <= 0.99
    better = effect(8, gain=0.3)
    assert 0 < better.low < better.value < better.high
    assert (better.seeds, better.sequences) == ({"a": 8, "b": 8}, 14)
    assert np.isnan(effect(1).low)


def test_holm_by_hand() -> None:
    """.01 · 4, .02 · 3, .03 · 2 (no less than .06), .2 · 1; in the order given, at most 1."""
    assert holm([0.03, 0.01, 0.2, 0.02]) == pytest.approx([0.06, 0.04, 0.2, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
