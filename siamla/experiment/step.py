"""What an entry of the table of steps says, and what decides a result of a variant's settings."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol

from siamla.engine.settings import AUTO, EngineName
from siamla.errors import UserError
from siamla.experiment.experiment import Experiment
from siamla.experiment.job import Job
from siamla.experiment.profile import Benchmark, Profile, TrainingSet
from siamla.experiment.spec import Spec, plain
from siamla.files import sha256
from siamla.miniatures.settings import SetSettings
from siamla.settings import read_yaml, without_neutral

Names = Mapping[str, Any]
Parents = Mapping[str, Job]


class Planned(Protocol):
    """What an entry may ask of the plan (siamla.experiment.plan.Plan, which says what each is)."""

    name: str
    experiment: Experiment
    profile: Profile

    @property
    def variants(self) -> list[str]: ...
    @property
    def datasets(self) -> Mapping[str, TrainingSet | Benchmark]: ...
    def spec(self, model: str) -> Spec: ...
    def generated_set(self, name: str) -> SetSettings: ...
    def trained_as(self, variant: str) -> str: ...
    def models(self, variant: str) -> list[str]: ...
    def once(self, what: Hashable, make: Callable[[], Any]) -> Any: ...
    def job(self, step: str, **names: Any) -> Job: ...


class Step(ABC):
    """One step of the experiment."""

    name: ClassVar[str]  # of the entry, and of the workflow's rule
    result: ClassVar[str]  # kind of result; name of the module with the work. Default: the name
    names: ClassVar[tuple[str, ...]]  # what it varies over, in a person's order
    folder: ClassVar[str]  # where a result stands, with names in braces
    command: ClassVar[str]  # its words
    help: ClassVar[str]  # one line on it
    priority: ClassVar[int] = 0  # of its jobs among those that can run
    threads: ClassVar[int] = 1  # cores of a job, where no profile of the workflow says otherwise
    mem_mb: ClassVar[int] = 8000  # MiB that a cluster's job asks for at most
    runtime: ClassVar[int] = 120  # minutes, the same
    local: ClassVar[bool] = False  # it runs where the pipeline itself runs
    renew: ClassVar[bool] = False  # it is done when asked for, also where its result is there
    optional: ClassVar[tuple[str, ...]] = ()  # names that may be left out; --NAME gives one

    def __init_subclass__(cls) -> None:
        if "result" not in cls.__dict__ and "name" in cls.__dict__:
            cls.result = cls.name

    def each(self, plan: Planned, names: Names) -> Iterable[Names]:
        """The names of all jobs that a person means who left optional ones out."""
        return [names]

    def resolve(self, plan: Planned, names: Names) -> Names:
        """The names by which the job is known, with those that its folder needs besides."""
        return names

    def parents(self, plan: Planned, names: Names) -> Parents:
        """Input name → the job whose result the step reads."""
        return {}

    def outside(self, plan: Planned, names: Names) -> Mapping[str, Path]:
        """Input name → a folder with results of others that the step reads."""
        return {}

    @abstractmethod
    def settings(self, plan: Planned, names: Names, parents: Parents) -> dict[str, Any]:
        """The identity without its code: settings, seed, and the identities of the parents."""

    def code(self, plan: Planned, names: Names) -> Iterable[str]:
        """The functions and modules that compute the result, as `code_digest` takes them."""
        return ()

    def wanted(self, plan: Planned) -> Iterator[Names]:
        """The names of the jobs that the profile wants for themselves, not as parents of others."""
        return iter(())

    def words(self, names: Names) -> list[str]:
        """The words after `siamla` that name a job."""
        options = [*self.optional, "seed", "sweep", "value"]
        words = self.command.split()
        words += [str(names[name]) for name in self.names if name not in options]
        for name in self.optional:
            words += [f"--{name}", str(names[name])]
        if "seed" in self.names:
            words += ["--seed", str(names["seed"])]
        if "sweep" in self.names:
            words += ["--sweep", f"{names['sweep']}={names['value']}"]
        return words

    def title(self, names: Names) -> str:
        """For people: "predict otb100 siamla, seed 1"."""
        named = " ".join(str(names[name]) for name in self.names if name != "seed")
        seed = f", seed {names['seed']}" if "seed" in self.names else ""
        return f"{self.result} {named}{seed}"


def tracked(
    plan: Planned, benchmarks: Iterable[str], variants: Iterable[str] | None = None
) -> Iterator[Names]:
    """Benchmark, variant and seed of all that is tracked; by default each benchmark's variants."""
    for benchmark in benchmarks:
        for variant in plan.experiment.runs(benchmark) if variants is None else variants:
            for seed in plan.experiment.seeds(plan.experiment.model(variant, benchmark)):
                yield {"benchmark": benchmark, "variant": variant, "seed": seed}


