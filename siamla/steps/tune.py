"""Choosing tracker settings on validation clips alone, and writing down where they came from."""

import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from siamla.benchmark.protocols import Protocol, run_rules
from siamla.benchmark.tuning import Choice, search
from siamla.data.formats import LAYOUTS
from siamla.data.synthetic.settings import SetSettings, load_sets
from siamla.errors import UserError
from siamla.experiment.plan import GENERATOR, Plan, engine_code
from siamla.experiment.spec import layered, plain
from siamla.experiment.tuning import Tuning, load_tuning
from siamla.files import digest, read_json, write_json
from siamla.provenance.code import code_digest
from siamla.provenance.record import environment
from siamla.report.tables.job import layout_of
from siamla.sequence import Sequence
from siamla.settings import nearest, validate
from siamla.steps.perform import sound
from siamla.tracker.settings import TrackerSettings

CLIPS = Path("data", "validation")


def validation_set(plan: Plan, name: str) -> SetSettings:
    """The generated set to choose on; UserError for one that the profile trains on or that tables
    or figures show.
    """
    path = plan.params / "synthetic.yaml"
    sets = load_sets(path)
    if name in plan.datasets or name in layout_of(plan).named_benchmarks():
        raise UserError(
            f"{name}: tables show it or models are trained on it; settings are chosen on other"
            " clips alone"
        )
    if name not in sets:
        raise UserError(f"{name}: no set of {path}; {nearest(name, list(sets))}")
    for used, entry in plan.datasets.items():
        source = (entry.dvc or "").removeprefix(GENERATOR)
        if source == name or (source in sets and sets[source].seed == sets[name].seed):
            raise UserError(
                f"{name}: {used} of profile {plan.name} is made from it or has its seed; choose on"
                " others"
            )
    return sets[name]


def _clips(name: str, settings: SetSettings, jobs: int) -> list[Sequence]:
    """The set's clips, rendered where they are not there or are of other settings."""
    from siamla.data.synthetic.dataset import MANIFEST
    from siamla.steps.generated import render

    root, layout = CLIPS / name, LAYOUTS[settings.layout]
    manifest = root / MANIFEST
    if not manifest.is_file() or read_json(manifest)["settings"] != settings.model_dump(
        mode="json"
    ):
        render(name, settings, root, jobs)
    return [layout.read(root, each) for each in layout.names(root)]


def _protocol(plan: Plan, layout: str) -> Protocol:
    """The first one-pass protocol of the clips' layout."""
    for rules in plan.experiment.protocols.values():
        if rules.layout == layout and rules.onepass:
            return rules
    raise UserError(
        f"{plan.params / 'protocols.yaml'}: no one-pass protocol of layout {layout}; choose on"
        " other clips"
    )


def _measure(
    model: Path, sequences: list[Sequence], rules: Protocol, settings: TrackerSettings, workers: int
) -> float:
    """The headline score of a model with these settings."""
    from siamla.benchmark.score import score
    from siamla.benchmark.tracking import track_benchmark
    from siamla.model.checkpoint import read_model
    from siamla.tracker.place import tracking_place

    place = tracking_place(read_model(model).model.settings, settings)
    with tempfile.TemporaryDirectory() as folder:
        track_benchmark(
            model, settings, place, sequences, Path(folder), run_rules(rules), workers, "tune"
        )
        return float(score(sequences, Path(folder), rules).overall[rules.headline])


def _grid(plan: Plan, variant: str, tuning: Tuning) -> dict[str, list[Any]]:
    """What is tried of a variant: all but the settings that it sets itself, which win over whatever
    is chosen.
    """
    own = plan.own_keys(variant)
    return {key: values for key, values in tuning.grid.items() if f"tracker.{key}" not in own}


def _start(plan: Plan, variant: str) -> TrackerSettings:
    """Where the search begins: as if nothing had been chosen for the variant before, so that all
    begin alike.
    """
    settings = layered(
        {"tracker": plan.profile.spec.get("tracker", {})}, variant, plan.experiment.variants
    )
    return validate(TrackerSettings, settings["tracker"], f"tune {variant}")


