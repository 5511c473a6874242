"""A profile: the data, the benchmarks, the seeds and the scale of one reproduction; and everything
resolved.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field, model_validator

from siamla.benchmark.protocols import Protocol, load_protocols
from siamla.benchmark.settings import MapRule, load_rule
from siamla.data.layout import LayoutName, Preset, SourceName, StillName, TrainingLayout
from siamla.errors import UserError
from siamla.experiment.spec import Spec, Variant, Variants, layered, merge, resolve
from siamla.experiment.sweeps import Sweep, load_sweeps
from siamla.settings import (
    NAME,
    Chosen,
    EachOnce,
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


class TrainingSet(Dataset):
    """A data set to be trained on: a table of boxes, of which some are kept, or whole sequences."""

    layout: TrainingLayout
    preset: Preset | None = Field(
        None,
        description=(
            "boxes to keep; null: clean, or of a benchmark's layout all of sequences without a"
            " fault"
        ),
    )

    @property
    def boxes(self) -> Preset | None:
        """The preset by which a table of boxes is read; None where whole sequences are."""
        return self.preset or (None if self.layout in get_args(LayoutName) else "clean")

    @model_validator(mode="after")
    def readable(self) -> "TrainingSet":
        if self.preset and self.layout not in get_args(SourceName):
            raise ValueError(
                f"preset: {self.layout} has none; only {', '.join(get_args(SourceName))} have"
            )
        if self.boxes and self.frames:
            raise ValueError(
                "frames: a table of boxes has no first frames; crops.max_frames keeps some of a"
                " track"
            )
        return self


class Benchmark(Dataset):
    """A data set to be tracked, scored by a protocol of params/protocols.yaml."""

    layout: LayoutName
    protocol: str | None = Field(
        None, description="default: the one named like the benchmark, else its layout's"
    )
    label: str | None = Field(None, min_length=1, description="column title; default: the name")
    training: str | None = Field(
        None, description="which of `trainings` its models have; null = that of `spec`"
    )
    tracker: dict[str, Any] = Field(
        default_factory=dict, description="tracker settings for this benchmark alone"
    )
    variants: Chosen | None = Field(None, description="variants to run here; null = all")


class Imported(Settings):
    """Raw results of another tracker, in the folders that `siamla results import` writes."""

    label: str | None = Field(None, min_length=1, description="row title; default: the name")
    results: dict[str, Path] = Field(
        min_length=1, description="benchmark of this profile → folder with its results"
    )


class Profile(Settings):
    """params/profiles/NAME.yaml."""

    caption: str = Field(description="what the data were; printed under every table")
    train: dict[Name, TrainingSet] = Field(min_length=1)
    benchmarks: dict[Name, Benchmark] = Field(min_length=1)
    imported: dict[Name, Imported] = Field(
        default_factory=dict, description="other trackers, scored beside ours"
    )
    seeds: Seeds
    variant_seeds: dict[str, Seeds] = Field(
        default_factory=dict, description="variant → its seeds, in place of `seeds`"
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
        description="variant → tracker settings over `spec`'s, as `siamla tune` chooses them",
    )
    trainings: dict[Name, dict[str, Any]] = Field(
        default_factory=dict,
        description="other trainings of the variants: name → nested settings over `spec`",
    )


def _protocol(benchmark: str, entry: Benchmark, protocols: Mapping[str, Protocol]) -> str:
    """The name of a benchmark's protocol: its own choice, else the one named like it, else its
    layout's first.
    """
    if entry.protocol is not None:
        if entry.protocol not in protocols:
            raise UserError(
                f"{entry.protocol!r} is unknown; {nearest(entry.protocol, list(protocols))}"
            )
        return entry.protocol
    if benchmark in protocols:
        return benchmark
    fitting = [name for name, protocol in protocols.items() if protocol.layout == entry.layout]
    if not fitting:
        raise UserError(
            f"is missing, and no protocol is of layout {entry.layout}; valid:"
            f" {', '.join(protocols)}"
        )
    return fitting[0]


@dataclass(frozen=True)
class Experiment:
    """A profile with every variant resolved; what the plan is made from."""

    name: str
    profile: Profile
    variants: dict[str, Variant]
    """All of params/variants.yaml."""
    specs: dict[str, Spec]
    """Those that the profile trains."""
    models: dict[str, Spec]
    """These, and as VARIANT@TRAINING those of the profile's other trainings."""
    protocols: dict[str, Protocol]
    """All of params/protocols.yaml."""
    sweeps: dict[str, Sweep] = field(default_factory=dict)
    """Those that the profile runs."""
    map_rule: MapRule | None = None
    """Which frames' score maps are stored; None where the profile names no benchmark for them."""

    def seeds(self, variant: str) -> list[int]:
        """Seeds that a variant is trained with."""
        return self.profile.variant_seeds.get(variant, self.profile.seeds)

    def model(self, variant: str, benchmark: str) -> str:
        """The model of a variant that a benchmark is tracked with: VARIANT, or VARIANT@TRAINING."""
        training = self.profile.benchmarks[benchmark].training
        return f"{variant}@{training}" if training else variant

    def tracker(self, variant: str, benchmark: str) -> TrackerSettings:
        """The tracker's settings: defaults ← the profile's ← those that it has for the variant
        (`trackers`) ← the benchmark's ← what the variant itself sets.
        """
        base = merge(self.profile.spec.get("tracker", {}), self.profile.trackers.get(variant, {}))
        base = merge(base, self.profile.benchmarks[benchmark].tracker)
        settings = layered({"tracker": base}, variant, self.variants)["tracker"]
        return validate(TrackerSettings, settings, f"the tracker of {variant} on {benchmark}")

    def protocol(self, benchmark: str) -> Protocol:
        """The protocol that a benchmark is tracked and scored by."""
        return self.protocols[
            _protocol(benchmark, self.profile.benchmarks[benchmark], self.protocols)
        ]

    def runs(self, benchmark: str) -> list[str]:
        """The variants that a benchmark is run with."""
        chosen = self.profile.benchmarks[benchmark].variants
        return [variant for variant in self.specs if chosen is None or variant in chosen]


