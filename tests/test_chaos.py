"""A few rounds of tests/chaos.py; `python tests/chaos.py --kills 200` plays more."""

import time

import pytest
from chaos import FEWEST, LONGEST, MOST, PARTS, SIGNALS, WHOM, differing, draw, files, play
from conftest import Tree

SECONDS = 40.0  # no round starts later


def test_a_round_follows_from_its_number_and_all_that_can_happen_does() -> None:
    rounds = [draw(0, number) for number in range(200)]
    assert rounds == [draw(0, number) for number in range(200)]
    assert rounds != [draw(1, number) for number in range(200)]
    kills = [kill for one in rounds for kill in one.kills]
    assert {one.forgotten for one in rounds} == set(PARTS)
    assert {one.retries for one in rounds} == {kill.early for kill in kills} == {False, True}
    assert {kill.whom for kill in kills} == set(WHOM)
    assert {kill.number for kill in kills} == set(SIGNALS)
    assert all(FEWEST <= len(one.kills) <= MOST for one in rounds)
    assert all(0 <= kill.after <= LONGEST and 0 <= kill.choice < 1 for kill in kills)


def test_what_differs_is_named() -> None:
    found = differing({"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 2, "d": 1})
    assert found == ["c is missing", "d is new", "b differs"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_random_moments_it_ends_with_the_same_bytes(tree: Tree) -> None:
    expected, started = files(tree), time.monotonic()
    for number in (15, 11):  # few kills: of everything, and of what follows curation
        if time.monotonic() - started > SECONDS:
            break
        play(tree, expected, seed=0, number=number)