def weights(spec: Spec) -> Any:
    """What decides the backbone's weights; a file by its content."""
    source = plain(spec.model)["weights"]
    return {"sha256": source["sha256"]} if isinstance(source, dict) else source


@cache
def _content(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"training.init: {path} not found; expected a model file")
    return sha256(path)


def initial(spec: Spec) -> str | None:
    """The SHA-256 of the model file that a training starts from."""
    return None if spec.training.init is None else _content(spec.training.init)


def training_settings(spec: Spec) -> dict[str, Any]:
    """What decides the weights: the spec without the tracker, and without paths and names in it."""
    settings: dict[str, Any] = without_neutral(spec)
    for group, key in ((settings, "tracker"), (settings, "crops"), (settings["pairs"], "dataset")):
        group.pop(key, None)
    settings["model"]["weights"] = weights(spec)
    if spec.training.init is not None:
        settings["training"]["init"] = initial(spec)
    return settings


def uses_features(spec: Spec) -> bool:
    """Whether a frozen backbone, whose weights no seed changes, sees a finite set of views."""
    finite = spec.pairs.views is not None and spec.training.frozen_epochs > 0
    return finite and spec.model.weights != "random"


def feature_pairs(spec: Spec) -> dict[str, Any]:
    """The settings of pairs that decide features: not how pairs are put together of views."""
    pairs: dict[str, Any] = training_settings(spec)["pairs"]
    return {key: value for key, value in pairs.items() if key not in ("frame_range", "negatives")}


def network(spec: Spec) -> dict[str, Any]:
    """What decides features of the network."""
    found = {"backbone": spec.model.backbone, "weights": weights(spec)}
    if spec.training.thaw == "upper":
        found["template"] = "whole"
    return found if spec.training.init is None else found | {"init": initial(spec)}


def mixed_crops(spec: Spec, parents: Parents) -> dict[str, Any]:
    """The identity of a training's crops; of several sets with each one's share and reach."""
    if isinstance(spec.pairs.dataset, str):
        return dict(parents["crops"].identity.plain)
    crops = (job.identity.plain for job in parents.values() if job.step == "crops")
    mixed = {}
    for index, part in enumerate(spec.pairs.parts.values(), 1):
        mixed[str(index)] = {"share": part.share, "reach": part.reach, "crops": next(crops)}
    return mixed


def layout_code(layout: str) -> str:
    """The code of a layout."""
    return f"siamla.data.formats.{layout}"


def generator_code(layout: str) -> tuple[str, str]:
    """The code that renders a set in a layout."""
    return "siamla.miniatures.dataset:synthesize", f"siamla.miniatures.writers:{layout.upper()}"


def backbone_code(spec: Spec) -> str:
    """The code of the backbone that a variant has."""
    return f"siamla.model.backbones.{spec.model.backbone}:BACKBONE"


def engine_code(engine: EngineName) -> list[str]:
    """The engines that may run under a setting: what `auto` is, only a machine can tell."""
    names = AUTO if engine == "auto" else (engine,)
    return [f"siamla.engine.{name}_engine:ENGINE" for name in names]


def pointer_digest(source: str, root: Path) -> str:
    """The digest of the data that DVC recorded in a .dvc pointer, or in dvc.lock for a stage."""
    path = Path(source if source.endswith(".dvc") else "dvc.lock")
    content = read_yaml(path)
    try:
        if path.suffix == ".dvc":
            return str(content["outs"][0]["md5"])
        outs = content["stages"][source]["outs"]
        return next(str(out["md5"]) for out in outs if Path(out["path"]) == root)
    except (LookupError, TypeError, StopIteration):
        wanted = f"no digest of {root} for {source!r}; is it a DVC pointer or stage?"
        raise UserError(f"{path}: {wanted}") from None
