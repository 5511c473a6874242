"""What the trained models of a profile do on crops around the truth of a benchmark, measured once and written down."""

import time
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.experiment.study import CROPS, SEED, crops_benchmarks, crops_identity, crops_key, crops_models, crops_path
from siamla.files import read_json, write_json
from siamla.parallel import in_parallel
from siamla.provenance.record import environment
from siamla.settings import nearest
from siamla.steps.perform import sound
from siamla.tracker.settings import TrackerSettings

Numbers = dict[str, dict[str, float | None]]
"""Sequence → siamla.benchmark.alignment.summary of its crops, null for what is not defined."""


@lru_cache(maxsize=1)  # every model of a worker sees the same crops
def _cuts(folder: Path, crops: int, seed: int) -> list[Any]:
    from siamla.benchmark.alignment import cut
    from siamla.data.curate import load_curated

    return [cut(sequence, crops, (seed, place)) for place, sequence in enumerate(load_curated(folder))]


def on_model(item: tuple[Path, TrackerSettings], folder: Path, crops: int = CROPS, seed: int = SEED) -> Numbers:
    """The numbers of a model file on the crops of a curated folder; sequences without crops are left out."""
    import cv2
    import torch

    from siamla.benchmark.alignment import alignment, summary
    from siamla.model.checkpoint import load_model

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    found = alignment(load_model(item[0]), _cuts(folder, crops, seed), item[1])
    named = {name: summary(own) for name, own in found.items() if own}
    return {name: {key: v if np.isfinite(v) else None for key, v in own.items()} for name, own in named.items()}


def measure_crops(plan: Plan, benchmark: str, workers: int = 1, key: str | None = None) -> Path:
    """Measure every trained model of a benchmark's variants on its crops, and write the numbers; their path.

    What is there already and of the same models, clips and code stays; killed, the same call goes on with the models
    that are missing. UserError where a training or the curated clips are missing, or the key is not the plan's.
    """
    if benchmark not in plan.profile.benchmarks:
        plan.curate(benchmark)
        raise UserError(f"{benchmark}: no benchmark; {nearest(benchmark, list(plan.profile.benchmarks))}")
    if benchmark not in crops_benchmarks(plan):
        raise UserError(f"{benchmark}: its protocol starts a lost tracker again; expected a one-pass benchmark")
    identity, path, started = crops_identity(plan, benchmark), crops_path(plan, benchmark), time.time()
    if key not in (None, crops_key(plan, benchmark)):
        raise UserError(
            f"{path}: key {key} is not the plan's, {crops_key(plan, benchmark)}; the plan changed since it was made"
        )
    models, folder = crops_models(plan, benchmark), sound(plan.curate(benchmark))
    contents = {name: {str(seed): job.content() for seed, job in own.items()} for name, own in models.items()}
    contents["data"] = {benchmark: plan.curate(benchmark).content()}
    before: dict[str, Any] = read_json(path) if path.is_file() else {}
    same = before.get("identity") == identity and before.get("contents") == contents
    values: dict[str, dict[str, Numbers]] = before["values"] if same else {}
    todo = [(name, str(seed)) for name, own in models.items() for seed in own if str(seed) not in values.get(name, {})]
    files = [
        (sound(models[name][int(seed)]) / "model.pt", plan.experiment.tracker(name, benchmark)) for name, seed in todo
    ]
    report = {"identity": identity, "contents": contents, "benchmark": benchmark, "environment": environment()}
    for (name, seed), numbers in zip(
        todo,
        in_parallel(partial(on_model, folder=folder), files, workers, f"crops of {benchmark}", "model"),
        strict=True,
    ):
        values.setdefault(name, {})[seed] = numbers
        write_json(path, {**report, "values": values, "seconds": round(time.time() - started, 1)})
    return path


def read_crops(plan: Plan, benchmark: str) -> Mapping[str, Mapping[str, Numbers]] | None:
    """Variant → seed → numbers by sequence, as `measure_crops` wrote them; None where nothing was measured.

    UserError where they are of other models, clips or code than the plan's, or not all are there.
    """
    path = crops_path(plan, benchmark)
    if not path.is_file():
        return None
    command = f"`siamla benchmark alignment {benchmark} --profile {plan.name}`"
    found, identity = read_json(path), crops_identity(plan, benchmark)
    if not isinstance(found, dict) or found.get("identity") != identity:
        raise UserError(f"{path}: made from other models, clips or code than the plan's; {command} measures again")
    values: Mapping[str, Mapping[str, Numbers]] = found["values"]
    lacking = [f"{n} {s}" for n, own in identity["models"].items() for s in own if s not in values.get(n, {})]
    if lacking:
        raise UserError(f"{path}: {len(lacking)} models are missing, the first {lacking[0]}; {command} goes on")
    return values
