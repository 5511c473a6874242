"""A profile: the data, the benchmarks, the seeds and the scale of one reproduction."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field, model_validator

from siamla.data.layout import LayoutName, Preset, SourceName, TrainingLayout
from siamla.errors import UserError
from siamla.experiment.spec import Spec, ancestry, merge
from siamla.settings import (
    NAME,
    Chosen,
    EachOnce,
    Line,
    Mistakes,
    Name,
    Settings,
    nearest,
    read_yaml,
    validate,
)
from siamla.tracker.settings import TrackerSettings

Seeds = Annotated[
    list[Annotated[int, Field(ge=0, lt=2**31)]],
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
    EachOnce,
]
Names = Annotated[list[str], Field(json_schema_extra={"uniqueItems": True}), EachOnce]


class Dataset(Settings):
    """A folder in an official layout."""

    root: Path
    dvc: str | None = Field(
        None, description="stage of dvc.yaml or .dvc pointer that brings the data; null = as found"
    )
    frames: int | None = Field(
        None, ge=1, description="use only the first frames of every sequence"
    )

    @property
    def rendered(self) -> str | None:
        """The set of params/synthetic.yaml that this is; None where real video may be in it."""
        kind, _, name = (self.dvc or "").partition("@")
        return name if kind == "synthesize" else None  # a stage of dvc.yaml


class TrainingSet(Dataset):
    """A data set to be trained on: a table of boxes, of which some are kept, or whole sequences."""

    layout: TrainingLayout
    preset: Preset | None = Field(
        None,
        description="boxes to keep; null: clean, or of a benchmark's layout all that are sound",
    )

    @property
    def boxes(self) -> Preset | None:
        """The preset by which a table of boxes is read; None where whole sequences are."""
        return self.preset or (None if self.layout in get_args(LayoutName) else "clean")

    @model_validator(mode="after")
    def readable(self) -> "TrainingSet":
        if self.preset and self.layout not in get_args(SourceName):
            sources = ", ".join(get_args(SourceName))
            raise ValueError(f"preset: {self.layout} has none; only {sources} have")
        if self.boxes and self.frames:
            instead = "crops.max_frames keeps some of a track"
            raise ValueError(f"frames: a table of boxes has no first frames; {instead}")
        return self


class Benchmark(Dataset):
    """A data set to be tracked, scored by a protocol of params/protocols.yaml."""

    layout: LayoutName
    protocol: str | None = Field(
        None, description="default: the one named like the benchmark, else its layout's"
    )
    label: Line | None = Field(None, description="column title; default: the name")
    training: str | None = Field(
        None, description="which of `trainings` its models have; null = that of `spec`"
    )
    tracker: dict[str, Any] = Field(
        default_factory=dict, description="tracker settings for this benchmark alone"
    )
    variants: Chosen | None = Field(None, description="variants to run here; null = all")


class Imported(Settings):
    """Raw results of another tracker, in the folders that `siamla results import` writes."""

    label: Line | None = Field(None, description="row title; default: the name")
    results: dict[str, Path] = Field(
        min_length=1, description="benchmark of this profile → folder with its results"
    )


class Profile(Settings):
    """params/profiles/NAME.yaml."""

    extends: str | None = Field(
        None,
        description="what this is laid over: mappings merge, all else replaces, null takes away",
    )
    caption: str = Field(description="what the data were; printed under every table")
    train: dict[Name, TrainingSet] = Field(min_length=1)
    benchmarks: dict[Name, Benchmark] = Field(min_length=1)
    imported: dict[Name, Imported] = Field(
        default_factory=dict, description="other trackers, scored beside ours"
    )
    seeds: Seeds
    variant_seeds: dict[str, Seeds] = Field(
        default_factory=dict,
        description="variant, or @TRAINING → its seeds, in place of `seeds`",
    )
    variants: Chosen | None = Field(None, description="variants to train; null = all")
    tables: Annotated[
        list[int], Field(min_length=1, json_schema_extra={"uniqueItems": True}), EachOnce
    ]
    sweeps: Names = Field(default_factory=list, description="sweeps of params/sweeps.yaml to run")
    maps: Names = Field(
        default_factory=list,
        description="benchmarks of which score maps are stored, by params/maps.yaml",
    )
    alignment: Names = Field(
        default_factory=list,
        description="benchmarks on whose crops, cut around the truth, every model is measured",
    )
    spec: dict[str, Any] = Field(
        default_factory=dict, description="nested settings over the defaults"
    )
    trackers: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="variant (and what extends it) → tracker settings that `siamla tune` chose",
    )
    trainings: dict[Name, dict[str, Any]] = Field(
        default_factory=dict,
        description="other trainings of the variants: name → nested settings over `spec`",
    )
    doses: Names = Field(
        default_factory=list,
        description=(
            "longer `trainings` that the study compares with that of `spec`; each has a benchmark"
            " of every root"
        ),
    )
    readings: Names = Field(
        default_factory=list,
        description=(
            "`trainings` that read the paper in different ways, compared by `siamla report study`;"
            " each has a benchmark of every root"
        ),
    )


def _check_settings(profile: Profile, path: Path) -> None:
    """UserError with every wrong setting of networks, trainings and trackers in a profile."""
    base = merge({"pairs": {"dataset": "?"}}, profile.spec)  # a variant may set the data set
    mistakes = Mistakes()
    with mistakes.noted():
        validate(Spec, base, f"{path}: spec")
    sound = not mistakes.lines
    for name, over in profile.trainings.items():
        where = f"{path}: trainings.{name}"
        if "tracker" in over:
            instead = "a benchmark's tracker is set in benchmarks.NAME.tracker"
            mistakes.add(f"{where}.tracker: {instead}")
        elif sound:
            with mistakes.noted():
                validate(Spec, merge(base, over), where)
    trackers = {f"trackers.{name}": entry for name, entry in profile.trackers.items()}
    for name, benchmark in profile.benchmarks.items():
        trackers[f"benchmarks.{name}.tracker"] = benchmark.tracker
    for key, tracker in trackers.items():
        with mistakes.noted():
            validate(TrackerSettings, tracker, f"{path}: {key}")
    mistakes.tell()


def _path(name: str, folder: Path, where: str = "") -> Path:
    """The file of a profile; UserError for no name and no such file, beginning with `where`."""
    path = folder / f"{name}.yaml"
    if not re.fullmatch(NAME, name):
        words = "expected a name of lower-case letters, digits and _"
        raise UserError(f"{where}the profile {name!r}: {words}")
    if not folder.is_dir():
        raise UserError(
            f"{where}{folder}: no such folder; run this in a project: `siamla init NAME` makes one"
            " (only `siamla track` and models by hand need none)"
        )
    if not path.exists():
        names = sorted(each.stem for each in folder.glob("*.yaml"))
        raise UserError(f"{where}{path}: no such profile; {nearest(name, names)}")
    return path


def _over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A profile laid over the one that it extends."""
    merged = merge(base, over)
    for key, entries in list(merged.items()):
        if entries is None and isinstance(base.get(key), dict):
            del merged[key]
        if isinstance(entries, dict) and isinstance(base.get(key), dict):
            left = {name: entry for name, entry in entries.items() if entry is not None}
            merged[key] = left
    return merged


def load_profile(name: str, params: Path) -> Profile:
    """A profile over those that it extends; UserError with all mistakes of the first wrong file."""
    folder = params / "profiles"
    path = _path(name, folder)
    contents: dict[str, dict[str, Any]] = {}

    def parent(each: str) -> str | None:
        contents[each] = read_yaml(folder / f"{each}.yaml")
        if contents[each].get("extends") is None:
            return None
        where = f"{folder / each}.yaml: extends"
        extended = validate(str, contents[each]["extends"], where)
        _path(extended, folder, f"{where}: ")
        return extended

    merged: dict[str, Any] = {}
    for each in ancestry(name, parent, f"{path}: "):
        merged = _over(merged, contents[each])
        profile = validate(Profile, merged, f"{folder / each}.yaml")
        _check_settings(profile, folder / f"{each}.yaml")
    return profile