def _known(words: Iterable[str], valid: list[str] | None, where: str, mistakes: Mistakes) -> None:
    """Note each word that is not valid; where that is not known, its own file is what is wrong."""
    for word in words:
        if valid is not None and word not in valid:
            mistakes.add(f"{where}: {word!r} is unknown; {nearest(word, valid)}")


def _check_names(
    profile: Profile,
    variants: list[str] | None,
    tables: list[int] | None,
    path: Path,
    mistakes: Mistakes,
) -> None:
    """Note every name in a profile that names nothing, and every name that two things have."""
    _known(profile.variants or [], variants, f"{path}: variants", mistakes)
    _known(profile.variant_seeds, variants, f"{path}: variant_seeds", mistakes)
    _known(profile.trackers, variants, f"{path}: trackers", mistakes)
    for number in profile.tables:
        if tables is not None and number not in tables:
            mistakes.add(
                f"{path}: tables: {number} is unknown; valid: {', '.join(map(str, tables))}"
            )
    for name in sorted(set(profile.train) & set(profile.benchmarks)):
        mistakes.add(f"{path}: {name!r} is both in train and in benchmarks; the names must differ")
    for benchmark, tested in profile.benchmarks.items():
        _known(
            tested.variants or [], variants, f"{path}: benchmarks.{benchmark}.variants", mistakes
        )
        _known(
            filter(None, [tested.training]),
            list(profile.trainings),
            f"{path}: benchmarks.{benchmark}.training",
            mistakes,
        )
    for tracker, entry in profile.imported.items():
        _known(
            entry.results, list(profile.benchmarks), f"{path}: imported.{tracker}.results", mistakes
        )
        if tracker in (variants or []):
            mistakes.add(f"{path}: imported: {tracker!r} is also a variant; the names must differ")


def _check_sweeps(
    profile: Profile,
    variants: list[str] | None,
    sweeps: Mapping[str, Sweep],
    path: Path,
    mistakes: Mistakes,
) -> None:
    """Note each sweep that is not there, and in those that the profile runs each name that names
    nothing.
    """
    _known(profile.sweeps, list(sweeps), f"{path}: sweeps", mistakes)
    for name in set(profile.sweeps) & set(sweeps):
        where = f"{path.parents[1] / 'sweeps.yaml'}: sweeps.{name}"
        _known(sweeps[name].variants, variants, f"{where}.variants", mistakes)
        _known(sweeps[name].benchmarks, list(profile.benchmarks), f"{where}.benchmarks", mistakes)


