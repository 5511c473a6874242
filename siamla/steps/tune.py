"""Choosing tracker settings on validation clips alone, and writing down where they came from."""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from siamla.benchmark.tuning import Choice, search
from siamla.data.real.clips import REAL
from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.spec import merge, plain
from siamla.experiment.step import engine_code
from siamla.experiment.sweeps import load_tuning
from siamla.files import digest, read_json, write_json
from siamla.miniatures.settings import SetSettings
from siamla.provenance.record import environment
from siamla.report.tables.job import layout_of
from siamla.settings import validate
from siamla.steps import byhand
from siamla.steps.perform import planned, sound
from siamla.tracker.settings import TrackerSettings

CLIPS = Path("data", "validation")


class Clips(NamedTuple):
    """Validation clips on disk; `origin` is what decides them."""

    name: str
    root: Path
    layout: str
    origin: dict[str, Any]


def validation_set(plan: Plan, name: str) -> SetSettings:
    """The generated set to choose on; UserError for one that is trained on or shown."""
    if name in plan.datasets or name in layout_of(plan).named_benchmarks():
        what = "tables show it or models are trained on it"
        raise UserError(f"{name}: {what}; settings are chosen on other clips alone")
    settings = plan.generated_set(name)
    if settings.first_frame_only:
        raise UserError(f"{name}: the truth of its clips is withheld; choose on others")
    for used, entry in plan.datasets.items():
        if entry.rendered and plan.generated_set(entry.rendered).seed == settings.seed:
            what = f"{used} of profile {plan.name} is made from it or has its seed"
            raise UserError(f"{name}: {what}; choose on others")
    return settings


def _clips(plan: Plan, name: str, jobs: int) -> Clips:
    """Real clips that `siamla data real` wrote to a folder of this name, UserError for others than
    those to choose on; or a set, which is rendered where it lacks or has other settings.
    """
    root = Path(name)
    if (root / REAL).is_file():
        about = read_json(root / REAL)
        if about.get("split") != "validation":
            what = f"{root / REAL} says split {about.get('split')!r}"
            raise UserError(f"{root}: {what}; settings are chosen on the split validation alone")
        return Clips(root.as_posix(), root, "plain", {"name": root.name, "videos": about["videos"]})
    from siamla.steps.fetch import render

    root, settings = CLIPS / name, validation_set(plan, name)
    render(name, settings, root, jobs)
    origin = {"name": name, "settings": settings.model_dump(mode="json")}
    return Clips(name, root, settings.layout, origin)


def _origin(
    plan: Plan, variant: str, jobs: dict[str, Job], clips: Sequence[Clips]
) -> dict[str, Any]:
    """All that decides what is chosen. What the variant sets would win, and is not tried."""
    tuning = load_tuning(plan.params / "tune.yaml")
    fixed = plan.experiment.own_tracker(variant)
    # as if nothing had been chosen for the variant
    start = merge(plan.profile.spec.get("tracker", {}), fixed)
    grid = {key: values for key, values in tuning.grid.items() if key not in fixed}
    code = plan.code.digest(
        "siamla.benchmark.tracking:track_benchmark",
        "siamla.benchmark.score:score",
        *engine_code(plan.spec(variant).tracker.engine),
    )
    return {
        "variant": variant,
        "clips": [each.origin for each in clips],
        "models": {
            seed: {"key": job.key, "content": planned(job)["content"]} for seed, job in jobs.items()
        },
        "metric": {each.name: byhand.protocol_of(each.layout, None).headline for each in clips},
        "from": plain(validate(TrackerSettings, start, f"tune {variant}")),
        "grid": {**plain(tuning), "grid": grid},
        "code": code,
    }


def _score(model: Path, clips: Clips, settings: Choice, workers: int) -> float:
    """The headline score of a model with these settings on the clips."""
    with tempfile.TemporaryDirectory() as folder:
        run = byhand.track(model, clips.layout, clips.root, Path(folder), None, settings, workers)
        scores = byhand.score(run)
    assert scores is not None  # the truth of the clips is known
    return float(scores[run.rules.headline])


def _tune(plan: Plan, variant: str, clips: Sequence[Clips], workers: int) -> dict[str, Any]:
    """The report of one variant, which is also written."""
    started = time.time()
    seeds = plan.experiment.seeds(variant)
    jobs = {str(seed): plan.job("train", variant=variant, seed=seed) for seed in seeds}
    origin = _origin(plan, variant, jobs, clips)
    report = {**origin, "identity": digest(origin)}
    path = Path("results", plan.name, "tune", f"{variant}.json")
    before = read_json(path) if path.is_file() else {}
    same = before.get("identity") == report["identity"]
    measured = {digest(point["settings"]): point for point in before["points"]} if same else {}
    models = {seed: sound(job) / "model.pt" for seed, job in jobs.items()}
    points: list[dict[str, Any]] = []

    def measure(choice: Choice) -> float:
        point = measured.get(digest(choice))
        if point is None:
            tried = {**origin["from"], **choice}
            scores: dict[str, dict[str, float]] = {}
            for seed, model in models.items():
                scores[seed] = {each.name: _score(model, each, tried, workers) for each in clips}
            # sets of clips count alike, and so do models
            mean = float(np.mean([np.mean(list(each.values())) for each in scores.values()]))
            point = {"settings": choice, "scores": scores, "mean": mean}
            write_json(path, {**report, "points": [*points, point]})
        points.append(point)
        return float(point["mean"])

    grid = origin["grid"]["grid"]
    start = {key: origin["from"][key] for key in grid}
    for choice, reached in search(measure, start, grid, origin["grid"]["rounds"]):
        words = ", ".join(f"{key} {value:g}" for key, value in choice.items())
        print(f"{variant:14} {reached:.4f}  {words}", file=sys.stderr, flush=True)
    best = max(points, key=lambda point: float(point["mean"]))
    report |= {"points": points, "chosen": best["settings"], "reached": best["mean"]}
    report |= {"before": points[0]["mean"], "environment": environment()}
    write_json(path, report | {"seconds": round(time.time() - started, 1)})
    return report


def tune(
    plan: Plan, variants: Sequence[str], clips: Sequence[str], workers: int = 1
) -> dict[str, dict[str, Any]]:
    """Choose the tracker settings of variants on validation clips; variant → report.

    The mean headline score over a variant's seeds decides, by the grid of params/tune.yaml.
    results/{profile}/tune/{variant}.json is written after each point, and the same call goes on
    with the points that are in it. UserError before any work where a training is missing.
    """
    for name in clips:
        if not (Path(name) / REAL).is_file():
            validation_set(plan, name)  # wrong names are found before any work
    for variant in variants:
        for seed in plan.experiment.seeds(variant):
            planned(plan.job("train", variant=variant, seed=seed))
    found = [_clips(plan, name, workers) for name in clips]
    return {variant: _tune(plan, variant, found, workers) for variant in variants}
