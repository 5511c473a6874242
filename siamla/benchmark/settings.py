"""What is chosen of a benchmark beside its protocol."""

from pathlib import Path

from pydantic import Field

from siamla.settings import Chosen, Settings, read_yaml, validate

SEQUENCES = "evenly spaced among the benchmark's; null = all"
FRAMES = "of each sequence, evenly spaced from the second to the last"


class MapRule(Settings):
    """params/maps.yaml: of which variants, sequences and frames score maps are stored."""

    variants: Chosen
    sequences: int | None = Field(None, ge=1, description=SEQUENCES)
    frames: int = Field(ge=1, description=FRAMES)


def load_rule(path: Path) -> MapRule:
    """The rule of a YAML file."""
    return validate(MapRule, read_yaml(path), str(path))
