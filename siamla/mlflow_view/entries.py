"""What the result files hold, in MLflow's terms: one entry for each variant and seed, to be shown
as one run.

An entry's key follows from the variant, the seed and the whole identity of the model, so that any
process finds the run again, and other settings make another run. The scores of a variant that uses
another's model, and those of an imported tracker, are entries without a training.

Metrics have names that sort as people look for them, since MLflow draws a section of charts for
each text before the last "/", in the order of the alphabet:

    scores/BENCHMARK/METRIC          train/TERM        losses by epoch
    train_rates/NAME                 the learning rate, the steps, the steps that were left out
    wall_clock/BENCHMARK/NAME, wall_clock/train/seconds        what the machine took: no result

Artefacts are the small files alone (records, settings, history, scores; tables and figures in a run
of their own). A model's weights are not copied: they stand beside the record, whose `files` name
their SHA-256, and an upload of them would make a training wait for the view.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.files import canonical_json, digest, read_json, sha256

LONGEST_PARAMETER = 6000  # MLflow's limit
LONGEST_TAG = 5000
NEEDED = ("names", "identity", "key", "place", "files", "environment")
SMALL_FILES = ("record.json", "spec.json", "history.csv")
SCORES, LOSSES, RATES, TIMES = "scores", "train", "train_rates", "wall_clock"
WALL_TIMES = (  # differ between two runs of the same key, and say nothing about the result
    f"{TIMES}/train/"
)
COURSE = {name: f"{RATES}/{name}" for name in ("step", "lr", "skipped", "grad_norm")} | {
    name: f"{WALL_TIMES}{name}"
    for name in ("seconds", "pairs_per_second", "wait_share", "memory_mib")
}
REPORT = "report"
TRAINED, REUSED, IMPORTED = (
    "trained",
    "reuses a model",
    "imported",
)  # what the runs are grouped by: the tag `group`

History = dict[str, dict[int, float]]  # metric → step → value


@dataclass(frozen=True)
class Entry:
    """What MLflow is to show of one variant and seed, or of one imported tracker.

    Attributes:
        key: 16 hex digits that name the run.
        title: for people: "siamla seed 1".
        started, ended: milliseconds since the epoch; None where nothing was trained.
        artifacts: (file, folder among the run's artefacts).
    """

    key: str
    title: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: History = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: Sequence[tuple[Path, str]] = ()
    started: int | None = None
    ended: int | None = None

    def content(self) -> str:
        """Digest of all that is shown, the bytes of the artefacts included."""
        files = [[folder, path.name, sha256(path)] for path, folder in self.artifacts]
        values = {
            name: {step: repr(value) for step, value in points.items()}
            for name, points in self.metrics.items()
        }
        return digest([self.parameters, values, self.tags, files])


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested data by dotted names: {"model.lafa.nonlocal_block": "true"}; lists and numbers as
    JSON, None left out.
    """
    leaves: dict[str, str] = {}
    for name, part in value.items():
        if isinstance(part, Mapping):
            leaves.update(flat(part, f"{prefix}{name}."))
        elif part is not None:
            leaves[f"{prefix}{name}"] = part if isinstance(part, str) else canonical_json(part)
    return leaves


def _settings_and_code(identity: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """An identity as parameters, and the digests of code in it as tags: they say nothing to people
    who compare.
    """
    leaves = flat(identity)
    code = {name for name in leaves if name.split(".")[-1] == "code"}
    parameters = {
        name: text[:LONGEST_PARAMETER] for name, text in leaves.items() if name not in code
    }
    return parameters, {name: leaves[name] for name in code}


def history_of(rows: Sequence[Mapping[str, Any]]) -> History:
    """Rows with `epoch` and further numbers as metrics by epoch; empty cells are left out."""
    history: History = {}
    for row in rows:
        for column, value in row.items():
            if column != "epoch" and value is not None and value != "":
                name = COURSE.get(column, f"{LOSSES}/{column}")
                history.setdefault(name, {})[int(float(row["epoch"]))] = float(value)
    return history


def of_training(metric: str) -> bool:
    """Whether a metric is one that `history_of` gives, and not a benchmark's."""
    return metric.startswith(WALL_TIMES) or metric.split("/")[0] in (LOSSES, RATES)


def read_history(path: Path) -> History:
    """history.csv (one row an epoch) as metrics; UserError when it is missing or broken."""
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            return history_of(list(csv.DictReader(handle)))
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: not a training history: {error}, expected epoch and numbers"
        ) from None


def _check(record: Any, path: Path) -> dict[str, Any]:
    found = record if isinstance(record, dict) else {}
    for name in NEEDED:
        if name not in found:
            raise UserError(
                f"{path}: not a record of a result: no field {name!r}, expected {', '.join(NEEDED)}"
            )
    return found


def _key(names: Mapping[str, Any], model: Mapping[str, Any] | None) -> str:
    return digest([names.get("variant", names.get("tracker")), names.get("seed"), model])


def _title(names: Mapping[str, Any]) -> str:
    return (
        f"{names['variant']} seed {names['seed']}"
        if "variant" in names
        else str(names.get("tracker", "?"))
    )


def entry_of_record(record: Mapping[str, Any]) -> Entry:
    """A training as far as its record tells: also before it has run."""
    parameters, code = _settings_and_code(record["identity"])
    parts = {name: record.get(name) or {} for name in ("place", "environment", "inputs", "files")}
    names = {"group": TRAINED, **record["names"]}
    tags = {**{name: str(value) for name, value in names.items()}, **code, **flat(parts)}
    if commit := record["environment"].get("git_commit"):
        tags["mlflow.source.git.commit"] = str(commit)
    started = (
        int(datetime.fromisoformat(record["started"]).timestamp() * 1000)
        if record.get("started")
        else None
    )
    ended = None if started is None else started + int(1000 * (record.get("seconds") or 0))
    return Entry(
        _key(record["names"], record["identity"]),
        _title(record["names"]),
        parameters,
        tags={
            name: text[:LONGEST_TAG]
            for name, text in {**tags, "train.key": str(record["key"])}.items()
        },
        started=started,
        ended=ended,
    )


def entry_of_training(folder: Path) -> Entry:
    """A finished training, from its folder; UserError when a file is missing or broken."""
    entry = entry_of_record(_check(read_json(folder / "record.json"), folder / "record.json"))
    files = [(folder / name, "") for name in SMALL_FILES if (folder / name).is_file()]
    return replace(entry, metrics=read_history(folder / "history.csv"), artifacts=files)


def _numbers(values: Mapping[str, Any] | None, prefix: str) -> History:
    numbers = {
        name: value for name, value in (values or {}).items() if isinstance(value, int | float)
    }
    return {
        f"{prefix}/{name}": {0: float(value)}
        for name, value in numbers.items()
        if name != "threads"
    }


def entry_of_scores(path: Path) -> Entry:
    """A score file: its metrics, and the tracker's settings as parameters `<benchmark>.tracker.*`.

    The parameters of the model stand in the score's identity too. UserError when the file is
    broken.
    """
    score = read_json(path)
    record = _check(score.get("record") if isinstance(score, dict) else None, path)
    names, predictions = record["names"], record["identity"].get("predictions") or {}
    if "benchmark" not in names:
        raise UserError(f"{path}: record.names has no benchmark")
    benchmark, model = names["benchmark"], predictions.get("model")
    parameters, code = _settings_and_code(model or {})
    tracker = flat(predictions.get("tracker") or {}, f"{benchmark}.tracker.")
    shown = {
        name: str(names[name])
        for name in ("profile", "variant", "seed", "tracker")
        if name in names
    }
    group = {
        "group": REUSED if "variant" in names else IMPORTED
    }  # unless a training of its own says otherwise
    of_benchmark = {
        "place": record["place"],
        "layout": (record["identity"].get("rules") or {}).get("layout"),
    }
    return Entry(
        _key(names, model),
        _title(names),
        {**parameters, **tracker},
        {
            **_numbers(score.get("overall"), f"{SCORES}/{benchmark}"),
            **_numbers(score.get("speed"), f"{TIMES}/{benchmark}"),
        },
        {
            **group,
            **shown,
            **code,
            **flat(of_benchmark, f"{benchmark}."),
            f"{benchmark}.key": str(record["key"]),
        },
        [(path, f"scores/{benchmark}")],
    )


def entry_of_report(reports: Path, profile: str) -> Entry | None:
    """The tables and figures that reports/{profile} holds, as files to look at; None where there
    are none.
    """
    files = [
        (path, kind)
        for kind, endings in (("tables", (".md", ".csv")), ("figures", (".png", ".csv", ".md")))
        for path in sorted((reports / profile / kind).glob("*"))
        if path.suffix in endings and path.is_file()
    ]
    if not files:
        return None
    return Entry(
        digest([REPORT, profile]),
        REPORT,
        tags={"group": REPORT, "profile": profile},
        artifacts=files,
    )


def merge(first: Entry, second: Entry) -> Entry:
    """Two entries of the same run as one; where both say something, the first holds."""
    return replace(
        first,
        parameters={**second.parameters, **first.parameters},
        metrics={**second.metrics, **first.metrics},
        tags={**second.tags, **first.tags},
        artifacts=[*first.artifacts, *second.artifacts],
    )


def files_of(results: Path, profile: str) -> Iterator[tuple[Path, bool]]:
    """(record or score file, whether it is a training's) of a profile, trainings first."""
    for path in sorted((results / profile / "train").glob("*/seed*/record.json")):
        yield path, True
    for path in sorted((results / profile / "scores").glob("*/*/*.json")):
        yield path, False


def entries_of(results: Path, profile: str) -> tuple[list[Entry], list[str]]:
    """Everything that MLflow is to show of a profile, and what is wrong with files that cannot be
    read.

    The reports lie in the folder `reports` beside the results.
    """
    entries: dict[str, Entry] = {}
    problems = []
    for path, trained in files_of(results, profile):
        try:
            entry = entry_of_training(path.parent) if trained else entry_of_scores(path)
        except UserError as error:
            problems.append(str(error))
            continue
        entries[entry.key] = merge(entries[entry.key], entry) if entry.key in entries else entry
    if report := entry_of_report(results.resolve().parent / "reports", profile):
        entries[report.key] = report
    return list(entries.values()), problems