def _check_maps(
    experiment: Experiment, variants: list[str], path: Path, mistakes: Mistakes
) -> None:
    """Note what maps cannot be stored of and crops not cut from: benchmarks that are not there or
    start the tracker again, no variants.
    """
    benchmarks = experiment.profile.benchmarks
    for key, names in (
        ("maps", experiment.profile.maps),
        ("alignment", experiment.profile.alignment),
    ):
        where = f"{path}: {key}"
        _known(names, list(benchmarks), where, mistakes)
        for name in (name for name in names if name in benchmarks):
            with mistakes.noted():
                if experiment.protocols and experiment.protocol(name).supervised:
                    told = (
                        f"{name} starts the tracker again when it fails; expected one-pass"
                        " benchmarks"
                    )
                    raise UserError(f"{where}: {told}")
    if experiment.map_rule:
        _known(
            experiment.map_rule.variants,
            variants,
            f"{path.parents[1] / 'maps.yaml'}: variants",
            mistakes,
        )


def _check_training_sets(
    profile: Profile, models: Mapping[str, Spec], path: Path, mistakes: Mistakes
) -> None:
    """Note each data set that a variant is to be trained on and that the profile does not have, and
    each reach of a set that has no frames or lacks one.
    """
    told: set[str] = set()
    for model, pairs in ((model, spec.pairs) for model, spec in models.items()):
        for dataset, part in pairs.parts.items():
            if dataset not in profile.train:
                said = f"{dataset!r} is not one of train; {nearest(dataset, sorted(profile.train))}"
            elif isinstance(pairs.dataset, str):
                continue
            elif profile.train[dataset].layout in get_args(StillName) and part.reach is not None:
                said = f"{dataset}.reach is {part.reach}: {dataset} has still images; leave it out"
            elif profile.train[dataset].layout not in get_args(StillName) and part.reach is None:
                said = f"{dataset}.reach is missing: frames between template and search at most"
            else:
                continue
            if said not in told:
                told.add(said)
                mistakes.add(f"{path}: spec.pairs.dataset (variant {model}): {said}")


def _other_trainings(
    profile: Profile,
    variants: Mapping[str, Variant],
    trackers: Mapping[str, Mapping[str, Any]],
    path: Path,
    known: list[str],
    mistakes: Mistakes,
) -> dict[str, Spec]:
    """VARIANT@TRAINING → the spec of each variant that the profile trains, in each of its other
    trainings.
    """
    found: dict[str, Spec] = {}
    for name, over in profile.trainings.items():
        where = f"{path}: trainings.{name}"
        if "tracker" in over:
            mistakes.add(
                f"{where}.tracker: a benchmark's tracker is set in benchmarks.NAME.tracker"
            )
            continue
        base, own = merge(profile.spec, over), Mistakes()
        with own.noted():
            validate(Spec, merge({"pairs": {"dataset": "?"}}, base), "")
        mistakes.lines += [f"{where}{line}" for line in own.lines if line not in known]
        where = str(path.parents[1] / "variants.yaml")
        specs = resolve(variants, base, where, [*known, *own.lines], mistakes, trackers)
        chosen = profile.variants or list(specs)
        found |= {f"{variant}@{name}": spec for variant, spec in specs.items() if variant in chosen}
    return found


def _sound_trackers(
    profile: Profile | None, path: Path, mistakes: Mistakes
) -> dict[str, dict[str, Any]]:
    """The profile's tracker settings of variants, without those in which a mistake was noted."""
    found = {}
    for variant, entry in profile.trackers.items() if profile else ():
        with mistakes.noted():
            validate(TrackerSettings, entry, f"{path}: trackers.{variant}")
            found[variant] = entry
    return found


def _check_benchmarks(experiment: Experiment, path: Path, mistakes: Mistakes) -> None:
    """Note each benchmark without a protocol and each with wrong settings of the tracker."""
    for benchmark, entry in experiment.profile.benchmarks.items():
        where = f"{path}: benchmarks.{benchmark}"
        try:
            if experiment.protocols:
                experiment.protocol(benchmark)
        except UserError as error:
            mistakes.add(f"{where}.protocol: {error}")
        try:
            validate(TrackerSettings, entry.tracker, f"{where}.tracker")
            for variant in experiment.runs(benchmark):
                experiment.tracker(variant, benchmark)
        except UserError as error:
            mistakes.lines += str(error).splitlines()


