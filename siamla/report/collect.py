"""From score files to long frames, of which tables and figures are made, and their CSV form."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from siamla.errors import UserError
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
    "score": "float64",
    "x": "float64",
    "y": "float64",
    "count": "int64",
    "other_cores": "float64",
    "threads": "Int64",
    "train_threads": "Int64",
    "git_dirty": "boolean",
}
IMPORTED_SEED = 0  # another tracker's results have no seed of ours


def _numbers(values: Mapping[str, Any], path: Path, where: str) -> dict[str, float]:
    """The finite numbers of a mapping; text and null are left out, NaN and infinity refused."""
    numbers = {
        name: float(value) for name, value in values.items() if isinstance(value, int | float)
    }
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise UserError(f"{path}: {where}.{name} is {value}, expected a finite number")
    return numbers


def _part(value: Any, keys: str, path: Path) -> dict[str, Any]:
    """The mapping at the dotted `keys` of a score file."""
    for key in keys.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping):
        raise UserError(
            f"{path}: no mapping {keys!r}, expected a score file (record, overall, per_sequence)"
        )
    return dict(value)


def _names(score: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Benchmark, variant and seed; of another tracker's results its name as the variant."""
    names = _part(score, "record.names", path)
    if "tracker" in names:
        names |= {"variant": names["tracker"], "seed": IMPORTED_SEED}
    for name in NAMES:
        if name not in names:
            raise UserError(f"{path}: record.names.{name} is missing")
    return {name: names[name] for name in NAMES}


