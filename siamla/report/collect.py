"""Stored scores, and the long CSV files of them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Score:
    """The content of a score file.

    Attributes:
        content: with the record of a stored one under "record".
        value: of the setting that a sweep varies, where that is a number.
        folder: where it is stored.
    """

    benchmark: str
    tracker: str
    seed: int
    content: Mapping[str, Any]
    value: float | None = None
    folder: Path = Path()

    @property
    def numbers(self) -> dict[str, float]:
        """Its metrics and speeds, without what is text or null."""
        values = self.content["overall"] | (self.content.get("speed") or {})
        return {name: float(v) for name, v in values.items() if isinstance(v, int | float)}


Parts = Callable[[Score], Iterable[dict[str, Any]]]  # the rows of a score


def _rows(scores: Iterable[Score], columns: Sequence[str], parts: Parts) -> Rows:
    """The rows of all scores, sorted by the columns before the number."""
    number = next(name for name in ("score", "value", "y") if name in columns)
    order = columns[: columns.index(number)]
    rows = []
    for score in scores:
        names = dict(zip(NAMES, (score.benchmark, score.tracker, score.seed), strict=True))
        rows += [names | row for row in parts(score)]
    return sorted(rows, key=lambda row: [row[name] for name in order])


def _numbers(values: Mapping[str, Any], number: str = "value", **fixed: Any) -> Rows:
    """A row for each metric, of which text and null are left out."""
    return [
        {**fixed, "metric": metric, number: float(value)}
        for metric, value in values.items()
        if isinstance(value, int | float)
    ]


def origin(score: Score) -> dict[str, Any]:
    """Where tracking and training took place, and every commit that the score rests on."""
    record = score.content["record"]
    training = score.content.get("training") or {}
    predictions = score.content.get("predictions") or {}
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
    return _numbers(score.numbers, **origin(score))


def _sequences(score: Score) -> Iterator[dict[str, Any]]:
    weights = score.content.get("weights", {})
    for name, values in score.content["per_sequence"].items():
        for row in _numbers(values, sequence=name):
            yield row | {"weight": weights.get(row["metric"], {}).get(name, 1.0)}


def _attributes(score: Score) -> Iterator[dict[str, Any]]:
    """count: the sequences (for VOT, the frames) that have the attribute."""
    for attribute, values in score.content["per_attribute"].items():
        count = next(int(values[name]) for name in COUNTS if name in values)
        metrics = {name: value for name, value in values.items() if name not in COUNTS}
        yield from _numbers(metrics, attribute=attribute, count=count)


def _curves(score: Score) -> Iterator[dict[str, Any]]:
    """x is a threshold of the protocol, of "expected_overlap" a number of frames."""
    for curve, points in score.content["curves"].items():
        for x, y in zip(points["x"], points["y"], strict=True):
            yield {"curve": curve, "x": float(x), "y": float(y)}


def write_sweeps(scores: Collection[Score], keys: Mapping[str, str], path: Path) -> None:
    """Write the overall scores at every point of sweeps as CSV; equal scores give equal bytes.

    keys: sweep → the tracker setting that it varies. value is a number where all values are.
    """
    numeric = all(score.value is not None for score in scores)

    def parts(score: Score) -> Rows:
        names = score.content["record"]["names"]
        value = score.value if numeric else names["value"]
        point = {"sweep": names["sweep"], "key": keys[names["sweep"]], "value": value}
        return _numbers(score.content["overall"], "score", **point)

    write_csv(path, SWEEP_COLUMNS, _rows(scores, SWEEP_COLUMNS, parts))


def write(scores: Collection[Score], folder: Path) -> None:
    """Write scores.csv, sequences.csv, curves.csv and attributes.csv; equal scores, equal bytes."""
    for name, columns, parts in (
        ("curves", CURVE_COLUMNS, _curves),
        ("sequences", SEQUENCE_COLUMNS, _sequences),
        ("attributes", ATTRIBUTE_COLUMNS, _attributes),
        ("scores", COLUMNS, _overall),
    ):
        write_csv(folder / f"{name}.csv", columns, _rows(scores, columns, parts))
