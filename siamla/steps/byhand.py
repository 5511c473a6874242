"""A benchmark by hand: a model and a folder of sequences in, raw results and scores out."""

import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from siamla.benchmark.protocols import Protocol, default_protocols, run_rules
from siamla.benchmark.score import score as score_stored
from siamla.benchmark.score import withheld
from siamla.benchmark.speed import speed
from siamla.benchmark.tracking import run as run_tracker
from siamla.benchmark.tracking import track_benchmark
from siamla.data.formats import LAYOUTS
from siamla.engine import exported as engine
from siamla.errors import UserError
from siamla.experiment.spec import plain
from siamla.files import digest, locked, read_json, write_csv, write_json
from siamla.provenance.code import sources
from siamla.provenance.record import differences, environment
from siamla.sequence import Sequence
from siamla.settings import nearest, without_neutral
from siamla.steps.fetch import fingerprint
from siamla.tracker.api import exported_settings, find_model, tracker_settings
from siamla.tracker.settings import TrackerSettings, exported, stored
from siamla.tracker.tracker import SiamTracker

RUN = "run.json"


class Model(NamedTuple):
    """A model file or an exported folder, ready for a benchmark."""

    label: str
    digest: str
    settings: TrackerSettings
    place: dict[str, Any]  # on what the network is run, as a record holds it
    code: tuple[str, ...]  # definitions whose code decides the boxes
    follow: Callable[..., None]  # of sequences, folder, rules, workers and a title


class Run(NamedTuple):
    """A model on a folder of sequences, tracked."""

    label: str
    sequences: list[Sequence]
    rules: Protocol
    folder: Path


def protocol_of(layout: str, name: str | None) -> Protocol:
    """The protocol that was named, else the layout's first; UserError with what there is."""
    protocols = {key: rules for key, rules in default_protocols().items() if rules.layout == layout}
    if not protocols:
        raise UserError(f"no protocol is of layout {layout}")
    if name is not None and name not in protocols:
        near = nearest(name, list(protocols))
        raise UserError(f"--protocol {name}: no protocol of layout {layout}; {near}")
    return protocols[name] if name else next(iter(protocols.values()))


def _read(root: Path, layout: str) -> list[Sequence]:
    """All sequences of a folder, with a warning of folders that are none in a layout that has no
    list; UserError where frames and boxes are not as many.
    """
    names = LAYOUTS[layout].names(root)
    folders = [path.name for path in sorted(root.iterdir()) if path.is_dir()]
    if layout == "plain" and (left := [name for name in folders if name not in names]):
        print(f"warning: {root}: no groundtruth.txt in {', '.join(left)}", file=sys.stderr)
    sequences = [LAYOUTS[layout].read(root, name) for name in names]
    for sequence in sequences:
        if len(sequence.boxes) < len(sequence) and not withheld(sequence):
            counts = f"{len(sequence.boxes)} boxes for {len(sequence)} images"
            raise UserError(f"{root}: {sequence.name} has {counts}")
    return sequences


def _content(sequence: Sequence) -> list[Any]:
    """What a run depends on, as far as it is known without reading every image whole."""
    start = [float(value) for value in sequence.boxes[0]] if len(sequence.boxes) else []
    return [
        sequence.name,
        [repr(value) for value in start],
        [[frame.name, fingerprint(frame)] for frame in sequence.frames],
    ]


def _claim(out: Path, identity: Mapping[str, Any], label: str) -> None:
    """Make `out` this run's; UserError, and nothing is touched, when it holds anything else."""
    elsewhere = "was not made by `siamla benchmark run`; name another --out"
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: expected a folder, found a file")
    if (out / RUN).is_file():
        before = read_json(out / RUN)
        if not isinstance(before, dict) or not isinstance(before.get("identity"), dict):
            raise UserError(f"{out / RUN}: {elsewhere}")
        if other := differences(before["identity"], identity):
            raise UserError(f"{out}: holds another run: {'; '.join(other[:3])}; name another --out")
    elif out.is_dir() and any(path.name != ".lock" for path in out.iterdir()):
        raise UserError(f"{out}: is not empty and {elsewhere}")
    else:
        write_json(out / RUN, {"identity": identity, "label": label})


