"""What the result files of a profile say, in MLflow's terms: a run for each variant and seed, with
a part for its training and one for each benchmark; docs/mlflow.md has the names.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.files import canonical_json, digest, read_json, sha256
from siamla.provenance.record import RECORDS, flat, read_record

LONGEST = 6000  # characters of a parameter, MLflow's limit
TRAIN = "train"
LABELS = ("profile", "variant", "seed", "tracker")  # names of a result that are tags of its run
RATES = ("step", "lr", "skipped", "grad_norm")  # columns of a history that are no losses
TIMES = ("seconds", "pairs_per_second", "wait_share", "memory_mib")
SECTIONS = dict.fromkeys(RATES, "train_rates") | dict.fromkeys(TIMES, "wall_clock/train")
REPORTS = ("tables/*.md", "tables/*.csv", "figures/*.png", "figures/*.csv", "figures/*.md")

Metrics = dict[str, dict[int, float]]  # name → step → value


@dataclass(frozen=True)
class Part:
    """What one result adds to a run; MLflow cannot change parameters and metrics, only add them."""

    parameters: Mapping[str, str]
    metrics: Metrics = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[tuple[Path, str]] = ()

    def numbers(self) -> str:
        """Digest of what MLflow cannot change."""
        values = [[name, repr(points)] for name, points in sorted(self.metrics.items())]
        return digest([self.parameters, values])


@dataclass(frozen=True)
class Entry:
    """What MLflow is to show as one run."""

    key: str  # 16 hex digits that name the run
    title: str  # for people, "siamla seed 1"
    labels: Mapping[str, str]  # group, profile, variant, seed
    parts: dict[str, Part]  # of "train" and of the benchmarks; or of "report"
    started: int | None = None  # milliseconds since the epoch; None: now
    ended: int | None = None

    def content(self) -> str:
        """Digest of all of it, the bytes of the files included."""
        content: list[Any] = [self.labels]
        for name, part in self.parts.items():
            content += [name, part.numbers(), part.tags]
            content += [sha256(path) for path, _ in part.files]
        return digest(content)


def _texts(value: Mapping[str, Any] | None, prefix: str = "") -> dict[str, str]:
    """Nested data by dotted names, {"loss.boundary": "1.0"}, without digests of code."""
    return {
        name: (leaf if isinstance(leaf, str) else canonical_json(leaf))[:LONGEST]
        for name, leaf in flat(value or {}, prefix).items()
        if leaf not in (None, {}) and name.split(".")[-1] != "code"
    }


def _entry(
    record: Mapping[str, Any], model: Mapping[str, Any] | None, name: str, part: Part
) -> Entry:
    """An entry with one part, to whose tags the record adds its own; `model` is its identity."""
    names = record["names"]
    who, seed = names.get("variant", names.get("tracker")), names.get("seed")
    group = "reuses a model" if "variant" in names else "imported"
    labels = {"group": "trained" if name == TRAIN else group}
    labels |= {label: str(names[label]) for label in LABELS if label in names}
    commit = record["environment"].get("git_commit")
    about = {"key": record["key"], "commit": commit, "place": record["place"]}
    tags = {**part.tags, **_texts(about, f"{name}.")}
    title = str(who) if seed is None else f"{who} seed {seed}"
    return Entry(digest([who, seed, model]), title, labels, {name: replace(part, tags=tags)})


def metrics_of(rows: Iterable[Mapping[str, Any]]) -> Metrics:
    """Rows of a history, with `epoch` and further numbers, as metrics; empty cells are left out."""
    metrics: Metrics = {}
    for row in rows:
        for column, value in row.items():
            if column != "epoch" and value not in (None, ""):
                name = f"{SECTIONS.get(column, TRAIN)}/{column}"
                metrics.setdefault(name, {})[int(row["epoch"])] = float(value)
    return metrics


def training_entry(
    record: Mapping[str, Any],
    rows: Iterable[Mapping[str, Any]],
    files: Sequence[tuple[Path, str]] = (),
) -> Entry:
    """A training as far as its record and the rows of its history tell."""
    commit = record["environment"].get("git_commit") or ""
    part = Part(
        _texts(record["identity"]), metrics_of(rows), {"mlflow.source.git.commit": commit}, files
    )
    started = int(datetime.fromisoformat(record["started"]).timestamp() * 1000)
    ended = started + int(1000 * record["seconds"])
    entry = _entry(record, record["identity"], TRAIN, part)
    return replace(entry, started=started, ended=ended)


def _read_training(path: Path, record: Mapping[str, Any]) -> Entry:
    history = path.with_name("history.csv")
    files = [path, history, path.with_name("spec.json")]
    with history.open(newline="", encoding="utf-8") as handle:
        return training_entry(record, csv.DictReader(handle), [(file, "") for file in files])


def _numbers(values: Mapping[str, Any] | None, section: str) -> Metrics:
    return {
        f"{section}/{name}": {0: float(value)}
        for name, value in (values or {}).items()
        if isinstance(value, int | float) and name != "threads"
    }


def _read_score(record_path: Path, record: Mapping[str, Any]) -> Entry:
    path = record_path.with_name("score.json")
    score = read_json(path)
    benchmark = record["names"].get("benchmark")
    predictions = record["identity"].get("predictions") or {}
    model = predictions.get("model")
    tracker = _texts(predictions.get("tracker"), f"{benchmark}.tracker.")
    metrics = _numbers(score.get("overall"), f"scores/{benchmark}")
    metrics |= _numbers(score.get("speed"), f"wall_clock/{benchmark}")
    part = Part(_texts(model) | tracker, metrics, files=[(path, f"scores/{benchmark}")])
    return _entry(record, model, str(benchmark), part)


def _read_report(reports: Path, profile: str) -> Entry | None:
    """The tables and figures of a profile, beside its results; None where there are none."""
    paths = [path for pattern in REPORTS for path in sorted((reports / profile).glob(pattern))]
    if not paths:
        return None
    # MLflow can take no file back: as a parameter, the list makes the run anew when one is gone
    listed = ", ".join(f"{path.parent.name}/{path.name}" for path in paths)
    part = Part({"files": listed[:LONGEST]}, files=[(path, path.parent.name) for path in paths])
    labels = {"group": "report", "profile": profile}
    return Entry(digest(["report", profile]), "report", labels, {"report": part})


def read_entries(results: Path, profile: str) -> tuple[list[Entry], list[str]]:
    """All that MLflow is to show of a profile, and what is wrong with files that cannot be read."""
    entries: dict[str, Entry] = {}
    problems = []
    trainings = sorted((results / profile / "train").glob(f"*/*/{RECORDS}"))
    scores = sorted((results / profile / "scores").glob(f"*/*/*/{RECORDS}"))
    for path in (*trainings, *scores):
        try:
            record = read_record(path)
            trained = record["step"] == "train"
            entry = _read_training(path, record) if trained else _read_score(path, record)
        except UserError as error:
            problems.append(str(error))
        else:
            entries.setdefault(entry.key, entry).parts.update(entry.parts)
    report = _read_report(results.resolve().parent / "reports", profile)
    return [*entries.values(), *([report] if report else [])], problems
