"""Several claims at once: by chance alone one of them would soon seem to hold."""

from collections.abc import Sequence


def holm(values: Sequence[float]) -> list[float]:
    """p-values that may be compared with the level though there are several, in the order given.

    Holm (Scandinavian Journal of Statistics 6, 1979): the chance that any true "no difference" is
    called a difference stays below the level, whatever the tests have to do with each other.
    """
    order = sorted(range(len(values)), key=lambda index: values[index])
    adjusted = [0.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, (len(values) - rank) * values[index])
        adjusted[index] = min(largest, 1.0)
    return adjusted
