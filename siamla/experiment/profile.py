"""A profile: the data, the benchmarks, the seeds and the scale of one reproduction; and everything resolved."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from siamla.errors import UserError
from siamla.experiment.spec import Spec, Variant, Variants, check_name, merge, plain, resolve
from siamla.settings import Settings, nearest, read_yaml, validate
from siamla.tracker.settings import TrackerSettings


class Dataset(Settings):
    """A folder of sequences in an official layout."""

    layout: Literal["otb", "got10k", "lasot", "trackingnet", "tnl2k", "vot"]
    root: Path
    dvc: str | None = Field(None, description="stage of dvc.yaml or .dvc pointer that brings the data; null = as found")
    frames: int | None = Field(None, ge=1, description="use only the first frames of every sequence")


class Benchmark(Dataset):
    """A data set to be tracked, scored by a protocol of params/protocols.yaml."""

    protocol: str | None = Field(None, description="default: the layout's own")
    label: str | None = Field(None, description="column title; default: the name")
    tracker: dict[str, Any] = Field(default_factory=dict, description="tracker settings for this benchmark alone")
    variants: list[str] | None = Field(None, description="variants to run here; null = all")


class Imported(Settings):
    """Raw results of another tracker, in the folders that `siamla results import` writes."""

    label: str | None = Field(None, description="row title; default: the name")
    results: dict[str, Path] = Field(description="benchmark of this profile → folder with its results")


class Profile(Settings):
    """params/profiles/NAME.yaml."""

    caption: str = Field(description="what the data were; printed under every table")
    train: dict[str, Dataset]
    benchmarks: dict[str, Benchmark]
    imported: dict[str, Imported] = Field(default_factory=dict, description="other trackers, scored beside ours")
    seeds: list[int] = Field(min_length=1)
    variant_seeds: dict[str, Annotated[list[int], Field(min_length=1)]] = Field(
        default_factory=dict, description="variant → its seeds, in place of `seeds`"
    )
    variants: list[str] | None = Field(None, description="variants to train; null = all")
    tables: list[int] = Field(min_length=1)
    spec: dict[str, Any] = Field(default_factory=dict, description="nested settings over the defaults")


@dataclass(frozen=True)
class Experiment:
    """A profile with every variant resolved; what the workflow is built from."""

    name: str
    profile: Profile
    variants: dict[str, Variant]
    specs: dict[str, Spec]

    def seeds(self, variant: str) -> list[int]:
        """Seeds that a variant is trained with."""
        return self.profile.variant_seeds.get(variant, self.profile.seeds)

    def tracker(self, variant: str, benchmark: str) -> TrackerSettings:
        """The variant's tracker settings with the benchmark's own laid on top."""
        settings = merge(plain(self.specs[variant].tracker), self.profile.benchmarks[benchmark].tracker)
        return TrackerSettings.model_validate(settings)

    def runs(self, benchmark: str) -> list[str]:
        """The variants that a benchmark is run with."""
        chosen = self.profile.benchmarks[benchmark].variants
        return [variant for variant in self.specs if chosen is None or variant in chosen]


def _names(what: str, names: list[str] | None, valid: list[str], where: str) -> list[str]:
    for name in names or []:
        if name not in valid:
            raise UserError(f"{where}: {what}: {name!r} is unknown; {nearest(name, valid)}")
    return valid if names is None else [name for name in valid if name in names]


def load(name: str, params: Path = Path("params")) -> Experiment:
    """Read and check profile `name` and all its variants; UserError before any work when anything is wrong."""
    folder = params / "profiles"
    path = folder / f"{name}.yaml"
    if not path.exists():
        found = sorted(p.stem for p in folder.glob("*.yaml"))
        raise UserError(f"{path}: no such profile; {nearest(name, found)}")
    profile = validate(Profile, read_yaml(path), str(path))
    variants_path = params / "variants.yaml"
    variants = validate(Variants, read_yaml(variants_path), str(variants_path)).variants
    chosen = _names("variants", profile.variants, list(variants), str(path))
    validate(Spec, merge({"pairs": {"dataset": "?"}}, profile.spec), f"{path}: spec")
    resolved = {variant: resolve(variant, variants, profile.spec, str(variants_path)) for variant in variants}
    specs = {variant: resolved[variant] for variant in chosen}
    for variant, spec in specs.items():
        if spec.pairs.dataset not in profile.train:
            raise UserError(
                f"{path}: spec.pairs.dataset is {spec.pairs.dataset!r} (variant {variant}), not one of train; "
                f"{nearest(spec.pairs.dataset, sorted(profile.train))}"
            )
    _names("variant_seeds", list(profile.variant_seeds), list(variants), str(path))
    clash = sorted(set(profile.train) & set(profile.benchmarks))
    if clash:
        raise UserError(f"{path}: {clash[0]!r} is both in train and in benchmarks; the names must differ")
    for benchmark, tested in profile.benchmarks.items():
        check_name(benchmark, f"{path}: benchmarks")
        _names(f"benchmarks.{benchmark}.variants", tested.variants, list(variants), str(path))
        validate(TrackerSettings, tested.tracker, f"{path}: benchmarks.{benchmark}.tracker")
    for tracker, entry in profile.imported.items():
        check_name(tracker, f"{path}: imported")
        _names(f"imported.{tracker}.results", list(entry.results), list(profile.benchmarks), str(path))
        if tracker in variants:
            raise UserError(f"{path}: imported: {tracker!r} is also a variant; the names must differ")
    return Experiment(name, profile, variants, specs)
