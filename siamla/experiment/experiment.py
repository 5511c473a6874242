"""A profile with everything that it names resolved: variants, protocols, sweeps."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from siamla.benchmark.protocols import Protocol, load_protocols
from siamla.benchmark.settings import MapRule, load_rule
from siamla.data.layout import StillName
from siamla.data.settings import PairSettings
from siamla.errors import UserError
from siamla.experiment.profile import Profile, TrainingSet, load_profile
from siamla.experiment.spec import (
    Spec,
    Variant,
    inherited,
    load_variants,
    merge,
    own_settings,
    resolve,
)
from siamla.experiment.sweeps import Sweep, load_sweeps
from siamla.settings import nearest, read_yaml, validate
from siamla.tracker.settings import TrackerSettings


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

    def seeds(self, model: str) -> list[int]:
        """Seeds that a model, VARIANT or VARIANT@TRAINING, is trained with: its training's, else
        its variant's, else the profile's.
        """
        own = self.profile.variant_seeds
        variant, at, training = model.partition("@")
        return own.get(at + training, own.get(variant, self.profile.seeds))

    def model(self, variant: str, benchmark: str) -> str:
        """The model of a variant that a benchmark is tracked with: VARIANT, or VARIANT@TRAINING."""
        training = self.profile.benchmarks[benchmark].training
        return f"{variant}@{training}" if training else variant

    @cached_property
    def tuned(self) -> dict[str, dict[str, Any]]:
        """Variant → the tracker settings that the profile has for it and those that it extends."""
        return inherited(self.variants, self.profile.trackers)

    @cached_property
    def _own(self) -> dict[str, dict[str, Any]]:
        return own_settings(self.variants)

    def own_tracker(self, variant: str) -> dict[str, Any]:
        """What a variant and those that it extends set themselves; it wins over all others."""
        return dict(self._own[variant].get("tracker", {}))

    def tracker(self, variant: str, benchmark: str) -> TrackerSettings:
        """Defaults ← the profile's ← its `trackers` ← the benchmark's ← the variant's own."""
        settings = merge(self.profile.spec.get("tracker", {}), self.tuned[variant])
        settings = merge(settings, self.profile.benchmarks[benchmark].tracker)
        settings = merge(settings, self.own_tracker(variant))
        return validate(TrackerSettings, settings, f"the tracker of {variant} on {benchmark}")

    def protocol(self, benchmark: str) -> Protocol:
        """A benchmark's own choice, else the one of its name, else its layout's first."""
        entry = self.profile.benchmarks[benchmark]
        named = entry.protocol or benchmark
        if named in self.protocols:
            return self.protocols[named]
        for protocol in self.protocols.values():
            if protocol.layout == entry.layout:
                return protocol
        valid = ", ".join(self.protocols)
        raise UserError(f"is missing, and no protocol is of layout {entry.layout}; valid: {valid}")

    def official(self, dataset: str) -> int:
        """How many sequences the whole of a benchmark has; 0 for a folder of one's own."""
        entry = self.profile.benchmarks.get(dataset)
        if entry is None or not (dataset in self.protocols or dataset.startswith(entry.layout)):
            return 0
        return self.protocol(dataset).sequences

    def runs(self, benchmark: str) -> list[str]:
        """The variants that a benchmark is run with."""
        chosen = self.profile.benchmarks[benchmark].variants
        return [variant for variant in self.specs if chosen is None or variant in chosen]


Reference = tuple[str, Collection[object], Collection[object]]
"""File and key, the names that stand there, and the valid ones."""


def _references(
    experiment: Experiment, sweeps: Collection[str], tables: Collection[int], params: Path
) -> Iterator[Reference]:
    """Every place where a profile, its sweeps and its rule of maps name something."""
    profile, variants = experiment.profile, experiment.variants
    path = params / "profiles" / f"{experiment.name}.yaml"
    trained = (f"@{name}" for name in profile.trainings)
    yield f"{path}: variants", profile.variants or [], variants
    yield f"{path}: variant_seeds", profile.variant_seeds, [*variants, *trained]
    yield f"{path}: trackers", profile.trackers, variants
    yield f"{path}: tables", profile.tables, tables
    yield f"{path}: doses", profile.doses, profile.trainings
    yield f"{path}: readings", profile.readings, profile.trainings
    yield f"{path}: sweeps", profile.sweeps, sweeps
    yield f"{path}: maps", profile.maps, profile.benchmarks
    yield f"{path}: alignment", profile.alignment, profile.benchmarks
    for name, entry in profile.benchmarks.items():
        where = f"{path}: benchmarks.{name}"
        yield f"{where}.variants", entry.variants or [], variants
        yield f"{where}.training", {entry.training} - {None}, profile.trainings
        yield f"{where}.protocol", {entry.protocol} - {None}, experiment.protocols
    for name, tracker in profile.imported.items():
        yield f"{path}: imported.{name}.results", tracker.results, profile.benchmarks
    for name, sweep in experiment.sweeps.items():
        where = f"{params / 'sweeps.yaml'}: sweeps.{name}"
        yield f"{where}.variants", sweep.variants, variants
        yield f"{where}.benchmarks", sweep.benchmarks, profile.benchmarks
    if experiment.map_rule:
        yield f"{params / 'maps.yaml'}: variants", experiment.map_rule.variants, variants


