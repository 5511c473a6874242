"""A variant's spec: defaults (the paper's) ← profile ← what it extends ← its own `set`."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticUndefined

from siamla.data.settings import CropSettings, PairSettings
from siamla.errors import UserError
from siamla.model.settings import ModelSettings
from siamla.provenance.record import flat
from siamla.settings import (
    Line,
    Mistakes,
    Name,
    Settings,
    kind_text,
    nearest,
    read_yaml,
    validate,
)
from siamla.tracker.settings import TrackerSettings
from siamla.training.settings import Labels, LossWeights, TrainingSettings


class Spec(Settings):
    """Everything that decides a variant's numbers, apart from the seed and the benchmark."""

    model: ModelSettings = ModelSettings()
    crops: CropSettings = CropSettings()
    pairs: PairSettings
    labels: Labels = Labels()
    loss: LossWeights = LossWeights()
    training: TrainingSettings = TrainingSettings()
    tracker: TrackerSettings = TrackerSettings()

    @model_validator(mode="after")
    def fits(self) -> "Spec":
        if self.crops.size < self.pairs.reach:
            reach = f"shift and scale of the pairs reach {self.pairs.reach}"
            what = f"{self.crops.size} pixels, but {reach}"
            raise ValueError(f"crops.size: {what}; cut larger crops or reduce the jitter")
        for name, part in self.pairs.parts.items():
            if (part.exact * self.training.pairs_per_epoch).denominator != 1:
                pairs = f"training.pairs_per_epoch ({self.training.pairs_per_epoch})"
                what = f"{part.share:g} of {pairs} is no whole number of pairs"
                raise ValueError(f"pairs.dataset.{name}.share: {what}")
        return self


class Variant(Settings):
    """One entry of params/variants.yaml: what it changes, as dotted keys of the spec."""

    label: Line
    extends: str | None = None
    set: dict[str, Any] = Field(default_factory=dict, description="dotted key of the spec → value")


class Variants(Settings):
    """params/variants.yaml."""

    variants: dict[Name, Variant] = Field(min_length=1)


def dotted_keys() -> list[str]:
    """Every key that a variant can set, dotted ("labels.lambda")."""
    return [key for key, *_ in described_keys()]


def described_keys(
    model: type[BaseModel] = Spec, prefix: str = "", values: Any = None
) -> Iterator[tuple[str, str, str, str]]:
    """Every key that a variant can set, dotted: key, type, default ("" where one has to be given)
    and meaning. values: an instance of the model with the defaults where they are not the model's.
    """
    for name, field in model.model_fields.items():
        key, kind = prefix + (field.alias or name), field.annotation
        value = getattr(values, name) if values else field.default
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            said = re.split(r"\.(?= [A-Z`]|$)", " ".join((kind.__doc__ or "").split()))[0]
            yield key, "mapping", "", said
            yield from described_keys(kind, f"{key}.", value if isinstance(value, kind) else None)
        else:
            default = "" if value is PydanticUndefined else json.dumps(value).strip('"')
            yield key, kind_text(kind, field.metadata), default, field.description or ""


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on top; mappings merge, everything else replaces."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def nest(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """{"a.b": 1} → {"a": {"b": 1}}."""
    nested: dict[str, Any] = {}
    for key, value in dotted.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        nested = merge(nested, value)
    return nested


def ancestry(name: str, parent: Callable[[str], str | None], where: str = "") -> list[str]:
    """What `name` extends, oldest first, and itself; UserError, after `where`, for a circle."""
    line = {name: None}
    while (older := parent(name)) is not None:
        if older in line:
            names = list(line)
            circle = [*names[names.index(older) :], older]
            raise UserError(f"{where}{older} extends itself: {' → '.join(circle)}")
        line[older] = None
        name = older
    return list(reversed(line))


def inherited(
    variants: Mapping[str, Variant], entries: Mapping[str, Mapping[str, Any]], where: str = ""
) -> dict[str, dict[str, Any]]:
    """Each variant's entry laid over those of its ancestors; a variant comes after its parent.

    UserError, beginning with `where`, where variants extend each other in a circle.
    """
    merged: dict[str, dict[str, Any]] = {}

    def parent(name: str) -> str | None:
        older = variants[name].extends
        return None if older in merged else older

    for name in variants:
        for each in ancestry(name, parent, where):
            older = variants[each].extends
            base = merged[older] if older else {}
            merged[each] = merge(base, entries.get(each, {}))
    return merged


def own_settings(variants: Mapping[str, Variant]) -> dict[str, dict[str, Any]]:
    """What each variant and its ancestors set, nested."""
    return inherited(variants, {name: nest(variant.set) for name, variant in variants.items()})


def load_variants(path: Path) -> dict[str, Variant]:
    """The variants of a YAML file; UserError with every unknown key and parent, or a circle."""
    variants, mistakes = validate(Variants, read_yaml(path), str(path)).variants, Mistakes()
    valid = dotted_keys()
    for name, variant in variants.items():
        where = f"{path}: variants.{name}"
        for key in variant.set:
            if key not in valid:
                mistakes.add(f"{where}.set: unknown key {key!r}; {nearest(key, valid)}")
        parent = variant.extends
        if parent is not None and parent not in variants:
            help_ = nearest(parent, sorted(variants))
            mistakes.add(f"{where}.extends is {parent!r}, no such variant; {help_}")
    mistakes.tell()
    inherited(variants, {}, f"{path}: variants.")
    return variants


def resolve(
    variants: Mapping[str, Variant],
    base: Mapping[str, Any],
    trackers: Mapping[str, Mapping[str, Any]],
    where: str,
) -> dict[str, Spec]:
    """The specs of all variants: `base`, the profile's nested settings, and its tracker settings
    for the variant, under what each sets.

    UserError with every wrong value where it is set: a variant whose ancestor is wrong is not
    looked at.
    """
    specs: dict[str, Spec] = {}
    mistakes = Mistakes()
    tuned = inherited(variants, trackers)
    for name, own in own_settings(variants).items():
        parent = variants[name].extends
        if parent is None or parent in specs:
            settings = merge(merge(base, {"tracker": tuned[name]}), own)
            with mistakes.noted():
                specs[name] = validate(Spec, settings, f"{where}: variants.{name}")
    mistakes.tell()
    return {name: specs[name] for name in variants}


def plain(settings: Settings) -> dict[str, Any]:
    """Settings as JSON-ready data, with the keys as they are written in YAML."""
    return settings.model_dump(mode="json", by_alias=True)


def changed(spec: Spec, base: Spec) -> dict[str, Any]:
    """The dotted keys in which a spec differs from another, with its own values."""
    theirs = flat(plain(base))
    return {key: value for key, value in flat(plain(spec)).items() if theirs.get(key, ...) != value}