def tune(
    plan: Plan, variant: str, clips: str, workers: int = 1, tell: Callable[[str], None] = print
) -> dict[str, Any]:
    """Choose a variant's tracker settings on a generated set of validation clips; the report, which
    is also written.

    No model is trained: the mean headline score over the variant's seeds decides, by the grid of
    params/tune.yaml, from the settings that the profile has for all variants. What the variant
    itself sets is not tried. results/{profile}/tune/{variant}.json holds every point with its
    scores, the models, the clips and the grid. It is written after each point; the same call goes
    on with the points that are in it.
    """
    import cv2
    import torch

    torch.set_num_threads(1)  # as in `predict`
    cv2.setNumThreads(1)
    started, settings = time.time(), validation_set(plan, clips)
    tuning, rules = load_tuning(plan.params / "tune.yaml"), _protocol(plan, settings.layout)
    jobs = {seed: plan.train(variant, seed) for seed in plan.experiment.seeds(variant)}
    models = {str(seed): {"key": job.key, "content": job.content()} for seed, job in jobs.items()}
    files = {str(seed): sound(job) / "model.pt" for seed, job in jobs.items()}
    own, grid = plain(_start(plan, variant)), _grid(plan, variant, tuning)
    code = code_digest(
        "siamla.benchmark.tracking:track_benchmark",
        "siamla.benchmark.score:score",
        *engine_code(plan.spec(variant).tracker.engine),
    )
    origin = {
        "variant": variant,
        "clips": {"name": clips, "settings": settings.model_dump(mode="json")},
        "models": models,
        "metric": rules.headline,
        "from": own,
        "grid": {**plain(tuning), "grid": grid},
        "code": code,
    }
    path = Path("results", plan.name, "tune", f"{variant}.json")
    report: dict[str, Any] = {**origin, "identity": digest(origin), "points": []}
    before = read_json(path) if path.is_file() else {}
    known = {digest(point["settings"]): point for point in before.get("points", [])}
    known = known if before.get("identity") == report["identity"] else {}
    sequences = _clips(clips, settings, workers)

    def measure(choice: Choice) -> float:
        point: Mapping[str, Any] | None = known.get(digest(choice))
        if point is None:
            tried = validate(TrackerSettings, {**own, **choice}, f"tune {variant}")
            scores = {
                seed: _measure(model, sequences, rules, tried, workers)
                for seed, model in files.items()
            }
            point = {
                "settings": choice,
                "scores": scores,
                "mean": float(np.mean(list(scores.values()))),
            }
            write_json(path, {**report, "points": [*report["points"], point]})
        report["points"].append(point)
        return float(point["mean"])

    found = []
    for choice, reached in search(measure, {key: own[key] for key in grid}, grid, tuning.rounds):
        found.append((reached, choice))
        tell(f"{reached:.4f}  {', '.join(f'{key} {value:g}' for key, value in choice.items())}")
    best = max(reached for reached, _ in found)
    report["chosen"] = next(choice for reached, choice in found if reached == best)
    report |= {"reached": best, "before": found[0][0], "environment": environment()}
    write_json(path, report | {"seconds": round(time.time() - started, 1)})
    return report


def tune_all(
    plan: Plan, clips: str, workers: int = 1, tell: Callable[[str], None] = print
) -> dict[str, dict[str, Any]]:
    """`tune` for every variant of the profile, each by the same grid on the same clips; variant →
    report.

    UserError before any work where a training is missing.
    """
    for job in (
        plan.train(variant, seed)
        for variant in plan.variants
        for seed in plan.experiment.seeds(variant)
    ):
        job.content()
    return {
        variant: tune(plan, variant, clips, workers, partial(_say, tell, variant))
        for variant in plan.variants
    }


def _say(tell: Callable[[str], None], variant: str, line: str) -> None:
    tell(f"{variant:14} {line}")
