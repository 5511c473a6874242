"""A variant's resolved spec: defaults (the paper's) ← profile ← the variants that it extends ← its
own `set`.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, model_validator

from siamla.data.settings import CropSettings, PairSettings
from siamla.errors import UserError
from siamla.model.settings import ModelSettings
from siamla.settings import Mistakes, Name, Settings, field_names, nearest, validate
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
            raise ValueError(
                f"crops.size: {self.crops.size} pixels, but {reach}; cut larger crops or reduce the"
                " jitter"
            )
        for name, part in self.pairs.parts.items():
            if (part.exact * self.training.pairs_per_epoch).denominator != 1:
                pairs = (
                    f"{part.share:g} of training.pairs_per_epoch ({self.training.pairs_per_epoch})"
                )
                raise ValueError(f"pairs.dataset.{name}.share: {pairs} is no whole number of pairs")
        return self


class Variant(Settings):
    """One entry of params/variants.yaml: what it changes, as dotted keys of the spec."""

    label: str = Field(min_length=1)
    extends: str | None = None
    set: dict[str, Any] = Field(default_factory=dict, description="dotted key of the spec → value")


class Variants(Settings):
    """params/variants.yaml."""

    variants: dict[Name, Variant] = Field(min_length=1)


def dotted_keys(model: type[BaseModel] = Spec, prefix: str = "") -> list[str]:
    """Every key that a variant can set, dotted ("labels.lambda")."""
    keys = []
    for name, annotation in field_names(model).items():
        keys.append(prefix + name)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            keys += dotted_keys(annotation, f"{prefix}{name}.")
    return keys


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
        *parents, last = key.split(".")
        tree: dict[str, Any] = {last: value}
        for parent in reversed(parents):
            tree = {parent: tree}
        nested = merge(nested, tree)
    return nested


def chain(name: str, variants: Mapping[str, Variant]) -> list[str]:
    """The variant's ancestors, oldest first, and itself; the variants are `sound`."""
    names = [name]
    while (parent := variants[names[0]].extends) is not None:
        names.insert(0, parent)
    return names


def layered(base: Mapping[str, Any], name: str, variants: Mapping[str, Variant]) -> dict[str, Any]:
    """Nested settings with what a variant's ancestors and the variant itself set laid on top."""
    settings = dict(base)
    for ancestor in chain(name, variants):
        settings = merge(settings, nest(variants[ancestor].set))
    return settings


def sound(variants: Mapping[str, Variant], where: str, mistakes: Mistakes) -> list[str]:
    """The variants whose ancestors all exist and whose keys are keys; a mistake is noted where it
    was made, once.
    """
    valid, order = dotted_keys(), list(variants)
    for name, variant in variants.items():
        for key in variant.set:
            if key not in valid:
                mistakes.add(
                    f"{where}: variants.{name}.set: unknown key {key!r}; {nearest(key, valid)}"
                )
    ends = []
    for name in order:
        names = [name]
        while (parent := variants[names[-1]].extends) in variants and parent not in names:
            names.append(str(parent))
        if parent is None:
            ends.append((name, names))
        elif parent not in variants and names == [name]:
            said = (
                f"variants.{name}.extends is {parent!r}, no such variant;"
                f" {nearest(parent, sorted(variants))}"
            )
            mistakes.add(f"{where}: {said}")
        elif parent == name and name == min(names, key=order.index):
            mistakes.add(f"{where}: variants.{name} extends itself: {' → '.join([*names, name])}")
    return [
        name
        for name, names in ends
        if all(key in valid for one in names for key in variants[one].set)
    ]


def resolve(
    variants: Mapping[str, Variant],
    base: Mapping[str, Any],
    where: str,
    known: list[str],
    mistakes: Mistakes,
    trackers: Mapping[str, Mapping[str, Any]],
) -> dict[str, Spec]:
    """The specs of all variants: `base`, the profile's nested settings, and its tracker settings
    for the variant, under what each sets.

    A wrong value that a variant has from an ancestor, or from the profile (the lines `known`), is
    not told again.
    """
    specs: dict[str, Spec] = {}
    lines: dict[str, list[str]] = {}
    names = sound(variants, where, mistakes)
    for name in names:
        try:
            own = merge(base, {"tracker": trackers[name]}) if name in trackers else base
            specs[name] = validate(Spec, layered(own, name, variants), "")
        except UserError as error:
            lines[name] = str(error).splitlines()
    for name in lines:
        told = {
            line for ancestor in chain(name, variants)[:-1] for line in lines.get(ancestor, [])
        }.union(known)
        for line in lines[name]:
            if line not in told:
                mistakes.add(f"{where}: variants.{name}{line}")
    return specs


def plain(settings: Settings) -> dict[str, Any]:
    """Settings as JSON-ready data, with the keys as they are written in YAML."""
    return settings.model_dump(mode="json", by_alias=True)


def changed(spec: Spec, base: Spec) -> dict[str, Any]:
    """The dotted keys in which a spec differs from another, with its own values."""

    def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        leaves: dict[str, Any] = {}
        for key, value in values.items():
            leaves |= (
                flat(value, f"{prefix}{key}.")
                if isinstance(value, Mapping)
                else {prefix + key: value}
            )
        return leaves

    theirs = flat(plain(base))
    return {key: value for key, value in flat(plain(spec)).items() if theirs.get(key, ...) != value}
