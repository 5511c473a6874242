"""The plan: what the experiment is. Every job with its folder, its parents and its identity,
resolved once.

The Snakefile asks it for paths and keys, every command for its job, views for the results that they
show. It runs nothing and reads no data.
"""

import shlex
from collections.abc import Callable, Hashable, Mapping
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.experiment.experiment import Experiment, load
from siamla.experiment.job import Identity, Job
from siamla.experiment.profile import Benchmark, TrainingSet
from siamla.experiment.spec import Spec, chain, changed, plain
from siamla.experiment.step import Step, mixed_crops, training_settings
from siamla.experiment.steps import STEPS
from siamla.experiment.tables import Layout, load_layout
from siamla.files import digest
from siamla.miniatures.settings import SetSettings, load_sets
from siamla.provenance.code import Sources
from siamla.settings import nearest, without_neutral

KINDS = {"dataset": "data set", "tracker": "imported tracker"}  # of names, in messages


class Plan:
    """Everything of a profile, resolved. Folders and params are relative to the current folder."""

    def __init__(self, experiment: Experiment, params: Path) -> None:
        self.experiment, self.params = experiment, params
        self.name, self.profile = experiment.name, experiment.profile
        self.code = Sources()
        self._jobs: dict[tuple[str, frozenset[tuple[str, Any]]], Job] = {}
        self._kept: dict[Hashable, Any] = {}
        self._open: list[str] = []  # the steps whose jobs are being resolved, the outermost first

    @classmethod
    def load(cls, profile: str, params: Path = Path("params")) -> "Plan":
        """Read and check a profile and all that belongs to it; UserError with every mistake, before
        any work.
        """
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

    @cached_property
    def layout(self) -> Layout:
        """The tables."""
        return load_layout(self.params / "tables.yaml")

    @cached_property
    def _valid(self) -> dict[str, list[str]]:
        """What a job's names may be."""
        return {
            "dataset": list(self.datasets),
            "benchmark": list(self.profile.benchmarks),
            "variant": list(self.experiment.models),
            "tracker": list(self.profile.imported),
        }

    def check_name(self, kind: str, name: str) -> None:
        """UserError, with the nearest name, where the profile has no such benchmark, variant,
        dataset or tracker.
        """
        valid = self._valid.get(kind)
        if valid is not None and name not in valid:
            near = nearest(name, valid)
            what = KINDS.get(kind, kind)
            raise UserError(f"{name}: no such {what} in profile {self.name}; {near}")

    def spec(self, model: str) -> Spec:
        """A variant's resolved settings, or those of its other trainings (VARIANT@TRAINING);
        UserError with the nearest name.
        """
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
        """The variant whose model this one uses: the first with the same training. Others differ in
        the tracker.
        """
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
        """The variant, and as VARIANT@TRAINING those of its other trainings that a benchmark asks
        for.
        """
        tracked = [
            name for name in self.profile.benchmarks if variant in self.experiment.runs(name)
        ]
        others = [self.experiment.model(variant, name) for name in tracked]
        return list(dict.fromkeys([variant, *others]))

    def once(self, what: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once: thousands of jobs share a few settings."""
        if what not in self._kept:
            self._kept[what] = make()
        return self._kept[what]

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
            if step in self._open:
                raise UserError(f"steps: a circle of parents: {' ← '.join([*self._open, step])}")
            self._open.append(step)
            try:
                resolved = entry.resolve(self, names)
                known = (step, frozenset(resolved.items()))
                if known not in self._jobs:
                    self._jobs[known] = self._made(entry, resolved)
                self._jobs[asked] = self._jobs[known]
            finally:
                self._open.pop()
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

    def jobs(self) -> list[Job]:
        """All jobs in an order in which they can run, each once."""
        return self._every

    def sets_in_use(self) -> list[str]:
        """The data sets that a job reads."""
        return [job.names["dataset"] for job in self.jobs() if job.step == "fetch"]

    def table(self, number: int) -> Job:
        """One of the paper's tables; its parents are the scores that it shows."""
        if number not in self.layout.tables:
            raise UserError(
                f"table {number}: there are {', '.join(map(str, sorted(self.layout.tables)))}"
            )
        table = self.layout.tables[number]
        shown = {
            "variants": self.table_variants(),
            "benchmarks": self.table_benchmarks(),
            "caption": self.caption(),
        }
        paper = (files("siamla.report") / "paper" / f"table{number}.csv").read_text(
            encoding="utf-8"
        )
        code = self.code.digest(
            "siamla.report.tables:build",
            "siamla.report.tables:write_table",
            "siamla.report.collect",
        )
        layout = {**without_neutral(table), "elsewhere": list(self.layout.elsewhere)}
        identity = Identity(
            "table", {"layout": layout, "published": digest(paper), "shown": shown, "code": code}
        )
        folder = Path("reports", self.name, "tables", f"table{number}")
        parents = {str(job.folder): job for job in self.scores() if self._shows(number, job)}
        return Job(
            identity,
            {"profile": self.name, "table": number},
            folder,
            f"siamla report table {number} --profile {self.name}",
            f"table {number}",
            "table",
            parents,
            sources=folder.with_name(f"table{number}.sources.json"),
        )

    @property
    def surroundings(self) -> str:
        """Digest of what the profile expects of a machine: folders, DVC sources, weights, imported
        results, engines.
        """
        sets = {name: [str(entry.root), entry.dvc] for name, entry in self.datasets.items()}
        weights = {digest(plain(spec.model)["weights"]) for spec in self.experiment.specs.values()}
        imported = {name: plain(entry) for name, entry in self.profile.imported.items()}
        engines = {
            job.identity.plain["tracker"]["engine"] for job in self.jobs() if job.step == "predict"
        }
        return digest(
            [sets, sorted(weights), imported, *sorted(engines - {"auto"})]
        )  # auto takes what there is

    @property
    def collection_key(self) -> str:
        """Digest of the code that collects scores and of every score's identity."""
        return digest(
            [self.code.digest("siamla.report.collect"), [job.key for job in self.scores()]]
        )

    @property
    def sweeps_key(self) -> str:
        """Digest of the code that collects sweeps and of the identity of every score in them, by
        its name.
        """
        code = self.code.digest("siamla.report.collect:write_sweeps")
        return digest([code, [[job.title, job.key] for job in self.jobs_of("score_sweep")]])

    # --- what tables say ---

    def table_variants(self) -> dict[str, dict[str, Any]]:
        """Label, parts and seeds of each variant; label of each imported tracker."""
        found: dict[str, dict[str, Any]] = {}
        for name, spec in self.experiment.specs.items():
            label, seeds = self.experiment.variants[name].label, list(self.experiment.seeds(name))
            found[name] = {"label": label, **self.layout.ticks(spec), "seeds": seeds}
            if tables := self.taken_up(name):
                found[name]["tables"] = {str(number): row for number, row in tables.items()}
        for name, entry in self.profile.imported.items():
            found[name] = {"label": entry.label or name, "imported": True}
        return found

    def own_keys(self, variant: str) -> set[str]:
        """The dotted keys that a variant and its ancestors set; they win over the profile's."""
        variants = self.experiment.variants
        return {key for name in chain(variant, variants) for key in variants[name].set}

    def taken_up(self, variant: str) -> dict[int, str]:
        """The ablations that take up a variant which no table names, by what it sets, and what its
        rows are called.
        """
        found: dict[int, str] = {}
        rules = {number: table.match for number, table in self.layout.tables.items() if table.match}
        for number, match in rules.items() if variant not in self.layout.named_variants() else ():
            if match.base not in self.variants:
                continue
            chosen = {
                f"tracker.{key}"
                for name in (variant, match.base)
                for key in self.experiment.tuned(name)
            }
            chosen -= self.own_keys(
                variant
            )  # what is tuned for each is no part of what the variant is
            changes = changed(self.spec(variant), self.spec(match.base))
            changes = {key: value for key, value in changes.items() if key not in chosen}
            if changes and all(
                any(f"{key}.".startswith(f"{own}.") for own in match.settings) for key in changes
            ):
                values = ", ".join(
                    f"{value:g}" if isinstance(value, float) else str(value)
                    for value in changes.values()
                )
                found[number] = (
                    values if match.label == "value" else self.experiment.variants[variant].label
                )
        return found

    def table_benchmarks(self) -> dict[str, dict[str, Any]]:
        """Label, headline and metrics of each benchmark: those of the profile, and those that
        tables name besides.
        """
        labels = {name: entry.label or name for name, entry in self.profile.benchmarks.items()}
        found = {}
        for name in [*labels, *sorted(self.layout.named_benchmarks() - set(labels))]:
            rules = (
                self.experiment.protocol(name)
                if name in labels
                else self.experiment.protocols.get(name)
            )
            if rules is not None:
                metrics = {metric: plain(described) for metric, described in rules.metrics.items()}
                label = labels.get(name, rules.title)
                found[name] = {"label": label, "headline": rules.headline, "metrics": metrics}
        return found

    def caption(self) -> str:
        """The profile's caption; data that nothing made or fetched are the user's, and not what it
        speaks of.
        """
        notes = [self.profile.caption]
        for name, entry in self.profile.benchmarks.items():
            cut = f", the first {entry.frames} frames of each sequence" if entry.frames else ""
            if not entry.dvc or cut:
                notes.append(f"{entry.label or name}: {entry.root}{cut}.")
        return " ".join(notes)

    def _shows(self, number: int, job: Job) -> bool:
        """Whether a table shows a score."""
        table = self.layout.tables[number]
        benchmark, variant = (
            job.names["benchmark"],
            job.names.get("variant", job.names.get("tracker")),
        )
        own = (
            benchmark not in self.layout.named_benchmarks()
            and table.extend
            and table.kind == "ablation"
        )
        rows = {row.variant for row in table.rows}
        mine = table.extend and variant not in self.layout.named_variants()
        mine = mine or (variant in self.variants and number in self.taken_up(variant))
        return (own or benchmark in {c.benchmark for c in table.columns}) and (
            mine or variant in rows
        )
