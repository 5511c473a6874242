"""VOT supervised: placeholder until the runner and the measures are in."""

from typing import Any


def score_supervised(*args: Any) -> Any:
    raise NotImplementedError
