"""Two variants side by side, as MLflow holds them: for a look, not for a table of the paper."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamla.errors import UserError
from siamla.mlflow_view.entries import REPORT
from siamla.mlflow_view.runs import CURRENT, own_runs
from siamla.mlflow_view.view import connect, reason, shown, uri

if TYPE_CHECKING:
    import pandas as pd


def compare_runs(
    results: Path, profile: str, a: str, b: str
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """(parameters that differ, metrics) of variants `a` and `b`; a metric is the mean over seeds of
    its last value.

    Parameters: index `parameter`, columns a, b. Metrics: index `metric`, columns a, b, difference
    (b − a). UserError when MLflow cannot be read or a variant has no run.
    """
    import pandas as pd

    try:
        runs = [
            run
            for run in own_runs(connect(results, profile))
            if run.data.tags.get(CURRENT) != "false" and run.data.tags.get("group") != REPORT
        ]
    except Exception as error:
        raise UserError(f"MLflow at {shown(uri(results))}: {reason(error)}") from error
    variants = [run.data.tags.get("variant", run.data.tags.get("tracker", "")) for run in runs]
    parameters: dict[str, dict[str, Any]] = {}
    metrics: dict[str, Any] = {}
    for variant in (a, b):
        own = [run for run, name in zip(runs, variants, strict=True) if name == variant]
        if not own:
            known = ", ".join(sorted({*variants}))
            raise UserError(
                f"MLflow, profile {profile}: no run of variant {variant!r}; there are {known}"
            )
        parameters[variant] = dict(own[0].data.params)
        metrics[variant] = pd.DataFrame([run.data.metrics for run in own]).mean().to_dict()
    left, right = (
        pd.DataFrame(parameters).rename_axis("parameter"),
        pd.DataFrame(metrics).rename_axis("metric"),
    )
    left = left.fillna("–")
    right["difference"] = right[b] - right[a]
    return left[left[a] != left[b]].sort_index(), right.sort_index()