def _read_variants(path: Path, mistakes: Mistakes) -> dict[str, Variant] | None:
    """All variants; with mistakes in their form what can be read of them, so that what they set is
    checked as well.
    """
    raw = read_yaml(path)
    with mistakes.noted():
        return validate(Variants, raw, str(path)).variants
    entries = raw.get("variants")
    if not isinstance(entries, dict):
        return None
    readable = {}
    for name, entry in entries.items():
        known = entry if isinstance(entry, dict) else {}
        parent, own = known.get("extends"), known.get("set")
        readable[str(name)] = Variant(
            label=str(name),
            extends=parent if isinstance(parent, str) else None,
            set={str(key): value for key, value in own.items()} if isinstance(own, dict) else {},
        )
    return readable


def _table_numbers(path: Path) -> list[int]:
    numbers = read_yaml(path).get("tables")
    if not isinstance(numbers, dict):
        raise UserError(f"{path}: tables: expected a mapping from numbers to tables")
    return list(numbers)


def load(name: str, params: Path = Path("params")) -> Experiment:
    """Read and check profile `name`, all variants, the protocols and which tables there are.

    UserError before any work, with a line for every mistake in any of the files.
    """
    path, variants_path = params / "profiles" / f"{name}.yaml", params / "variants.yaml"
    if not re.fullmatch(NAME, name):
        raise UserError(
            f"the profile {name!r}: expected a name of lower-case letters, digits and _"
        )
    if not path.exists():
        found = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise UserError(f"{path}: no such profile; {nearest(name, found)}")
    mistakes = Mistakes()
    profile: Profile | None = None
    variants: dict[str, Variant] | None = None
    protocols: dict[str, Protocol] = {}
    tables: list[int] | None = None
    raw: dict[str, Any] = {}
    with mistakes.noted():
        raw = read_yaml(path)
        profile = validate(Profile, raw, str(path))
    with mistakes.noted():
        variants = _read_variants(variants_path, mistakes)
    with mistakes.noted():
        protocols = load_protocols(params / "protocols.yaml")
    with mistakes.noted():
        tables = _table_numbers(params / "tables.yaml")
    sweeps: dict[str, Sweep] | None = None
    if profile is not None and profile.sweeps:
        with mistakes.noted():
            sweeps = load_sweeps(params / "sweeps.yaml")
    spec = raw["spec"] if isinstance(raw.get("spec"), dict) else {}
    base = merge({"pairs": {"dataset": "?"}}, spec)  # a variant may set the data set
    known = Mistakes()  # in the profile's own settings: not to be told of every variant again
    with known.noted():
        validate(Spec, base, "")
    mistakes.lines += [f"{path}: spec{line}" for line in known.lines]
    rule: MapRule | None = None
    if profile is not None and profile.maps:
        with mistakes.noted():
            rule = load_rule(params / "maps.yaml")
    trackers = _sound_trackers(profile, path, mistakes)
    if variants is not None:
        specs = resolve(
            variants, spec if profile else base, str(variants_path), known.lines, mistakes, trackers
        )
    if profile is not None:
        _check_names(profile, None if variants is None else list(variants), tables, path, mistakes)
    if profile is not None and variants is not None:
        chosen = {
            name: spec
            for name, spec in specs.items()
            if profile.variants is None or name in profile.variants
        }
        if sweeps is not None:
            _check_sweeps(profile, list(variants), sweeps, path, mistakes)
        run = {name: sweep for name, sweep in (sweeps or {}).items() if name in profile.sweeps}
        models = chosen | _other_trainings(profile, variants, trackers, path, known.lines, mistakes)
        experiment = Experiment(name, profile, variants, chosen, models, protocols, run, rule)
        _check_maps(experiment, list(variants), path, mistakes)
        _check_training_sets(profile, models, path, mistakes)
        if not known.lines and trackers == profile.trackers:
            _check_benchmarks(experiment, path, mistakes)
    mistakes.tell()
    return experiment
