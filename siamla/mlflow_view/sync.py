"""Bringing MLflow up to date with the result files: what is missing is added, and what differs is
made again.
"""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from siamla.files import write_json
from siamla.mlflow_view.entries import Entry, entries_of, of_training
from siamla.mlflow_view.page import save_views
from siamla.mlflow_view.runs import CURRENT, KEY, fill, is_alive, own_runs, stale
from siamla.mlflow_view.view import View, connect, reason, shown, uri

log = logging.getLogger(__name__)


@dataclass
class Audit:
    """What MLflow shows of a profile after a sync.

    Attributes:
        complete: whether it shows all that the files hold. runs, parameters, epoch_values, scores:
        how many of each it shows, as the files have them; speeds are scores.
        added: values that were logged now.
        remade: runs that said something else than the files, and what.
        ended: runs of trainings that were killed, marked as such now.
        running: trainings under way, which show themselves.
        missing: what is not shown, and why.
    """

    profile: str
    uri: str
    complete: bool = False
    runs: int = 0
    parameters: int = 0
    epoch_values: int = 0
    scores: int = 0
    added: int = 0
    remade: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def count(self, entry: Entry) -> None:
        """One more run that shows all of its entry."""
        values = {name: len(points) for name, points in entry.metrics.items()}
        self.runs += 1
        self.parameters += len(entry.parameters)
        epochs = sum(count for name, count in values.items() if of_training(name))
        self.epoch_values += epochs
        self.scores += sum(values.values()) - epochs


def _by_key(view: View, runs: list[Any]) -> dict[str, Any]:
    """The run of each key; a second one, which two processes at the same moment can make, is
    deleted.
    """
    found: dict[str, Any] = {}
    for run in sorted(runs, key=lambda run: (run.info.start_time or 0, run.info.run_id)):
        if run.data.tags[KEY] in found:
            view.client.delete_run(run.info.run_id)
        else:
            found[run.data.tags[KEY]] = run
    return found


def _show(audit: Audit, view: View, entry: Entry, run: Any) -> str:
    more = stale(view, entry, run) if run is not None else None
    if more:
        view.client.delete_run(run.info.run_id)
        run = None
    filled = fill(view, entry, run)
    audit.added += filled.added
    if more or filled.remade:
        audit.remade.append(f"{entry.title}: {more or filled.remade}")
    audit.count(entry)
    return filled.run_id


def _retire(audit: Audit, view: View, runs: dict[str, Any], current: set[str]) -> None:
    """Say of each run whether the files on disk still belong to it, and end those that nobody
    trains any more.
    """
    for run in runs.values():
        run_id, title = run.info.run_id, str(run.info.run_name)
        if run.info.status == "RUNNING" and run_id not in current:
            view.client.set_terminated(run_id, "KILLED")
            audit.ended.append(title)
        wanted = "true" if run_id in current else "false"
        if run.data.tags.get(CURRENT) != wanted:
            view.client.set_tag(run_id, CURRENT, wanted)


def _fill_all(audit: Audit, view: View, entries: list[Entry]) -> None:
    """Show every entry; what fails for its own sake is missing, and any other failure of MLflow
    ends it.
    """
    runs = _by_key(view, own_runs(view))
    current = set()
    for run in runs.values():
        if run.info.status == "RUNNING" and is_alive(view, run.info.run_id):
            current.add(run.info.run_id)
            audit.running.append(str(run.info.run_name))
    for number, entry in enumerate(entries):
        run = runs.get(entry.key)
        if run is not None and run.info.run_id in current:
            continue
        try:
            run_id = _show(audit, view, entry, run)
        except Exception as error:
            audit.missing.append(f"{entry.title}: {reason(error)}")
            if getattr(error, "error_code", "") != "INVALID_PARAMETER_VALUE":
                audit.missing.extend(f"{later.title}: not tried" for later in entries[number + 1 :])
                return
            if run is not None:
                current.add(run.info.run_id)
            continue
        if run is not None and run.info.run_id != run_id:
            del runs[entry.key]  # deleted and made again
        current.add(run_id)
    _retire(audit, view, runs, current)
    save_views(view, entries)


def sync(results: Path, profile: str, out: Path) -> Audit:
    """Let MLflow show what the files of a profile hold, and write to `out` (JSON) what it shows and
    what is missing.

    What is missing is added: runs, parameters, every epoch's values, scores, artefacts. A run that
    says something else than the files is made again from them. Runs of trainings that were killed
    are ended, and those whose files are gone or belong to other settings are marked as not current;
    other clones' runs are left alone. Where MLflow fails, a warning says what is missing, and
    `complete` is False.
    """
    audit = Audit(profile, shown(uri(results)))
    entries, broken = entries_of(results, profile)
    audit.missing.extend(broken)
    failure = ""
    try:
        view = connect(results, profile)
    except Exception as error:
        failure = reason(error)
        audit.missing.extend(f"{entry.title}: not tried" for entry in entries)
    else:
        try:
            _fill_all(audit, view, entries)
        except Exception as error:
            failure = reason(error)
            audit.missing.append(f"the state of the runs: {failure}")
    audit.complete = not failure and not audit.missing
    write_json(out, vars(audit))
    if not audit.complete:
        log.warning(
            "MLflow at %s does not show everything of %s (%s; see %s); no result needs it, and "
            "`siamla mlflow sync --profile %s` completes it",
            audit.uri,
            profile,
            failure or f"{len(audit.missing)} missing: {audit.missing[0]}",
            out,
            profile,
        )
    return audit
