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
    """Every choice that was measured, each once, with what it reached, `start` first.

    A setting takes the value that reaches the most while the others stay; equal values keep the
    earlier one. Ends after `rounds`, or when a round changes nothing.
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
