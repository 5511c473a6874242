"""What is tried when tracker settings are chosen: params/tune.yaml."""

from pathlib import Path

from pydantic import Field

from siamla.experiment.sweeps import Values, check_values
from siamla.settings import Mistakes, Settings, read_yaml, validate


class Tuning(Settings):
    """params/tune.yaml: tracker setting → values, tried one setting after the other."""

    rounds: int = Field(
        ge=1,
        description="how often all settings are gone through; it ends when a round changes none",
    )
    grid: dict[str, Values] = Field(min_length=1)


def load_tuning(path: Path) -> Tuning:
    """The grid of a YAML file; UserError with every wrong key and value."""
    tuning, mistakes = validate(Tuning, read_yaml(path), str(path)), Mistakes()
    for key, values in tuning.grid.items():
        check_values(key, values, f"{path}: grid.{key}", mistakes)
    mistakes.tell()
    return tuning
