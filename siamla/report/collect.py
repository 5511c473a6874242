"""From checked score files, path → content, to long tables: frames and CSV files."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from siamla.files import write_csv

NAMES = ("benchmark", "variant", "seed")
PLACE = ("device", "precision", "threads")
COLUMNS = (
    *NAMES,
    "metric",
    "value",
    *PLACE,
    "engine",
    *(f"train_{name}" for name in PLACE),
    "git_commit",
    "git_dirty",
    "other_cores",
)
"""device, precision, threads and engine are of the tracking, under train_ of the training.
git_commit: of training, tracking and scoring, several parted by a blank. git_dirty: whether one of
them had uncommitted changes; missing outside git. other_cores: how many cores other work kept busy
while the tracker ran; missing where that is not known.
"""
SEQUENCE_COLUMNS = (*NAMES, "sequence", "metric", "value", "weight")
"""weight: of the sequence in the value of the whole benchmark, 1 for a plain mean."""
CURVE_COLUMNS = (*NAMES, "curve", "x", "y")
SWEEP_COLUMNS = ("sweep", "key", "value", *NAMES, "metric", "score")
ATTRIBUTE_COLUMNS = (*NAMES, "attribute", "metric", "value", "count")
COUNTS = ("sequences", "frames")  # what an attribute's scores rest on
TYPES = {
    "seed": "int64",
    "value": "float64",
    "weight": "float64",
    "other_cores": "float64",
    "threads": "Int64",
    "train_threads": "Int64",
    "git_dirty": "boolean",
}
IMPORTED_SEED = 0  # another tracker's results have no seed of ours
Score = Mapping[str, Any]
Contents = Mapping[Path, Score]
Rows = list[dict[str, Any]]
Parts = Callable[[Score], Iterable[dict[str, Any]]]  # the rows of a score


def _names(score: Score) -> dict[str, Any]:
    """Benchmark, variant and seed; of another tracker's results its name as the variant."""
    names = score["record"]["names"]
    if "tracker" in names:
        names = names | {"variant": names["tracker"], "seed": IMPORTED_SEED}
    return {name: names[name] for name in NAMES}


def _rows(
    scores: Contents, columns: Sequence[str], parts: Callable[[Score], Iterable[Any]]
) -> Rows:
    """The rows of all scores, sorted by the columns before the number."""
    number = next(name for name in ("score", "value", "y") if name in columns)
    order = columns[: columns.index(number)]
    rows = [{**_names(score), **row} for score in scores.values() for row in parts(score)]
    return sorted(rows, key=lambda row: [row[name] for name in order])


def _numbers(values: Mapping[str, Any], number: str = "value", **fixed: Any) -> Rows:
    """A row for each metric, of which text and null are left out."""
    return [
        {**fixed, "metric": metric, number: float(value)}
        for metric, value in values.items()
        if isinstance(value, int | float)
    ]


def _origin(score: Score) -> dict[str, Any]:
    """Where tracking and training took place, and every commit that the score rests on."""
    record = score["record"]
    training = score.get("training") or {}
    predictions = score.get("predictions") or {}
    parts = [part for part in (training, predictions, record) if "environment" in part]
    environments = [part["environment"] for part in parts]
    commits = dict.fromkeys(str(e["git_commit"]) for e in environments if e.get("git_commit"))
    dirty = [e.get("git_dirty") for e in environments]
    cores = predictions.get("other_cores")
    return {
        **{name: record["place"].get(name) for name in (*PLACE, "engine")},
        **{f"train_{name}": training.get("place", {}).get(name) for name in PLACE},
        "git_commit": " ".join(commits) or None,
        "git_dirty": True if True in dirty else None if None in dirty else False,
        "other_cores": None if cores is None else float(cores),
    }


def _overall(score: Score) -> Rows:
    return _numbers(score["overall"] | (score.get("speed") or {}), **_origin(score))


def _sequences(score: Score) -> Iterator[dict[str, Any]]:
    weights = score.get("weights", {})
    for name, values in score["per_sequence"].items():
        for row in _numbers(values, sequence=name):
            yield row | {"weight": weights.get(row["metric"], {}).get(name, 1.0)}


def _attributes(score: Score) -> Iterator[dict[str, Any]]:
    """count: the sequences (for VOT, the frames) that have the attribute."""
    for attribute, values in score["per_attribute"].items():
        count = next(int(values[name]) for name in COUNTS if name in values)
        metrics = {name: value for name, value in values.items() if name not in COUNTS}
        yield from _numbers(metrics, attribute=attribute, count=count)


def _curves(score: Score) -> Iterator[dict[str, Any]]:
    """x is a threshold of the protocol, of "expected_overlap" a number of frames."""
    for curve, points in score["curves"].items():
        for x, y in zip(points["x"], points["y"], strict=True):
            yield {"curve": curve, "x": float(x), "y": float(y)}


def frames(scores: Contents) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of scores.csv and of sequences.csv."""
    tables = []
    for columns, parts in ((COLUMNS, _overall), (SEQUENCE_COLUMNS, _sequences)):
        types = {name: TYPES.get(name, "object") for name in columns}
        table = pd.DataFrame(_rows(scores, columns, parts), columns=list(columns))
        tables.append(table.astype(types))
    return tables[0], tables[1]


def write_sweeps(scores: Contents, keys: Mapping[str, str], path: Path) -> None:
    """Write the overall scores at every point of sweeps as CSV; equal scores give equal bytes.

    keys: sweep → the tracker setting that it varies. value is a number where all values are.
    """
    texts = {score["record"]["names"]["value"] for score in scores.values()}
    points: dict[str, Any] = {text: text for text in texts}
    with suppress(ValueError):
        points = {text: float(text) for text in texts}

    def parts(score: Score) -> Rows:
        names = score["record"]["names"]
        point = {"key": keys[names["sweep"]], "value": points[names["value"]]}
        return _numbers(score["overall"], "score", sweep=names["sweep"], **point)

    write_csv(path, SWEEP_COLUMNS, _rows(scores, SWEEP_COLUMNS, parts))


def write(scores: Contents, folder: Path) -> None:
    """Write scores.csv, sequences.csv, curves.csv and attributes.csv; equal scores, equal bytes."""
    for name, columns, parts in (
        ("curves", CURVE_COLUMNS, _curves),
        ("sequences", SEQUENCE_COLUMNS, _sequences),
        ("attributes", ATTRIBUTE_COLUMNS, _attributes),
        ("scores", COLUMNS, _overall),
    ):
        write_csv(folder / f"{name}.csv", columns, _rows(scores, columns, parts))
