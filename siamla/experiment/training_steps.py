"""Entries of the table of steps from a data set to a trained model."""

from collections.abc import Iterable, Iterator
from typing import Any

from siamla.errors import UserError
from siamla.experiment.profile import TrainingSet
from siamla.experiment.step import (
    Names,
    Parents,
    Planned,
    Step,
    backbone_code,
    feature_pairs,
    generator_code,
    layout_code,
    mixed_crops,
    network,
    pointer_digest,
    training_settings,
    uses_features,
)
from siamla.files import digest
from siamla.settings import nearest, without_neutral


class Fetch(Step):
    """A data set: rendered, brought by DVC, or a folder of which nothing is known before."""

    name = "fetch"
    names = ("dataset",)
    folder = "data/ready/{profile}/{dataset}"
    command = "data fetch"
    help = "bring a data set by DVC, render it, or find it; note the digest of its content"
    priority = 100  # a missing folder is found before hours are spent
    threads = 64  # all cores: rendering is parallel inside, and DVC allows one writer
    local = True
    renew = True  # quick where nothing changed, and the only look at what lies in a folder

    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        entry = plan.datasets[names["dataset"]]
        source: dict[str, Any] = {"source": "folder", "settings": None, "pointer": None}
        if entry.rendered:
            settings = plan.generated_set(entry.rendered)
            source |= {"source": "generated", "settings": without_neutral(settings)}
        elif entry.dvc:
            source |= {"source": "pointer", "pointer": pointer_digest(entry.dvc, entry.root)}
        return source

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        entry = plan.datasets[names["dataset"]]
        if entry.rendered:
            return generator_code(plan.generated_set(entry.rendered).layout)
        return ()


class Curate(Step):
    """A checked data set and its index, or the table of a training set's boxes."""

    name = "curate"
    names = ("dataset",)
    folder = "data/curated/{profile}/{dataset}"
    command = "data curate"
    help = "check every sequence of a data set and write its index"
    priority = 90
    mem_mb = 16000
    runtime = 360

    def parents(self, plan: Planned, names: Names) -> Parents:
        return {"data": plan.job("fetch", dataset=names["dataset"])}

    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        entry = plan.datasets[names["dataset"]]
        boxes = isinstance(entry, TrainingSet) and entry.boxes
        layout = f"{entry.layout}, boxes: {boxes}" if boxes else entry.layout
        frames = None if boxes else entry.frames
        return {"data": parents["data"].identity.plain, "layout": layout, "frames": frames}

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        entry = plan.datasets[names["dataset"]]
        if isinstance(entry, TrainingSet) and entry.boxes:
            source = f"siamla.data.sources.{entry.layout}"
            return "siamla.data.sources.survey:curate_boxes", f"{source}:parts", f"{source}:read"
        return "siamla.data.curate:curate", layout_code(entry.layout)


class Crops(Step):
    """The crop cache of a training set; variants with equal settings share it."""

    name = "crops"
    names = ("variant", "dataset")
    folder = "data/crops/{profile}/{dataset}/{crops}"
    command = "data crops"
    help = "pack the crops of a training set, as a variant's training reads them, into a few files"
    priority = 80  # all trainings wait for crops and features
    threads = 2
    mem_mb = 32000
    runtime = 720
    optional = ("dataset",)

    def each(self, plan: Planned, names: Names) -> Iterable[Names]:
        sets = [names["dataset"]] if "dataset" in names else plan.spec(names["variant"]).pairs.parts
        return [{**names, "dataset": dataset} for dataset in sets]

    def resolve(self, plan: Planned, names: Names) -> Names:
        variant, dataset = names["variant"], names.get("dataset")
        spec = plan.spec(variant)
        valid = list(spec.pairs.parts)
        if dataset is None and len(valid) > 1:
            sets = ", ".join(valid)
            raise UserError(f"{variant} is trained on several data sets; name one of {sets}")
        if dataset is not None and dataset not in valid:
            raise UserError(f"{dataset}: {variant} is not trained on it; {nearest(dataset, valid)}")
        return {
            "variant": variant,
            "dataset": dataset or valid[0],
            "crops": digest(without_neutral(spec.crops)),
        }

    def parents(self, plan: Planned, names: Names) -> Parents:
        return {"data": plan.job("curate", dataset=names["dataset"])}

    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        crops = plan.spec(names["variant"]).crops
        return {"curated": parents["data"].identity.plain, "settings": without_neutral(crops)}

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        return ("siamla.data.crops:build",)


class Features(Step):
    """The frozen backbone's features of training pairs; variants that see the same share them."""

    name = "features"
    names = ("variant",)
    folder = "data/features/{profile}/{features}"
    command = "train features"
    help = "compute the frozen backbone's features of all training pairs of a variant"
    priority = 80
    threads = 2
    mem_mb = 64000
    runtime = 720

    def resolve(self, plan: Planned, names: Names) -> Names:
        spec = plan.spec(names["variant"])
        if not uses_features(spec):
            why = "its backbone learns, or its pairs have no end"
            raise UserError(f"{names['variant']} reads no features: {why}")
        crops = plan.job("crops", variant=names["variant"])
        seen = [crops.folder.as_posix(), feature_pairs(spec), network(spec)]
        return {"variant": names["variant"], "features": digest(seen)}

    def parents(self, plan: Planned, names: Names) -> Parents:
        return {"crops": plan.job("crops", variant=names["variant"])}

    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        spec = plan.spec(names["variant"])
        return {
            "crops": parents["crops"].identity.plain,
            "pairs": feature_pairs(spec),
            "network": network(spec),
        }

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        spec = plan.spec(names["variant"])
        return "siamla.training.features:build", backbone_code(spec)


class Train(Step):
    """A trained model; variants that differ in the tracker alone share it."""

    name = "train"
    names = ("variant", "seed")
    folder = "results/{profile}/train/{variant}/seed{seed}"
    command = "train run"
    help = "train one variant with one seed; killed, the same command resumes"
    priority = 50  # the longest jobs first: one that begins last would leave the other cores idle
    mem_mb = 64000
    runtime = 5760

    def resolve(self, plan: Planned, names: Names) -> Names:
        return {"variant": plan.trained_as(names["variant"]), "seed": names["seed"]}

    def parents(self, plan: Planned, names: Names) -> Parents:
        variant = names["variant"]
        spec = plan.spec(variant)
        several = len(spec.pairs.parts) > 1
        parents = {}
        for index, dataset in enumerate(spec.pairs.parts, 1):
            name = f"crops{index}" if several else "crops"
            parents[name] = plan.job("crops", variant=variant, dataset=dataset)
        if uses_features(spec):
            parents["features"] = plan.job("features", variant=variant)
        return parents

    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        spec = plan.spec(names["variant"])
        features = parents.get("features")
        return {
            "crops": mixed_crops(spec, parents),
            "features": {"code": features.identity.plain["code"]} if features else None,
            "settings": plan.once(("training", names["variant"]), lambda: training_settings(spec)),
            "seed": names["seed"],
        }

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        spec = plan.spec(names["variant"])
        return "siamla.training.loop:train_model", backbone_code(spec)

    def wanted(self, plan: Planned) -> Iterator[Names]:
        for variant in plan.variants:
            for model in plan.models(variant):
                for seed in plan.experiment.seeds(model):
                    yield {"variant": model, "seed": seed}
