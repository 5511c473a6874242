"""What tests/chaos.py draws and tells; test_kills.py plays a few of its rounds."""

from chaos import DISTURBANCES, FEWEST, LONGEST, MOST, PARTS, SIGNALS, WHOM, differing, draw


def test_a_round_follows_from_its_number_and_all_that_can_happen_does() -> None:
    rounds = [draw(0, number) for number in range(200)]
    assert rounds == [draw(0, number) for number in range(200)]
    assert rounds != [draw(1, number) for number in range(200)]
    kills = [kill for one in rounds for kill in one.kills]
    assert {one.forgotten for one in rounds} == set(PARTS)
    assert {one.disturbed for one in rounds} == {None, *DISTURBANCES}
    assert {one.retries for one in rounds} == {kill.early for kill in kills} == {False, True}
    assert {kill.whom for kill in kills} == set(WHOM)
    assert {kill.number for kill in kills} == set(SIGNALS)
    assert all(FEWEST <= len(one.kills) <= MOST for one in rounds)
    assert all(0 <= kill.after <= LONGEST and 0 <= kill.choice < 1 for kill in kills)


def test_what_differs_is_named() -> None:
    found = differing({"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 2, "d": 1})
    assert found == ["c is missing", "d is new", "b differs"]