def _names(experiment: Experiment, references: Iterable[Reference], path: Path) -> Iterator[str]:
    """A line for every name that names nothing, and every name that two things have."""
    for where, names, valid in references:
        for name in names:
            if name not in valid:
                help_ = nearest(str(name), [str(each) for each in valid])
                word = repr(name) if isinstance(name, str) else name
                yield f"{where}: {word} is unknown; {help_}"
    profile = experiment.profile
    for name in sorted({*profile.train} & {*profile.benchmarks}):
        yield f"{path}: {name!r} is both in train and in benchmarks; the names must differ"
    for name in sorted({*profile.imported} & {*experiment.variants}):
        yield f"{path}: imported: {name!r} is also a variant; the names must differ"


def _protocols(experiment: Experiment, path: Path) -> Iterator[str]:
    """A line for no protocol, and for maps or crops where it starts the tracker again."""
    profile = experiment.profile
    for name in profile.benchmarks:
        try:
            supervised = experiment.protocol(name).supervised
        except UserError as error:
            yield f"{path}: benchmarks.{name}.protocol: {error}"
            continue
        for key, names in (("maps", profile.maps), ("alignment", profile.alignment)):
            if supervised and name in names:
                problem = "starts the tracker again when it fails; expected one-pass benchmarks"
                yield f"{path}: {key}: {name} {problem}"


def _problem(pairs: PairSettings, dataset: str, train: Mapping[str, TrainingSet]) -> str | None:
    """What is wrong with a training set: it is not in the profile, or its reach does not fit."""
    reach = pairs.parts[dataset].reach
    if dataset not in train:
        return f"{dataset!r} is not one of train; {nearest(dataset, sorted(train))}"
    if isinstance(pairs.dataset, str):
        return None
    still = train[dataset].layout in get_args(StillName)
    if still and reach is not None:
        return f"{dataset}.reach is {reach}: {dataset} has still images; leave it out"
    if not still and reach is None:
        return f"{dataset}.reach is missing: frames between template and search at most"
    return None


def _training_sets(experiment: Experiment, path: Path) -> Iterator[str]:
    """What is wrong with training sets, each of the first model that has it."""
    first: dict[str, str] = {}
    for model, spec in experiment.models.items():
        for dataset in spec.pairs.parts:
            if problem := _problem(spec.pairs, dataset, experiment.profile.train):
                first.setdefault(problem, model)
    for problem, model in first.items():
        yield f"{path}: spec.pairs.dataset (variant {model}): {problem}"


def _table_numbers(path: Path) -> list[int]:
    numbers = read_yaml(path).get("tables")
    if not isinstance(numbers, dict):
        raise UserError(f"{path}: tables: expected a mapping from numbers to tables")
    return list(numbers)


def load(name: str, params: Path = Path("params")) -> Experiment:
    """Read and check profile `name`, all variants, the protocols and which tables there are.

    UserError before any work, with a line for every mistake in the first file that has one.
    """
    path, variants_path = params / "profiles" / f"{name}.yaml", params / "variants.yaml"
    profile = load_profile(name, params)
    variants = load_variants(variants_path)
    protocols = load_protocols(params / "protocols.yaml")
    tables = _table_numbers(params / "tables.yaml")
    sweeps = load_sweeps(params / "sweeps.yaml") if profile.sweeps else {}
    rule = load_rule(params / "maps.yaml") if profile.maps else None
    models = {}
    for training in (None, *profile.trainings):
        base = merge(profile.spec, profile.trainings[training]) if training else profile.spec
        specs = resolve(variants, base, profile.trackers, str(variants_path))
        for variant, spec in specs.items():
            if profile.variants is None or variant in profile.variants:
                models[f"{variant}@{training}" if training else variant] = spec
    chosen = {variant: models[variant] for variant in variants if variant in models}
    run = {name: sweep for name, sweep in sweeps.items() if name in profile.sweeps}
    experiment = Experiment(name, profile, variants, chosen, models, protocols, run, rule)
    wrong = [
        *_names(experiment, _references(experiment, sweeps, tables, params), path),
        *_protocols(experiment, path),
        *_training_sets(experiment, path),
    ]
    if wrong:
        raise UserError("\n".join(wrong))
    return experiment
