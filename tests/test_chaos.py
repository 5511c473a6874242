"""A few rounds of tests/chaos.py; `python tests/chaos.py --rounds 200` plays more."""

import time

import pytest
from chaos import PARTS, VICTIMS, draw, outcome, play
from conftest import Tree

SECONDS = 40.0  # no round starts later


def test_a_round_follows_from_its_number_and_kills_in_time() -> None:
    rounds = [draw(0, number, 30.0) for number in range(200)]
    assert rounds == [draw(0, number, 30.0) for number in range(200)]
    assert rounds != [draw(1, number, 30.0) for number in range(200)]
    assert {one.forgotten for one in rounds} == set(PARTS)
    assert {victim for one in rounds for victim, _ in one.kills} == set(VICTIMS)
    assert all(0 <= after <= 30.0 * PARTS[one.forgotten][0] for one in rounds for _, after in one.kills)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_random_moments_it_ends_with_the_same_bytes(tree: Tree) -> None:
    expected, started = outcome(tree), time.monotonic()
    for number in range(3):
        if number and time.monotonic() - started > SECONDS:
            break
        play(tree, expected, seed=0, number=number, unit=15.0)
