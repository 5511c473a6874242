"""From one score file per benchmark, variant and seed to two long CSV files, from which tables are made."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.files import read_json, write_csv

IDENTITY = ("benchmark", "variant", "seed")
DIGESTS = ("spec_digest", "train_spec_digest", "model_sha256", "data_digest", "code_digest", "git_commit", "git_dirty")
COLUMNS = (*IDENTITY, "metric", "value", *DIGESTS, "device", "threads")
SEQUENCE_COLUMNS = (*IDENTITY, "sequence", "metric", "value")


def _numbers(values: Mapping[str, Any], path: Path, where: str) -> dict[str, float]:
    """The finite numbers of a mapping; text and null are left out, NaN and infinity refused."""
    numbers = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise UserError(f"{path}: {where}.{name} is {value}, expected a finite number")
    return numbers


def _read(path: Path) -> dict[str, Any]:
    score = read_json(path)
    for part in ("record", "overall", "per_sequence"):
        if not isinstance(score, dict) or not isinstance(score.get(part), dict):
            raise UserError(f"{path}: no mapping {part!r}, expected a score file (record, overall, per_sequence)")
    for name in (*IDENTITY, "spec_digest", "data_digest", "code_digest"):
        if name not in score["record"]:
            raise UserError(f"{path}: record.{name} is missing")
    return dict(score)


def collect(score_files: Iterable[Path], out_csv: Path, sequences_csv: Path) -> int:
    """Write scores.csv (one row per metric, speed included) and the same by sequence; returns the number of files.

    The rows are sorted, whatever the order of the files. UserError for a file that is no score file, and for two
    files about the same benchmark, variant and seed; nothing is written then.
    """
    rows: list[dict[str, Any]] = []
    sequence_rows: list[dict[str, Any]] = []
    seen: dict[tuple[Any, ...], Path] = {}
    for path in score_files:
        score = _read(path)
        record, speed = score["record"], score.get("speed") or {}
        identity = {name: record[name] for name in IDENTITY}
        key = tuple(identity.values())
        if key in seen:
            raise UserError(f"{path}: benchmark, variant and seed {key} are already in {seen[key]}")
        seen[key] = path
        machine = {name: speed.get(name, record.get(name)) for name in ("device", "threads")}
        common = {**identity, **{name: record.get(name) for name in DIGESTS}, **machine}
        values = _numbers({**score["overall"], **speed}, path, "overall")
        values.pop("threads", None)
        rows += [{**common, "metric": name, "value": value} for name, value in values.items()]
        for sequence, metrics in score["per_sequence"].items():
            numbers = _numbers(metrics, path, f"per_sequence.{sequence}")
            sequence_rows += [
                {**identity, "sequence": sequence, "metric": name, "value": value} for name, value in numbers.items()
            ]
    rows.sort(key=lambda row: (row["benchmark"], row["variant"], row["seed"], row["metric"]))
    sequence_rows.sort(key=lambda r: (r["benchmark"], r["variant"], r["seed"], r["sequence"], r["metric"]))
    write_csv(sequences_csv, SEQUENCE_COLUMNS, sequence_rows)
    write_csv(out_csv, COLUMNS, rows)
    return len(seen)
