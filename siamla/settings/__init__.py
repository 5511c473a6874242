"""Settings: YAML files and JSON options in, typed data out; a mistake is one line with file, key,
value and help. The only validator of the package: no other module catches pydantic's errors or
reads YAML settings by itself.
"""

from siamla.settings.base import (
    NAME,
    Chosen,
    EachOnce,
    Mistakes,
    Name,
    Settings,
    field_names,
    nearest,
    neutral,
    neutral_fields,
    without_neutral,
)
from siamla.settings.reading import read_yaml
from siamla.settings.validation import validate, validate_json

__all__ = [
    "NAME",
    "Chosen",
    "EachOnce",
    "Mistakes",
    "Name",
    "Settings",
    "field_names",
    "nearest",
    "neutral",
    "neutral_fields",
    "read_yaml",
    "validate",
    "validate_json",
    "without_neutral",
]