def _origin(score: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Where tracking and training took place, and every commit that the score rests on."""
    place, training = _part(score, "record.place", path), {}
    environments = [_part(score, "record.environment", path)]
    if "tracker" not in score["record"]["names"]:
        training = _part(score, "training.place", path)
        environments.insert(0, _part(score, "training.environment", path))
        if score.get("predictions") is not None:
            environments.insert(1, _part(score, "predictions.environment", path))
    commits = dict.fromkeys(str(e["git_commit"]) for e in environments if e.get("git_commit"))
    dirty = [e.get("git_dirty") for e in environments]
    return {
        **{name: place.get(name) for name in (*PLACE, "engine")},
        **{f"train_{name}": training.get(name) for name in PLACE},
        "git_commit": " ".join(commits) or None,
        "git_dirty": True if True in dirty else None if None in dirty else False,
        "other_cores": (score.get("predictions") or {}).get("other_cores"),
    }


def _frame(
    rows: list[dict[str, Any]], columns: Sequence[str], number: str = "value", **other: str
) -> pd.DataFrame:
    """The rows sorted by all columns before the value's, whatever their order. other: types that
    are not in TYPES.
    """
    order = columns[: columns.index(number)]
    rows = sorted(rows, key=lambda row: [row[name] for name in order])
    types = {name: {**TYPES, **other}.get(name, "object") for name in columns}
    return pd.DataFrame(rows, columns=list(columns)).astype(types)


def frames(scores: Mapping[Path, Mapping[str, Any]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(scores, sequences) of the contents of score files, path → content; one row a metric, speed
    included.

    Scores has COLUMNS: device, precision, threads and engine of the tracking, the training's under
    train_, and the commits of training, tracking and scoring in git_commit, several parted by a
    blank; git_dirty is true where one of them had uncommitted changes, missing outside git;
    other_cores is how many cores other work kept busy while the tracker ran, missing where that is
    not known. Sequences has SEQUENCE_COLUMNS. Imported trackers have seed 0 and no training.
    UserError, naming the file, for what is no score file, a number that is not finite, and two
    files about the same benchmark, variant and seed.
    """
    rows: list[dict[str, Any]] = []
    sequence_rows: list[dict[str, Any]] = []
    seen: dict[tuple[Any, ...], Path] = {}
    for path, score in scores.items():
        names, origin = _names(score, path), _origin(score, path)
        key = tuple(names.values())
        if key in seen:
            raise UserError(f"{path}: benchmark, variant and seed {key} are already in {seen[key]}")
        seen[key] = path
        values = _numbers(
            {**_part(score, "overall", path), **(score.get("speed") or {})}, path, "overall"
        )
        rows += [
            {**names, **origin, "metric": metric, "value": value}
            for metric, value in values.items()
        ]
        for sequence, metrics in _part(score, "per_sequence", path).items():
            numbers = _numbers(metrics, path, f"per_sequence.{sequence}")
            sequence_rows += [
                {**names, "sequence": sequence, "metric": m, "value": v} for m, v in numbers.items()
            ]
    return _frame(rows, COLUMNS), _frame(sequence_rows, SEQUENCE_COLUMNS)


def curve_frame(scores: Mapping[Path, Mapping[str, Any]]) -> pd.DataFrame:
    """Every point of every curve of the contents of score files: CURVE_COLUMNS.

    x is a threshold of the protocol, of "expected_overlap" a number of frames. UserError, naming
    the file, for what is no score file or holds a number that is not finite.
    """
    rows: list[dict[str, Any]] = []
    for path, score in scores.items():
        names = _names(score, path)
        for curve in _part(score, "curves", path):
            points = {axis: _part(score, f"curves.{curve}", path).get(axis) for axis in ("x", "y")}
            x, y = (value if isinstance(value, list) else [] for value in points.values())
            if not x or len(x) != len(y):
                raise UserError(
                    f"{path}: curves.{curve}: expected as many numbers x as y, found {len(x)} and"
                    f" {len(y)}"
                )
            for point in zip(x, y, strict=True):
                rows.append(
                    {
                        **names,
                        "curve": curve,
                        **_numbers(dict(zip("xy", point, strict=True)), path, curve),
                    }
                )
    return _frame(rows, CURVE_COLUMNS, "y")


def attribute_frame(scores: Mapping[Path, Mapping[str, Any]]) -> pd.DataFrame:
    """The scores of each attribute, of the contents of score files: ATTRIBUTE_COLUMNS.

    count: the sequences (for VOT, the frames) that have the attribute. Benchmarks without
    attributes have no rows. UserError, naming the file, for what is no score file or holds a number
    that is not finite.
    """
    rows: list[dict[str, Any]] = []
    for path, score in scores.items():
        names = _names(score, path)
        for attribute, values in _part(score, "per_attribute", path).items():
            numbers = _numbers(values, path, f"per_attribute.{attribute}")
            counts = [int(numbers.pop(name)) for name in COUNTS if name in numbers]
            if len(counts) != 1:
                raise UserError(
                    f"{path}: per_attribute.{attribute}: expected one of {' or '.join(COUNTS)} as"
                    " its count"
                )
            rows += [
                {
                    **names,
                    "attribute": attribute,
                    "metric": metric,
                    "value": value,
                    "count": counts[0],
                }
                for metric, value in numbers.items()
            ]
    return _frame(rows, ATTRIBUTE_COLUMNS)


def sweep_frame(scores: Mapping[Path, Mapping[str, Any]], keys: Mapping[str, str]) -> pd.DataFrame:
    """The overall scores at every point of sweeps, of the contents of their score files:
    SWEEP_COLUMNS.

    keys: sweep → the tracker setting that it varies. value is a number where all values of all
    sweeps are. UserError, naming the file, for what is no score file of a sweep.
    """
    rows: list[dict[str, Any]] = []
    for path, score in scores.items():
        names, place = _names(score, path), _part(score, "record.names", path)
        sweep = str(place.get("sweep"))
        if sweep not in keys or "value" not in place:
            raise UserError(
                f"{path}: record.names: expected sweep ({', '.join(keys)}) and value, found {place}"
            )
        point = {"sweep": sweep, "key": keys[sweep], "value": _number(place["value"])}
        for metric, value in _numbers(_part(score, "overall", path), path, "overall").items():
            rows.append({**point, **names, "metric": metric, "score": value})
    if all(isinstance(row["value"], float) for row in rows):
        return _frame(rows, SWEEP_COLUMNS, "score")
    return _frame(
        [{**row, "value": str(row["value"])} for row in rows],
        SWEEP_COLUMNS,
        "score",
        value="object",
    )


def _number(text: str) -> float | str:
    """A sweep's value as its paths have it, as a number where it is one."""
    try:
        return float(text)
    except ValueError:
        return text


def write_sweeps(
    scores: Mapping[Path, Mapping[str, Any]], keys: Mapping[str, str], path: Path
) -> None:
    """Write `sweep_frame` as CSV; equal scores give equal bytes."""
    write_csv(path, SWEEP_COLUMNS, _plain(sweep_frame(scores, keys).to_dict("records")))


def _plain(rows: Iterable[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    return [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in rows
    ]


def write(scores: Mapping[Path, Mapping[str, Any]], folder: Path) -> None:
    """Write the contents of score files as scores.csv, sequences.csv, curves.csv and
    attributes.csv.

    With every digit, missing values empty; equal scores give equal bytes, whatever their order.
    UserError as in `frames`, and then nothing is written.
    """
    collected, sequences = frames(scores)
    made = {
        "sequences": sequences,
        "curves": curve_frame(scores),
        "attributes": attribute_frame(scores),
        "scores": collected,
    }
    for name, frame in made.items():
        write_csv(
            folder / f"{name}.csv",
            [str(column) for column in frame],
            _plain(frame.to_dict("records")),
        )
