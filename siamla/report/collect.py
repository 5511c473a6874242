"""From score files to long tables: frames, of which the paper's tables are made, and CSV files.

The contents are those of files that the score step wrote and that siamla.steps.report.gather has
checked against the plan: path → content.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
SEQUENCE_COLUMNS = (*NAMES, "sequence", "metric", "value")
CURVE_COLUMNS = (*NAMES, "curve", "x", "y")
SWEEP_COLUMNS = ("sweep", "key", "value", *NAMES, "metric", "score")
ATTRIBUTE_COLUMNS = (*NAMES, "attribute", "metric", "value", "count")
COUNTS = ("sequences", "frames")  # what an attribute's scores rest on
TYPES = {
    "seed": "int64",
    "value": "float64",
    "other_cores": "float64",
    "threads": "Int64",
    "train_threads": "Int64",
    "git_dirty": "boolean",
}
IMPORTED_SEED = 0  # another tracker's results have no seed of ours
Contents = Mapping[Path, Mapping[str, Any]]
Rows = list[dict[str, Any]]


def _names(score: Mapping[str, Any]) -> dict[str, Any]:
    """Benchmark, variant and seed; of another tracker's results its name as the variant."""
    names = score["record"]["names"]
    if "tracker" in names:
        names = names | {"variant": names["tracker"], "seed": IMPORTED_SEED}
    return {name: names[name] for name in NAMES}


def _numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Metric and value; text and null are left out."""
    for metric, value in values.items():
        if isinstance(value, int | float):
            yield metric, float(value)


def _sorted(rows: Rows, columns: Sequence[str], value: str = "value") -> Rows:
    """The rows by all columns before the value's, whatever their order."""
    order = columns[: columns.index(value)]
    return sorted(rows, key=lambda row: [row[name] for name in order])


def _origin(score: Mapping[str, Any]) -> dict[str, Any]:
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


def score_rows(scores: Contents) -> Rows:
    """COLUMNS: one row a metric, speed included.

    device, precision, threads and engine of the tracking, the training's under train_, and the
    commits of training, tracking and scoring in git_commit, several parted by a blank. git_dirty is
    true where one of them had uncommitted changes, missing outside git. other_cores is how many
    cores other work kept busy while the tracker ran, missing where that is not known. Imported
    trackers have seed 0 and no training.
    """
    rows = []
    for score in scores.values():
        common = _names(score) | _origin(score)
        for metric, value in _numbers(score["overall"] | (score.get("speed") or {})):
            rows.append({**common, "metric": metric, "value": value})
    return _sorted(rows, COLUMNS)


def sequence_rows(scores: Contents) -> Rows:
    """SEQUENCE_COLUMNS: one row a metric of a sequence."""
    rows = []
    for score in scores.values():
        for sequence, metrics in score["per_sequence"].items():
            common = _names(score) | {"sequence": sequence}
            rows += [{**common, "metric": m, "value": v} for m, v in _numbers(metrics)]
    return _sorted(rows, SEQUENCE_COLUMNS)


def curve_rows(scores: Contents) -> Rows:
    """CURVE_COLUMNS: every point of every curve. x is a threshold of the protocol, of
    "expected_overlap" a number of frames.
    """
    rows = []
    for score in scores.values():
        for curve, points in score["curves"].items():
            common = _names(score) | {"curve": curve}
            for x, y in zip(points["x"], points["y"], strict=True):
                rows.append({**common, "x": float(x), "y": float(y)})
    return _sorted(rows, CURVE_COLUMNS, "y")


def attribute_rows(scores: Contents) -> Rows:
    """ATTRIBUTE_COLUMNS: the scores of each attribute. count: the sequences (for VOT, the frames)
    that have it. Benchmarks without attributes have no rows.
    """
    rows = []
    for score in scores.values():
        for attribute, values in score["per_attribute"].items():
            count = next(int(values[name]) for name in COUNTS if name in values)
            common = _names(score) | {"attribute": attribute, "count": count}
            for metric, value in _numbers(values):
                if metric not in COUNTS:
                    rows.append({**common, "metric": metric, "value": value})
    return _sorted(rows, ATTRIBUTE_COLUMNS)


def _point(texts: Iterable[str]) -> dict[str, float | str]:
    """Values of sweeps as their paths have them → numbers, where all of them are."""
    values = dict.fromkeys(texts)
    try:
        return {text: float(text) for text in values}
    except ValueError:
        return {text: text for text in values}


def sweep_rows(scores: Contents, keys: Mapping[str, str]) -> Rows:
    """SWEEP_COLUMNS: the overall scores at every point of sweeps.

    keys: sweep → the tracker setting that it varies. value is a number where all values of all
    sweeps are.
    """
    rows = []
    points = _point(score["record"]["names"]["value"] for score in scores.values())
    for score in scores.values():
        names = score["record"]["names"]
        sweep = names["sweep"]
        point = {"sweep": sweep, "key": keys[sweep], "value": points[names["value"]]}
        for metric, value in _numbers(score["overall"]):
            rows.append({**point, **_names(score), "metric": metric, "score": value})
    return _sorted(rows, SWEEP_COLUMNS, "score")


def _frame(rows: Rows, columns: Sequence[str]) -> pd.DataFrame:
    types = {name: TYPES.get(name, "object") for name in columns}
    return pd.DataFrame(rows, columns=list(columns)).astype(types)


def frames(scores: Contents) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(scores, sequences): `score_rows` and `sequence_rows` as frames."""
    return _frame(score_rows(scores), COLUMNS), _frame(sequence_rows(scores), SEQUENCE_COLUMNS)


def write_sweeps(scores: Contents, keys: Mapping[str, str], path: Path) -> None:
    """Write `sweep_rows` as CSV; equal scores give equal bytes."""
    write_csv(path, SWEEP_COLUMNS, sweep_rows(scores, keys))


def write(scores: Contents, folder: Path) -> None:
    """Write scores.csv, sequences.csv, curves.csv and attributes.csv.

    With every digit, missing values empty; equal scores give equal bytes, whatever their order.
    """
    write_csv(folder / "sequences.csv", SEQUENCE_COLUMNS, sequence_rows(scores))
    write_csv(folder / "curves.csv", CURVE_COLUMNS, curve_rows(scores))
    write_csv(folder / "attributes.csv", ATTRIBUTE_COLUMNS, attribute_rows(scores))
    write_csv(folder / "scores.csv", COLUMNS, score_rows(scores))