def _exported_tracker(folder: Path, settings: TrackerSettings) -> SiamTracker:
    return SiamTracker(engine.prepare_exported(engine.read_exported(folder)), settings)


def read_any(path: Path | None, changed: Mapping[str, Any]) -> Model:
    """What `siamla.load` takes (siamla.tracker.api.find_model), with settings that replace the
    model's. On a CPU the network gets one thread, as in the pipeline: threads must not decide
    boxes, processes share the sequences.
    """
    path = find_model(path)
    if path.is_dir():
        folder = engine.read_exported(path)
        settings = exported_settings(path, folder.tracker, changed)
        place = {"device": "cpu", "precision": "fp32", "threads": 1, "engine": engine.described()}
        follow = partial(run_tracker, partial(_exported_tracker, path, settings))
        code = ("siamla.benchmark.tracking:run", f"{__name__}:_exported_tracker")
        return Model(folder.label, folder.digest, settings, place, code, follow)
    import torch

    from siamla.model.checkpoint import read_model
    from siamla.tracker.loading import recorded, tracking_hardware

    file = read_model(path)
    settings = tracker_settings(path, file.tracker, changed)
    torch.set_num_threads(1)
    hardware = tracking_hardware(settings)
    place = recorded(settings, hardware)
    entry = "siamla.benchmark.tracking:track_benchmark"
    follow = partial(track_benchmark, path, settings, hardware)
    return Model(file.label, file.digest, settings, place, (entry,), follow)


def save_as(model: Path, out: Path, settings: TrackerSettings) -> None:
    """Copy a model file or an exported folder, with other settings of the tracker."""
    if model.is_dir():
        engine.copy_exported(model, out, exported(settings))
        return
    from siamla.model.checkpoint import read_model, save_model

    file = read_model(model)
    save_model(out, file.model, file.label, stored(settings))


def track(
    model: Path | None,
    layout: str,
    root: Path,
    out: Path | None = None,
    protocol: str | None = None,
    changed: Mapping[str, Any] | None = None,
    workers: int = 1,
) -> Run:
    """Track every sequence of a folder with a model; killed, the same call goes on.

    By default it is the model that ships with siamla, the layout's first protocol, and for the raw
    results, in the benchmark's own format, runs/ROOT/LABEL-DIGEST in the current folder, DIGEST
    being of all that decides the run: model, settings, data, code. `changed` replaces tracker
    settings of the model. UserError for wrong input, before anything is written, and for sequences
    that could not be tracked, when the others are finished.
    """
    rules, used = protocol_of(layout, protocol), read_any(model, changed or {})
    sequences, running = _read(root, layout), run_rules(rules)
    cv2.setNumThreads(1)
    identity = {
        "model": used.digest,
        "tracker": without_neutral(used.settings),
        "run": plain(running),
        "data": digest([_content(sequence) for sequence in sequences]),
        "code": sources().digest(*used.code),
        "place": used.place,
    }
    title = root.resolve().name
    word = re.sub(r"[^a-z0-9]+", "_", used.label.lower()).strip("_")
    out = out or Path("runs", title, f"{word}-{digest(identity)[:8]}")
    if out.exists():
        _claim(out, identity, used.label)  # says no before a lock is put into somebody's folder
    with locked(out / ".lock"):
        _claim(out, identity, used.label)
        used.follow(sequences, out, running, workers, title)
    return Run(used.label, sequences, rules, out)


def score(run: Run) -> dict[str, Any] | None:
    """The scores of a run, with fps unless it was in lock step; None where truth is withheld."""
    if any(withheld(sequence) for sequence in run.sequences):
        return None
    scores = score_stored(run.sequences, run.folder, run.rules)
    timing = speed(run.folder, run.sequences, run.rules)
    rows = [{"sequence": name, **values} for name, values in scores.per_sequence.items()]
    write_csv(run.folder / "scores.csv", list(rows[0]), rows)
    results = {
        "scores": scores.overall,
        "speed": timing,
        "protocol": run.rules.title,
        "environment": environment(),
    }
    write_json(run.folder / RUN, {**read_json(run.folder / RUN), **results})
    return {**scores.overall, **({"fps": timing["fps"]} if timing else {})}
