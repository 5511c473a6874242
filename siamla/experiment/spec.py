"""A variant's resolved spec: defaults (the paper's) ← profile ← the variants that it extends ← its own `set`."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from siamla.data.settings import CropSettings, PairSettings
from siamla.errors import UserError
from siamla.model.settings import ModelSettings
from siamla.settings import Settings, field_names, nearest, validate
from siamla.tracker.settings import TrackerSettings
from siamla.training.settings import Labels, LossWeights, TrainingSettings

NAME = r"[a-z0-9][a-z0-9_]*"


class Spec(Settings):
    """Everything that decides a variant's numbers, apart from the seed and the benchmark."""

    model: ModelSettings = ModelSettings()
    crops: CropSettings = CropSettings()
    pairs: PairSettings
    labels: Labels = Labels()
    loss: LossWeights = LossWeights()
    training: TrainingSettings = TrainingSettings()
    tracker: TrackerSettings = TrackerSettings()


class Variant(Settings):
    """One entry of params/variants.yaml: what it changes, as dotted keys of the spec."""

    label: str = Field(min_length=1)
    extends: str | None = None
    set: dict[str, Any] = Field(default_factory=dict, description="dotted key of the spec → value")


class Variants(Settings):
    """params/variants.yaml."""

    variants: dict[str, Variant]


def check_name(name: str, where: str) -> None:
    """UserError unless the name can be a wildcard of the workflow and a folder."""
    if not re.fullmatch(NAME, name):
        raise UserError(f"{where}: {name!r}: a name is lower-case letters, digits and _")


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


def chain(name: str, variants: Mapping[str, Variant], where: str) -> list[str]:
    """The variant's ancestors, oldest first, and itself; UserError on a loop or an unknown parent."""
    names = [name]
    while (parent := variants[names[0]].extends) is not None:
        if parent not in variants:
            raise UserError(
                f"{where}: variants.{names[0]}.extends is {parent!r}, no such variant; "
                f"{nearest(parent, sorted(variants))}"
            )
        if parent in names:
            raise UserError(f"{where}: variants.{name} extends itself: {' → '.join([*reversed([parent, *names])])}")
        names.insert(0, parent)
    return names


def resolve(name: str, variants: Mapping[str, Variant], base: Mapping[str, Any], where: str) -> Spec:
    """The spec of one variant; `base` is the profile's nested overrides, `where` the file that errors name."""
    check_name(name, f"{where}: variants")
    valid = dotted_keys()
    settings: dict[str, Any] = dict(base)
    for ancestor in chain(name, variants, where):
        for key in variants[ancestor].set:
            if key not in valid:
                raise UserError(f"{where}: variants.{ancestor}.set: unknown key {key!r}; {nearest(key, valid)}")
        settings = merge(settings, nest(variants[ancestor].set))
    return validate(Spec, settings, f"{where}: variants.{name}")


def plain(settings: Settings) -> dict[str, Any]:
    """Settings as JSON-ready data, with the keys as they are written in YAML."""
    return settings.model_dump(mode="json", by_alias=True)


def training_part(spec: Spec) -> dict[str, Any]:
    """What decides the weights: the spec without the tracker's hyper-parameters."""
    return {key: value for key, value in plain(spec).items() if key != "tracker"}


def features_part(spec: Spec) -> dict[str, Any]:
    """What decides the frozen backbone's features of the training pairs."""
    return {
        "crops": plain(spec.crops),
        "pairs": plain(spec.pairs),
        "backbone": spec.model.backbone,
        "weights": plain(spec.model)["weights"],
        "precision": spec.training.precision,
    }
