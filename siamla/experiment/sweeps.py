"""Values of tracker settings that are tried: params/sweeps.yaml and params/tune.yaml."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from siamla.errors import UserError
from siamla.experiment.spec import plain
from siamla.settings import (
    Chosen,
    EachOnce,
    Mistakes,
    Name,
    Settings,
    field_names,
    nearest,
    read_yaml,
    validate,
)
from siamla.tracker.settings import TrackerSettings

Value = int | float | str
Values = Annotated[list[Value], Field(min_length=1), EachOnce]


class Sweep(Settings):
    """Each value of one tracker setting is a point: tracked and scored, and not trained."""

    key: str = Field(description="a tracker setting, such as window")
    values: Values
    variants: Chosen
    benchmarks: Chosen


class Sweeps(Settings):
    """params/sweeps.yaml."""

    sweeps: dict[Name, Sweep]


def text_of(value: Value) -> str:
    """A value as a folder and on the command line: "0.1"."""
    return value if isinstance(value, str) else f"{value:g}"


def at_point(
    base: TrackerSettings, sweeps: dict[str, Sweep], name: str, text: str
) -> TrackerSettings:
    """The tracker's settings with a value of a sweep, which wins over what a variant sets;
    UserError with what there is.
    """
    if name not in sweeps:
        what = nearest(name, list(sweeps)) if sweeps else "it runs none (`sweeps:`)"
        raise UserError(f"{name}: no such sweep in this profile; {what}")
    values = {text_of(value): value for value in sweeps[name].values}
    if text not in values:
        raise UserError(f"{name}: {text!r} is not one of its values ({', '.join(values)})")
    settings = {**plain(base), sweeps[name].key: values[text]}
    return validate(TrackerSettings, settings, f"sweep {name}")


def check_values(key: str, values: Values, where: str, mistakes: Mistakes) -> None:
    """Note a key that is no tracker setting, and each value that it cannot have."""
    valid = list(field_names(TrackerSettings))
    if key not in valid:
        mistakes.add(f"{where}: {key!r} is no tracker setting; {nearest(key, valid)}")
        return
    for value in values:
        with mistakes.noted():
            validate(TrackerSettings, {key: value}, where)


def load_sweeps(path: Path) -> dict[str, Sweep]:
    """The sweeps of a YAML file by name; UserError with every wrong key and value."""
    sweeps, mistakes = validate(Sweeps, read_yaml(path), str(path)).sweeps, Mistakes()
    for name, sweep in sweeps.items():
        where = f"{path}: sweeps.{name}"
        check_values(sweep.key, sweep.values, where, mistakes)
        texts = [text_of(value) for value in sweep.values]
        for text in dict.fromkeys(text for text in texts if texts.count(text) > 1):
            mistakes.add(f"{where}.values: two values are both {text}")
    mistakes.tell()
    return sweeps


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
