"""How MLflow's page opens: two saved views of an experiment, and the addresses that lead to them.

MLflow 3 opens on traces of prompts, of which there are none here, and its table of runs shows no
score. A view that somebody saves in its page is a tag of the experiment,
`mlflow.sharedViewState.<id>`; so are these two, and the page offers them under "Saved views" as
well. Without them (another version of MLflow, say) the page shows its own columns.
"""

import json
import time
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from siamla.benchmark.protocols import default_protocols
from siamla.mlflow_view.entries import LOSSES, REPORT, SCORES, Entry, of_training
from siamla.mlflow_view.runs import CURRENT
from siamla.mlflow_view.view import KIND, View

TAG = "mlflow.sharedViewState."
NAMES = {"runs": "Runs and scores", "ablation": "Ablation: variants, mean over seeds"}
TOTAL = f"{LOSSES}/total"
MODES = {"runs": "TABLE", "ablation": "CHART"}


def _headlines(entries: Sequence[Entry]) -> list[str]:
    """The metric that ranks trackers, of each benchmark that has scores, as MLflow names it."""
    ranks = {str(rules.layout): rules.headline for rules in default_protocols().values()}
    layouts = {
        name: text
        for entry in entries
        for name, text in entry.tags.items()
        if name.endswith(".layout")
    }
    names = {
        f"{SCORES}/{tag.removesuffix('.layout')}/{ranks.get(layout)}"
        for tag, layout in layouts.items()
    }
    return sorted(names & {name for entry in entries for name in entry.metrics})


def _charts(
    metrics: Iterable[str], headlines: Sequence[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(charts, sections) in the form of MLflow's page: headline scores, losses, and the rest folded
    up.
    """
    open_sections, names = (SCORES, LOSSES), sorted(metrics, key=lambda name: (name != TOTAL, name))
    sections = {SCORES: "", LOSSES: ""} | {name.rpartition("/")[0]: "" for name in names}
    order = [
        SCORES,
        LOSSES,
        *sorted(set(sections) - set(open_sections), key=lambda name: (name.split("/")[0], name)),
    ]
    charts = [
        {
            "uuid": f"siamla {name}",
            "type": "LINE" if of_training(name) else "BAR",
            "metricKey": name,
            "metricSectionId": f"siamla {SCORES if name in headlines else name.rpartition('/')[0]}",
            "isGenerated": True,
            "deleted": False,
            "runsCountToCompare": 20,
        }
        for name in [*headlines, *(name for name in names if name not in headlines)]
    ]
    shown = [
        {
            "uuid": f"siamla {name}",
            "name": name,
            "display": name in open_sections,
            "isReordered": True,
            "deleted": False,
            "isGenerated": True,
            "columns": 2,
        }
        for name in order
    ]
    return charts, shown


def _columns(headlines: Sequence[str], metrics: Iterable[str]) -> list[str]:
    chosen = [*headlines, *({TOTAL} & set(metrics))]
    return [
        *(f"metrics.`{name}`" for name in chosen),
        *(f"tags.`{name}`" for name in ("group", "variant", "seed")),
    ]


def views_of(entries: Sequence[Entry]) -> dict[str, dict[str, Any]]:
    """Name of a view → its state, as MLflow's page keeps it.

    "runs": the table with the headline score of every benchmark, the last loss, and group, variant
    and seed, the best first. "ablation": charts of the same scores and of the losses by variant,
    averaged over its seeds.
    """
    metrics = {name for entry in entries for name in entry.metrics}
    headlines = _headlines(entries)
    charts, sections = _charts(metrics, headlines)
    columns = _columns(headlines, metrics)
    base = {
        "searchFilter": f"tags.`{CURRENT}` = 'true'",
        "lifecycleFilter": "Active",
        "orderByKey": columns[0],
        "orderByAsc": False,
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": {name: max(72, 6 * len(name) + 8) for name in columns},
        "runsHiddenMode": "FIRST_20_RUNS",
        "hideEmptyCharts": True,
        "compareRunCharts": charts,
        "compareRunSections": sections,
        "isAccordionReordered": True,
    }
    grouped = {
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "tag", "groupByData": "variant"}],
        },
        "useGroupedValuesInCharts": True,
        "searchFilter": f"{base['searchFilter']} AND tags.`group` != '{REPORT}'",
    }
    return {"runs": base, "ablation": base | grouped}


def _packed(state: Mapping[str, Any]) -> str:
    """A state as MLflow's page packs it: a data base may hold 5000 characters of a tag."""
    return "deflate;" + b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()


def save_views(view: View, entries: Sequence[Entry]) -> None:
    """Let the experiment's page offer the views; asks MLflow to write only what differs."""
    present = view.client.get_experiment(view.experiment_id).tags
    for name, value in KIND.items():
        if present.get(name) != value:
            view.client.set_experiment_tag(view.experiment_id, name, value)
    for name, state in views_of(entries).items() if entries else ():
        text = _packed(state)
        try:
            known = json.loads(present.get(TAG + name, "{}"))
        except ValueError:
            known = {}
        if (known.get("name"), known.get("state")) == (NAMES[name], text):
            continue
        now = int(time.time() * 1000)
        saved = {
            "name": NAMES[name],
            "createdAt": known.get("createdAt", now),
            "updatedAt": now,
            "state": text,
        }
        view.client.set_experiment_tag(view.experiment_id, TAG + name, json.dumps(saved))


def addresses(client: Any) -> list[tuple[str, str, str]]:
    """(profile, what is seen, path behind the server's address) of every profile that MLflow holds."""
    found = []
    experiments = client.search_experiments(filter_string="name LIKE 'siamla/%'")
    for experiment in sorted(experiments, key=lambda experiment: str(experiment.name)):
        page = f"/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning"
        profile = experiment.name.removeprefix("siamla/")
        views = [name for name in NAMES if TAG + name in experiment.tags]
        found += [
            (profile, NAMES[name], f"{page}&compareRunsMode={MODES[name]}&viewStateShareKey={name}")
            for name in views
        ]
        if not views:
            found.append((profile, "Runs", page))
    return found
