"""The plan: what the experiment is. Every job with its folder, its parents and its identity,
resolved once.

The Snakefile asks it for paths and keys, every command for its job, views for the results that they
show. It runs nothing and reads no data.
"""

import shlex
from collections.abc import Callable, Hashable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.experiment.experiment import Experiment, load
from siamla.experiment.job import Identity, Job
from siamla.experiment.profile import Benchmark, TrainingSet
from siamla.experiment.spec import Spec
from siamla.experiment.step import Step, mixed_crops, training_settings
from siamla.experiment.steps import STEPS
from siamla.files import digest
from siamla.miniatures.settings import SetSettings, load_sets
from siamla.provenance.code import Sources
from siamla.settings import nearest

KINDS = {"dataset": "data set", "tracker": "imported tracker"}  # of names, in messages


class Plan:
    """Everything of a profile, resolved. Folders and params are relative to the current folder."""

    def __init__(self, experiment: Experiment, params: Path) -> None:
        self.experiment, self.params = experiment, params
        self.name, self.profile = experiment.name, experiment.profile
        self.code = Sources()
        self._jobs: dict[tuple[str, frozenset[tuple[str, Any]]], Job] = {}
        self._kept: dict[Hashable, Any] = {}
        self._valid = {
            "dataset": list(self.datasets),
            "benchmark": list(self.profile.benchmarks),
            "variant": list(experiment.models),
            "tracker": list(self.profile.imported),
        }

    @classmethod
    def load(cls, profile: str, params: Path = Path("params")) -> "Plan":
        """Read and check a profile and what belongs to it; UserError with every mistake."""
        return cls(load(profile, params), params)

    # --- what there is ---

    @property
    def variants(self) -> list[str]:
        """The variants of the profile."""
        return list(self.experiment.specs)

    @cached_property
    def datasets(self) -> dict[str, TrainingSet | Benchmark]:
        """Training sets and benchmarks by name."""
        return {**self.profile.train, **self.profile.benchmarks}

    def check_name(self, kind: str, name: str) -> None:
        """UserError, with the nearest name, where the profile has none such."""
        valid = self._valid.get(kind, [name])
        if name not in valid:
            if kind == "variant" and name in self.experiment.variants:
                where = f"{name} is in {self.params / 'variants.yaml'}"
                raise UserError(f"{where}; profile {self.name} lists its variants: add it there")
            what = f"no such {KINDS.get(kind, kind)} in profile {self.name}"
            raise UserError(f"{name}: {what}; {nearest(name, valid)}")

    def spec(self, model: str) -> Spec:
        """Settings of a variant, or of another training of it (VARIANT@TRAINING)."""
        self.check_name("variant", model)
        return self.experiment.models[model]

    def generated_set(self, name: str) -> SetSettings:
        """A set of params/synthetic.yaml; UserError with the nearest name."""
        if name not in self._sets:
            near = nearest(name, list(self._sets))
            raise UserError(f"{self.params / 'synthetic.yaml'}: no set {name!r}; {near}")
        return self._sets[name]

    @cached_property
    def _sets(self) -> dict[str, SetSettings]:
        return load_sets(self.params / "synthetic.yaml")

    def trained_as(self, variant: str) -> str:
        """The variant whose model this one uses: the first with the same training."""
        self.check_name("variant", variant)
        return self._owners[variant]

    @cached_property
    def _owners(self) -> dict[str, str]:
        first: dict[str, str] = {}
        owners = {}
        for model, spec in self.experiment.models.items():
            sets = spec.pairs.parts
            crops = {name: self.job("crops", variant=model, dataset=name) for name in sets}
            named = {"crops": crops[next(iter(sets))]} if len(crops) == 1 else crops
            decides = digest([training_settings(spec), mixed_crops(spec, named)])
            owners[model] = first.setdefault(decides, model)
        return owners

    def models(self, variant: str) -> list[str]:
        """The variant, and as VARIANT@TRAINING its other trainings that a benchmark asks for."""
        tracked = [
            name for name in self.profile.benchmarks if variant in self.experiment.runs(name)
        ]
        others = [self.experiment.model(variant, name) for name in tracked]
        return list(dict.fromkeys([variant, *others]))

    def once(self, what: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once: thousands of jobs share a few settings."""
        return self._kept[what] if what in self._kept else self._kept.setdefault(what, make())

    # --- jobs ---

    def job(self, step: str, **names: Any) -> Job:
        """The job of a step for these names: those of its entry in STEPS.

        UserError where the profile has no such name, or no such job.
        """
        asked = (step, frozenset(names.items()))
        if asked not in self._jobs:
            entry = STEPS[step]
            for kind, name in names.items():
                self.check_name(kind, name)
            resolved = entry.resolve(self, names)
            known = (step, frozenset(resolved.items()))
            if known not in self._jobs:
                self._jobs[known] = self._made(entry, resolved)
            self._jobs[asked] = self._jobs[known]
        return self._jobs[asked]

    def _made(self, entry: Step, names: Mapping[str, Any]) -> Job:
        parents = entry.parents(self, names)
        entries = tuple(entry.code(self, names))
        settings = entry.settings(self, names, parents)
        code = self.code.digest(*entries) if entries else None
        every = {"profile": self.name, **names}
        command = shlex.join(["siamla", *entry.words(names), "--profile", self.name])
        return Job(
            identity=Identity(entry.result, {**settings, "code": code}),
            names=every,
            folder=Path(entry.folder.format(**every)),
            command=command,
            title=entry.title(names),
            entry=entry.name,
            parents=parents,
            outside=entry.outside(self, names),
        )

    def jobs_of(self, step: str) -> list[Job]:
        """The jobs of an entry that the profile wants for themselves, each once."""
        jobs: dict[Path, Job] = {}
        for names in STEPS[step].wanted(self):
            job = self.job(step, **names)
            jobs.setdefault(job.folder, job)
        return list(jobs.values())

    def scores(self) -> list[Job]:
        """Every score of the profile, the imported trackers' last; none of a sweep."""
        return [*self.jobs_of("score"), *self.jobs_of("score_imported")]

    def jobs(self) -> list[Job]:
        """All jobs in an order in which they can run, each once."""
        return self._every

    @cached_property
    def _every(self) -> list[Job]:
        jobs: dict[Path, Job] = {}

        def add(job: Job) -> None:
            if job.folder not in jobs:
                for parent in job.parents.values():
                    add(parent)
                jobs[job.folder] = job

        for step in STEPS:
            for job in self.jobs_of(step):
                add(job)
        order = list(STEPS)
        return sorted(jobs.values(), key=lambda job: order.index(job.entry))

    def sets_in_use(self) -> list[str]:
        """The data sets that a job reads."""
        return [job.names["dataset"] for job in self.jobs() if job.step == "fetch"]
