"""A search over tracker settings, one setting at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Choice = dict[str, Any]  # tracker setting → value


def search(
    measure: Callable[[Choice], float],
    start: Choice,
    grid: Mapping[str, Sequence[Any]],
    rounds: int,
) -> Iterator[tuple[Choice, float]]:
    """Every choice that was measured, with what it reached, in order: `start` first, each choice
    once.

    A setting takes the value that reaches the most while the others stay; it moves only when that
    is more than before, so that equal values keep the earlier one. Ends after `rounds`, or when a
    round changes nothing.
    """
    best, reached = dict(start), measure(start)
    measured = {tuple(best.values()): reached}
    yield best, reached
    for _ in range(rounds):
        before = best
        for name, values in grid.items():
            for value in values:
                choice = {**best, name: value}
                key = tuple(choice.values())
                if key not in measured:
                    measured[key] = measure(choice)
                    yield choice, measured[key]
                if measured[key] > reached:
                    best, reached = choice, measured[key]
        if best == before:
            return
