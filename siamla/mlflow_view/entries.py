"""What the files hold, in MLflow's terms: parameters by name, metrics by name and step."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.files import canonical_json

WALL_TIME = "train/seconds"  # differs between two runs of the same key, and says nothing about the result
LONGEST_PARAMETER = 6000  # MLflow's limit

History = dict[str, dict[int, float]]  # metric → step → value


def flat(spec: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested spec as MLflow parameters: {"model.lafa.nonlocal_block": "true"}; lists and numbers as JSON."""
    parameters: dict[str, str] = {}
    for name, value in spec.items():
        if isinstance(value, Mapping) and value:
            parameters.update(flat(value, f"{prefix}{name}."))
        else:
            text = value if isinstance(value, str) else canonical_json(value)
            parameters[f"{prefix}{name}"] = text[:LONGEST_PARAMETER]
    return parameters


def same(a: float, b: float) -> bool:
    """Whether a value in MLflow is the one in the file; the text of a file may carry fewer digits."""
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)


def read_history(path: Path) -> History:
    """history.csv (one row an epoch) as metrics `train/<column>` by epoch; empty cells are left out."""
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            return history_of(list(csv.DictReader(handle)))
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a training history: {error}, expected epoch and numbers") from None


def history_of(rows: Sequence[Mapping[str, Any]]) -> History:
    """Rows with `epoch` and further numbers as metrics `train/<column>` by epoch."""
    history: History = {}
    for row in rows:
        for column, value in row.items():
            if column != "epoch" and value is not None and value != "":
                history.setdefault(f"train/{column}", {})[int(row["epoch"])] = float(value)
    return history


def scores_of(score: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a score file as metrics `<benchmark>/<metric>`, speed included."""
    values = {**score.get("overall", {}), **(score.get("speed") or {})}
    benchmark = score["record"]["benchmark"]
    numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
    return {f"{benchmark}/{name}": float(value) for name, value in numbers.items() if name != "threads"}
