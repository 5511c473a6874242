"""The model that ships with siamla: a trained one exported into the package, with its card."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siamla.engine.export import export
from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.model.checkpoint import read_model
from siamla.report.differences import OVERALL, members, parts
from siamla.statistics import mean_effect
from siamla.steps.perform import planned, sound
from siamla.steps.publish import NAME
from siamla.steps.report import gather
from siamla.tracker.api import RELEASED
from siamla.tracker.settings import exported

CARD = Path(__file__).with_name("card.md")


def _scores(plan: Plan, benchmark: str, variant: str) -> dict[int, Any]:
    """Seed → the content of its score file; UserError where one is missing or of another plan."""
    scores = gather(
        plan.job("score", benchmark=benchmark, variant=variant, seed=seed)
        for seed in plan.experiment.seeds(variant)
    )
    return {score.seed: score.content for score in scores}


def _row(plan: Plan, benchmark: str, scores: Mapping[int, Any], seed: int) -> str:
    """The row of a benchmark in the card."""
    rules = plan.experiment.protocol(benchmark)
    metric = rules.metrics[rules.headline]
    names = members([scores[seed]], OVERALL)
    cells = []
    for group in ([scores[seed]], [*scores.values()]):
        values = {"model": parts(group, names, rules.headline)}
        effect = mean_effect(values, {"model": 1.0}, one_seed=True)
        value, low, high = (
            f"{number:.{metric.digits}f}" for number in (effect.value, effect.low, effect.high)
        )
        cells.append(f"{value} [{low}, {high}]")
    label = plan.profile.benchmarks[benchmark].label or benchmark
    return f"| {label} | {metric.label} | {cells[0]} | {cells[1]} | {len(names)} |"


def release(name: str, by: str | None = None, out: Path = RELEASED) -> Path:
    """Export a trained model into the package, in place of the one there; its card.

    Args:
        name: PROFILE/VARIANT/seedN of a training whose benchmarks are scored, or PROFILE/VARIANT
            with `by`.
        by: the benchmark whose score chooses the seed, on which a choice may be made.
        out: the folder, README.md in which is the card.

    Raises:
        UserError: a result is missing or not the plan's, or onnx is not installed; the folder stays
            as it was.
    """
    matched = NAME.fullmatch(f"{name}/seed0" if by else name)
    if matched is None:
        raise UserError(
            f"{name!r}: expected PROFILE/VARIANT/seedN, such as release/siamla/seed1; with --by"
            " PROFILE/VARIANT"
        )
    profile, variant, seed = matched["profile"], matched["variant"], int(matched["seed"][4:])
    plan = Plan.load(profile)
    plain = exported(plan.spec(variant).tracker)
    scores = {
        benchmark: _scores(plan, benchmark, variant)
        for benchmark in plan.profile.benchmarks
        if variant in plan.experiment.runs(benchmark)
        and plan.experiment.model(variant, benchmark) == variant
    }
    if by:
        plan.check_name("benchmark", by)
        metric = plan.experiment.protocol(by).headline
        seed = max(scores[by], key=lambda each: scores[by][each]["overall"][metric])
    job = plan.job("train", variant=variant, seed=seed)
    record = planned(job)
    file = read_model(sound(job) / "model.pt")
    why = f"Of all trainings this one is the best on `{by}`, which flatters it there. "
    card = CARD.read_text(encoding="utf-8").format(
        label=file.label,
        name=f"{profile}/{variant}/seed{seed}",
        profile=profile,
        seed=seed,
        commit=(record["environment"].get("git_commit") or "unknown")[:12],
        key=job.key,
        digest=file.digest[:16],
        parameters=sum(values.numel() for values in file.model.parameters()) / 1e6,
        training=", ".join(plan.profile.train),
        settings=", ".join(f"{key} {value}" for key, value in plain.items()),
        seeds=len(plan.experiment.seeds(variant)),
        scores="\n".join(_row(plan, each, own, seed) for each, own in scores.items()),
        chosen=why if by else "",
    )
    made = out.with_name(f"{out.name}.new")
    shutil.rmtree(made, ignore_errors=True)
    try:
        export(file.model, made, "onnx", {"label": file.label, "tracker": plain}, half=True)
        (made / "README.md").write_text(card, encoding="utf-8")
        shutil.rmtree(out, ignore_errors=True)
        made.replace(out)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return out / "README.md"
